//! The service behind the client: kube's own, made anew when a file that it was made from changes.
//!
//! kube reads certificates once, but for the authority of a pod's service account. Making the whole client anew leaves
//! every rule about files and headers to kube. What is under way on connections of the one before goes on there;
//! requests that begin later make new connections.

use std::{
    fmt::Write,
    path::PathBuf,
    task::{Context, Poll},
};

use consul_sync_consul::Followed;
use futures::{FutureExt, future::BoxFuture};
use hyper::{Request, Response};
use kube::{Client, Config, Error, client::Body};
use tower_service::Service;

use super::Way;
use crate::chain::Chain;

/// Sends requests through the client of the moment.
pub(super) struct Following {
    way: Way,
    /// What the client is made from, beside the way.
    files: Vec<PathBuf>,
    client: Followed<Client>,
}

impl Following {
    /// Makes the first client, so that files that cannot be used are known at once. `config` is the way's.
    ///
    /// # Errors
    /// Names the server and the files.
    pub(super) fn new(way: Way, config: &Config) -> Result<Self, String> {
        let following = Self {
            way,
            files: files(config),
            client: Followed::default(),
        };
        following.client()?;
        Ok(following)
    }

    fn client(&self) -> Result<Client, String> {
        self.client.get(&self.files, || {
            let problem = |error: &dyn std::error::Error| {
                let mut problem = "cannot make a client for the API server".to_owned();
                for (at, file) in self.files.iter().enumerate() {
                    let word = if at == 0 { " of" } else { "," };
                    // Writing to a String cannot fail.
                    let _ = write!(problem, "{word} {}", file.display());
                }
                format!("{problem}: {}", Chain(error))
            };
            Client::try_from(self.way.config()?).map_err(|error| problem(&error))
        })
    }
}

/// The files with credentials that a configuration names.
fn files(config: &Config) -> Vec<PathBuf> {
    let user = &config.auth_info;
    let of_user = [&user.client_certificate, &user.client_key, &user.token_file];
    let of_user = of_user.into_iter().flatten().map(PathBuf::from);
    config
        .root_cert_file
        .iter()
        .cloned()
        .chain(of_user)
        .collect()
}

impl Service<Request<Body>> for Following {
    type Response = Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Body>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let client = self.client();
        async move {
            // There was a client before, so there is one; the type does not know that.
            let client = client.map_err(|problem| Error::Service(problem.into()))?;
            client.send(request).await
        }
        .boxed()
    }
}
