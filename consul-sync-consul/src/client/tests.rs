//! The client against peers that do not behave.

mod discovery;
#[cfg(feature = "testing")]
mod login;
mod peer;
mod retry;

use std::{io::Write, time::Duration};

use bytes::Bytes;
use consul_sync_core::{AdapterError, ErrorKind};
use flate2::{Compression, write::GzEncoder};
use tokio::io::AsyncReadExt;

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

#[tokio::test]
async fn fault_g06_an_https_address_is_never_spoken_to_in_plain() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let first = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap()
    });
    let mut settings = ClientSettings::new(format!("https://{address}"));
    settings.timeout = Duration::from_secs(20);
    let error = Client::new(settings).unwrap().call(&write()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unavailable);
    // The first byte of a TLS handshake.
    assert_eq!(first.await.unwrap(), 0x16);
}
