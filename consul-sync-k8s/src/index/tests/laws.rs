//! Whatever the history, what is known in the end is what a fresh listing of the same objects gives.

use proptest::prelude::*;

use super::*;

/// The objects of a small cluster, by kind and number: what a server would hold.
#[derive(Clone, Debug, Default)]
struct Cluster {
    services: BTreeMap<u8, slim::Service>,
    slices: BTreeMap<u8, slim::EndpointSlice>,
    nodes: BTreeMap<u8, slim::Node>,
    ingresses: BTreeMap<u8, slim::Ingress>,
    namespaces: BTreeMap<u8, slim::Namespace>,
    version: u32,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Service(u8, u8),
    Slice(u8, u8),
    Node(u8, u8),
    Ingress(u8, u8),
    Namespace(u8),
    Delete(u8, u8),
    List(u8),
    Lose(u8),
    Read,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4u8, 0..5u8).prop_map(|(at, form)| Step::Service(at, form)),
        6 => (0..6u8, any::<u8>()).prop_map(|(at, form)| Step::Slice(at, form)),
        2 => (0..3u8, 0..4u8).prop_map(|(at, form)| Step::Node(at, form)),
        2 => (0..2u8, 0..6u8).prop_map(|(at, form)| Step::Ingress(at, form)),
        1 => (0..3u8).prop_map(Step::Namespace),
        3 => (0..5u8, 0..6u8).prop_map(|(kind, at)| Step::Delete(kind, at)),
        1 => (0..5u8).prop_map(Step::List),
        1 => (0..5u8).prop_map(Step::Lose),
        3 => Just(Step::Read),
    ]
}

impl Cluster {
    fn next(&mut self) -> u32 {
        self.version += 1;
        self.version
    }

    /// Changes the cluster, and tells the index of it as a watch would.
    fn step(&mut self, step: Step, index: &mut Index) {
        let version = self.next();
        match step {
            Step::Service(at, form) => {
                let spec = [
                    json!({"ports": [{"port": 80}]}),
                    json!({"ports": [{"port": 81}]}),
                    json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}),
                    json!({"externalIPs": ["192.0.2.77"]}),
                    json!({"type": "ExternalName"}),
                ];
                let object = service(&format!("s{at}"), version, spec[usize::from(form)].clone());
                self.services.insert(at, object.clone());
                index.apply(Change::Upserted(object));
            }
            Step::Slice(at, form) => {
                let all: Value = (0..form % 4)
                    .map(|e| json!({"addresses": [format!("10.0.{}.{}", form % 2, e)], "nodeName": format!("n{}", e % 3), "conditions": {"ready": form & 16 == 0}}))
                    .collect();
                let object = slice(
                    &format!("e{at}"),
                    &format!("s{}", (form >> 5) % 4),
                    version,
                    all,
                );
                self.slices.insert(at, object.clone());
                index.apply(Change::Upserted(object));
            }
            Step::Node(at, form) => {
                let object = node(&format!("n{at}"), version, &format!("192.0.2.{form}"));
                self.nodes.insert(at, object.clone());
                index.apply(Change::Upserted(object));
            }
            Step::Ingress(at, form) => {
                let object = ingress(
                    &format!("i{at}"),
                    version,
                    &format!("h{}.example.com", form / 4),
                    &format!("s{}", form % 4),
                );
                self.ingresses.insert(at, object.clone());
                index.apply(Change::Upserted(object));
            }
            Step::Namespace(form) => {
                let labels = if form == 0 {
                    json!({})
                } else {
                    json!({"sync": "yes"})
                };
                let object = namespace("shop", version, labels);
                self.namespaces.insert(0, object.clone());
                index.apply(Change::Upserted(object));
            }
            Step::Delete(0, at) => delete(&mut self.services, at, index),
            Step::Delete(1, at) => delete(&mut self.slices, at, index),
            Step::Delete(2, at) => delete(&mut self.nodes, at, index),
            Step::Delete(3, at) => delete(&mut self.ingresses, at, index),
            Step::Delete(_, at) => delete(&mut self.namespaces, at, index),
            Step::List(0) => list(index, self.services.values().cloned()),
            Step::List(1) => list(index, self.slices.values().cloned()),
            Step::List(2) => list(index, self.nodes.values().cloned()),
            Step::List(3) => list(index, self.ingresses.values().cloned()),
            Step::List(_) => list(index, self.namespaces.values().cloned()),
            Step::Lose(kind) => match kind {
                0 => index.apply(Change::<slim::Service>::Lost),
                1 => index.apply(Change::<slim::EndpointSlice>::Lost),
                2 => index.apply(Change::<slim::Node>::Lost),
                3 => index.apply(Change::<slim::Ingress>::Lost),
                _ => index.apply(Change::<slim::Namespace>::Lost),
            },
            Step::Read => {}
        }
    }

    fn list_all(&self, index: &mut Index) {
        list(index, self.namespaces.values().cloned());
        list(index, self.services.values().cloned());
        list(index, self.ingresses.values().cloned());
        list(index, self.nodes.values().cloned());
        list(index, self.slices.values().cloned());
    }

    /// What a fresh index makes of the cluster.
    fn fresh(&self, settings: &ExportSettings) -> BTreeMap<Key, Arc<Service>> {
        let mut index = Index::new(Arc::new(settings.clone()));
        let mut reader = Reader::default();
        self.list_all(&mut index);
        reader.read(&mut index);
        reader.services
    }
}

fn delete<T: Clone>(objects: &mut BTreeMap<u8, T>, at: u8, index: &mut Index)
where
    Update: From<Change<T>>,
{
    if let Some(object) = objects.remove(&at) {
        index.apply(Change::Deleted(object));
    }
}

fn settings() -> impl Strategy<Value = ExportSettings> {
    prop::sample::select(vec![lean(), ExportSettings::default(), all_kinds()])
}

proptest! {
    /// Events, listings and losses in any order and drained at any moment, then whole: the state of a fresh listing.
    #[test]
    fn any_history_ends_in_the_state_of_a_fresh_listing(settings in settings(), steps in prop::collection::vec(step(), 0..60)) {
        let mut cluster = Cluster::default();
        let mut index = Index::new(Arc::new(settings.clone()));
        let mut reader = Reader::default();
        for step in steps {
            cluster.step(step, &mut index);
            if matches!(step, Step::Read) {
                reader.read(&mut index);
            }
        }
        cluster.list_all(&mut index);
        reader.read(&mut index);
        prop_assert_eq!(&reader.services, &cluster.fresh(&settings));

        // And then a listing of the same says nothing at all.
        let before = index.work();
        cluster.list_all(&mut index);
        prop_assert_eq!(reader.read(&mut index), Vec::<String>::new());
        prop_assert_eq!(index.work(), before);
    }

    /// Once whole, events alone keep the reader at the state of a fresh listing, after every single one.
    #[test]
    fn once_whole_every_event_leads_to_the_state_of_a_fresh_listing(settings in settings(), steps in prop::collection::vec(step(), 0..30)) {
        let mut cluster = Cluster::default();
        let mut index = Index::new(Arc::new(settings.clone()));
        let mut reader = Reader::default();
        cluster.list_all(&mut index);
        reader.read(&mut index);
        for step in steps {
            cluster.step(step, &mut index);
            reader.read(&mut index);
            prop_assert_eq!(&reader.services, &cluster.fresh(&settings), "after {:?}", step);
        }
    }

    /// Objects in any order, within the listings and after them, give one final state.
    #[test]
    fn the_order_of_objects_does_not_matter(
        settings in settings(),
        steps in prop::collection::vec(step(), 0..30),
        order in Just((0..40usize).collect::<Vec<_>>()).prop_shuffle(),
        listed in 0..40usize,
    ) {
        let mut cluster = Cluster::default();
        let mut unused = Index::new(Arc::new(settings.clone()));
        for step in steps {
            cluster.step(step, &mut unused);
        }
        let mut updates: Vec<Update> = Vec::new();
        updates.extend(cluster.services.values().cloned().map(|o| Update::from(Change::Upserted(o))));
        updates.extend(cluster.slices.values().cloned().map(|o| Update::from(Change::Upserted(o))));
        updates.extend(cluster.nodes.values().cloned().map(|o| Update::from(Change::Upserted(o))));
        updates.extend(cluster.ingresses.values().cloned().map(|o| Update::from(Change::Upserted(o))));
        updates.extend(cluster.namespaces.values().cloned().map(|o| Update::from(Change::Upserted(o))));
        let shuffled: Vec<Update> = order.into_iter().filter_map(|at| updates.get(at).cloned()).collect();
        let (early, late) = shuffled.split_at(listed.min(shuffled.len()));

        let mut index = Index::new(Arc::new(settings.clone()));
        let mut reader = Reader::default();
        index.apply(Change::<slim::Service>::RelistStarted);
        index.apply(Change::<slim::EndpointSlice>::RelistStarted);
        index.apply(Change::<slim::Node>::RelistStarted);
        index.apply(Change::<slim::Ingress>::RelistStarted);
        index.apply(Change::<slim::Namespace>::RelistStarted);
        early.iter().cloned().for_each(|update| index.apply(update));
        index.apply(Change::<slim::Service>::RelistDone);
        index.apply(Change::<slim::EndpointSlice>::RelistDone);
        index.apply(Change::<slim::Node>::RelistDone);
        index.apply(Change::<slim::Ingress>::RelistDone);
        index.apply(Change::<slim::Namespace>::RelistDone);
        reader.read(&mut index);
        for update in late.iter().cloned() {
            index.apply(update);
            reader.read(&mut index);
        }
        prop_assert_eq!(reader.services, cluster.fresh(&settings));
    }
}
