//! What a side reads: listings, page by page, and watches.

use consul_sync_testbed::Answer;
use serde_json::{Value, json};

use super::{
    super::{
        step::{At, Kind, Place},
        watched::Watch,
    },
    Seen, Side, refusal,
};

/// Selectors of the watches at the end.
const SELECTORS: [&str; 4] = ["", "app%3Da", "app%21%3Da", "extra"];
/// How a streaming list is asked for.
const STREAMING: &str = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=&allowWatchBookmarks=true";

impl Side {
    pub(super) async fn list_at(
        &mut self,
        kind: Kind,
        place: Place,
        selector: &str,
        at: At,
        limit: u32,
    ) -> Seen {
        let path = kind.path(Some(&self.namespace(place)));
        let newest = format!(
            "resourceVersion={}&resourceVersionMatch=NotOlderThan",
            self.version(At::Latest)
        );
        let version = match at {
            At::Latest => newest,
            At::Any => {
                // What the server's cache holds may lag behind; with this it has caught up.
                let _ = self.client.get(&format!("{path}?{newest}")).await;
                "resourceVersion=0".to_owned()
            }
            At::Exactly(_) => format!(
                "resourceVersion={}&resourceVersionMatch=Exact",
                self.version(at)
            ),
        };
        let first = format!("labelSelector={selector}&limit={limit}&{version}");
        self.pages(kind, place, selector, limit, first).await
    }

    /// Waits until the server's cache has seen what was written last.
    async fn catch_up(&mut self, path: &str) {
        let newest = self.version(At::Latest);
        let _ = self
            .client
            .get(&format!(
                "{path}?resourceVersion={newest}&resourceVersionMatch=NotOlderThan"
            ))
            .await;
    }

    /// The watch that a step asks for.
    pub(crate) async fn watch(
        &mut self,
        kind: Kind,
        place: Place,
        selector: &str,
        at: At,
    ) -> Watch {
        let path = kind.path(Some(&self.namespace(place)));
        let version = self.version(at);
        if at == At::Any {
            self.catch_up(&path).await;
        }
        let url = format!("{path}?watch=true&labelSelector={selector}&resourceVersion={version}");
        Watch { kind, url }
    }

    /// What the server says within that many seconds.
    pub(crate) async fn open(&self, watch: &Watch, seconds: u32) -> Answer {
        let url = format!("{}&timeoutSeconds={seconds}", watch.url);
        self.client.get(&url).await.expect("an answer")
    }

    /// How much of it is compared. A real server that was too busy to begin within the time says so by an error of
    /// its own, which counts for nothing.
    pub(crate) fn count(&self, watch: &Watch, answer: &Answer) -> usize {
        let events = self.ours(watch.kind, answer);
        let said = events.iter().filter(|event| event["object"]["code"] != 500);
        said.count()
    }

    /// What a watch said, as it is compared.
    pub(crate) fn told(&mut self, watch: &Watch, answer: &Answer) -> Seen {
        if answer.status != 200 {
            return refusal(answer);
        }
        json!({"status": answer.status, "events": self.events(watch.kind, answer)})
    }

    /// A listing with a query of any kind: what is refused is compared, and what is found.
    pub(super) async fn query(&mut self, kind: Kind, place: Place, query: &str) -> Seen {
        let path = kind.path(Some(&self.namespace(place)));
        if query.contains("resourceVersion=0") {
            self.catch_up(&path).await;
        }
        let answer = self
            .client
            .get(&format!("{path}?{query}"))
            .await
            .expect("an answer");
        if answer.status != 200 {
            return refusal(&answer);
        }
        let list: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let ours = items.iter().filter(|item| self.is_ours(kind, item));
        let ours: Vec<Value> = ours.cloned().collect();
        let items: Vec<Value> = ours
            .iter()
            .map(|item| self.choices.object(kind, item))
            .collect();
        json!({"status": answer.status, "items": items})
    }

    pub(super) async fn list(
        &mut self,
        kind: Kind,
        place: Place,
        selector: &str,
        limit: u32,
    ) -> Seen {
        let first = format!("labelSelector={selector}&limit={limit}");
        self.pages(kind, place, selector, limit, first).await
    }

    /// A listing, page by page; `first` asks for the first one.
    async fn pages(
        &mut self,
        kind: Kind,
        place: Place,
        selector: &str,
        limit: u32,
        first: String,
    ) -> Seen {
        let path = kind.path(Some(&self.namespace(place)));
        let mut items = Vec::new();
        let (mut query, mut pages) = (first, Vec::new());
        loop {
            let url = format!("{path}?{query}");
            let answer = self.client.get(&url).await.expect("an answer");
            let list: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            if answer.status != 200 {
                return refusal(&answer);
            }
            let found = list["items"].as_array().cloned().unwrap_or_default();
            // Other runs' and the server's own objects of kinds without a namespace are not compared.
            let ours: Vec<Value> = found
                .iter()
                .filter(|item| self.is_ours(kind, item))
                .cloned()
                .collect();
            let token = list["metadata"]["continue"].as_str().unwrap_or_default();
            if kind.is_namespaced() {
                pages.push(json!([
                    ours.len(),
                    list["metadata"]["remainingItemCount"],
                    list["kind"],
                    list["apiVersion"]
                ]));
            }
            items.extend(ours.iter().map(|item| self.choices.object(kind, item)));
            if token.is_empty() {
                return json!({"status": 200, "items": items, "pages": pages});
            }
            query = format!("labelSelector={selector}&limit={limit}&continue={token}");
        }
    }

    /// Every collection, whole and in pages.
    pub(crate) async fn list_all(&mut self) -> Vec<(String, Seen)> {
        let mut seen = Vec::new();
        for kind in Kind::ALL {
            // Those of no namespace are every run's: many pages.
            let limits: &[u32] = if kind.is_namespaced() { &[0, 2] } else { &[0] };
            for &limit in limits {
                let listed = self.list(kind, Place::A, "", limit).await;
                seen.push((format!("{kind:?} by {limit}"), listed));
            }
        }
        seen
    }

    /// Every collection, as watches with and without a selector.
    pub(crate) fn watch_all(&self) -> Vec<Watch> {
        let mut watches = Vec::new();
        for kind in Kind::ALL {
            let starts = [
                format!("resourceVersion={}", self.start),
                STREAMING.to_owned(),
                String::new(),
            ];
            // Each is a connection, and most kinds go the same way.
            let (selectors, starts) = match kind {
                Kind::Service | Kind::Slice => (&SELECTORS[..], &starts[..]),
                _ => (&SELECTORS[..1], &starts[..1]),
            };
            let path = kind.path(Some(&self.namespace(Place::A)));
            for selector in selectors {
                for start in starts {
                    let url = format!("{path}?watch=true&labelSelector={selector}&{start}");
                    watches.push(Watch { kind, url });
                }
            }
        }
        watches
    }

    fn events(&mut self, kind: Kind, answer: &Answer) -> Vec<Value> {
        let events = self.ours(kind, answer).into_iter().map(|event| {
            let object = &event["object"];
            match event["type"].as_str() {
                Some("BOOKMARK") => {
                    json!([
                        "BOOKMARK",
                        object["metadata"]["annotations"],
                        object["kind"]
                    ])
                }
                Some("ERROR") => json!(["ERROR", object["code"], object["reason"]]),
                _ => json!([event["type"], self.choices.object(kind, object)]),
            }
        });
        events.collect()
    }

    /// The events that both servers should tell. Of bookmarks only the one that ends a streaming list is certain.
    fn ours(&self, kind: Kind, answer: &Answer) -> Vec<Value> {
        let text = String::from_utf8_lossy(&answer.body);
        let events = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_default());
        let is_ours = |event: &Value| match event["type"].as_str() {
            Some("BOOKMARK") => !event["object"]["metadata"]["annotations"].is_null(),
            Some("ERROR") => true,
            _ => self.is_ours(kind, &event["object"]),
        };
        events.filter(is_ours).collect()
    }
}
