//! Servers that a command finds, and finds again.

use std::path::PathBuf;

use super::*;

/// A command that prints what a file holds.
struct Found {
    folder: PathBuf,
}

impl Found {
    fn new(name: &str, addresses: &str) -> Self {
        let folder = format!("consul-sync-discovery-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let found = Self { folder };
        found.print(addresses);
        found
    }

    fn file(&self) -> PathBuf {
        self.folder.join("addresses")
    }

    fn print(&self, addresses: &str) {
        std::fs::write(self.file(), addresses).unwrap();
    }

    fn client(&self) -> Client {
        let mut settings = ClientSettings::new(String::new());
        settings.address_command = Some(format!("/bin/cat {}", self.file().display()));
        settings.timeout = Duration::from_secs(20);
        Client::new(settings).unwrap()
    }
}

impl Drop for Found {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn address(peer: &Peer) -> String {
    peer.url().replace("http://", "")
}

#[tokio::test]
async fn the_command_is_run_once_and_every_server_that_it_named_is_used() {
    let (first, second) = (
        Peer::start([Reply::Close]).await,
        Peer::start([listing()]).await,
    );
    let found = Found::new("once", &format!("{} {}", address(&first), address(&second)));
    let client = found.client();
    assert_eq!(client.servers(), "addresses that /bin/cat prints");
    client.call(&read()).await.unwrap();
    assert_eq!(
        (first.requests().len(), second.requests().len()),
        (1, 1),
        "the next one is asked where one failed"
    );
    found.print("127.0.0.1:1");
    assert_eq!(
        client.servers(),
        format!("{}, {}", first.url(), second.url())
    );
}

#[tokio::test]
async fn it_is_run_again_when_all_have_failed_and_an_unsent_write_goes_to_the_new_ones() {
    let other = Peer::start([listing(), listing()]).await;
    let found = Found::new("again", "127.0.0.1:1");
    let client = found.client();
    let error = client.call(&write()).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    found.print(&address(&other));
    // The command is not run twice within a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    client.call(&write()).await.unwrap();
    assert_eq!(client.servers(), other.url());
}

#[tokio::test]
async fn while_it_fails_the_servers_known_before_stay_in_use() {
    let peer = Peer::start([status(500, "No cluster leader"), listing()]).await;
    let found = Found::new("fails", &address(&peer));
    let client = found.client();
    client.call(&write()).await.unwrap_err();
    std::fs::remove_file(found.file()).unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    client.call(&write()).await.unwrap();
}

#[tokio::test]
async fn without_any_server_the_error_says_what_the_command_did() {
    let found = Found::new("none", "");
    std::fs::remove_file(found.file()).unwrap();
    let error = found.client().call(&read()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let told = error.to_string();
    assert!(
        told.contains("/bin/cat") && told.contains("No such file"),
        "{told}"
    );
    assert!(!error.may_have_been_applied());
}
