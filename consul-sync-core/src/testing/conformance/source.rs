//! What every source must do, whatever is behind it: the event protocol, held against a world that the suite changes.
//!
//! A source cannot be judged by its stream alone: whether a service was left out, told twice in effect, or told from
//! the past is known only to whoever knows what was there. So the suite changes the world behind the source, which
//! its user gives it as a [`World`], and compares every event with the history that it made.
//!
//! What is checked is named by [`Rule`]. A [`Violation`] names the rule, the operation it was seen after, what was
//! expected, what came, and what led to it.

mod cases;
mod history;
mod listener;
mod random;
mod rule;
mod run;
mod world;

use std::{ops::Range, slice};

use futures::future::try_join_all;

use cases::Case;
use run::Run;

pub use rule::{Report, Rule, Violation};
pub use world::{Disturbance, World};

/// Fails with the first rule that the source breaks: the named cases first, then one random history for each seed.
///
/// The world must be empty of the suite's services, and is so again after each case. A history that failed is
/// played again by its seed alone.
///
/// # Panics
/// When a rule is broken: the message names the rule, the operation, what was expected and what came.
///
/// # Examples
/// A source of one's own is checked by a world that changes what is behind it:
/// ```
/// use std::{net::IpAddr, sync::Arc};
/// use async_trait::async_trait;
/// use consul_sync_core::{
///     Address, Instance, Key, Service, ServiceName,
///     testing::{TableSource, conformance::{self, World}},
/// };
///
/// #[derive(Debug, Default)]
/// struct Table(TableSource);
///
/// #[async_trait]
/// impl World for Table {
///     type Source = TableSource;
///
///     fn source(&self) -> &TableSource {
///         &self.0
///     }
///
///     async fn put(&mut self, key: &Key, addresses: &[IpAddr]) {
///         let name = ServiceName::new(key.name().as_ref()).expect("the suite's names are not empty");
///         let mut service = Service::new(key.clone(), name);
///         service.instances = addresses.iter().map(|ip| Instance::new(Address::Ip(*ip))).collect();
///         self.0.put(service);
///     }
///
///     async fn delete(&mut self, key: &Key) {
///         self.0.remove(key);
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// conformance::source(&mut Table::default(), 0..20).await;
/// # }
/// ```
pub async fn source<W: World>(world: &mut W, seeds: Range<u64>) -> Report {
    source_over(slice::from_mut(world), seeds).await
}

/// The same with several worlds at once, each of which plays its share: for worlds in which a moment is real time.
///
/// The worlds must have nothing in common, as each is emptied by its own cases.
///
/// # Panics
/// Like [`source`], with the first rule that is broken in any of them.
///
/// # Examples
/// ```
/// # use std::net::IpAddr;
/// # use async_trait::async_trait;
/// # use consul_sync_core::{
/// #     Address, Instance, Key, Service, ServiceName,
/// #     testing::{TableSource, conformance::{self, World}},
/// # };
/// # #[derive(Debug, Default)]
/// # struct Table(TableSource);
/// # #[async_trait]
/// # impl World for Table {
/// #     type Source = TableSource;
/// #     fn source(&self) -> &TableSource { &self.0 }
/// #     async fn put(&mut self, key: &Key, addresses: &[IpAddr]) {
/// #         let name = ServiceName::new(key.name().as_ref()).expect("the suite's names are not empty");
/// #         let mut service = Service::new(key.clone(), name);
/// #         service.instances = addresses.iter().map(|ip| Instance::new(Address::Ip(*ip))).collect();
/// #         self.0.put(service);
/// #     }
/// #     async fn delete(&mut self, key: &Key) { self.0.remove(key); }
/// # }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let mut worlds: Vec<Table> = (0..3).map(|_| Table::default()).collect();
/// let report = conformance::source_over(&mut worlds, 0..20).await;
/// assert_eq!(report.histories, 20);
/// # }
/// ```
#[expect(clippy::panic, reason = "a suite fails as a test does")]
pub async fn source_over<W: World>(worlds: &mut [W], seeds: Range<u64>) -> Report {
    match check_over(worlds, seeds).await {
        Ok(report) => report,
        Err(violation) => panic!("{violation}"),
    }
}

/// The same as [`source`], answering instead of panicking: for tests that expect a rule to be broken.
///
/// # Errors
/// The first rule that was broken.
pub async fn check_source<W: World>(
    world: &mut W,
    seeds: Range<u64>,
) -> Result<Report, Box<Violation>> {
    check_over(slice::from_mut(world), seeds).await
}

/// The random histories of these seeds alone, as when one is to be seen again.
///
/// # Errors
/// The first rule that was broken.
pub async fn check_histories<W: World>(
    world: &mut W,
    seeds: Range<u64>,
) -> Result<Report, Box<Violation>> {
    let mut report = Report::default();
    play(world, seeds, &mut report).await?;
    Ok(report)
}

async fn check_over<W: World>(
    worlds: &mut [W],
    seeds: Range<u64>,
) -> Result<Report, Box<Violation>> {
    let count = worlds.len();
    let shares = worlds.iter_mut().enumerate().map(|(at, world)| {
        let cases = Case::all().into_iter().skip(at).step_by(count);
        let seeds = seeds.clone().skip(at).step_by(count);
        async move {
            let mut report = Report::default();
            for case in cases {
                let mut run = Run::new(world, format!("case {:?}", case.name()));
                case.play(&mut run).await?;
                run.finish().await?;
                report.add(&run, true);
            }
            play(world, seeds, &mut report).await?;
            Ok::<_, Box<Violation>>(report)
        }
    });
    let shares = try_join_all(shares).await?;
    Ok(shares.into_iter().fold(Report::default(), Report::and))
}

async fn play<W: World>(
    world: &mut W,
    seeds: impl Iterator<Item = u64>,
    report: &mut Report,
) -> Result<(), Box<Violation>> {
    for seed in seeds {
        let mut run = Run::new(world, format!("random history of seed {seed}"));
        random::play(&mut run, seed).await?;
        run.finish().await?;
        report.add(&run, false);
    }
    Ok(())
}
