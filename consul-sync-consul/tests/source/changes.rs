//! Changes in Consul, with a query for every service and with none.

use std::time::Duration;

use consul_sync_consul::{
    NamePattern,
    testing::{Endpoint, FakeConsul, Fault, Instance},
};
use consul_sync_core::{Owner, Status};

use super::{
    catalog::{check, consul, fill, instance, node, put},
    support::{Told, source},
};

/// Every kind of change is told, whoever notices it.
async fn every_change_is_told(queries: usize, node_queries: usize) {
    let consul = consul().await;
    fill(&consul, 3);
    put(&consul, "web", 2);
    let source = source(&consul.url(), |s| {
        (s.queries, s.node_queries) = (queries, node_queries);
    });
    let mut told = Told::listed(&source).await;
    assert_eq!(told.names(), ["s0", "s1", "s2", "web"]);
    // More, fewer, elsewhere.
    put(&consul, "web", 3);
    told.until(|told| told.count("web") == Some(3)).await;
    consul.remove_instance("n1", "web-1");
    told.until(|told| told.count("web") == Some(2)).await;
    let moved = Instance {
        address: "10.0.0.99".into(),
        ..instance("web", 2)
    };
    consul.put_instance(moved).unwrap();
    let at = |told: &Told| -> Vec<String> {
        let instances = told.services["web"].instances.iter();
        instances.map(|i| i.address.to_string()).collect()
    };
    told.until(|told| at(told) == ["10.0.0.3", "10.0.0.99"])
        .await;
    // Health of an instance, and of its node.
    consul.put_check(check("c", "web-2", "critical")).unwrap();
    told.until(|told| told.status("web") == [Status::Passing, Status::Critical])
        .await;
    consul.put_check(check("c", "web-2", "warning")).unwrap();
    told.until(|told| told.status("web") == [Status::Passing, Status::Warning])
        .await;
    consul.put_check(check("c", "web-2", "passing")).unwrap();
    told.until(|told| told.status("web") == [Status::Passing; 2])
        .await;
    consul.put_check(check("node", "", "critical")).unwrap();
    told.until(|told| told.status("s1") == [Status::Critical])
        .await;
    told.until(|told| told.status("web") == [Status::Critical; 2])
        .await;
    consul.remove_check("n1", "node");
    told.until(|told| told.status("web") == [Status::Passing; 2])
        .await;
    // A new one, one that goes, and one that comes back.
    put(&consul, "db", 1);
    told.until(|told| told.count("db") == Some(1)).await;
    consul.remove_instance("n1", "db-1");
    told.until(|told| told.count("db").is_none()).await;
    put(&consul, "db", 1);
    told.until(|told| told.count("db") == Some(1)).await;
    // Everything on a node.
    consul.remove_node("n1");
    told.until(|told| told.services.is_empty()).await;
    assert_eq!(told.errors, []);
    assert_eq!(told.listings, 1);
}

#[tokio::test]
async fn every_change_is_told_with_a_query_for_every_service() {
    every_change_is_told(128, 64).await;
}

#[tokio::test]
async fn every_change_is_told_with_a_query_for_every_node() {
    every_change_is_told(3, 3).await;
}

#[tokio::test]
async fn every_change_is_told_with_fewer_queries_than_services() {
    every_change_is_told(1, 0).await;
}

#[tokio::test]
async fn every_change_is_told_without_a_query_for_any_service() {
    every_change_is_told(0, 0).await;
}

/// Of what happens between the read of a service and the first ones of the nodes nothing else may tell: the list's next
/// answer comes when the nodes are known.
async fn is_told_by_the_first_reads_of_nodes(
    change: impl Fn(&FakeConsul),
    is_told: impl Fn(&Told) -> bool,
) {
    let consul = consul().await;
    fill(&consul, 8);
    let elsewhere = Instance {
        node: "n2".into(),
        ..instance("s7", 2)
    };
    consul.put_instance(elsewhere).unwrap();
    consul.inject(Fault::new().pause().on(Endpoint::Nodes));
    let source = source(&consul.url(), |s| {
        (s.queries, s.node_queries) = (3, 3);
        s.wait = Duration::from_secs(600);
    });
    let mut told = Told::listed(&source).await;
    told.until_quiet(Duration::from_millis(500)).await;
    let late = Fault::new().pause().late(Duration::from_secs(600));
    consul.inject(late.on(Endpoint::Services));
    put(&consul, "noise", 1);
    told.until(|told| told.services.contains_key("noise")).await;
    told.until_quiet(Duration::from_millis(500)).await;
    change(&consul);
    told.until_quiet(Duration::from_millis(500)).await;
    assert!(!is_told(&told), "somebody else told it");
    consul.clear_faults();
    told.until(is_told).await;
    assert_eq!(told.errors, []);
}

#[tokio::test]
async fn what_was_written_before_a_node_was_first_read_is_told() {
    let moved = Instance {
        port: 81,
        ..instance("s7", 1)
    };
    is_told_by_the_first_reads_of_nodes(
        |consul| consul.put_instance(moved.clone()).unwrap(),
        |told| {
            let mut instances = told.services["s7"].instances.iter();
            instances.any(|instance| instance.default_port() == Some(81))
        },
    )
    .await;
}

#[tokio::test]
async fn a_node_that_went_before_the_nodes_were_known_is_told() {
    is_told_by_the_first_reads_of_nodes(
        |consul| consul.remove_node("n2"),
        |told| told.count("s7") == Some(1),
    )
    .await;
}

/// What the query of a node tells, and what that of the nodes does.
#[tokio::test]
async fn what_happens_to_nodes_is_told_with_a_query_for_every_node() {
    let consul = consul().await;
    fill(&consul, 8);
    let source = source(&consul.url(), |s| {
        (s.queries, s.node_queries) = (5, 5);
        s.wait = Duration::from_secs(600);
    });
    let mut told = Told::listed(&source).await;
    told.until_quiet(Duration::from_secs(1)).await;
    let on = |node: &str, number| Instance {
        node: node.into(),
        address: String::new(),
        ..instance("s1", number)
    };
    let addresses = |told: &Told| -> Vec<String> {
        let instances = told.services["s1"].instances.iter();
        instances.map(|i| i.address.to_string()).collect()
    };
    consul.remove_instance("n1", "s1-1");
    consul.put_instance(on("n2", 2)).unwrap();
    told.until(|told| addresses(told) == ["10.9.0.2"]).await;
    // The address is the node's.
    consul.put_node(node("n2", "10.9.0.22")).unwrap();
    told.until(|told| addresses(told) == ["10.9.0.22"]).await;
    // A node that is new, and one more than there are queries for.
    for (number, name) in [(3, "n3"), (4, "n4"), (5, "n5")] {
        let address = format!("10.9.0.{number}");
        consul.put_node(node(name, &address)).unwrap();
        consul.put_instance(on(name, number)).unwrap();
        told.until(|told| addresses(told).contains(&address)).await;
    }
    told.until_quiet(Duration::from_secs(1)).await;
    let other = Instance {
        port: 81,
        ..on("n5", 6)
    };
    consul.put_instance(other).unwrap();
    told.until(|told| told.count("s1") == Some(5)).await;
    // Fewer again.
    consul.remove_node("n5");
    told.until(|told| told.count("s1") == Some(3)).await;
    told.until_quiet(Duration::from_secs(1)).await;
    consul.remove_node("n4");
    told.until(|told| addresses(told) == ["10.9.0.3", "10.9.0.22"])
        .await;
    told.until_quiet(Duration::from_secs(1)).await;
    consul.remove_instance("n3", "s1-3");
    told.until(|told| addresses(told) == ["10.9.0.22"]).await;
    // So few services that each has a query.
    for number in 2..8 {
        consul.remove_instance("n1", &format!("s{number}-1"));
    }
    told.until(|told| told.names() == ["s0", "s1"]).await;
    told.until_quiet(Duration::from_secs(1)).await;
    // The names, and two services.
    while consul.blocked() != 3 {
        told.until_quiet(Duration::from_millis(100)).await;
    }
    consul.put_check(check("c", "s0-1", "critical")).unwrap();
    told.until(|told| told.status("s0") == [Status::Critical])
        .await;
    assert_eq!((told.errors, told.listings), (vec![], 1));
}

#[tokio::test]
async fn names_tags_and_filters_choose_services_and_instances() {
    let consul = consul().await;
    for service in ["web", "web-proxy", "db", "other"] {
        put(&consul, service, 1);
    }
    let tagged = |number, tags: &[&str], team: &str| Instance {
        tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
        meta: Some([("team".to_owned(), team.to_owned())].into()),
        ..instance("db", number)
    };
    consul.put_instance(tagged(1, &["a"], "x")).unwrap();
    consul.put_instance(tagged(2, &["a", "old"], "x")).unwrap();
    consul.put_instance(tagged(3, &["b"], "y")).unwrap();
    let names = |texts: &[&str]| texts.iter().map(|t| NamePattern::new(t).unwrap()).collect();

    let by_name = source(&consul.url(), |s| {
        s.allow = names(&["web*", "DB"]);
        s.deny = names(&["*-proxy"]);
    });
    assert_eq!(Told::listed(&by_name).await.names(), ["db", "web"]);
    let by_tag = source(&consul.url(), |s| {
        s.required_tags = vec!["a".into()];
        s.refused_tags = vec!["old".into()];
    });
    let told = Told::listed(&by_tag).await;
    assert_eq!((told.names(), told.count("db")), (vec!["db"], Some(1)));
    let by_filter = source(&consul.url(), |s| {
        s.filter = Some("ServiceMeta.team == \"y\"".into());
    });
    let told = Told::listed(&by_filter).await;
    assert_eq!((told.names(), told.count("db")), (vec!["db"], Some(3)));
    let by_instance = source(&consul.url(), |s| {
        s.instance_filter = Some("Service.Meta.team == \"y\"".into());
    });
    let told = Told::listed(&by_instance).await;
    assert_eq!((told.names(), told.count("db")), (vec!["db"], Some(1)));
}

#[tokio::test]
async fn a_service_that_is_not_wanted_any_more_is_gone() {
    for queries in [128, 0] {
        let consul = consul().await;
        put(&consul, "web", 1);
        let source = source(&consul.url(), |s| s.queries = queries);
        let mut told = Told::listed(&source).await;
        let exported = Instance {
            tags: Some(vec!["k8s".into()]),
            ..instance("web", 1)
        };
        consul.put_instance(exported).unwrap();
        told.until(|told| told.count("web").is_none()).await;
        consul.put_instance(instance("web", 1)).unwrap();
        told.until(|told| told.count("web") == Some(1)).await;
    }
}

#[tokio::test]
async fn fault_l01_what_comes_from_kubernetes_is_not_read_back() {
    let consul = consul().await;
    put(&consul, "vm", 1);
    let exported = |number, meta: &[(&str, &str)], tags: &[&str]| Instance {
        tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
        meta: Some(
            meta.iter()
                .map(|(k, v)| ((*k).into(), (*v).into()))
                .collect(),
        ),
        ..instance("mixed", number)
    };
    let mark = |owner| {
        [
            ("external-sync-owner", owner),
            ("external-source", "kubernetes"),
        ]
    };
    consul
        .put_instance(exported(1, &mark("cluster-a"), &[]))
        .unwrap();
    consul
        .put_instance(exported(2, &mark("cluster-b"), &[]))
        .unwrap();
    let incumbents = [("external-source", "kubernetes")];
    consul.put_instance(exported(3, &incumbents, &[])).unwrap();
    let mut told = Told::listed(&source(&consul.url(), |_| ())).await;
    assert_eq!(told.names(), ["vm"]);
    // One that comes from elsewhere is read, and its siblings still are not.
    consul.put_instance(exported(4, &[], &[])).unwrap();
    told.until(|told| told.count("mixed") == Some(1)).await;
    assert_eq!(
        told.services["mixed"].instances[0].address.to_string(),
        "10.0.0.4"
    );
    // With the tag of kubernetes at any of them, the incumbent leaves the whole service out.
    consul
        .put_instance(exported(3, &incumbents, &["k8s"]))
        .unwrap();
    told.until(|told| told.count("mixed").is_none()).await;
    // The operator of another cluster may ask for these of cluster-b.
    let others = source(&consul.url(), |s| {
        s.other_owners = [Owner::new("cluster-b").unwrap()].into();
    });
    let told = Told::listed(&others).await;
    let instances = told.services["mixed"].instances.iter();
    let addresses: Vec<String> = instances.map(|i| i.address.to_string()).collect();
    assert_eq!(addresses, ["10.0.0.2", "10.0.0.4"]);
}

#[tokio::test]
async fn fault_c16_a_name_in_two_cases_is_one_service() {
    let consul = consul().await;
    put(&consul, "web", 1);
    let other = Instance {
        node: "n2".into(),
        address: "10.0.0.2".into(),
        ..instance("WEB", 2)
    };
    consul.put_instance(other).unwrap();
    for queries in [128, 0] {
        let source = source(&consul.url(), |s| s.queries = queries);
        let told = Told::listed(&source).await;
        assert_eq!((told.names(), told.count("web")), (vec!["web"], Some(2)));
    }
}
