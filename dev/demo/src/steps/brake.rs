//! Too much vanishes at once.

use crate::{
    error::{Error, Result, ensure},
    report::Shown,
    stage::Stage,
    world::{Exposed, later},
};

/// More than the brake lets go of a catalog as small as this one: ten.
const PODS: u8 = 24;

fn archive() -> Exposed {
    later("archive", 8, PODS)
}

/// Many instances come.
pub(super) async fn grow(stage: &mut Stage) -> Result<Shown> {
    let new = archive();
    let took = stage
        .catalog()
        .until(new.name, new.create(stage.cluster()), |instances| {
            instances.len() == usize::from(PODS)
        });
    Ok(Shown::after(took.await?))
}

/// They vanish, and stay registered.
pub(super) async fn engage(stage: &mut Stage) -> Result<Shown> {
    archive().delete(stage.cluster()).await?;
    stage.program.until_ready_says("[-]brake").await?;
    let left = stage.catalog().of("archive").await?.len();
    ensure(left == usize::from(PODS), || {
        format!("{left} of {PODS} instances are left")
    })?;
    let said = stage.program.readiness().await?;
    let line = said
        .lines()
        .find(|line| line.contains("brake"))
        .unwrap_or_default()
        .to_owned();
    Ok(Shown::done().note(format!(
        "still registered: {left} instances; /readyz?verbose says {line}"
    )))
}

/// A person confirms.
pub(super) async fn release(stage: &mut Stage) -> Result<Shown> {
    let program = &stage.program;
    let mut said = String::new();
    let release = async {
        said = program.release_brake().await?;
        Ok::<_, Error>(())
    };
    let took = stage
        .catalog()
        .until("archive", release, <[_]>::is_empty)
        .await?;
    Ok(Shown::after(took).note(said.trim_end()))
}
