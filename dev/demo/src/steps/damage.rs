//! What others do in Consul, to our instances and beside them.

use crate::{
    catalog::Instance,
    error::{Error, Result, ensure},
    report::Shown,
    stage::Stage,
    steps::changes,
};

/// The ID and the place of somebody else's instance.
const THEIRS: (&str, (&str, u16)) = ("cart-on-metal", ("192.0.2.99", 8080));

/// One of our instances is deregistered, and comes back.
pub(super) async fn deregister(stage: &mut Stage) -> Result<Shown> {
    let lost = stage.catalog().some_of("cart").await?.swap_remove(0);
    let took = stage
        .catalog()
        .until("cart", stage.catalog().deregister(&lost.id), |instances| {
            // Registered anew: the same instance with other indexes.
            instances.iter().any(|instance| {
                instance.id == lost.id
                    && instance.versions != lost.versions
                    && is_same(instance, &lost)
            })
        });
    Ok(Shown::after(took.await?))
}

/// Somebody registers an instance that is none of ours.
pub(super) async fn foreign(stage: &mut Stage) -> Result<Shown> {
    let (id, place) = THEIRS;
    stage.catalog().register_by_hand("cart", id, place).await?;
    find(stage).await?;
    Ok(Shown::done())
}

/// Our instances around it change, and it does not.
pub(super) async fn foreign_stays(stage: &mut Stage) -> Result<Shown> {
    let before = find(stage).await?;
    let shown = changes::scale(stage, "cart", 5).await?;
    let after = find(stage).await?;
    ensure(before == after, || {
        format!("it was {before:?} and is {after:?}")
    })?;
    Ok(shown)
}

/// It is still there at the end.
pub(super) async fn foreign_is_left(stage: &mut Stage) -> Result<Shown> {
    let found = find(stage).await?;
    ensure(found.versions.is_untouched(), || {
        format!("it was written after it was registered: {found:?}")
    })?;
    Ok(Shown::done())
}

async fn find(stage: &Stage) -> Result<Instance> {
    let instances = stage.catalog().of("cart").await?;
    let found = instances
        .into_iter()
        .find(|instance| instance.id == THEIRS.0);
    found.ok_or_else(|| Error::wrong(format!("{} is not in Consul", THEIRS.0)))
}

fn is_same(a: &Instance, b: &Instance) -> bool {
    (&a.place, &a.tags, &a.meta, a.health) == (&b.place, &b.tags, &b.meta, b.health)
}
