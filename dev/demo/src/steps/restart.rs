//! consul-sync ends, comes back, and finds what happened meanwhile.

use crate::{
    catalog::Instance,
    error::{Result, ensure},
    report::{Millis, Shown},
    stage::Stage,
    world::annotation,
};

/// It dies and comes back: nothing is deregistered, nothing is written.
pub(super) async fn crash(stage: &mut Stage) -> Result<Shown> {
    let before = stage.catalog().all().await?;
    stage.program.kill();
    unchanged(&before, &stage.catalog().all().await?)?;
    let ready = stage.program.start().await?;
    stage.program.until_all_is_written().await?;
    unchanged(&before, &stage.catalog().all().await?)?;
    let writes = stage.program.writes().await?;
    ensure(writes == 0, || format!("it wrote {writes} registrations"))?;
    Ok(Shown::done().note(format!(
        "ready after {}; {} instances, every ModifyIndex as before; 0 writes",
        Millis(ready),
        before.len()
    )))
}

/// It is asked to end.
pub(super) async fn stop(stage: &mut Stage) -> Result<Shown> {
    let before = stage.catalog().all().await?;
    let took = stage.program.stop().await?;
    unchanged(&before, &stage.catalog().all().await?)?;
    Ok(Shown::done().note(format!(
        "it ended within {}; {} instances as before",
        Millis(took),
        before.len()
    )))
}

/// The cluster changes without it; `plan` shows what it will do.
pub(super) async fn plan(stage: &mut Stage) -> Result<Shown> {
    let workload = stage.workload("orders")?;
    workload.scale(3);
    let workload = workload.clone();
    workload.write(stage.cluster()).await?;
    let change = annotation("service-tags", "canary,green");
    stage.cluster().merge(&stage.path("web")?, &change).await?;
    let before = stage.catalog().all().await?;
    let (text, code) = stage.program.plan(&[]).await?;
    ensure(code == Some(2), || {
        format!("plan found changes and ended with {code:?}, not 2")
    })?;
    ensure(
        text.contains("10.244.3.3") && text.contains("green"),
        || "the plan lacks a change".to_owned(),
    )?;
    unchanged(&before, &stage.catalog().all().await?)?;
    Ok(Shown::done().note("$ consul-sync plan ...").print(&text))
}

/// It is started again and does it.
pub(super) async fn catch_up(stage: &mut Stage) -> Result<Shown> {
    let ready = stage.program.start().await?;
    stage.program.until_all_is_written().await?;
    let orders = stage.catalog().of("orders-api").await?;
    let web = stage.catalog().of("web").await?;
    ensure(orders.len() == 3, || {
        format!("orders-api has {} instances, not 3", orders.len())
    })?;
    ensure(
        web.iter()
            .all(|instance| instance.tags.contains(&"green".to_owned())),
        || "web lacks its new tag".to_owned(),
    )?;
    Ok(Shown::done().note(format!("ready after {}", Millis(ready))))
}

fn unchanged(before: &[Instance], after: &[Instance]) -> Result<()> {
    let other = before.iter().find(|instance| !after.contains(instance));
    ensure(
        other.is_none() && before.len() == after.len(),
        || match other {
            Some(instance) => format!("{} changed", instance.id),
            None => format!(
                "there were {} instances and are {}",
                before.len(),
                after.len()
            ),
        },
    )
}
