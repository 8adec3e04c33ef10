//! One process of several: a lock, a sink behind its fence, a driver; and a hand that stops it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use consul_sync_consul::{
    Client, ClientSettings, ConsulSink, Lock, LockSettings, Mandate, Secret, SinkSettings,
    TokenSource,
    testing::{Applied, FakeConsul},
};
use consul_sync_core::{
    BrakeSettings, Driver, ElectionState, Owner, Settings, testing::TableSource,
};
use futures::future::BoxFuture;
use tokio::{sync::watch, task::JoinHandle, time::timeout};

pub(crate) const NODE: &str = "k8s-sync";
pub(crate) const KEY: &str = "consul-sync/cluster-a/leader";
pub(crate) const TTL: Duration = Duration::from_secs(1);
/// Longer than anything takes on a machine that compiles meanwhile.
const DEADLINE: Duration = Duration::from_secs(60);

/// A Consul that takes short sessions and keeps what was applied.
pub(crate) async fn consul() -> FakeConsul {
    FakeConsul::builder()
        .session_ttl_min(Duration::from_millis(10))
        .record_operations()
        .start()
        .await
        .unwrap()
}

/// A process; it is killed when it is dropped.
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) lock: Lock,
    pub(crate) sink: ConsulSink,
    pub(crate) source: TableSource,
    stopped: watch::Sender<bool>,
    shutdown: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Replica {
    /// Only the lock runs; a test writes by hand.
    pub(crate) fn elected(url: &str, name: &str) -> Self {
        Self::with(url, name, false, |_| ())
    }

    /// With a driver, or without.
    pub(crate) fn with(
        url: &str,
        name: &str,
        is_whole: bool,
        change: impl FnOnce(&mut LockSettings),
    ) -> Self {
        Self::start(url, name, is_whole, None, change)
    }

    /// Elected elsewhere; its session lives for minutes.
    pub(crate) fn mandated(url: &str, name: &str, authority: &str, term: u64) -> Self {
        let mandate = Mandate {
            authority: authority.into(),
            term,
        };
        Self::start(url, name, false, Some(mandate), |settings| {
            settings.ttl = Duration::from_secs(600);
        })
    }

    fn start(
        url: &str,
        name: &str,
        is_whole: bool,
        mandate: Option<Mandate>,
        change: impl FnOnce(&mut LockSettings),
    ) -> Self {
        let owner = Owner::new("cluster-a").unwrap();
        let client = || {
            let mut settings = ClientSettings::new(url);
            settings.token = TokenSource::Value(Secret::new(name));
            settings.timeout = Duration::from_secs(5);
            Client::new(settings).unwrap()
        };
        let mut settings = LockSettings::new(&owner);
        settings.ttl = TTL;
        settings.holder.id = name.into();
        settings.holder.host = "host-1".into();
        change(&mut settings);
        let lock = Lock::new(client(), settings);
        let mut settings = SinkSettings::new(owner);
        settings.wait = Duration::from_secs(2);
        settings.fence = Some(lock.fence());
        let sink = ConsulSink::new(client(), settings);
        let source = TableSource::default();
        let (stopped, seen) = watch::channel(false);
        let (shutdown, mut asked) = watch::channel(false);
        let driver = Driver::new(source.clone(), sink.clone())
            .gate(lock.gate())
            .settings(Settings {
                brake: BrakeSettings {
                    share: 100,
                    ..BrakeSettings::default()
                },
                ..Settings::default()
            });
        let process = {
            let lock = lock.clone();
            async move {
                let mut stop = asked.clone();
                let stopped = async move {
                    let _ = stop.wait_for(|stop| *stop).await;
                };
                let hand_over = async move {
                    let _ = asked.wait_for(|stop| *stop).await;
                };
                if is_whole {
                    tokio::join!(driver.run(stopped), lock.run(hand_over));
                } else {
                    match mandate {
                        Some(mandate) => lock.run_under(mandate, hand_over).await,
                        None => lock.run(hand_over).await,
                    }
                }
            }
        };
        let task = tokio::spawn(Stoppable::new(process, seen));
        Self {
            name: name.into(),
            lock,
            sink,
            source,
            stopped,
            shutdown,
            task,
        }
    }

    /// As SIGSTOP does: nothing of it goes on, and what it sent is on its way.
    pub(crate) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    pub(crate) fn go_on(&self) {
        self.stopped.send_replace(false);
    }

    /// As SIGTERM does.
    pub(crate) async fn end(mut self) {
        self.shutdown.send_replace(true);
        timeout(DEADLINE, &mut self.task).await.unwrap().unwrap();
    }

    pub(crate) async fn until_leading(&self) {
        self.until(ElectionState::is_leading).await;
    }

    /// Until it knows who leads in its place.
    pub(crate) async fn until_standing_by(&self) -> ElectionState {
        let knows = |state: &ElectionState| {
            matches!(
                state,
                ElectionState::StandingBy {
                    holder: Some(_),
                    ..
                }
            )
        };
        self.until(knows).await
    }

    pub(crate) async fn until(&self, is_it: impl FnMut(&ElectionState) -> bool) -> ElectionState {
        let mut state = self.lock.state();
        let seen = timeout(DEADLINE, state.wait_for(is_it)).await;
        seen.unwrap_or_else(|_| panic!("{} is {}", self.name, *self.lock.state().borrow()))
            .unwrap()
            .clone()
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.lock.gate().borrow()
    }

    /// The session that holds the key must be this one's.
    pub(crate) fn holds(&self, consul: &FakeConsul) -> bool {
        let holder = consul.key(KEY).map(|entry| entry.session);
        consul.sessions().iter().any(|session| {
            Some(&session.id) == holder.as_ref() && session.name.ends_with(&self.name)
        })
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) async fn eventually(
    consul: &FakeConsul,
    what: &str,
    is_it: impl Fn(&FakeConsul) -> bool,
) {
    let seen = timeout(DEADLINE, consul.until(|consul| is_it(consul))).await;
    assert!(seen.is_ok(), "never seen: {what}");
}

/// Invariant I-S8: whoever wrote to the catalog held the lock when it was applied. A node alone may be registered
/// while nobody holds it.
pub(crate) fn one_writer(applied: &[Applied]) {
    for transaction in applied {
        let kinds: Vec<&str> = transaction.operations.iter().map(|op| op.kind).collect();
        let holder = transaction.locks.get(KEY);
        let is_holder = holder.is_some_and(|holder| holder.ends_with(&transaction.token));
        let registers = kinds == ["node"] && holder.is_none();
        let locks = kinds == ["kv"];
        assert!(
            is_holder || registers || locks,
            "{} wrote while {holder:?} held the lock: {:?} and {} more",
            transaction.token,
            transaction.operations[0],
            kinds.len() - 1
        );
    }
}

/// Polls a process only while it is not stopped.
struct Stoppable<F> {
    process: Pin<Box<F>>,
    stopped: watch::Receiver<bool>,
    news: BoxFuture<'static, bool>,
}

impl<F> Stoppable<F> {
    fn new(process: F, stopped: watch::Receiver<bool>) -> Self {
        Self {
            process: Box::pin(process),
            news: news(&stopped),
            stopped,
        }
    }
}

fn news(stopped: &watch::Receiver<bool>) -> BoxFuture<'static, bool> {
    let mut stopped = stopped.clone();
    stopped.mark_unchanged();
    Box::pin(async move { stopped.changed().await.is_ok() })
}

impl<F: Future<Output = ()>> Future for Stoppable<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(goes_on) = self.news.as_mut().poll(context) {
            if !goes_on {
                // Its owner is gone.
                return Poll::Ready(());
            }
            self.news = news(&self.stopped);
        }
        if *self.stopped.borrow() {
            return Poll::Pending;
        }
        self.process.as_mut().poll(context)
    }
}
