//! Indexes that go back: a snapshot that is restored, and a server that lost its data.
//!
//! Both are done to each server in its own way. What a query shows that is open meanwhile, and how the indexes stand
//! to those before, must be alike.

use std::cmp::Ordering;

use consul_sync_consul::testing::FakeConsul;
use consul_sync_testbed::{Consul, ConsulVersion};
use futures::future::join_all;

use super::cases::world;
use super::side::{Seen, Side};
use super::step::{Step, service};
use super::{Tested, full, is_there};

const PREFIX: &str = "reset-";

/// What the sink follows, and what it reads besides.
const READS: [&str; 5] = [
    "/v1/catalog/node-services/~n1?consistent",
    "/v1/health/node/~n1?consistent",
    "/v1/health/service/~web?consistent&filter=Node.Node%3D%3D%22~n1%22",
    "/v1/catalog/node-services/~late?consistent",
    "/v1/catalog/services?consistent",
];

/// What is compared of a read: its status, its body without indexes, and how its index stands to the one before.
type Told = (u16, serde_json::Value, Option<Ordering>);

struct Before {
    indexes: Vec<u64>,
}

async fn read(side: &Side, path: &str) -> Option<Seen> {
    side.try_read(path, PREFIX).await
}

async fn all(side: &Side) -> Vec<Option<Seen>> {
    join_all(READS.iter().map(|path| read(side, path))).await
}

async fn before(side: &Side) -> Before {
    let indexes = all(side)
        .await
        .into_iter()
        .map(|seen| seen.and_then(|seen| seen.index));
    Before {
        indexes: indexes.map(Option::unwrap_or_default).collect(),
    }
}

impl Before {
    /// Queries that block past the index that each read had.
    async fn held(&self, side: &Side) -> Vec<Option<Seen>> {
        let paths = READS.iter().zip(&self.indexes);
        let paths = paths.map(|(path, index)| format!("{path}&index={index}&wait=20s"));
        join_all(paths.map(|path| async move { read(side, &path).await })).await
    }

    /// The same reads again, without waiting.
    async fn after(&self, side: &mut Side) -> Vec<Option<Told>> {
        let seen = all(side).await;
        self.told(side, seen)
    }

    fn told(&self, side: &mut Side, seen: Vec<Option<Seen>>) -> Vec<Option<Told>> {
        let seen = seen.into_iter().zip(READS).zip(&self.indexes);
        let told = seen.map(|((seen, path), before)| {
            let seen = seen?;
            let order = seen.index.map(|index| index.cmp(before));
            side.forget(PREFIX);
            let seen = side.normalised(seen, path);
            Some((seen.status, seen.body, order))
        });
        told.collect()
    }
}

fn same(real: &[Option<Told>], fake: &[Option<Told>], when: &str) {
    let pairs = READS.iter().zip(real.iter().zip(fake));
    let differences: Vec<String> = pairs
        .filter(|(_, (real, fake))| real != fake)
        .map(|(path, (real, fake))| format!("{path}, {when}:\n  {real:?}\n  not {fake:?}\n"))
        .collect();
    assert!(differences.is_empty(), "{}", differences.concat());
}

async fn sides(
    version: ConsulVersion,
) -> Result<(Consul, FakeConsul, Side, Side), Box<dyn std::error::Error>> {
    let real = Consul::start(version).await?;
    let fake = FakeConsul::builder().version(full(version)).start().await?;
    let of_real = Side::new(real.url(), None, real.node());
    of_real.settle().await;
    let of_fake = Side::new(&fake.url(), None, fake.agent_node());
    for step in world() {
        of_real.send(&step, PREFIX).await;
        of_fake.send(&step, PREFIX).await;
    }
    Ok((real, fake, of_real, of_fake))
}

/// A node, an instance, and a change, after the snapshot.
fn later() -> Vec<Step> {
    let set = |node: &str, id: &str| {
        service(
            "set",
            node,
            serde_json::json!({ "ID": id, "Service": "~web", "Port": 9 }),
        )
    };
    vec![
        Step::txn(vec![super::step::node(
            "set",
            serde_json::json!({ "Node": "~late", "Address": "127.0.0.9" }),
        )]),
        Step::txn(vec![
            set("~late", "~late-1"),
            set("~n1", "~web-1"),
            set("~n1", "~new"),
        ]),
    ]
}

pub(crate) async fn restored(version: ConsulVersion) -> Tested {
    if !is_there(version) {
        return Ok(());
    }
    let (real, fake, mut of_real, mut of_fake) = sides(version).await?;
    let of_real_saved = real.client().get("/v1/snapshot").await?.success()?.body;
    let of_fake_saved = fake.snapshot();
    for step in later() {
        of_real.send(&step, PREFIX).await;
        of_fake.send(&step, PREFIX).await;
    }
    let (real_before, fake_before) = (before(&of_real).await, before(&of_fake).await);
    let restore_real = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let kind = "application/octet-stream";
        let put = real
            .client()
            .send(http::Method::PUT, "/v1/snapshot", kind, of_real_saved);
        put.await?.success()
    };
    let restore_fake = async {
        fake.until(|fake| fake.blocked() == READS.len()).await;
        fake.restore(&of_fake_saved);
    };
    let (held_real, done) = futures::future::join(real_before.held(&of_real), restore_real).await;
    done?;
    let (held_fake, ()) = futures::future::join(fake_before.held(&of_fake), restore_fake).await;
    same(
        &real_before.told(&mut of_real, held_real),
        &fake_before.told(&mut of_fake, held_fake),
        "open",
    );
    let after_real = real_before.after(&mut of_real).await;
    let after_fake = fake_before.after(&mut of_fake).await;
    same(&after_real, &after_fake, "asked after it");
    Ok(())
}

pub(crate) async fn restarted(version: ConsulVersion) -> Tested {
    if !is_there(version) {
        return Ok(());
    }
    let (real, fake, mut of_real, mut of_fake) = sides(version).await?;
    // So that the indexes of a server that is new are lower.
    for _ in 0..20 {
        for step in world() {
            of_real.send(&step, PREFIX).await;
            of_fake.send(&step, PREFIX).await;
        }
        for step in [Step::deregister(serde_json::json!({ "Node": "~n1" }))] {
            of_real.send(&step, PREFIX).await;
            of_fake.send(&step, PREFIX).await;
        }
    }
    let (real_before, fake_before) = (before(&of_real).await, before(&of_fake).await);
    let restart_real = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        real.restart().await
    };
    let restart_fake = async {
        fake.until(|fake| fake.blocked() == READS.len()).await;
        fake.restart();
    };
    let (held_real, done) = futures::future::join(real_before.held(&of_real), restart_real).await;
    done?;
    let (held_fake, ()) = futures::future::join(fake_before.held(&of_fake), restart_fake).await;
    assert!(held_real.iter().all(Option::is_none), "{held_real:?}");
    assert!(held_fake.iter().all(Option::is_none), "{held_fake:?}");
    let after_real = real_before.after(&mut of_real).await;
    let after_fake = fake_before.after(&mut of_fake).await;
    same(&after_real, &after_fake, "asked after it");
    Ok(())
}
