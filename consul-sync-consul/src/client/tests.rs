//! The client against peers that do not behave.

mod peer;

use std::{io::Write, time::Duration};

use bytes::Bytes;
use consul_sync_core::{AdapterError, ErrorKind};
use flate2::{Compression, write::GzEncoder};

use self::peer::{Peer, Reply, json, raw, status};
use super::{Client, ClientSettings};
use crate::{Error, Secret, TokenSource, answer::Answer, request::Request};

fn settings(peers: &[&Peer]) -> ClientSettings {
    let addresses: Vec<String> = peers.iter().map(|peer| peer.url()).collect();
    let mut settings = ClientSettings::new(addresses.join(","));
    settings.timeout = Duration::from_secs(20);
    settings
}

fn client(peers: &[&Peer]) -> Client {
    Client::new(settings(peers)).unwrap()
}

/// A client with a deadline that a test can wait for.
fn impatient(peer: &Peer) -> Client {
    let mut settings = settings(&[peer]);
    settings.timeout = Duration::from_millis(200);
    Client::new(settings).unwrap()
}

fn read() -> Request {
    Request::get(&["catalog", "node-services", "n"]).consistent()
}

fn write() -> Request {
    Request::put(&["txn"], Bytes::from_static(b"[]"))
}

fn listing() -> Reply {
    json(r#"{"Node":null,"Services":null}"#)
}

fn parse(answer: &Answer) -> Result<serde_json::Value, Error> {
    answer.json()
}

#[tokio::test]
async fn a_request_has_its_headers_and_a_connection_is_used_again() {
    let peer = Peer::start([listing(), listing()]).await;
    let mut settings = settings(&[&peer]);
    settings.token = TokenSource::Value(Secret::new("canary"));
    settings.datacenter = Some("dc 1".into());
    let client = Client::new(settings).unwrap();
    for _ in 0..2 {
        client.call(&client.scoped(read())).await.unwrap();
    }
    let requests = peer.requests();
    assert_eq!(requests.len(), 2);
    assert!(
        requests[0].starts_with("GET /v1/catalog/node-services/n?consistent&dc=dc%201 HTTP/1.1")
    );
    let head = requests[0].to_lowercase();
    for header in [
        "x-consul-token: canary",
        "accept-encoding: gzip",
        "host: 127.0.0.1",
    ] {
        assert!(head.contains(header), "{head}");
    }
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn fault_c04_an_index_that_is_missing_or_no_number_is_an_error() {
    for (header, problem) in [
        ("", "missing"),
        ("X-Consul-Index: -1\r\n", "not a number"),
        ("X-Consul-Index: 18446744073709551616\r\n", "not a number"),
        ("X-Consul-Index: x\r\n", "not a number"),
    ] {
        let head = format!("Content-Type: application/json\r\n{header}");
        let peer = Peer::start([raw(200, &head, b"[]")]).await;
        let error = client(&[&peer])
            .call(&read())
            .await
            .unwrap()
            .index()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains(problem), "{error}");
    }
}

#[tokio::test]
async fn fault_c03_an_index_of_zero_is_one() {
    let head = "Content-Type: application/json\r\nX-Consul-Index: 0\r\n";
    let peer = Peer::start([raw(200, head, b"[]")]).await;
    let answer = client(&[&peer]).call(&read()).await.unwrap();
    assert_eq!(answer.index().unwrap(), 1);
}

#[tokio::test]
async fn fault_c07_a_peer_that_never_answers_is_given_up() {
    let peer = Peer::start([Reply::Hang]).await;
    let error = impatient(&peer).call(&read()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("within 0.2 s"), "{error}");
}

#[tokio::test]
async fn fault_g07_a_byte_now_and_then_does_not_extend_the_deadline() {
    for part in [
        b"HTTP/1.1 200 OK\r\nX-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n[                    ".to_vec(),
    ] {
        let peer = Peer::start([Reply::Drip(part, Duration::from_millis(30))]).await;
        let error = impatient(&peer).call(&read()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
}

#[tokio::test]
async fn fault_c12_a_server_that_is_busy_is_left_for_the_next_one() {
    let busy = Peer::start([status(429, "rate limit exceeded")]).await;
    let idle = Peer::start([listing(), listing(), listing()]).await;
    let client = client(&[&busy, &idle]);
    client.call(&read()).await.unwrap();
    // A write that was refused for the rate was not applied: it may go to the next server, too.
    client.call(&write()).await.unwrap();
    assert_eq!((busy.requests().len(), idle.requests().len()), (1, 2));

    let busy = Peer::start([status(429, "rate limit exceeded")]).await;
    let idle = Peer::start([listing()]).await;
    let client = super::Client::new(settings(&[&busy, &idle])).unwrap();
    client.call(&write()).await.unwrap();
    assert_eq!(idle.requests().len(), 1);
}

#[tokio::test]
async fn fault_c12_a_read_is_tried_again_and_what_the_server_asks_for_is_known() {
    let head = "Content-Type: text/plain\r\nRetry-After: 0\r\n";
    let busy = || raw(503, head, b"unavailable");
    let peer = Peer::start([busy(), busy(), listing()]).await;
    client(&[&peer]).call(&read()).await.unwrap();
    assert_eq!(peer.requests().len(), 3);

    let peer = Peer::start([raw(503, "Retry-After: 7\r\n", b"later")]).await;
    let error = impatient(&peer).call(&read()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_write_without_a_clear_answer_is_never_sent_again() {
    for reply in [
        status(500, "rpc error making call: EOF"),
        status(503, "unavailable"),
        Reply::Close,
        Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[".to_vec()),
    ] {
        let peer = Peer::start([reply, listing()]).await;
        let other = Peer::start([listing()]).await;
        let error = client(&[&peer, &other]).call(&write()).await.unwrap_err();
        assert!(error.may_have_been_applied(), "{error}");
        assert_eq!((peer.requests().len(), other.requests().len()), (1, 0));
    }
    let peer = Peer::start([Reply::Hang]).await;
    let error = impatient(&peer).call(&write()).await.unwrap_err();
    assert!(error.may_have_been_applied(), "{error}");
}

#[tokio::test]
async fn fault_g09_a_server_that_cannot_be_reached_is_left_for_the_next_one() {
    let gone = Peer::start([]).await;
    let url = gone.url();
    drop(gone);
    let peer = Peer::start([listing(), listing()]).await;
    let mut settings = settings(&[&peer]);
    settings.addresses.insert(0, url.clone());
    let client = Client::new(settings).unwrap();
    client.call(&write()).await.unwrap();
    client.call(&read()).await.unwrap();
    assert_eq!(peer.requests().len(), 2);

    let alone = Client::new(ClientSettings::new(url)).unwrap();
    let error = alone.call(&write()).await.unwrap_err();
    assert!(!error.may_have_been_applied());
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = AdapterError::from(error);
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn fault_g09_a_name_is_tried_at_each_of_its_addresses() {
    let peer = Peer::start([listing()]).await;
    let url = peer.url();
    let port = url.rsplit(':').next().unwrap();
    // Where `localhost` has an IPv6 address, nobody listens there.
    let client = Client::new(ClientSettings::new(format!("localhost:{port}"))).unwrap();
    client.call(&read()).await.unwrap();
}

#[tokio::test]
async fn fault_g10_a_read_on_a_connection_that_was_closed_meanwhile_is_sent_again() {
    // The second request meets a connection that is closed when it arrives.
    let peer = Peer::start([listing(), Reply::Close, listing()]).await;
    let client = client(&[&peer]);
    client.call(&read()).await.unwrap();
    client.call(&read()).await.unwrap();
    assert_eq!(peer.requests().len(), 3);
}

#[tokio::test]
async fn fault_c14_an_answer_beyond_the_limit_is_an_error_and_never_a_short_answer() {
    let large = format!("[{}1]", "1,".repeat(50_000));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(large.as_bytes()).unwrap();
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < 1000);
    let head = "Content-Type: application/json\r\n";
    let packed = format!("{head}Content-Encoding: gzip\r\n");

    for (head, body) in [(head, large.as_bytes()), (&packed, &bomb)] {
        let peer = Peer::start([raw(200, head, body), raw(200, head, body)]).await;
        let mut settings = settings(&[&peer]);
        settings.answer_limit = 50_000;
        let small = Client::new(settings).unwrap();
        let error = match small.call(&read()).await {
            Ok(answer) => parse(&answer).unwrap_err(),
            Err(error) => error,
        };
        assert!(
            matches!(error, Error::TooLarge { limit: 50_000, .. }),
            "{error}"
        );
        let whole = client(&[&peer]).call(&read()).await.unwrap();
        assert_eq!(parse(&whole).unwrap().as_array().unwrap().len(), 50_001);
    }
}

#[tokio::test]
async fn fault_c20_what_is_not_consuls_answer_is_refused() {
    let html = b"<html>welcome</html>";
    for (reply, problem) in [
        (
            raw(200, "Content-Type: text/html\r\n", html),
            "content type is text/html",
        ),
        (raw(200, "", html), "content type is missing"),
        (raw(204, "", b""), "status is 204"),
        (
            raw(301, "Location: http://127.0.0.1:1/\r\n", b""),
            "status is 301",
        ),
        (
            raw(302, "Location: http://127.0.0.1:1/\r\n", b""),
            "status is 302",
        ),
        (
            raw(
                200,
                "Content-Type: application/json\r\nContent-Encoding: br\r\n",
                b"[]",
            ),
            "content coding",
        ),
        (
            Reply::Bytes(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n[]".to_vec()),
            "HTTP/1.0",
        ),
    ] {
        let peer = Peer::start([reply, listing()]).await;
        let error = client(&[&peer]).call(&read()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(error.to_string().contains(problem), "{error}");
        assert_eq!(peer.requests().len(), 1, "{problem}");
    }
}

#[tokio::test]
async fn a_body_that_is_cut_or_damaged_is_an_error() {
    for body in ["", "[", "[1,", "[1] x", "{\"a\""] {
        let peer = Peer::start([json(body)]).await;
        let answer = client(&[&peer]).call(&read()).await.unwrap();
        assert_eq!(
            parse(&answer).unwrap_err().kind(),
            ErrorKind::Protocol,
            "{body}"
        );
    }
    let head = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
    let peer = Peer::start([raw(200, head, b"[1]")]).await;
    let answer = client(&[&peer]).call(&read()).await.unwrap();
    assert!(parse(&answer).is_err());
}

#[tokio::test]
async fn fault_c11_an_error_says_what_the_server_said_and_what_to_do() {
    for (code, text, kind, hint) in [
        (
            500,
            "No cluster leader",
            ErrorKind::Unavailable,
            "no leader at the moment",
        ),
        (
            500,
            "No path to datacenter",
            ErrorKind::Unavailable,
            "name of the datacenter",
        ),
        (
            403,
            "ACL not found",
            ErrorKind::Unauthorized,
            "token is not known there",
        ),
        (
            403,
            "Permission denied",
            ErrorKind::Unauthorized,
            "give the token the right",
        ),
        (
            400,
            "Namespaces are a Consul Enterprise feature",
            ErrorKind::Protocol,
            "unset",
        ),
        (404, "no such thing", ErrorKind::Protocol, "no such thing"),
    ] {
        let peer = Peer::start(vec![status(code, text); 3]).await;
        let error = client(&[&peer]).call(&write()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let shown = error.to_string();
        assert!(shown.contains(text) && shown.contains(hint), "{shown}");
        assert!(shown.contains("PUT /v1/txn on http://127.0.0.1"), "{shown}");
    }
}

#[tokio::test]
async fn fault_g04_a_token_that_was_refused_is_read_again_and_tried_once_more() {
    let path = std::env::temp_dir().join(format!("consul-sync-client-{}", std::process::id()));
    std::fs::write(&path, "old").unwrap();
    let peer = Peer::start([
        status(403, "ACL not found"),
        listing(),
        status(403, "ACL not found"),
    ])
    .await;
    let mut settings = settings(&[&peer]);
    settings.token = TokenSource::File(path.clone());
    let client = Client::new(settings).unwrap();
    // A change that the file system's clock does not show.
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    std::fs::write(&path, "new").unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(before).unwrap();
    client.call(&read()).await.unwrap();
    let carried = |at: usize, token: &str| {
        let head = peer.requests()[at].to_lowercase();
        assert!(
            head.contains(&format!("x-consul-token: {token}\r\n")),
            "{head}"
        );
    };
    carried(0, "old");
    carried(1, "new");
    let error = client.call(&read()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn the_token_is_in_no_error_though_the_server_repeats_it() {
    let peer = Peer::start([status(403, "token canary-7f is unknown")]).await;
    let mut settings = settings(&[&peer]);
    settings.token = TokenSource::Value(Secret::new("canary-7f"));
    assert!(!format!("{settings:?}").contains("canary"));
    let client = Client::new(settings).unwrap();
    let error = client.call(&write()).await.unwrap_err();
    let adapter = format!(
        "{:?}",
        AdapterError::from(client.call(&write()).await.unwrap_err())
    );
    for text in [
        error.to_string(),
        format!("{error:?}"),
        format!("{client:?}"),
        adapter,
    ] {
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn fault_c13_no_more_requests_are_under_way_than_there_are_connections() {
    let peer = Peer::start(vec![listing(); 12]).await;
    let mut settings = settings(&[&peer]);
    settings.connections = 2;
    let client = Client::new(settings).unwrap();
    let request = read();
    let calls = (0..12).map(|_| client.call(&request));
    for result in futures::future::join_all(calls).await {
        result.unwrap();
    }
    assert!(peer.connections() <= 2);
}
