//! The token of a request, and the login that it may take to have one.

use std::{
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderValue;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Attempt, Client, Inner, servers::Server};
use crate::{
    Error, Login,
    login::Standing,
    request::Request,
    wire::{LoginAnswer, LoginRequest},
};

/// A server that is behind does not know a new token for a moment.
const KNOWN_WITHIN: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(100);

impl Client {
    /// The token for a request to this server. A login comes before the request that needs it, and has its own connection of
    /// the pool, not its own turn among the requests under way: those may wait for it.
    pub(super) async fn token(&self, server: &Server) -> Result<Option<HeaderValue>, Error> {
        match self.0.token.login() {
            None => self.0.token.header(),
            // Large, and mostly not there.
            Some(login) => Box::pin(self.logged_in(login, server)).await.map(Some),
        }
    }

    async fn logged_in(&self, login: &Login, server: &Server) -> Result<HeaderValue, Error> {
        let due = match login.standing() {
            Standing::Good(header) => return Ok(header),
            Standing::Due(header) => Some(header),
            Standing::Absent => None,
        };
        let _turn = match (login.turn_now(), due) {
            (Some(turn), _) => turn,
            // Somebody else is at it.
            (None, Some(header)) => return Ok(header),
            (None, None) => login.turn().await,
        };
        let due = match login.standing() {
            Standing::Good(header) => return Ok(header),
            Standing::Due(header) => Some(header),
            Standing::Absent => None,
        };
        match (self.log_in(login, server).await, due) {
            (Ok(header), _) => Ok(header),
            (Err(error), Some(header)) => {
                login.postpone();
                tracing::warn!(%error, "the next login failed; the token of the last one stays in use");
                Ok(header)
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn log_in(&self, login: &Login, server: &Server) -> Result<HeaderValue, Error> {
        let settings = login.settings();
        let bearer_token = login.bearer()?;
        let failed = |source: Error| Error::Login {
            method: settings.method.clone(),
            source: Box::new(source),
        };
        let body = serde_json::to_vec(&LoginRequest {
            auth_method: &settings.method,
            bearer_token: &bearer_token,
            meta: &settings.meta,
        })
        .map_err(|error| Error::Settings(format!("login: {error}")))?;
        let request = self.about_login(login, Request::ask(&["acl", "login"], body.into()));
        let sent = Instant::now();
        let answer = self.ask(&request, server, None).await.map_err(failed)?;
        let made: LoginAnswer = answer.json().map_err(failed)?;
        let header = login
            .take(&made, sent)
            .map_err(|problem| failed(answer.malformed(problem)))?;
        tracing::info!(method = %settings.method, accessor = %made.accessor_id, "logged in to Consul");
        if login.due().is_some() && login.look_after() {
            tokio::spawn(renew(Arc::downgrade(&self.0), login.clone()));
        }
        self.until_known(server, &header).await;
        if let Some(former) = login.former() {
            self.leave(login, server, former).await;
        }
        Ok(header)
    }

    /// Waits a little for a token to be known to the server that is asked next. Without that, the requests that follow fail and
    /// are tried again.
    async fn until_known(&self, server: &Server, header: &HeaderValue) {
        let request = self.scoped(Request::get(&["acl", "token", "self"]));
        for _ in 0..KNOWN_WITHIN {
            match self.ask(&request, server, Some(header.clone())).await {
                Err(Error::Status { status, .. }) if status.as_u16() == 403 => sleep(BETWEEN).await,
                _ => return,
            }
        }
    }

    /// Ends what logins began, where there was one; within `limit`. A token that cannot be logged out lives until it expires.
    pub async fn log_out(&self, limit: Duration) {
        let Some(login) = self.0.token.login() else {
            return;
        };
        let leaving = async {
            // Without a server there was no login.
            let Ok(server) = self.0.directory.server().await else {
                return;
            };
            for header in login.leave() {
                self.leave(login, &server, header).await;
            }
        };
        if timeout(limit, leaving).await.is_err() {
            tracing::warn!(
                "Consul did not answer the logout in time; the token lives until it expires"
            );
        }
    }

    async fn leave(&self, login: &Login, server: &Server, header: HeaderValue) {
        let request = Request::ask(&["acl", "logout"], Bytes::new());
        let request = self.about_login(login, request);
        match self.ask(&request, server, Some(header)).await {
            Ok(_) => tracing::debug!("logged out of Consul"),
            // It has expired, or somebody deleted it.
            Err(Error::Status { status, .. }) if status.as_u16() == 403 => {}
            Err(error) => {
                tracing::warn!(%error, "the logout failed; the token lives until it expires");
            }
        }
    }

    fn about_login(&self, login: &Login, request: Request) -> Request {
        let settings = login.settings();
        self.scoped_to(
            request,
            settings.datacenter.as_deref(),
            settings.partition.as_deref(),
        )
        .with_optional("ns", settings.namespace.as_deref())
    }

    /// One try at this server with this token, within the usual time.
    async fn ask(
        &self,
        request: &Request,
        server: &Server,
        token: Option<HeaderValue>,
    ) -> Result<crate::answer::Answer, Error> {
        let attempt = Attempt::default();
        let limit = self.0.timeout;
        match timeout(limit, self.exchange(request, server, token, &attempt)).await {
            Ok(result) => result,
            Err(_) => Err(attempt.too_late(request, server, limit)),
        }
    }
}

/// Logs in again whenever that is due, for as long as the client is there.
fn renew(client: Weak<Inner>, login: Login) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        while let Some(due) = login.due() {
            sleep_until(due).await;
            let Some(client) = client.upgrade().map(Client) else {
                break;
            };
            let Ok(server) = client.0.directory.server().await else {
                login.postpone();
                continue;
            };
            // What fails is told there, and tried again a little later.
            let _ = client.logged_in(&login, &server).await;
        }
        login.leave_alone();
    })
}
