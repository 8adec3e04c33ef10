//! The token is in nothing that anybody can read.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use consul_sync_consul::{
    Secret, TokenSource, preflight,
    testing::{DefaultPolicy, Endpoint, FakeConsul, Fault, Rules},
};
use consul_sync_core::Sink;
use tracing_subscriber::fmt::MakeWriter;

use super::support::{Events, NODE, creates, planned, service, sink_with, slot, write};

const CANARY: &str = "canary-0b6f2f6e";

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_token_is_in_no_log_no_error_and_no_debug_output() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    // For the whole process, so that no test beside this one decides for itself which lines are of interest; this is
    // the only one that sets it.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let mut said: Vec<String> = Vec::new();
    let mut say =
        |thing: &dyn std::fmt::Debug| said.extend([format!("{thing:?}"), format!("{thing:#?}")]);

    let consul = FakeConsul::builder()
        .acl(DefaultPolicy::Deny)
        .token(CANARY, Rules::sync(NODE))
        .start()
        .await
        .unwrap();
    let sink = sink_with(&consul.url(), |settings| {
        settings.token = TokenSource::Value(Secret::new(CANARY));
    });
    say(&sink);
    say(&sink.client());
    write(&sink, &[service("web", 2)]).await;
    say(&preflight(&sink).await);
    let ops = planned(&sink, &[service("web", 3)]).await;
    say(&ops);
    let mut events = Events::of(&sink);
    say(&events.listing().await);
    // Every way in which a call can fail, with the token in what the server says.
    for fault in [
        Fault::new().error_before(403, &format!("token {CANARY} is unknown")),
        Fault::new().error_before(500, &format!("raft failed for {CANARY}")),
        Fault::new().error_before(400, &format!("Failed to parse body: {CANARY}")),
        Fault::new()
            .on(Endpoint::Txn)
            .refuse(|_| Some(format!("odd {CANARY}"))),
        Fault::new().reset_after(),
        Fault::new().cut(3),
        Fault::new().header("content-type", "text/html"),
        Fault::new().without_header("x-consul-index"),
    ] {
        consul.clear_faults();
        consul.inject(fault);
        say(&sink.apply(&ops).await);
        say(&sink.read(&[slot("web")]).await);
        say(&preflight(&sink).await);
    }
    consul.clear_faults();
    consul.inject(
        Fault::new()
            .on(Endpoint::NodeServices)
            .error_before(403, CANARY),
    );
    consul.disconnect();
    say(&events.next().await);
    consul.clear_faults();
    consul.revoke_token(CANARY);
    say(&sink.apply(&creates(&sink, &service("x", 1))).await);
    let _ = events.is_quiet(Duration::from_millis(50)).await;

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        logged.contains("without a clear answer"),
        "the log is empty: {logged}"
    );
    said.push(logged);
    for text in said {
        assert!(!text.contains(CANARY), "{text}");
    }
}
