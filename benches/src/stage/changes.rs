//! Changes at a steady rate, each timed until a blocking query shows it.

use std::{sync::Arc, time::Duration};

use consul_sync_testbed::{Client, Consul};
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{
    error::{Error, Result},
    fleet::Fleet,
    meter::Meter,
    program::Program,
    report::{Figure, Goal, Report},
    stage::Bench,
    stats::{rank, sorted},
};

/// How long a change may take to be visible before it counts as lost.
const LIMIT: Duration = Duration::from_secs(60);
/// Services that are changed in turn; a service rests this many changes long before its next.
const TURN: usize = 1009;

/// How a change went, in milliseconds.
struct Times {
    /// From sending it to the API server until Consul showed it.
    whole: f64,
    /// From the API server's answer.
    after_answer: f64,
}

/// `per_second` changes a second for so long.
pub(crate) async fn measure(
    bench: Arc<Bench>,
    (consul, program, meter): (&Consul, &Program, &Meter),
    (per_second, length): (u32, Duration),
    report: &mut Report,
) -> Result<()> {
    let client = consul.client().keeping_connections();
    let before = program.read().await?;
    let (begun, (requests, bytes)) = (Instant::now(), meter.read());
    let fleet = bench.cluster.fleet;
    let turn = TURN.min(fleet.services);
    let count = usize::try_from(u64::from(per_second) * length.as_secs()).unwrap_or(usize::MAX);
    let mut ticks = interval(Duration::from_secs(1) / per_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let results = Arc::new(Mutex::new(Vec::with_capacity(count)));
    let mut tasks = JoinSet::new();
    for at in 0..count {
        // Far apart in the alphabet, so that neighbours do not share a transaction by chance.
        let number = (at % turn) * 617 % fleet.services;
        let (client, bench, results) = (client.clone(), Arc::clone(&bench), Arc::clone(&results));
        // The query must be open before the change is made.
        let (_, index) = addresses(&client, &Fleet::name(number), 0).await?;
        ticks.tick().await;
        tasks.spawn(async move {
            let times = change(&bench, &client, number, index).await?;
            results.lock().await.push(times);
            Ok::<_, Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|error| Error::wrong(format!("a change was not followed: {error}")))??;
    }
    let after = program.read().await?;
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    let (more_requests, more_bytes) = meter.read();
    let times = std::mem::take(&mut *results.lock().await);
    let whole = sorted(times.iter().map(|times| times.whole).collect());
    let answered = sorted(times.iter().map(|times| times.after_answer).collect());
    let name = |what: &str| bench.name(&format!("{what}, {per_second} changes a second"));
    for (share, what, goal) in [(0.5, "p50", 25.0), (0.99, "p99", 100.0)] {
        report.add(Figure {
            name: name(&format!("change to visible, {what}")),
            unit: "ms",
            ours: rank(&whole, share),
            limit: None,
            goal: Some(Goal::AtMost(goal)),
        });
    }
    report.add(Figure {
        name: name("the same from the API server's answer, p50"),
        unit: "ms",
        ours: rank(&answered, 0.5),
        limit: None,
        goal: None,
    });
    #[expect(clippy::cast_precision_loss, reason = "few thousand")]
    let per_thousand = (after.cpu_seconds - before.cpu_seconds) / count as f64 * 1000.0;
    report.add(Figure {
        name: name("processor time of 1,000 changes"),
        unit: "s",
        ours: Some(per_thousand),
        limit: None,
        goal: None,
    });
    #[expect(
        clippy::cast_precision_loss,
        reason = "a few thousand, and some hundred million"
    )]
    let figures = [
        ("requests a minute", "", (more_requests - requests) as f64),
        (
            "MiB read a minute",
            "MiB",
            (more_bytes - bytes) as f64 / 1024.0 / 1024.0,
        ),
    ];
    for (what, unit, more) in figures {
        report.add(Figure {
            name: name(what),
            unit,
            ours: Some(more / minutes),
            limit: None,
            goal: None,
        });
    }
    Ok(())
}

/// Makes one change and waits until Consul shows it.
async fn change(bench: &Bench, client: &Client, number: usize, mut index: u64) -> Result<Times> {
    let name = Fleet::name(number);
    let (changes, wanted) = bench.cluster.next_change(number);
    let begun = Instant::now();
    let seen = async {
        loop {
            let (found, next) = addresses(client, &name, index).await?;
            if found.contains(&wanted) {
                return Ok::<_, Error>(Instant::now());
            }
            index = next;
        }
    };
    let made = async {
        bench.cluster.change(number, changes).await?;
        Ok(Instant::now())
    };
    let both = timeout(LIMIT, futures::future::try_join(seen, made)).await;
    let (seen, made) = both.map_err(|_| {
        Error::wrong(format!(
            "{wanted} of {name} was not in Consul within {LIMIT:?}"
        ))
    })??;
    let millis = |since: Instant| seen.saturating_duration_since(since).as_secs_f64() * 1000.0;
    Ok(Times {
        whole: millis(begun),
        after_answer: millis(made),
    })
}

/// The addresses of a service's instances, and the index to ask with for what comes after.
async fn addresses(client: &Client, name: &str, index: u64) -> Result<(Vec<String>, u64)> {
    let path = format!("/v1/health/service/{name}?index={index}&wait=50s");
    let answer = client.get(&path).await?.success()?;
    let header = answer.headers.get("x-consul-index");
    let next = header.and_then(|value| value.to_str().ok()?.parse().ok());
    let next = next.ok_or_else(|| Error::wrong(format!("{path} has no index")))?;
    let entries = answer.json()?;
    let entries = entries.as_array().map_or(&[][..], Vec::as_slice);
    let addresses = entries
        .iter()
        .filter_map(|entry| Some(entry["Service"]["Address"].as_str()?.to_owned()));
    Ok((addresses.collect(), next))
}
