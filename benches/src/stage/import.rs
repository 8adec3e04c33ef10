//! From Consul to Kubernetes, in mode `endpoints`: cold start, changes, rest.

mod cluster;

use std::time::Duration;

use consul_sync_testbed::Consul;
use tokio::time::{Instant, sleep};

use self::cluster::{Cluster, NAMESPACE};
use crate::{
    error::{Error, Result},
    fleet::Fleet,
    loader,
    meter::Meter,
    processor::Processor,
    program::Program,
    registry::{Change, Registry},
    report::{Figure, Goal, Report},
    shown::Shown,
    stage::Place,
    stats::{median, rank, sorted},
};

/// Cold starts, in turn with the loader.
const ROUNDS: usize = 3;
/// Services that are changed and changed back, one after the other, at most: fewer than have queries of their own.
const CHANGES: usize = 50;
/// Between two changes, so that each finds the one before written.
const PAUSE: Duration = Duration::from_millis(200);
/// How many queries there are: the default, which are enough for the nodes; one for each service; and so few that
/// the nodes have none, which differs for one kind of change alone.
const QUERIES: [Queries; 3] = [
    Queries::new("128 queries", "128", Measured::All),
    Queries::new("a query each", "1000", Measured::Changes),
    Queries::new("50 queries, too few for the nodes", "50", Measured::Others),
];
/// Requests that the loader has under way, as many as the sink has.
const UNDER_WAY: usize = 32;
const LIMIT: Duration = Duration::from_secs(120);
/// How long nothing happens: services without a query of their own are looked at once in 60 s.
const IDLE: Duration = Duration::from_secs(120);

/// How many queries the program may have at once.
struct Queries {
    shown: &'static str,
    count: &'static str,
    measured: Measured,
}

/// What differs with that number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Measured {
    /// Changes, and a while without one.
    All,
    /// Changes.
    Changes,
    /// Changes of services without a query of their own.
    Others,
}

/// What is measured on: a Consul that is full.
struct Import<'a> {
    place: &'a Place,
    consul: Consul,
    fleet: Fleet,
}

/// Measures all of it.
pub(crate) async fn measure(place: &Place, fleet: Fleet, report: &mut Report) -> Result<()> {
    let import = Import {
        consul: Consul::start(place.version).await?,
        place,
        fleet,
    };
    let registry = Registry::fill(import.consul.client(), fleet).await?;
    import.cold(report).await?;

    for (round, queries) in QUERIES.into_iter().enumerate() {
        let meter = Meter::start(import.consul.http_addr()).await?;
        let cluster = Cluster::start().await?;
        let program = import.run(&cluster, &meter.url(), queries.count).await?;
        cluster.shown.until(import.objects(), LIMIT).await?;
        program.until_quiet(LIMIT).await?;
        if queries.measured == Measured::All {
            #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
            let requests = meter.read().0 as f64;
            report.add(Figure {
                name: import.name("requests to Consul until all is written"),
                unit: "",
                ours: Some(requests),
                limit: None,
                goal: None,
            });
        }
        import
            .changes(&registry, &cluster.shown, &queries, round, report)
            .await?;
        if queries.measured == Measured::All {
            program.until_quiet(LIMIT).await?;
            import
                .rest(&cluster, &program, &meter, queries.shown, report)
                .await?;
        }
        program.stop().await?;
    }
    Ok(())
}

impl Queries {
    const fn new(shown: &'static str, count: &'static str, measured: Measured) -> Self {
        Self {
            shown,
            count,
            measured,
        }
    }
}

impl Import<'_> {
    /// A Service and a slice for each service.
    fn objects(&self) -> usize {
        2 * self.fleet.services
    }

    fn name(&self, what: &str) -> String {
        format!(
            "to Kubernetes: {what} at {} services of {} instances, Consul {}",
            self.fleet.services, self.fleet.endpoints, self.place.version
        )
    }

    /// The program, ready, between this Consul and a cluster.
    async fn run(&self, cluster: &Cluster, consul: &str, queries: &str) -> Result<Program> {
        let arguments = ["--to-consul=false", "--to-k8s", "--k8s-mode", "endpoints"];
        let mut arguments = arguments.to_vec();
        arguments.extend(["--k8s-write-namespace", NAMESPACE, "--consul-addr", consul]);
        // The server registers itself.
        arguments.extend(["--import-deny-names", "consul", "--import-queries", queries]);
        let kubeconfig = cluster.api.kubeconfig();
        Program::start(
            &self.place.program,
            kubeconfig,
            &arguments,
            self.place.folder.path(),
        )
        .await
    }

    /// From the start of the process until a watch showed the last object, beside a loader of the same objects.
    async fn cold(&self, report: &mut Report) -> Result<()> {
        let (mut ours, mut theirs, mut ratios) = (vec![], vec![], vec![]);
        // Of the program or the loader, of the API server with its store, of Consul, which has nothing to do beside the
        // loader.
        let mut parts: [(Vec<f64>, Vec<f64>); 3] = Default::default();
        for round in 1..=ROUNDS {
            let cluster = Cluster::start().await?;
            let consul = Processor::of([self.consul.process_id()])?;
            let api = cluster.processor()?;
            let program = self
                .run(&cluster, self.consul.url(), QUERIES[0].count)
                .await?;
            let last = cluster.shown.until(self.objects(), LIMIT).await?;
            let (api, consul) = (api.seconds()?, consul.seconds()?);
            let cpu = program.read().await?.cpu_seconds;
            let seconds = last.duration_since(program.started).as_secs_f64();
            program.until_quiet(LIMIT).await?;
            program.stop().await?;

            let lists = cluster.written().await?;
            let written: usize = lists.iter().map(Vec::len).sum();
            if written != self.objects() {
                return Err(Error::wrong(format!("{written} objects were written")));
            }
            drop(cluster);
            let cluster = Cluster::start().await?;
            let loading = [
                Processor::of([Some(std::process::id())])?,
                cluster.processor()?,
                Processor::of([self.consul.process_id()])?,
            ];
            let loaded = loader::create(cluster.api.client(), &lists, UNDER_WAY).await?;
            let loaded = loaded.as_secs_f64();
            eprintln!("  cold start {round}: {seconds:.2} s, the loader {loaded:.2} s");
            ours.push(seconds);
            theirs.push(loaded);
            ratios.push(loaded / seconds);
            for ((part, of_ours), of_theirs) in
                parts.iter_mut().zip([cpu, api, consul]).zip(&loading)
            {
                part.0.push(of_ours);
                part.1.push(of_theirs.seconds()?);
            }
        }
        report.add(Figure {
            name: self.name("cold start"),
            unit: "s",
            ours: median(&ours),
            limit: median(&theirs),
            goal: None,
        });
        report.add(Figure {
            name: self.name("share of the bare loader's rate"),
            unit: "%",
            ours: median(&ratios).map(|ratio| ratio * 100.0),
            limit: Some(100.0),
            goal: Some(Goal::AtLeast(70.0)),
        });
        let whose = ["the program", "the API server and its store", "Consul"];
        for (whose, (of_ours, of_theirs)) in whose.into_iter().zip(parts) {
            report.add(Figure {
                name: self.name(&format!("processor time of a cold start, {whose}")),
                unit: "s",
                ours: median(&of_ours),
                limit: median(&of_theirs),
                goal: None,
            });
        }
        Ok(())
    }

    /// One change after the other, from sending it to Consul until a watch shows it; of services that no round before
    /// has changed.
    async fn changes(
        &self,
        registry: &Registry,
        shown: &Shown,
        queries: &Queries,
        round: usize,
        report: &mut Report,
    ) -> Result<()> {
        let shown_as = queries.shown;
        let count = CHANGES.min(self.fleet.services / (2 * QUERIES.len()));
        let first = 2 * count * round;
        let turns: [(&str, usize, &[Change]); 3] = [
            (
                "a check that changes",
                first,
                &[Change::Fails, Change::Recovers],
            ),
            (
                "an instance that moves, of a service changed of late,",
                first,
                &[Change::Moves, Change::Returns],
            ),
            // Not back again: then it has changed of late.
            (
                "an instance that moves, of another service,",
                first + count,
                &[Change::Moves],
            ),
        ];
        let left_out = match queries.measured {
            Measured::All | Measured::Changes => 0,
            Measured::Others => turns.len() - 1,
        };
        for (what, first, changes) in turns.into_iter().skip(left_out) {
            let mut times = Vec::new();
            let services = first..first + count;
            for (at, change) in
                services.flat_map(|at| changes.iter().map(move |change| (at, *change)))
            {
                let number = at * 617 % self.fleet.services;
                let wanted = registry.wanted(number, change);
                let begun = Instant::now();
                let made = registry.change(number, change);
                let seen = async { shown.until_shown(&wanted, LIMIT).await };
                let (seen, ()) = futures::future::try_join(seen, made).await?;
                times.push(seen.duration_since(begun).as_secs_f64() * 1000.0);
                sleep(PAUSE).await;
            }
            let times = sorted(times);
            for (share, which, goal) in [(0.5, "p50", 100.0), (0.99, "p99", 500.0)] {
                report.add(Figure {
                    name: self.name(&format!("{what} to visible, {which}, {shown_as},")),
                    unit: "ms",
                    ours: rank(&times, share),
                    limit: None,
                    goal: Some(Goal::AtMost(goal)),
                });
            }
        }
        Ok(())
    }

    /// A while without a change.
    async fn rest(
        &self,
        cluster: &Cluster,
        program: &Program,
        meter: &Meter,
        queries: &str,
        report: &mut Report,
    ) -> Result<()> {
        let versions = cluster.versions().await?;
        let (before, started) = (meter.read(), program.read().await?);
        sleep(IDLE).await;
        let (after, idle) = (meter.read(), program.read().await?);
        let minutes = IDLE.as_secs_f64() / 60.0;
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let per_minute = |from: u64, to: u64| Some((to - from) as f64 / minutes);
        let zero = Some(Goal::AtMost(0.0));
        let figures = [
            (
                "writes a minute while idle",
                "",
                Some((idle.writes - started.writes) / minutes),
                zero,
            ),
            (
                "requests to Consul a minute while idle",
                "",
                per_minute(before.0, after.0),
                None,
            ),
            (
                "bytes read from Consul a minute while idle",
                "B",
                per_minute(before.1, after.1),
                None,
            ),
            (
                "processor time a minute while idle",
                "s",
                Some((idle.cpu_seconds - started.cpu_seconds) / minutes),
                None,
            ),
            (
                "resident memory",
                "MiB",
                Some(idle.resident / (1024.0 * 1024.0)),
                None,
            ),
        ];
        for (what, unit, ours, goal) in figures {
            report.add(Figure {
                name: self.name(&format!("{what}, {queries},")),
                unit,
                ours,
                limit: None,
                goal,
            });
        }
        // The objects themselves say the same as the program's own count.
        if cluster.versions().await? != versions {
            return Err(Error::wrong("an object was written while nothing changed"));
        }
        Ok(())
    }
}
