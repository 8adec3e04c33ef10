//! Faults of Consul's reads, by their numbers.

use std::time::Duration;

use consul_sync_consul::testing::{Endpoint, FakeConsul, Fault, Instance};
use consul_sync_core::ErrorKind;

use super::{
    catalog::{check, consul, fill, instance, node, put, with_nodes},
    support::{Told, source, source_with},
};

const QUIET: Duration = Duration::from_secs(1);

const READS: [Endpoint; 5] = [
    Endpoint::Services,
    Endpoint::ServiceHealth,
    Endpoint::ChecksInState,
    Endpoint::Nodes,
    Endpoint::NodeServices,
];

/// How many queries there are, how many of them nodes may have, and of the reads above how many are made: of five services
/// in a catalog of three nodes or four, each has a query, or each node, or none.
const WAYS: [(usize, usize, usize); 3] = [(128, 64, 2), (0, 0, 3), (4, 4, 5)];

fn on_reads(fault: Fault) -> Fault {
    READS.into_iter().fold(fault, Fault::on)
}

#[tokio::test]
async fn fault_c01_only_reads_that_are_consistent_are_used() {
    let consul = consul().await;
    put(&consul, "web", 3);
    fill(&consul, 5);
    consul.inject(Fault::new().partial(0).unless_consistent());
    for queries in [128, 0] {
        let source = source(&consul.url(), |s| s.queries = queries);
        let mut told = Told::listed(&source).await;
        assert_eq!((told.services.len(), told.count("web")), (6, Some(3)));
        consul.put_check(check("c", "web-1", "critical")).unwrap();
        told.until(|told| told.status("web")[0] == consul_sync_core::Status::Critical)
            .await;
        consul.remove_check("n1", "c");
        told.until_quiet(QUIET).await;
        assert_eq!((told.gone.len(), told.count("web")), (0, Some(3)));
    }
}

#[tokio::test]
async fn fault_c02_when_the_index_goes_back_nothing_is_gone_before_a_listing() {
    for (queries, node_queries, reads) in WAYS {
        for endpoint in READS.into_iter().take(reads) {
            let consul = consul().await;
            fill(&consul, 3);
            put(&consul, "web", 2);
            put(&consul, "db", 1);
            let source = source(&consul.url(), |s| {
                (s.queries, s.node_queries) = (queries, node_queries);
            });
            let mut told = Told::listed(&source).await;
            told.until_quiet(QUIET).await;
            // A look whose index is another one is followed by a read, which confirms it or not.
            let lower = Fault::new().header("x-consul-index", "3");
            consul.inject(lower.on(endpoint));
            consul.put_check(check("c", "web-1", "critical")).unwrap();
            put(&consul, "web", 3);
            // What is held was asked for before.
            for address in ["10.9.0.3", "10.9.0.33"] {
                consul.put_node(node("n3", address)).unwrap();
                told.until_quiet(QUIET).await;
            }
            told.until(|told| !told.errors.is_empty()).await;
            assert_eq!(told.kinds(), [ErrorKind::Incomplete], "{endpoint:?}");
            assert!(told.errors[0].1.contains("went back"), "{:?}", told.errors);
            consul.clear_faults();
            told.until(|told| told.listings == 2 && told.count("web") == Some(3))
                .await;
            assert_eq!(told.gone, [] as [String; 0]);
        }
    }
}

#[tokio::test]
async fn fault_c02_a_snapshot_that_is_put_back_is_listed_anew() {
    for queries in [128, 1, 0] {
        let consul = consul().await;
        put(&consul, "web", 1);
        let snapshot = consul.snapshot();
        put(&consul, "web", 2);
        put(&consul, "db", 1);
        let source = source(&consul.url(), |s| s.queries = queries);
        let mut told = Told::listed(&source).await;
        told.until_quiet(QUIET).await;
        consul.restore(&snapshot);
        told.until(|told| told.listings == 2).await;
        assert_eq!(told.kinds(), [ErrorKind::Incomplete]);
        assert_eq!((told.names(), told.count("web")), (vec!["web"], Some(1)));
    }
}

#[tokio::test]
async fn fault_c03_an_index_of_zero_is_no_reason_to_ask_without_end() {
    let consul = consul().await;
    fill(&consul, 3);
    consul.inject(on_reads(Fault::new().header("x-consul-index", "0")));
    let source = source(&consul.url(), |_| ());
    let mut told = Told::listed(&source).await;
    told.until_quiet(Duration::from_secs(3)).await;
    let asked = consul.requests(Endpoint::Services);
    assert!(asked <= 9, "{asked} requests for the names");
    assert_eq!(told.names(), ["s0", "s1", "s2"]);
}

#[tokio::test]
async fn fault_c04_an_answer_without_an_index_is_none() {
    for bad in [
        Fault::new().without_header("x-consul-index"),
        Fault::new().header("x-consul-index", "soon"),
        Fault::new().header("x-consul-index", "18446744073709551616"),
    ] {
        let consul = consul().await;
        put(&consul, "web", 1);
        let source = source(&consul.url(), |_| ());
        let mut told = Told::listed(&source).await;
        told.until_quiet(QUIET).await;
        consul.inject(on_reads(bad));
        put(&consul, "web", 2);
        told.until(|told| !told.errors.is_empty()).await;
        assert_eq!(told.kinds(), [ErrorKind::Protocol]);
        consul.clear_faults();
        told.until(|told| told.count("web") == Some(2)).await;
        assert_eq!((told.gone.len(), told.listings), (0, 1));
    }
}

#[tokio::test]
async fn fault_c05_a_server_that_answers_at_once_for_ever_is_asked_ever_less() {
    let consul = consul().await;
    fill(&consul, 4);
    // Lower than the true one, so no query is ever held.
    consul.inject(on_reads(Fault::new().header("x-consul-index", "2")));
    for ((queries, node_queries, _), most) in WAYS.into_iter().zip([50, 60, 60]) {
        let source = source(&consul.url(), |s| {
            (s.queries, s.node_queries) = (queries, node_queries);
        });
        let mut told = Told::listed(&source).await;
        let before: u64 = READS.iter().map(|read| consul.requests(*read)).sum();
        let events = told.events;
        told.until_quiet(Duration::from_secs(5)).await;
        let after: u64 = READS.iter().map(|read| consul.requests(*read)).sum();
        assert!(after - before <= most, "{} requests in 5 s", after - before);
        assert_eq!(told.events, events);
    }
}

#[tokio::test]
async fn fault_c11_a_server_without_a_leader_takes_nothing_away() {
    for (status, text) in [
        (500, "No cluster leader"),
        (500, "rpc error making call: EOF"),
        (503, "unavailable"),
        (429, "Too Many Requests"),
    ] {
        let consul = consul().await;
        fill(&consul, 10);
        put(&consul, "web", 1);
        let source = source(&consul.url(), |s| s.queries = 5);
        let mut told = Told::listed(&source).await;
        told.until_quiet(QUIET).await;
        consul.inject(on_reads(Fault::new().error_before(status, text)));
        consul.disconnect();
        put(&consul, "web", 2);
        told.until(|told| !told.errors.is_empty()).await;
        told.until_quiet(QUIET).await;
        // One report, however many queries failed.
        assert_eq!(told.errors.len(), 1, "{:?}", told.errors);
        assert_eq!(told.errors[0].0, ErrorKind::Unavailable);
        consul.clear_faults();
        told.until(|told| told.count("web") == Some(2)).await;
        assert_eq!((told.gone.len(), told.listings), (0, 1));
    }
}

#[tokio::test]
async fn while_a_server_is_away_one_query_looks_for_it() {
    let consul = consul().await;
    fill(&consul, 40);
    let source = source(&consul.url(), |_| ());
    let mut told = Told::listed(&source).await;
    told.until_quiet(QUIET).await;
    consul.inject(on_reads(
        Fault::new().error_before(500, "No cluster leader"),
    ));
    consul.disconnect();
    told.until_quiet(Duration::from_secs(2)).await;
    let before = consul.requests(Endpoint::ServiceHealth);
    told.until_quiet(Duration::from_secs(4)).await;
    assert_eq!(consul.requests(Endpoint::ServiceHealth), before);
    consul.clear_faults();
    put(&consul, "s39", 2);
    told.until(|told| told.count("s39") == Some(2)).await;
}

#[tokio::test]
async fn one_service_that_cannot_be_read_does_not_hold_up_the_others() {
    let consul = consul().await;
    fill(&consul, 3);
    let source = source(&consul.url(), |_| ());
    let mut told = Told::listed(&source).await;
    told.until_quiet(QUIET).await;
    // Half an answer, for whoever asks next.
    consul.inject(Fault::new().cut(20).on(Endpoint::ServiceHealth).times(1));
    for round in 2..5 {
        for service in ["s0", "s1", "s2"] {
            put(&consul, service, round);
        }
        told.until(|told| (0..3).all(|n| told.count(&format!("s{n}")) == Some(round.into())))
            .await;
    }
    assert_eq!(told.gone, [] as [String; 0]);
}

#[tokio::test]
async fn fault_c14_an_answer_beyond_the_limit_is_an_error() {
    let consul = consul().await;
    put(&consul, "web", 1);
    let source = source_with(&consul.url(), |c| c.answer_limit = 4000, |_| ());
    let mut told = Told::listed(&source).await;
    put(&consul, "web", 40);
    told.until(|told| !told.errors.is_empty()).await;
    assert_eq!(told.errors[0].0, ErrorKind::Protocol);
    assert!(
        told.errors[0].1.contains("longer than 4000 bytes"),
        "{:?}",
        told.errors
    );
    assert_eq!(told.gone, [] as [String; 0]);
}

#[tokio::test]
async fn fault_c17_a_name_that_cannot_be_asked_for_is_rejected_and_its_neighbours_are_read() {
    let consul = consul().await;
    put(&consul, "web", 1);
    let odd = Instance {
        service: "../web".into(),
        ..instance("odd", 9)
    };
    consul.put_instance(odd).unwrap();
    for queries in [128, 0] {
        let source = source(&consul.url(), |s| s.queries = queries);
        let mut told = Told::listed(&source).await;
        assert_eq!(told.names(), ["web"]);
        assert!(told.rejected.contains("../web"), "{:?}", told.rejected);
        told.until_quiet(QUIET).await;
        assert_eq!(told.errors, []);
    }
}

#[tokio::test]
async fn fault_c18_an_answer_that_is_not_consistent_is_not_believed() {
    for (header, value) in [
        ("x-consul-effective-consistency", "stale"),
        // A view of the agent says that it is consistent, and is not.
        ("x-consul-query-backend", "streaming"),
    ] {
        for (queries, node_queries, _) in WAYS {
            let consul = consul().await;
            fill(&consul, 4);
            put(&consul, "web", 2);
            let source = source(&consul.url(), |s| {
                (s.queries, s.node_queries) = (queries, node_queries);
            });
            let mut told = Told::listed(&source).await;
            told.until_quiet(QUIET).await;
            consul.inject(on_reads(Fault::new().header(header, value)));
            // What is held was asked for before.
            consul.disconnect();
            consul.remove_instance("n1", "web-1");
            told.until(|told| told.kinds().contains(&ErrorKind::Incomplete))
                .await;
            assert_eq!(told.count("web"), Some(2));
            consul.clear_faults();
            told.until(|told| told.listings == 2).await;
            assert_eq!(told.count("web"), Some(1));
        }
    }
}

#[tokio::test]
async fn fault_c19_another_cluster_behind_the_address_is_noticed() {
    let one = consul().await;
    put(&one, "web", 2);
    fill(&one, 20);
    let other = with_nodes(FakeConsul::start().await.unwrap());
    put(&other, "db", 1);
    let source = source_with(&one.url(), |c| c.addresses.push(other.url()), |_| ());
    let mut told = Told::listed(&source).await;
    told.until_quiet(QUIET).await;
    one.inject(on_reads(
        Fault::new().error_before(500, "No cluster leader"),
    ));
    one.disconnect();
    told.until(|told| told.kinds().contains(&ErrorKind::Incomplete))
        .await;
    assert_eq!(told.gone, [] as [String; 0]);
    told.until(|told| told.listings == 2).await;
    assert_eq!(told.names(), ["db"]);
}
