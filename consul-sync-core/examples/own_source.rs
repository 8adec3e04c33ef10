//! A source of one's own: services from a file, a line for each, as in `web 10.0.0.1 10.0.0.2`.
//!
//! `cargo run --example own_source -- services.txt` prints what a sink that holds nothing would be given.

use std::{env, fs, path::PathBuf, sync::Arc, time::Duration};

use consul_sync_core::{
    Address, ErrorKind, Event, Instance, Key, Reason, Rejection, Service, ServiceName, Settings,
    Source, SourceError, plan, testing::MemorySink,
};
use futures::{StreamExt, stream, stream::BoxStream};

#[derive(Debug)]
struct Lines(PathBuf);

type Item = Result<Event<Key, Arc<Service>>, SourceError>;

/// A line that cannot be used is rejected by its name, and keeps what it last stood for.
fn event(line: &str) -> Event<Key, Arc<Service>> {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap_or_default();
    let key = Key::new("file", name);
    let bad = |reason, what: String| Event::Rejected(key.clone(), Rejection::new(reason, what));
    let Ok(name) = ServiceName::new(name) else {
        return bad(
            Reason::InvalidName,
            format!("{name:?} is no name of a service"),
        );
    };
    let mut service = Service::new(key.clone(), name);
    for word in words {
        match word.parse() {
            Ok(ip) => service.instances.push(Instance::new(Address::Ip(ip))),
            Err(_) => return bad(Reason::InvalidAddress, format!("{word:?} is no IP address")),
        }
    }
    Event::Upserted(key.clone(), Arc::new(service))
}

impl Source for Lines {
    fn name(&self) -> &'static str {
        "file"
    }

    fn watch(&self) -> BoxStream<'static, Item> {
        let path = self.0.clone();
        let listing = move |_| -> Vec<Item> {
            let end = match fs::read_to_string(&path) {
                Ok(text) => {
                    let lines = text.lines().filter(|line| !line.trim().is_empty());
                    let events = lines.map(event).chain([Event::RelistDone]);
                    events.map(Ok).collect()
                }
                // What cannot be read has not gone: without `RelistDone` nothing is removed.
                Err(error) => vec![Err(SourceError::new(
                    ErrorKind::Unavailable,
                    format!("cannot read {}: {error}", path.display()),
                ))],
            };
            [Ok(Event::RelistStarted)].into_iter().chain(end).collect()
        };
        // A file has no watch here: it is listed every second.
        let ticks = stream::unfold(0, |at| async move {
            if at > 0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Some((at, at + 1))
        });
        ticks.map(listing).flat_map(stream::iter).boxed()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = env::args_os().nth(1).ok_or("which file?")?;
    let source = Lines(path.into());
    println!(
        "{:#?}",
        plan(&source, &MemorySink::default(), &Settings::default()).await?
    );
    Ok(())
}
