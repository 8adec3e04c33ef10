//! `run`: keep Consul as the cluster wants it, or the cluster as Consul does, until a signal comes.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use consul_sync_consul::{ConsulSink, ConsulSource};
use consul_sync_core::{AdapterError, Owner, Sink, Source};
use consul_sync_k8s::KubeSink;
use tokio::{
    pin, select,
    sync::watch,
    time::{sleep, timeout},
};
use tracing::{Instrument, debug, info, warn};

use crate::{
    admin::{Admin, IncumbentMetrics},
    chain::Chain,
    direction::Direction,
    early::Early,
    exit::Exit,
    heartbeat::Heartbeat,
    log::LevelControl,
    metrics::{Counters, Metrics},
    running::Running,
    settings::Settings,
    signal::Signals,
    stage::{Engine, Stage},
    tell::Teller,
    wire::{self, Clients},
};

/// What the batch under way may take after a signal, so that the whole stop stays within 5 s.
const GRACE: Duration = Duration::from_secs(4);
/// Pauses between tries to get what is needed before the engines can start.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// What is waited for before the engines can start.
const IDENTITY: &str = "cluster_identity";
const CONSUL_VERSION: &str = "consul_version";

/// Runs until a signal.
///
/// # Errors
/// A setting that cannot be used. Servers that are away are waited for.
pub(super) async fn run(settings: Settings, level: LevelControl) -> Result<Exit, String> {
    let mut signals =
        Signals::take().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let clients = Clients::new(&settings)?;
    let heartbeat = Heartbeat::new();
    let (stage, stage_seen) = watch::channel(Stage::Starting {
        waits_for: IDENTITY,
        error: None,
    });
    let directions = settings.directions();
    let (metrics, counters) =
        Metrics::new(env!("CARGO_PKG_VERSION"), stage_seen.clone(), &directions);
    if let Some(address) = settings.listen {
        let listener = bind(address).map_err(|error| format!("--listen {address}: {error}"))?;
        let address = listener.local_addr().unwrap_or(address);
        let admin = Admin {
            heartbeat: heartbeat.clone(),
            stage: stage_seen.clone(),
            metrics,
            level: Some(level),
        };
        admin
            .start(listener)
            .map_err(|error| format!("--listen {address}: {error}"))?;
        info!(%address, "admin server listens");
    }

    if let Some((address, path)) = &settings.incumbent_metrics {
        let refused = |error| format!("--incumbent-metrics {address}: {error}");
        let listener = bind(*address).map_err(refused)?;
        let address = listener.local_addr().unwrap_or(*address);
        let metrics = IncumbentMetrics {
            counts: Arc::clone(&counters.incumbent),
            stage: stage_seen,
        };
        metrics.start(listener, path).map_err(refused)?;
        info!(%address, path, "metrics under the incumbent's names");
    }

    let (stop, stopped) = watch::channel(false);
    let work = work(&settings, &clients, &stage, &heartbeat, &counters, stopped);
    pin!(work);
    let signal = select! {
        ended = &mut work => return ended.and(Err("the engine ended by itself".to_owned())),
        signal = signals.next() => signal,
    };
    info!(
        signal,
        "stopping after the batch under way; nothing is deregistered or deleted"
    );
    heartbeat.beat();
    stage.send_replace(Stage::Stopping);
    // Fails only when nobody waits any more, and then the work is done.
    let _ = stop.send(true);
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
    heartbeat: &Heartbeat,
    counters: &Counters,
    stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    let needed = async {
        let owner = persist(
            stage,
            IDENTITY,
            "cannot read the cluster's identity",
            || wire::owner(settings, &clients.kubernetes),
        );
        let owner = owner.await;
        // Asked once, and only for what is written to Consul.
        let named_ports = if settings.to_consul {
            persist(
                stage,
                CONSUL_VERSION,
                "cannot read Consul's version",
                || wire::named_ports(settings, &clients.consul),
            )
            .await
        } else {
            false
        };
        (owner, named_ports)
    };
    // Listing the cluster needs no owner, and takes longer than to learn it.
    let mut cluster = settings
        .to_consul
        .then(|| Early::new(wire::cluster_source(settings, &clients.kubernetes)));
    let (owner, named_ports) = select! {
        needed = Early::meanwhile(&mut cluster, needed) => needed,
        () = heartbeat.clone().run() => return Ok(()),
        () = until_stopped(stopped.clone()) => return Ok(()),
    };
    info!(
        %owner,
        kubernetes = %clients.kubernetes_server,
        consul = %clients.consul.servers(),
        "servers"
    );
    let mut engines = Vec::new();
    let mut looking = None;
    let mut export = None;
    if let Some(cluster) = cluster {
        let (consul, kubernetes) = (&clients.consul, Some(&clients.kubernetes));
        let election = wire::election(settings, &owner, Direction::ToConsul, kubernetes)?;
        let target = wire::consul_target(settings, consul, &owner, named_ports, election);
        looking = Some(tell_of_leftovers(target.sink.clone()));
        let route = wire::to_consul(settings, cluster, target);
        let (running, engine) = Running::new(route, counters, None);
        engines.push(engine);
        export = Some(running);
    }
    let mut telling = None;
    let mut import = None;
    if settings.to_k8s {
        let (running, engine, teller) = importing(settings, clients, &owner, counters)?;
        engines.push(engine);
        telling = Some(teller);
        import = Some(running);
    }
    stage.send_replace(Stage::Running(engines));
    // Nobody waits for what is told beside the work.
    let looking =
        looking.map(|looking| tokio::spawn(looking.instrument(Direction::ToConsul.span())));
    let telling =
        telling.map(|teller| tokio::spawn(teller.run().instrument(Direction::ToK8s.span())));
    tokio::join!(
        run_if_on(export, stopped.clone()),
        run_if_on(import, stopped),
    );
    for task in [looking, telling].into_iter().flatten() {
        task.abort();
    }
    Ok(())
}

/// The direction from Consul to Kubernetes, with who tells of what is in its way.
fn importing(
    settings: &Settings,
    clients: &Clients,
    owner: &Owner,
    counters: &Counters,
) -> Result<(Running<ConsulSource, KubeSink>, Engine, Teller), String> {
    let kubernetes = &clients.kubernetes;
    let election = wire::election(settings, owner, Direction::ToK8s, Some(kubernetes))?;
    let target = wire::kubernetes_target(settings, kubernetes, owner, election)?;
    let (teller, in_the_way) = Teller::new(target.sink.clone());
    let route = wire::to_k8s(settings, clients, target)?;
    let (running, engine) = Running::new(route, counters, Some(in_the_way));
    Ok((running, engine, teller))
}

async fn run_if_on<S: Source, K: Sink>(
    running: Option<Running<S, K>>,
    stopped: watch::Receiver<bool>,
) {
    if let Some(running) = running {
        // Large, and there are two of them in one task.
        Box::pin(running.run(until_stopped(stopped))).await;
    }
}

/// A sender that is gone stands for a signal, too.
async fn until_stopped(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|is_stopped| *is_stopped).await;
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

/// Something that is needed before the engines can start, for as long as it takes to get it.
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
