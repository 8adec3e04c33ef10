//! One trial: a settled world, changes, a fault in the middle of them, and the way back to rest.

use std::{collections::BTreeSet, time::Duration};

use consul_sync_testbed::{Consul, Proxy, Rng};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, sleep},
};

use crate::{
    expectation::{Expectation, Place},
    imports::{IMPORT, Imports},
    kind::Kind,
    observer::{NODE, Observer, nodes},
    program::{Program, run},
    stage::{Access, FOREIGN, Stage},
    until::until,
    world::World,
};

/// Of so many trials the program runs both directions in one.
const BOTH: u64 = 4;

/// What a trial is played with, beside the program.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) consul: &'a Consul,
    pub(crate) observer: Observer,
    pub(crate) world: Mutex<World>,
    /// What is imported, where the program runs both directions.
    pub(crate) imports: Option<Mutex<Imports>>,
    /// Between the program and Consul, where that is what a trial is about.
    pub(crate) consul_link: Option<Proxy>,
    /// Between the program and the API server.
    pub(crate) api_link: Option<Proxy>,
    access: Access,
}

/// The program's lives; the past ones stay for a report.
pub(crate) struct Lives(Vec<Program>);

/// What a trial that went well has to tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// How many times something was done to somebody.
    pub(crate) faults: u64,
    /// How many answers of Consul were judged.
    pub(crate) polls: u64,
    /// From the end of the fault and of the changes to a catalog that equals the cluster.
    pub(crate) converged: Duration,
    /// How often a watch was told that its version is gone.
    pub(crate) forgotten: usize,
}

/// Says on a failure what the servers said, and how to see it again.
struct Replay<'a>(Kind, u64, &'a Stage);

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(kind, seed, stage) = self;
            eprintln!(
                "--- end of Consul's log:\n{}",
                stage.consul(*seed).log_tail()
            );
            eprintln!("--- end of the API server's log:\n{}", stage.api.log_tail());
            eprintln!("--- seen with: make soak KIND={kind} SEED={seed} TRIALS=1");
        }
    }
}

/// Plays one trial.
///
/// # Panics
/// When an answer of Consul showed what it must not, or when the way back to rest is not found.
pub(crate) async fn play(kind: Kind, seed: u64, stage: &Stage) -> Outcome {
    let _replay = Replay(kind, seed, stage);
    // Kinds with the same seed have nothing else in common.
    let mut rng = Rng::new(Rng::new(seed).draw() ^ kind as u64);
    let consul = stage.consul(seed);
    let world = World::create(stage.api.client(), Rng::new(rng.draw())).await;
    stage.empty(consul).await;
    stage.plant(consul).await;

    let mut scene = Scene::set(kind, stage, consul, world).await;
    if seed.is_multiple_of(BOTH) {
        let (kubernetes, rng) = (stage.api.client(), Rng::new(rng.draw()));
        let imports = Imports::create(kubernetes, consul.client(), rng).await;
        scene.imports = Some(Mutex::new(imports));
    }
    let mut lives = Lives(vec![]);
    lives.begin(&scene);
    lives.now().until_ready().await;
    scene.until_equal().await;
    let (node, _) = nodes(consul.client()).await;
    scene
        .observer
        .expect(|expectation| expectation.settles(&node));

    let changes = 4 + rng.below(5);
    let mut pace = Rng::new(rng.draw());
    let (faults, ()) = tokio::join!(kind.disturb(&scene, &mut lives, &mut rng), async {
        for _ in 0..changes {
            scene.change().await;
            sleep(Duration::from_millis(pace.below(120))).await;
        }
    });

    let healed = Instant::now();
    scene.world.lock().await.mark(&scene.observer).await;
    scene.until_equal().await;
    let converged = healed.elapsed();
    scene.until_rest(lives.now()).await;
    scene.observer.check();
    let mut polls = scene.observer.polls();
    if let Some(imports) = &scene.imports {
        let imports = imports.lock().await;
        imports.check();
        polls += imports.looks();
    }
    Outcome {
        faults,
        polls,
        converged,
        forgotten: lives.logged("version was forgotten"),
    }
}

impl<'a> Scene<'a> {
    async fn set(kind: Kind, stage: &'a Stage, consul: &'a Consul, world: World) -> Self {
        let mut access = Access {
            kubeconfig: stage.api.kubeconfig().to_owned(),
            consul: consul.url().to_owned(),
        };
        let (mut consul_link, mut api_link) = (None, None);
        if kind.needs_consul_link() {
            let proxy = Proxy::start(consul.client()).await.unwrap();
            access.consul = proxy.url();
            consul_link = Some(proxy);
        }
        if kind.needs_api_link() {
            let proxy = Proxy::start(stage.api.client()).await.unwrap();
            access.kubeconfig = stage.kubeconfig_by(&proxy.url());
            api_link = Some(proxy);
        }
        let mut expectation = Expectation::default();
        expectation.adds(world.wanted().into_keys());
        expectation.wants(world.wanted());
        for name in world.names() {
            expectation.sustains(name);
        }
        let (node, other_node) = nodes(consul.client()).await;
        expectation.foreign(&FOREIGN, &node, &other_node);
        Self {
            observer: Observer::start(consul.client(), expectation),
            world: Mutex::new(world),
            imports: None,
            stage,
            consul,
            consul_link,
            api_link,
            access,
        }
    }

    /// Something happens in the cluster, and in Consul.
    pub(crate) async fn change(&self) {
        self.world.lock().await.change(&self.observer).await;
        if let Some(imports) = &self.imports {
            imports.lock().await.change().await;
        }
    }

    /// What the program is told beside its servers.
    fn arguments(&self) -> &'static [&'static str] {
        if self.imports.is_some() { &IMPORT } else { &[] }
    }

    /// Waits until Consul has what the cluster has.
    async fn until_equal(&self) {
        let wanted = self.world.lock().await.seen();
        let look = async || {
            self.observer.check();
            self.observer.seen()
        };
        until(&format!("a catalog that equals {wanted:?}"), look, |seen| {
            *seen == wanted
        })
        .await;
        if let Some(imports) = &self.imports {
            imports.lock().await.until_equal().await;
        }
    }

    /// Waits until nothing is left to do, and sees that nothing is done.
    async fn until_rest(&self, program: &Program) {
        let directions: &[&str] = match self.imports {
            Some(_) => &["to_consul", "to_k8s"],
            None => &["to_consul"],
        };
        let none = Some("0".to_owned());
        for direction in directions {
            let metrics = async || {
                let metric = async |series| program.metric_of(direction, series).await;
                let pending = metric("consul_sync_pending_slots").await;
                (pending, metric("consul_sync_in_flight_operations").await)
            };
            until("nothing to do", metrics, |(pending, in_flight)| {
                *pending == none && *in_flight == none
            })
            .await;
        }
        let writes = async || {
            let mut batches = vec![];
            for direction in directions {
                batches.push(
                    program
                        .metric_of(direction, "consul_sync_batches_total")
                        .await,
                );
            }
            let versions = match &self.imports {
                Some(imports) => imports.lock().await.versions().await,
                None => vec![],
            };
            (self.indexes().await, versions, batches)
        };
        let before = writes().await;
        let direct = Access {
            kubeconfig: self.stage.api.kubeconfig().to_owned(),
            consul: self.consul.url().to_owned(),
        };
        let plan = run(&direct, &[&["plan"], self.arguments()].concat()).await;
        assert_eq!(
            plan.code,
            Some(0),
            "there is something to do: {}{}",
            plan.out,
            plan.err
        );
        assert_eq!(writes().await, before, "something was written at rest");
    }

    /// Consul's indexes of our instances and of their checks: every write moves one.
    async fn indexes(&self) -> [String; 2] {
        let index = async |path: String| {
            let answer = self
                .consul
                .client()
                .get(&path)
                .await
                .unwrap()
                .success()
                .unwrap();
            answer.headers["x-consul-index"]
                .to_str()
                .unwrap()
                .to_owned()
        };
        [
            index(format!("/v1/catalog/node-services/{NODE}?consistent")).await,
            index(format!("/v1/health/node/{NODE}?consistent")).await,
        ]
    }

    /// Consul forgets what is imported, and nothing more happens to it until this is dropped.
    pub(crate) async fn suspend_imports(&self) -> Option<MutexGuard<'_, Imports>> {
        let imports = self.imports.as_ref()?.lock().await;
        imports.suspend();
        Some(imports)
    }

    /// Everything of ours that must be there now.
    pub(crate) fn must(&self) -> BTreeSet<Place> {
        self.observer
            .expect(|expectation| expectation.must().clone())
    }
}

impl Lives {
    /// A life begins.
    pub(crate) fn begin(&mut self, scene: &Scene<'_>) {
        self.0
            .push(Program::start(&scene.access, scene.arguments()));
    }

    /// The present life.
    pub(crate) fn now(&self) -> &Program {
        self.0.last().unwrap()
    }

    /// It ends as by a crash.
    pub(crate) fn kill(&mut self) {
        self.0.last_mut().unwrap().kill();
    }

    fn logged(&self, text: &str) -> usize {
        self.0
            .iter()
            .map(|life| life.log().matches(text).count())
            .sum()
    }
}
