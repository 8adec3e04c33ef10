//! WATCH: one request's stream of changes, with bookmarks, selectors, and the faults of real ones.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use serde_json::{Value, json};
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

use super::{
    answer::Severed,
    call::Call,
    kind::Target,
    selector::Selector,
    state::Shared,
    status::Failure,
    store::{Change, Store, kind_of, set, text},
};

/// What a test does to the watches that are open.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WatchFault {
    /// They end as at their timeout.
    Close,
    /// They break off in the middle of an event.
    Sever,
    /// They say nothing any more and stay open: a half-open connection.
    Silence,
    /// They end with an ERROR event of this code.
    Error(u16),
    /// They send this line.
    Line(String),
    /// They send a bookmark with this resourceVersion, or one without.
    Bookmark(Option<String>),
}

/// A fault on its way to the open watches of a resource, or of every one.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) resource: Option<String>,
    pub(super) fault: WatchFault,
}

/// How a watch begins.
pub(super) struct Start {
    /// Changes after this version are sent.
    position: u64,
    /// Lines that come first.
    lines: VecDeque<String>,
}

/// Reads the parameters of a watch and what it begins with.
pub(super) fn start(
    store: &Store,
    call: &Call,
    target: &Target,
    streaming_lists: bool,
) -> Result<(Start, Selector), Failure> {
    let selector = Selector::parse(
        call.parameter("labelSelector"),
        call.parameter("fieldSelector"),
        kind_of(target.kind).namespaced,
    )?;
    let initial = call.flag("sendInitialEvents");
    // The real server takes this for its own mistake.
    let asked = call
        .number("resourceVersion")
        .map_err(|_| Failure::new(500, "", "strconv.ParseUint: invalid syntax"))?;
    if !call.parameter("sendInitialEvents").is_empty() {
        let refuse = |problem: &str| Err(Failure::invalid_options(problem));
        if !streaming_lists {
            return refuse(
                "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
            );
        }
        if call.parameter("resourceVersionMatch") != "NotOlderThan" {
            return refuse(
                "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            );
        }
    }
    if let Some(asked) = asked
        && asked > store.revision()
        && initial
    {
        return Err(Failure::too_large(asked, store.revision()));
    }
    let mut lines = VecDeque::new();
    let whole = call.parameter("sendInitialEvents").is_empty() && matches!(asked, None | Some(0));
    if initial || whole {
        let prefix = prefix(target);
        let objects = store
            .of(target.kind)
            .filter(|(path, object)| path.starts_with(&prefix) && selector.matches(object));
        lines.extend(objects.map(|(_, object)| event("ADDED", object)));
    }
    if initial && call.flag("allowWatchBookmarks") {
        lines.push_back(bookmark(target, Some(&store.revision().to_string()), true));
    }
    let position = if initial || whole {
        store.revision()
    } else {
        asked.unwrap_or_else(|| store.revision())
    };
    // What is asked for begins after the position.
    if position < store.compacted().saturating_sub(1) {
        return Err(Failure::too_old(position, store.compacted()));
    }
    Ok((Start { position, lines }, selector))
}

/// One open watch.
pub(super) struct Watcher {
    cluster: Arc<Shared>,
    target: Target,
    selector: Selector,
    position: u64,
    lines: VecDeque<String>,
    revision: watch::Receiver<u64>,
    commands: broadcast::Receiver<Command>,
    deadline: Instant,
    bookmarks: Option<Instant>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Silent,
    Severed,
    Ended,
}

impl Watcher {
    pub(super) fn new(
        cluster: Arc<Shared>,
        call: &Call,
        target: Target,
        start: Start,
        selector: Selector,
    ) -> Self {
        let seconds = call.number("timeoutSeconds").ok().flatten().unwrap_or(1800);
        let now = Instant::now();
        Self {
            revision: cluster.revisions.subscribe(),
            commands: cluster.commands.subscribe(),
            bookmarks: call
                .flag("allowWatchBookmarks")
                .then(|| now + cluster.bookmark_every()),
            cluster,
            target,
            selector,
            position: start.position,
            lines: start.lines,
            deadline: now + Duration::from_secs(seconds),
            state: State::Open,
        }
    }

    /// The body of the answer.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Severed>> + Send {
        stream::unfold(self, |mut watcher| async move {
            watcher.next().await.map(|item| (item, watcher))
        })
    }

    async fn next(&mut self) -> Option<Result<Bytes, Severed>> {
        loop {
            match self.state {
                State::Silent => std::future::pending().await,
                State::Severed => {
                    self.state = State::Ended;
                    return Some(Err(Severed));
                }
                State::Ended if self.lines.is_empty() => return None,
                State::Open | State::Ended => {}
            }
            while let Ok(command) = self.commands.try_recv() {
                self.obey(&command);
            }
            if self.state == State::Open {
                self.read();
            }
            if self.state == State::Silent {
                continue;
            }
            if !self.lines.is_empty() {
                let text: String = self.lines.drain(..).collect();
                return Some(Ok(Bytes::from(text)));
            }
            if self.state == State::Open {
                self.wait().await;
            }
        }
    }

    async fn wait(&mut self) {
        let bookmark = self.bookmarks.unwrap_or(self.deadline);
        tokio::select! {
            biased;
            command = self.commands.recv() => match command {
                Ok(command) => self.obey(&command),
                Err(_) => self.state = State::Ended,
            },
            changed = self.revision.changed() => if changed.is_err() {
                self.state = State::Ended;
            },
            () = tokio::time::sleep_until(self.deadline) => self.state = State::Ended,
            () = tokio::time::sleep_until(bookmark), if self.bookmarks.is_some() => {
                self.bookmarks = Some(Instant::now() + self.cluster.bookmark_every());
                // A watch from a version that is not reached yet, as after a restored backup, gets no bookmark.
                if self.position <= *self.revision.borrow() {
                    self.lines.push_back(bookmark_line(&self.target, self.position));
                }
            }
        }
    }

    fn obey(&mut self, command: &Command) {
        let plural = kind_of(self.target.kind).plural;
        if command
            .resource
            .as_deref()
            .is_some_and(|resource| resource != plural)
            || self.state != State::Open
        {
            return;
        }
        match &command.fault {
            WatchFault::Close => self.state = State::Ended,
            WatchFault::Silence => {
                self.lines.clear();
                self.state = State::Silent;
            }
            WatchFault::Sever => {
                self.lines
                    .push_back(r#"{"type":"MODIFIED","object":{"metadata":{"name":"#.to_owned());
                self.state = State::Severed;
            }
            WatchFault::Error(code) => {
                self.lines.push_back(error(&status_of(*code)));
                self.state = State::Ended;
            }
            WatchFault::Line(line) => self.lines.push_back(format!("{line}\n")),
            WatchFault::Bookmark(version) => {
                self.lines
                    .push_back(bookmark(&self.target, version.as_deref(), false));
            }
        }
    }

    /// Takes the changes since the last look.
    fn read(&mut self) {
        self.revision.borrow_and_update();
        let cluster = Arc::clone(&self.cluster);
        cluster.with_store(|store| {
            if !store.remembers(self.position) {
                self.lines
                    .push_back(error(&Failure::too_old(self.position, store.compacted())));
                self.state = State::Ended;
                return;
            }
            let prefix = prefix(&self.target);
            for change in store
                .since(self.position)
                .filter(|change| change.kind == self.target.kind)
            {
                if super::store::path_of(&change.object).starts_with(&prefix)
                    && let Some(line) = self.line(change)
                {
                    self.lines.push_back(line);
                }
            }
            self.position = self.position.max(store.revision());
        });
    }

    /// A change as this watch's selector sees it: an object that leaves the selection is deleted for it.
    fn line(&self, change: &Change) -> Option<String> {
        let before = change
            .before
            .as_ref()
            .is_some_and(|before| self.selector.matches(before));
        let after = !change.deleted && self.selector.matches(&change.object);
        Some(match (before, after) {
            (false, true) => event("ADDED", &change.object),
            (true, true) => event("MODIFIED", &change.object),
            (true, false) => {
                // It is told as it last was, at the version at which it left.
                let mut last = Value::clone(change.before.as_ref()?);
                let version = text(&change.object, "/metadata/resourceVersion");
                set(&mut last, "/metadata", "resourceVersion", json!(version));
                event("DELETED", &last)
            }
            (false, false) => return None,
        })
    }
}

fn prefix(target: &Target) -> String {
    target
        .namespace
        .as_ref()
        .map_or_else(String::new, |namespace| format!("{namespace}/"))
}

fn event(kind: &str, object: &Value) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

fn error(failure: &Failure) -> String {
    event("ERROR", &failure.status())
}

fn status_of(code: u16) -> Failure {
    match code {
        410 => Failure::expired("too old resource version: 1 (2)"),
        code => Failure::new(
            code,
            "InternalError",
            "an error on the server has prevented the request from succeeding",
        ),
    }
}

fn bookmark_line(target: &Target, position: u64) -> String {
    bookmark(target, Some(&position.to_string()), false)
}

fn bookmark(target: &Target, version: Option<&str>, end_of_list: bool) -> String {
    let kind = kind_of(target.kind);
    let mut metadata = json!({"creationTimestamp": null});
    if let Some(map) = metadata.as_object_mut() {
        if let Some(version) = version {
            map.insert("resourceVersion".to_owned(), json!(version));
        }
        if end_of_list {
            map.insert(
                "annotations".to_owned(),
                json!({"k8s.io/initial-events-end": "true"}),
            );
        }
    }
    let object = json!({"kind": kind.name, "apiVersion": kind.api_version(), "metadata": metadata});
    event("BOOKMARK", &object)
}
