//! Listing one kind of object in one place, in pages of one version or as a stream.

use futures::StreamExt;
use kube::api::WatchEvent;
use serde::Deserialize;
use tokio::time::timeout;

use super::{
    coroutine::Emitter,
    events::{Broken, events},
    kind::{Place, number},
    problem::{Asked, Problem, Verdict},
};
use crate::{
    Verb,
    slim::{Kind, Object},
};

/// One page as the server sends it.
#[derive(Debug, Deserialize)]
#[serde(bound = "B: Kind")]
struct Page<B> {
    #[serde(default)]
    metadata: PageMeta,
    #[serde(default = "Option::default")]
    items: Option<Vec<Object<B>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PageMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    token: Option<String>,
}

/// How a listing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Pages,
    /// In one piece: the pages took so long that their version was forgotten.
    Whole,
    Stream,
}

/// Lists everything, each object as it comes. Answers the version to go on from.
///
/// Objects that were emitted by a listing that failed are void: the caller begins a new one.
pub(crate) async fn list<B: Kind, T>(
    place: &Place<B>,
    manner: Manner,
    highest: Option<u64>,
    emitter: &Emitter<T>,
    wrap: impl Fn(Object<B>) -> T,
) -> Result<String, Problem> {
    let version = match manner {
        Manner::Stream => stream(place, highest, emitter, wrap).await?,
        Manner::Pages => pages(place, false, highest, emitter, wrap).await?,
        Manner::Whole => pages(place, true, highest, emitter, wrap).await?,
    };
    Ok(version)
}

async fn pages<B: Kind, T>(
    place: &Place<B>,
    whole: bool,
    highest: Option<u64>,
    emitter: &Emitter<T>,
    wrap: impl Fn(Object<B>) -> T,
) -> Result<String, Problem> {
    let asked = place.asked(Verb::List);
    let limit = place.settings.list_timeout;
    let first = if whole { 0 } else { place.first_page() };
    let (mut token, mut size): (Option<String>, _) = (None, first);
    loop {
        let request = place
            .request()
            .list(&place.list_params(token.as_deref(), size))
            .map_err(|error| Problem::of(asked, kube::Error::BuildRequest(error)))?;
        // The limit is around the client's own repetitions, which may go on for minutes.
        let text = timeout(limit, place.client.request_text(request))
            .await
            .map_err(|_| Problem::timeout(asked, limit))?
            .map_err(|error| Problem::of(asked, error))?;
        let page: Page<B> =
            serde_json::from_str(&text).map_err(|error| Problem::garbled(asked, error))?;
        let bytes = text.len();
        drop(text);
        let version = page.metadata.resource_version;
        is_current(asked, &version, highest)?;
        let Some(items) = page.items else {
            return Err(Problem::incomplete(
                asked,
                "the answer has no items; it is no list",
            ));
        };
        size = place.settings.next_page(first, items.len(), bytes);
        for object in items {
            emitter.emit(wrap(object)).await;
        }
        match page.metadata.token {
            Some(next) if !next.is_empty() => token = Some(next),
            _ => return Ok(version),
        }
    }
}

async fn stream<B: Kind, T>(
    place: &Place<B>,
    highest: Option<u64>,
    emitter: &Emitter<T>,
    wrap: impl Fn(Object<B>) -> T,
) -> Result<String, Problem> {
    let asked = place.asked(Verb::Watch);
    let limit = place.settings.list_timeout;
    let params = place.watch_params().initial_events();
    // The empty version asks for the newest state; "0", which kube's own watcher sends, for any.
    let request = place
        .request()
        .watch(&params, "")
        .map_err(|error| Problem::of(asked, kube::Error::BuildRequest(error)))?;
    let mut events = timeout(limit, events(&place.client, asked, request))
        .await
        .map_err(|_| Problem::timeout(asked, limit))??;
    loop {
        let said = timeout(limit, events.next())
            .await
            .map_err(|_| Problem::timeout(asked, limit))?;
        let event = match said {
            Some(Ok(event)) => event,
            Some(Err(Broken::Garbled(error))) => return Err(Problem::garbled(asked, error)),
            Some(Err(Broken::Off(_))) | None => {
                return Err(Problem::incomplete(
                    asked,
                    "the listing broke off before its end",
                ));
            }
        };
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                emitter.emit(wrap(object)).await;
            }
            WatchEvent::Deleted(_) => {
                return Err(Problem::incomplete(
                    asked,
                    "the listing holds a deletion, which none can",
                ));
            }
            WatchEvent::Error(status) => return Err(Problem::status(asked, &status)),
            WatchEvent::Bookmark(bookmark) => {
                if bookmark
                    .metadata
                    .annotations
                    .contains_key("k8s.io/initial-events-end")
                {
                    let version = bookmark.metadata.resource_version;
                    is_current(asked, &version, highest)?;
                    return Ok(version);
                }
            }
        }
    }
}

/// Refuses a listing without a version, or one older than what was seen before: another server of the cluster may
/// lag behind, and deleting by its answer would take away what is newer.
fn is_current(asked: Asked<'_>, version: &str, highest: Option<u64>) -> Result<(), Problem> {
    if version.is_empty() {
        return Err(Problem::incomplete(
            asked,
            "the answer has no resourceVersion; it is no list that can be watched",
        ));
    }
    match (number(version), highest) {
        (Some(version), Some(highest)) if version < highest => {
            let mut problem = Problem::incomplete(
                asked,
                format_args!(
                    "the answer is of version {version}, older than {highest}, which was seen before"
                ),
            );
            problem.verdict = Verdict::Stale;
            Err(problem)
        }
        _ => Ok(()),
    }
}
