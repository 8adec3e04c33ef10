//! Counted work: requests while nothing happens, and for each change.

use std::time::Duration;

use consul_sync_consul::testing::{Endpoint, FakeConsul, Fault, Instance};
use consul_sync_core::Status;

use super::{
    catalog::{check, consul, fill, instance, node, put, with_nodes},
    support::{Told, source},
};

const LONG: Duration = Duration::from_secs(600);

/// Requests for the names, for services, and for checks.
fn requests(consul: &FakeConsul) -> (u64, u64, u64) {
    (
        consul.requests(Endpoint::Services),
        consul.requests(Endpoint::ServiceHealth),
        consul.requests(Endpoint::ChecksInState),
    )
}

/// What was asked for a change of a service's health, of 20 services.
async fn cost_of_a_check(queries: usize) -> (u64, u64, u64) {
    let consul = consul().await;
    fill(&consul, 20);
    let source = source(&consul.url(), |s| {
        s.queries = queries;
        s.wait = LONG;
    });
    let mut told = Told::listed(&source).await;
    consul.put_check(check("c", "s7-1", "passing")).unwrap();
    told.until_quiet(Duration::from_secs(2)).await;
    let before = requests(&consul);
    let held = consul.blocked();
    consul.put_check(check("c", "s7-1", "critical")).unwrap();
    told.until(|told| told.status("s7") == [Status::Critical])
        .await;
    told.until_quiet(Duration::from_secs(2)).await;
    consul.until(|consul| consul.blocked() == held).await;
    let after = requests(&consul);
    (after.0 - before.0, after.1 - before.1, after.2 - before.2)
}

#[tokio::test]
async fn a_change_of_health_costs_one_request_where_its_service_has_a_query() {
    // The query is sent anew.
    assert_eq!(cost_of_a_check(20).await, (0, 1, 0));
}

#[tokio::test]
async fn a_change_of_health_does_not_cost_a_look_at_every_service() {
    // A look at the index, one at the content, and the query that the service gets now, in another one's place. The
    // catalog in memory wakes both queries on checks; Consul wakes the one whose state it is about.
    assert_eq!(cost_of_a_check(5).await, (0, 3, 2));
    // The nodes have all of the queries, or there are none.
    assert_eq!(cost_of_a_check(3).await, (0, 2, 2));
    assert_eq!(cost_of_a_check(0).await, (0, 2, 2));
}

/// Requests for services, for the list of nodes, and for nodes.
fn requests_by_node(consul: &FakeConsul) -> [u64; 3] {
    let endpoints = [
        Endpoint::ServiceHealth,
        Endpoint::Nodes,
        Endpoint::NodeServices,
    ];
    endpoints.map(|endpoint| consul.requests(endpoint))
}

/// 20 services in a catalog of 3 nodes, and who follows them.
async fn followed(queries: usize, node_queries: usize) -> (FakeConsul, Told) {
    let consul = consul().await;
    fill(&consul, 20);
    let source = source(&consul.url(), |s| {
        (s.queries, s.node_queries) = (queries, node_queries);
        s.wait = LONG;
    });
    let mut told = Told::listed(&source).await;
    told.until_quiet(Duration::from_secs(2)).await;
    (consul, told)
}

/// What was asked for a change of what is registered, beside the queries for the names and for checks: for services, for
/// the list of nodes, and for nodes.
async fn cost(consul: &FakeConsul, told: &mut Told) -> [u64; 3] {
    let (before, held) = (requests_by_node(consul), consul.blocked());
    let moved = Instance {
        port: 81,
        ..instance("s7", 1)
    };
    consul.put_instance(moved).unwrap();
    told.until(|told| told.services["s7"].instances[0].default_port() == Some(81))
        .await;
    told.until_quiet(Duration::from_secs(2)).await;
    consul.until(|consul| consul.blocked() == held).await;
    let after = requests_by_node(consul);
    [0, 1, 2].map(|at| after[at] - before[at])
}

async fn cost_of_an_instance(queries: usize, node_queries: usize) -> [u64; 3] {
    let (consul, mut told) = followed(queries, node_queries).await;
    cost(&consul, &mut told).await
}

#[tokio::test]
async fn a_change_of_an_instance_costs_one_request_where_its_service_has_a_query() {
    assert_eq!(cost_of_an_instance(20, 10).await, [1, 0, 0]);
}

#[tokio::test]
async fn the_query_of_a_node_tells_which_service_changed() {
    // What it is, the query that the service gets now in another one's place, and the node's query anew.
    assert_eq!(cost_of_an_instance(10, 3).await, [2, 0, 1]);
    // No place is left for a query of the service.
    assert_eq!(cost_of_an_instance(3, 3).await, [1, 0, 1]);
}

#[tokio::test]
async fn nothing_is_read_again_because_a_node_is_read_for_the_first_time() {
    let consul = consul().await;
    consul.put_node(node("n3", "10.9.0.3")).unwrap();
    fill(&consul, 20);
    let source = source(&consul.url(), |s| {
        (s.queries, s.node_queries) = (10, 3);
        s.wait = LONG;
    });
    let mut told = Told::listed(&source).await;
    told.until_quiet(Duration::from_secs(2)).await;
    let before = requests_by_node(&consul);
    assert_eq!(before[2], 0, "they are too many");
    consul.remove_node("n3");
    // Each node is read, and has a query then.
    while consul.requests(Endpoint::NodeServices) < 2 * 3 {
        told.until_quiet(Duration::from_millis(100)).await;
    }
    told.until_quiet(Duration::from_secs(2)).await;
    assert_eq!(requests_by_node(&consul)[0], before[0]);
    // What is done from here on is told by them.
    assert_eq!(cost(&consul, &mut told).await, [2, 0, 1]);
}

#[tokio::test]
async fn what_a_node_told_is_not_lost_with_the_query_that_was_to_say_it() {
    let (consul, mut told) = followed(4, 3).await;
    let port = |service: &str, port| Instance {
        port,
        ..instance(service, 1)
    };
    let is_at = |told: &Told, service: &str, port| {
        told.services[service].instances[0].default_port() == Some(port)
    };
    // It has the one query that is left, and the next one is answered late.
    consul.put_instance(port("s7", 81)).unwrap();
    told.until(|told| is_at(told, "s7", 81)).await;
    told.until_quiet(Duration::from_secs(2)).await;
    let late = Fault::new().late(LONG).on(Endpoint::ServiceHealth).times(1);
    consul.inject(late);
    consul.put_instance(port("s7", 82)).unwrap();
    told.until(|told| is_at(told, "s7", 82)).await;
    told.until_quiet(Duration::from_secs(2)).await;
    let asked = consul.requests(Endpoint::NodeServices);
    consul.put_instance(port("s7", 83)).unwrap();
    told.until_quiet(Duration::from_secs(2)).await;
    assert!(consul.requests(Endpoint::NodeServices) > asked);
    assert!(is_at(&told, "s7", 82), "it is left to the query of its own");
    // Another one takes its query.
    consul.put_instance(port("s3", 81)).unwrap();
    told.until(|told| is_at(told, "s3", 81)).await;
    told.until(|told| is_at(told, "s7", 83)).await;
}

#[tokio::test]
async fn after_an_outage_the_queries_of_nodes_tell_again() {
    let (consul, mut told) = followed(3, 3).await;
    let endpoints = [Endpoint::Nodes, Endpoint::NodeServices];
    let reads = Fault::new().error_before(500, "No cluster leader");
    consul.inject(endpoints.into_iter().fold(reads, Fault::on));
    consul.disconnect();
    told.until(|told| !told.errors.is_empty()).await;
    consul.clear_faults();
    // The nodes, their list, the names, and two states of checks.
    while consul.blocked() != 7 {
        told.until_quiet(Duration::from_millis(100)).await;
    }
    told.until_quiet(Duration::from_secs(2)).await;
    assert_eq!(cost(&consul, &mut told).await, [1, 0, 1]);
}

#[tokio::test]
async fn with_more_nodes_than_queries_for_them_every_service_is_looked_at() {
    // 15 looks, the content of what changed, its query, and a look at the one whose query it was.
    assert_eq!(cost_of_an_instance(5, 2).await, [18, 0, 0]);
    assert_eq!(cost_of_an_instance(5, 0).await, [18, 0, 0]);
    assert_eq!(cost_of_an_instance(0, 3).await, [21, 0, 0]);
}

#[tokio::test]
async fn nothing_is_asked_while_nothing_happens() {
    // The list of names, and for those without a query two states of checks and the list of nodes.
    for (queries, held) in [(20, 21), (10, 14), (5, 9), (0, 3)] {
        let consul = consul().await;
        fill(&consul, 20);
        let source = source(&consul.url(), |s| {
            s.queries = queries;
            s.wait = LONG;
        });
        let mut told = Told::listed(&source).await;
        while consul.blocked() != held {
            told.until_quiet(Duration::from_millis(100)).await;
        }
        told.until_quiet(Duration::from_secs(2)).await;
        assert_eq!(consul.blocked(), held);
        let (before, events) = (requests(&consul), told.events);
        told.until_quiet(Duration::from_secs(2)).await;
        assert_eq!((requests(&consul), told.events), (before, events));
    }
}

#[tokio::test]
async fn at_the_end_of_the_wait_only_indexes_are_asked_for() {
    let consul = consul().await;
    fill(&consul, 20);
    let source = source(&consul.url(), |s| {
        s.queries = 0;
        s.wait = Duration::from_secs(3);
    });
    let mut told = Told::listed(&source).await;
    told.until_quiet(Duration::from_secs(1)).await;
    let before = requests(&consul);
    while consul.requests(Endpoint::Services) == before.0 {
        told.until_quiet(Duration::from_millis(100)).await;
    }
    let after = requests(&consul);
    // One look at each, and no read of what it is.
    assert_eq!(after.1 - before.1, 20);
    assert_eq!(told.errors, []);
}

#[tokio::test]
async fn fault_c06_registrations_of_others_wake_no_query_of_a_service() {
    let consul = consul().await;
    fill(&consul, 5);
    let source = source(&consul.url(), |s| {
        s.deny
            .push(consul_sync_consul::NamePattern::new("noise").unwrap());
        s.wait = LONG;
    });
    let mut told = Told::listed(&source).await;
    told.until_quiet(Duration::from_secs(1)).await;
    let (before, events) = (requests(&consul), told.events);
    for number in 1..=40 {
        put(&consul, "noise", number);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    told.until_quiet(Duration::from_secs(1)).await;
    let after = requests(&consul);
    assert_eq!((after.1 - before.1, told.events - events), (0, 0));
    assert!(
        after.0 - before.0 <= 8,
        "{} requests for 40 registrations",
        after.0 - before.0
    );
}

#[tokio::test]
async fn fault_c13_the_number_of_connections_does_not_grow_with_services() {
    let consul = FakeConsul::builder().connections(20).start().await.unwrap();
    let consul = with_nodes(consul);
    fill(&consul, 100);
    let source = source(&consul.url(), |s| s.queries = 8);
    let mut told = Told::listed(&source).await;
    assert_eq!(told.services.len(), 100);
    for number in 0..100 {
        put(&consul, &format!("s{number}"), 2);
    }
    told.until(|told| {
        told.services
            .values()
            .all(|service| service.instances.len() == 2)
    })
    .await;
    assert_eq!(told.errors, []);
    // 8 services and nodes, the names, the list of nodes, two states of checks, and the pool.
    assert!(
        consul.connections() <= 8 + 4 + 6,
        "{} connections",
        consul.connections()
    );
}
