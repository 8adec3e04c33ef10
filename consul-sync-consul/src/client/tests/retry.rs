//! What is tried again, where, and until when.

use std::time::Duration;

use consul_sync_core::{AdapterError, ErrorKind};

use super::{
    super::{Client, ClientSettings},
    client, impatient, listing,
    peer::{Peer, Reply, raw, status},
    read, settings, write,
};

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
    let client = Client::new(settings(&[&busy, &idle])).unwrap();
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
