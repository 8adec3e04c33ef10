//! A driver over a server that refuses, resets, or is not always the same.

use std::{net::SocketAddr, time::Duration};

use consul_sync_consul::testing::{Endpoint, FakeConsul, Fault};
use consul_sync_core::Service;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{
    catalog::instance,
    support::{NODE, Running, planned, service, sink, sink_with, write},
};

fn services(count: usize) -> Vec<Service> {
    let names = (0..count).map(|n| format!("web-{n}"));
    names.map(|name| service(&name, 2)).collect()
}

/// The server is full by others until they go: every request of ours is reset.
#[tokio::test]
async fn fault_c13_a_server_at_its_limit_of_connections_is_waited_for_and_then_used() {
    let consul = FakeConsul::builder().connections(4).record_operations();
    let consul = consul.start().await.unwrap();
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(TcpStream::connect(consul.address()).await.unwrap());
    }
    consul.until(|consul| consul.connections() == 4).await;
    let mut running = Running::start(sink(&consul.url()), &services(20));
    running.until(|status| status.sink.error.is_some()).await;
    // One goes: of the two blocking queries, the reads and the writes only one at a time finds room.
    others.truncate(3);
    let before = consul.accepted();
    consul.until(|consul| consul.accepted() >= before + 3).await;
    drop(others);
    running.until_owned(40).await;
    assert!(consul.connections() <= 4);
    // What was reset was looked at before it was sent again: nothing was written twice.
    let written = consul.operations();
    let written = written.iter().filter(|op| op.kind == "service");
    assert_eq!(written.count(), 40);
    running.stop().await;
}

/// For as long as a server refuses, changes of the source replace each other; they do not queue up.
#[tokio::test]
async fn fault_t16_while_the_server_refuses_only_the_newest_state_waits() {
    for (status, header) in [(429, "0"), (503, "0"), (500, "")] {
        let consul = FakeConsul::builder().record_operations().start();
        let consul = consul.await.unwrap();
        let sink = sink(&consul.url());
        write(&sink, &[]).await;
        let text = "rate limit exceeded, try again later";
        let mut fault = Fault::new().on(Endpoint::Txn).error_before(status, text);
        if !header.is_empty() {
            fault = fault.header("retry-after", header);
        }
        consul.inject(fault);
        let mut running = Running::start(sink, &[]);
        let mut newest = Vec::new();
        for round in 0..300 {
            newest = services(10);
            for service in &mut newest {
                service.tags = [format!("round-{round}").into()].into();
                running.source.put(service.clone());
            }
            tokio::task::yield_now().await;
        }
        consul
            .until(|consul| consul.requests(Endpoint::Txn) >= 3)
            .await;
        let refused = consul.requests(Endpoint::Txn);
        assert!(refused < 60, "{status}: {refused} transactions for nothing");
        assert!(running.status.borrow().in_flight <= 256);
        consul.clear_faults();
        running.until_owned(20).await;
        let written = consul.operations();
        let written = written.iter().filter(|op| op.kind == "service");
        assert_eq!(written.count(), 20, "{status}: an older state was written");
        let held = consul.instances(NODE);
        assert!(
            held.iter()
                .all(|held| held.tags.as_deref() == Some(&["round-299".to_owned()]))
        );
        drop(newest);
        running.stop().await;
    }
}

/// One address behind which connections go to these servers in turn, until told to go to the first alone.
struct Balancer {
    address: SocketAddr,
    alone: watch::Sender<bool>,
}

impl Balancer {
    async fn start(servers: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (alone, is_alone) = watch::channel(false);
        tokio::spawn(async move {
            let mut turn = 0;
            while let Ok((mut client, _)) = listener.accept().await {
                let at = if *is_alone.borrow() {
                    0
                } else {
                    turn % servers.len()
                };
                turn += 1;
                let server = servers[at];
                let mut is_alone = is_alone.clone();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(server).await.unwrap();
                    let is_now_alone = async {
                        if at > 0 {
                            let _ = is_alone.wait_for(|alone| *alone).await;
                        } else {
                            std::future::pending::<()>().await;
                        }
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        () = is_now_alone => {}
                    }
                });
            }
        });
        Self { address, alone }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Two clusters, the second younger, with something of its own on a node that is called like ours.
async fn two_clusters() -> (FakeConsul, FakeConsul, Balancer) {
    let ours = FakeConsul::builder().record_operations().start().await;
    let other = FakeConsul::builder().record_operations().start().await;
    let (ours, other) = (ours.unwrap(), other.unwrap());
    write(&sink(&ours.url()), &services(12)).await;
    for _ in 0..50 {
        let mut busy = instance("busy", "busy");
        busy.port = i64::try_from(ours.raft_index()).unwrap();
        ours.put_instance(busy).unwrap();
    }
    other.put_node(super::catalog::node()).unwrap();
    other.put_instance(instance("theirs", "web-0")).unwrap();
    let addresses = vec![ours.address(), other.address()];
    let balancer = Balancer::start(addresses).await;
    (ours, other, balancer)
}

fn deletes(consul: &FakeConsul) -> usize {
    let operations = consul.operations().into_iter();
    operations
        .filter(|op| op.verb.starts_with("delete"))
        .count()
}

#[tokio::test]
async fn fault_c19_two_clusters_that_answer_in_turn_lose_nothing() {
    let (ours, other, balancer) = two_clusters().await;
    let before = ours.instances(NODE);
    // Few connections live for long, so that both clusters are met again and again.
    let mut running = Running::start(sink(&balancer.url()), &services(12));
    for round in 0..40_i64 {
        let mut busy = instance("busy", "busy");
        busy.port = round;
        ours.put_instance(busy.clone()).unwrap();
        other.put_instance(busy).unwrap();
        if round % 5 == 0 {
            ours.disconnect();
            other.disconnect();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!((deletes(&ours), deletes(&other)), (0, 0));
    assert_eq!(other.instance(NODE, "theirs").unwrap().address, "192.0.2.1");
    balancer.alone.send_replace(true);
    running.until_owned(24).await;
    let after = ours.instances(NODE);
    let without = |held: &[consul_sync_consul::testing::Instance]| -> Vec<_> {
        held.iter()
            .filter(|held| held.id != "busy")
            .cloned()
            .collect()
    };
    assert_eq!(
        without(&after),
        without(&before),
        "something was written anew"
    );
    assert!(planned(&sink(&ours.url()), &services(12)).await.is_empty());
    running.stop().await;
}

/// A cluster does not know another's datacenter, and says so.
#[tokio::test]
async fn fault_c19_with_a_datacenter_that_is_named_the_other_cluster_is_never_written() {
    let (ours, other, balancer) = two_clusters().await;
    other.inject(Fault::new().error_before(500, "No path to datacenter"));
    let sink = sink_with(&balancer.url(), |settings| {
        settings.datacenter = Some("dc1".into());
    });
    let mut wanted = services(12);
    wanted.extend((12..20).map(|n| service(&format!("web-{n}"), 2)));
    let mut running = Running::start(sink, &wanted);
    running.until_owned(40).await;
    // Connections end now and then, and the next one goes to the other cluster.
    let mut more = services(20);
    for round in 0..10_u8 {
        ours.disconnect();
        other.disconnect();
        more[0].tags = [format!("round-{round}").into()].into();
        running.source.put(more[0].clone());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.until_owned(40).await;
    assert_eq!((deletes(&ours), other.writes()), (0, 0));
    assert!(other.accepted() > 2, "the other cluster was never asked");
    running.stop().await;
}
