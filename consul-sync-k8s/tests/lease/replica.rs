//! One process of several, and the time that passes for those that are not stopped.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    time::Duration,
};

use consul_sync_core::{ElectionState, Holder};
use consul_sync_k8s::{Lease, LeaseSettings, Term, testing::FakeCluster};
use tokio::{sync::oneshot, time::sleep};

pub(crate) const NAMESPACE: &str = "sync";
pub(crate) const LEASE: &str = "leader";
/// The usual time.
pub(crate) const TTL: Duration = Duration::from_secs(15);

/// A process.
pub(crate) struct Replica {
    pub(crate) lease: Lease,
    /// As after SIGSTOP: time passes, and nothing of it goes on.
    pub(crate) is_stopped: bool,
    process: Option<Pin<Box<dyn Future<Output = ()>>>>,
    shutdown: Option<oneshot::Sender<()>>,
}

impl Replica {
    pub(crate) fn new(cluster: &FakeCluster, id: &str) -> Self {
        let holder = Holder {
            id: id.to_owned(),
            host: "pod".to_owned(),
            ..Holder::default()
        };
        if cluster.get("namespaces", "", NAMESPACE).is_none() {
            let namespace = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
            cluster.put(namespace);
        }
        let lease = Lease::new(
            cluster.client(),
            LeaseSettings::new(NAMESPACE, LEASE, holder),
        );
        let (shutdown, asked) = oneshot::channel();
        let running = lease.clone();
        let process = async move {
            let asked = async {
                let _ = asked.await;
            };
            running.run(asked).await;
        };
        Self {
            lease,
            is_stopped: false,
            process: Some(Box::pin(process)),
            shutdown: Some(shutdown),
        }
    }

    /// Whether its gate is open.
    pub(crate) fn leads(&self) -> bool {
        *self.lease.gate().borrow()
    }

    pub(crate) fn state(&self) -> ElectionState {
        self.lease.state().borrow().clone()
    }

    pub(crate) fn term(&self) -> Option<Term> {
        self.lease.term().borrow().clone()
    }

    /// As SIGTERM does.
    pub(crate) fn end(&mut self) {
        self.shutdown = None;
    }

    /// As SIGKILL does.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }
}

/// Lets this time pass.
pub(crate) async fn pass(replicas: &mut [Replica], time: Duration) {
    let mut over = pin!(sleep(time));
    poll_fn(|context| {
        for replica in replicas.iter_mut().filter(|replica| !replica.is_stopped) {
            let ended = |process: &mut Pin<Box<dyn Future<Output = ()>>>| {
                process.as_mut().poll(context).is_ready()
            };
            if replica.process.as_mut().is_some_and(ended) {
                replica.process = None;
            }
        }
        over.as_mut().poll(context)
    })
    .await;
}

/// Lets time pass until something is so.
pub(crate) async fn pass_until(
    replicas: &mut [Replica],
    what: &str,
    is_so: impl Fn(&[Replica]) -> bool,
) {
    for _ in 0..10_000 {
        if is_so(replicas) {
            return;
        }
        pass(replicas, Duration::from_millis(10)).await;
    }
    let states: Vec<_> = replicas.iter().map(Replica::state).collect();
    panic!("never seen: {what}; {states:?}");
}
