//! `run`: keep Consul as the cluster wants it, until a signal comes.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use consul_sync_consul::{ConsulSink, Lock};
use consul_sync_core::{AdapterError, Driver};
use tokio::{
    pin, select,
    sync::{oneshot, watch},
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use crate::{
    admin::Admin,
    chain::Chain,
    exit::Exit,
    heartbeat::Heartbeat,
    log::LevelControl,
    metrics::Metrics,
    narrate::Narrator,
    observe::Reporter,
    settings::Settings,
    signal::Signals,
    stage::{Engine, Stage},
    wire::{self, Clients},
};

/// What the batch under way may take after a signal, so that the whole stop stays within 5 s.
const GRACE: Duration = Duration::from_secs(4);
/// Pauses between tries to get what is needed before the engine can start.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// What is waited for before the engine can start.
const IDENTITY: &str = "cluster_identity";
const CONSUL_VERSION: &str = "consul_version";

/// Runs until a signal.
///
/// # Errors
/// A setting that cannot be used. Servers that are away are waited for.
pub(super) async fn run(settings: Settings, level: LevelControl) -> Result<Exit, String> {
    let mut signals =
        Signals::take().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let clients = Clients::new(&settings).await?;
    let heartbeat = Heartbeat::new();
    let (stage, stage_seen) = watch::channel(Stage::Starting {
        waits_for: IDENTITY,
        error: None,
    });
    let (metrics, counters) = Metrics::new(env!("CARGO_PKG_VERSION"), stage_seen.clone());
    if let Some(address) = settings.listen {
        let listener = bind(address).map_err(|error| format!("--listen {address}: {error}"))?;
        let address = listener.local_addr().unwrap_or(address);
        let admin = Admin {
            heartbeat: heartbeat.clone(),
            stage: stage_seen,
            metrics,
            level: Some(level),
        };
        admin
            .start(listener)
            .map_err(|error| format!("--listen {address}: {error}"))?;
        info!(%address, "admin server listens");
    }

    let (stop, stopped) = oneshot::channel::<()>();
    let narrator = Arc::new(Narrator::default());
    let work = work(
        &settings,
        &clients,
        &stage,
        heartbeat,
        Reporter::new(counters, Arc::clone(&narrator)),
        &narrator,
        stopped,
    );
    pin!(work);
    let signal = select! {
        ended = &mut work => return ended.and(Err("the engine ended by itself".to_owned())),
        signal = signals.next() => signal,
    };
    info!(
        signal,
        "stopping after the batch under way; nothing is deregistered"
    );
    stage.send_replace(Stage::Stopping);
    // Fails only when nobody waits any more, and then the work is done.
    let _ = stop.send(());
    select! {
        ended = timeout(GRACE, work) => if let Ok(ended) = ended {
            ended?;
        } else {
            warn!("the batch under way was not answered in time; the next start reads before it writes");
        },
        signal = signals.next() => warn!(signal, "stopping at once"),
    }
    info!("stopped");
    Ok(Exit::Done)
}

async fn work(
    settings: &Settings,
    clients: &Clients,
    stage: &watch::Sender<Stage>,
    heartbeat: Heartbeat,
    reporter: Reporter,
    narrator: &Narrator,
    mut stopped: oneshot::Receiver<()>,
) -> Result<(), String> {
    let needed = async {
        let owner = persist(
            stage,
            IDENTITY,
            "cannot read the cluster's identity",
            || wire::owner(settings, &clients.kubernetes),
        );
        let owner = owner.await;
        let named_ports = persist(
            stage,
            CONSUL_VERSION,
            "cannot read Consul's version",
            || wire::named_ports(settings, &clients.consul),
        );
        (owner, named_ports.await)
    };
    let (owner, named_ports) = select! {
        needed = needed => needed,
        () = heartbeat.clone().run() => return Ok(()),
        _ = &mut stopped => return Ok(()),
    };
    let source = wire::source(settings, &clients.kubernetes);
    let lock = wire::lock(settings, &owner)?;
    let sink = wire::sink(
        settings,
        &clients.consul,
        owner.clone(),
        named_ports,
        lock.as_ref(),
    );
    info!(
        %owner,
        kubernetes = %clients.kubernetes_server,
        consul = %clients.consul.servers(),
        node = %sink.node(),
        "synchronising"
    );
    let leftovers = tell_of_leftovers(sink.clone());
    let mut driver = Driver::new(source, sink)
        .settings(settings.sync.clone())
        .observer(Arc::new(reporter));
    if let Some(lock) = &lock {
        driver = driver.gate(lock.gate());
    }
    let control = driver.control();
    stage.send_replace(Stage::Running(Engine {
        status: driver.status(),
        release: Arc::new(move |seen| control.release_brake(seen)),
        lock: lock.as_ref().map(Lock::state),
    }));
    let telling = narrator.follow(driver.status(), heartbeat);
    let stopped = async {
        // A sender that is gone stands for a signal, too.
        let _ = stopped.await;
    };
    let (writing, no_more_writes) = oneshot::channel::<()>();
    let driving = async {
        driver.run(stopped).await;
        drop(writing);
    };
    let electing = async {
        if let Some(lock) = &lock {
            // The next one may lead when the last batch is answered.
            let handing_over = async {
                let _ = no_more_writes.await;
            };
            lock.run(handing_over).await;
        }
    };
    // The narration ends with the driver, whose status it follows. Nobody waits for the look at what is left behind.
    let looking = tokio::spawn(leftovers);
    tokio::join!(driving, electing, telling);
    looking.abort();
    Ok(())
}

/// Tells once of registrations that nobody looks after, if the node or the owner had another name before.
async fn tell_of_leftovers(sink: ConsulSink) {
    match consul_sync_consul::leftovers(&sink).await {
        Ok(found) => {
            for left in &found {
                warn!("{}", wire::leftovers(&sink, left));
            }
        }
        Err(error) => {
            debug!(error = %Chain(&error), "cannot look for registrations of an earlier node or owner");
        }
    }
}

/// Something that is needed before the engine can start, for as long as it takes to get it.
async fn persist<T, F: Future<Output = Result<T, AdapterError>>>(
    stage: &watch::Sender<Stage>,
    waits_for: &'static str,
    trouble: &str,
    get: impl Fn() -> F,
) -> T {
    let mut pause = FIRST_PAUSE;
    let mut told = None;
    stage.send_replace(Stage::Starting {
        waits_for,
        error: None,
    });
    loop {
        let error = match get().await {
            Ok(got) => return got,
            Err(error) => error,
        };
        if told != Some(error.kind()) {
            told = Some(error.kind());
            warn!(kind = error.kind().as_str(), error = %Chain(&error), "{trouble}; trying again");
            stage.send_replace(Stage::Starting {
                waits_for,
                error: Some(error.kind()),
            });
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// `[::]` stands for every interface of both families; where the system has no IPv6, of the other one.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).or_else(|error| {
        if address.is_ipv6() && address.ip().is_unspecified() {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).map_err(|_| error)
        } else {
            Err(error)
        }
    })
}
