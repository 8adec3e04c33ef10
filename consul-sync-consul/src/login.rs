//! A token by login: what an auth method of Consul takes as proof, such as a service account's token, is exchanged for an
//! ACL token, and that for the next one before it expires.
//!
//! Clones of a [`Login`] share its token, so that the clients of one process log in once. The first request logs in. When a
//! fifth of the token's life is left it is exchanged for the next one, by a task that lives no longer than the client; while that fails
//! the old one stays in use, and a request that finds it expired logs in itself.

use std::{
    collections::BTreeMap,
    fmt, fs, mem,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::HeaderValue;
use tokio::time::Instant;

use crate::{Error, token::header, wire::LoginAnswer};

/// The bearer token that Kubernetes puts into every pod.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// After a renewal that failed, while the token is still good.
const PAUSE: Duration = Duration::from_secs(5);
/// A token that lacks a right is exchanged no more often: one that has the same rights would be refused as well.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a login is done.
///
/// ```
/// use consul_sync_consul::{Login, LoginSettings, TokenSource};
/// let mut settings = LoginSettings::new("kubernetes");
/// settings.meta.insert("component".into(), "consul-sync".into());
/// let source = TokenSource::Login(Login::new(settings));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginSettings {
    /// The auth method's name.
    pub method: String,
    /// The file that holds the bearer token, read at each login. By default that of a pod's service account.
    pub bearer_token_file: PathBuf,
    /// The datacenter that the token is had from, where it is not the client's.
    pub datacenter: Option<String>,
    /// The auth method's admin partition (Consul Enterprise).
    pub partition: Option<String>,
    /// The auth method's namespace (Consul Enterprise).
    pub namespace: Option<String>,
    /// What Consul notes down in the token's description.
    pub meta: BTreeMap<String, String>,
}

/// A login; clones share its token.
#[derive(Clone)]
pub struct Login(Arc<Inner>);

struct Inner {
    settings: LoginSettings,
    state: Mutex<State>,
    /// Held while somebody logs in.
    turn: tokio::sync::Mutex<()>,
    /// Whether a task looks after the next login.
    is_looked_after: AtomicBool,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// What was exchanged for another one, and is still to be logged out.
    former: Option<HeaderValue>,
    /// The bearer token that was sent last, so that it can be left out of what a server repeats.
    bearer: String,
}

#[derive(Clone)]
struct Held {
    header: HeaderValue,
    since: Instant,
    /// When the next login is due, and when the token expires; a token may live for ever.
    renewal: Option<(Instant, Instant)>,
}

/// What is known of the token.
pub(crate) enum Standing {
    /// It is good.
    Good(HeaderValue),
    /// It is still good, and it is time for the next one.
    Due(HeaderValue),
    /// There is none.
    Absent,
}

// === impl LoginSettings ===

impl LoginSettings {
    /// A login by this auth method with the pod's service account.
    pub fn new(method: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            bearer_token_file: PathBuf::from(SERVICE_ACCOUNT),
            datacenter: None,
            partition: None,
            namespace: None,
            meta: BTreeMap::new(),
        }
    }
}

// === impl Login ===

impl Login {
    /// A login that is done with the first request.
    pub fn new(settings: LoginSettings) -> Self {
        Self(Arc::new(Inner {
            settings,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            is_looked_after: AtomicBool::new(false),
        }))
    }

    /// How it is done.
    pub fn settings(&self) -> &LoginSettings {
        &self.0.settings
    }

    /// Waits until nobody else logs in.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.turn.lock().await
    }

    /// The same without waiting.
    pub(crate) fn turn_now(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        self.0.turn.try_lock().ok()
    }

    pub(crate) fn standing(&self) -> Standing {
        let now = Instant::now();
        match &self.state().held {
            None => Standing::Absent,
            Some(held) => match held.renewal {
                Some((_, end)) if now >= end => Standing::Absent,
                Some((due, _)) if now >= due => Standing::Due(held.header.clone()),
                _ => Standing::Good(held.header.clone()),
            },
        }
    }

    /// When the next login is due, if ever.
    pub(crate) fn due(&self) -> Option<Instant> {
        let state = self.state();
        let (due, _) = state.held.as_ref()?.renewal?;
        Some(due)
    }

    /// Makes a task the one that looks after the next login, unless there is one.
    pub(crate) fn look_after(&self) -> bool {
        !self.0.is_looked_after.swap(true, Ordering::Relaxed)
    }

    /// The task has ended.
    pub(crate) fn leave_alone(&self) {
        self.0.is_looked_after.store(false, Ordering::Relaxed);
    }

    /// The bearer token as its file has it now.
    ///
    /// # Errors
    /// [`Error::Token`] that names the file.
    pub(crate) fn bearer(&self) -> Result<String, Error> {
        let path = &self.0.settings.bearer_token_file;
        let problem = match fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => "it is empty".to_owned(),
            Ok(text) => {
                text.trim().clone_into(&mut self.state().bearer);
                return Ok(text.trim().to_owned());
            }
            Err(error) => error.to_string(),
        };
        let path = path.display();
        Err(Error::Token(format!(
            "bearer token file {path} of the login: {problem}"
        )))
    }

    /// Takes what a login that was sent at `sent` was answered with.
    pub(crate) fn take(&self, answer: &LoginAnswer, sent: Instant) -> Result<HeaderValue, String> {
        let header = header(&answer.secret_id)?;
        // Durations of the server's own clock are right whatever ours shows.
        let life = answer.life()?;
        let mut state = self.state();
        let before = state.held.replace(Held {
            header: header.clone(),
            since: sent,
            renewal: life.map(|life| (sent + life.mul_f64(0.8), sent + life)),
        });
        state.former = before.map(|held| held.header).or(state.former.take());
        Ok(header)
    }

    /// The renewal failed: the token is used for as long as it is good.
    pub(crate) fn postpone(&self) {
        if let Some(held) = &mut self.state().held
            && let Some((due, _)) = &mut held.renewal
        {
            *due = Instant::now() + PAUSE;
        }
    }

    /// A request with this token was refused. Answers whether it is worth a try with another one.
    pub(crate) fn refused(&self, used: &HeaderValue, is_unknown: bool) -> bool {
        let mut state = self.state();
        match &state.held {
            Some(held) if held.header != used => true,
            // Rights are bound to a token when it is made: the next one may have those that were added since.
            Some(held) if !is_unknown && held.since.elapsed() < PATIENCE => false,
            _ => {
                let before = state.held.take();
                if !is_unknown {
                    state.former = before.map(|held| held.header);
                }
                true
            }
        }
    }

    /// What was exchanged for another one.
    pub(crate) fn former(&self) -> Option<HeaderValue> {
        self.state().former.take()
    }

    /// Everything that is to be logged out when the process ends.
    pub(crate) fn leave(&self) -> Vec<HeaderValue> {
        let State { held, former, .. } = mem::take(&mut *self.state());
        let held = held.map(|held| held.header);
        held.into_iter().chain(former).collect()
    }

    /// The text without the token and the bearer token.
    pub(crate) fn redact(&self, mut text: String) -> String {
        let state = self.state();
        let headers = state.held.iter().map(|held| &held.header);
        let tokens = headers
            .chain(&state.former)
            .filter_map(|header| header.to_str().ok());
        for secret in tokens.chain([state.bearer.as_str()]) {
            if !secret.is_empty() && text.contains(secret) {
                text = text.replace(secret, "[token]");
            }
        }
        text
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Login {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Login {}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Login").field(&self.0.settings).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(secret: &str, life: Option<u64>) -> LoginAnswer {
        let expires = life.map(|life| format!("\"2026-01-01T01:00:{life:02}.5+01:00\""));
        let expires = expires.unwrap_or_else(|| "null".to_owned());
        serde_json::from_str(&format!(
            r#"{{"SecretID":"{secret}","CreateTime":"2026-01-01T00:00:00.5Z","ExpirationTime":{expires}}}"#
        ))
        .unwrap()
    }

    fn login() -> Login {
        Login::new(LoginSettings::new("m"))
    }

    fn good(login: &Login) -> Option<String> {
        match login.standing() {
            Standing::Good(header) => Some(header.to_str().unwrap().to_owned()),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_login_is_due_in_the_last_fifth_of_a_tokens_life() {
        let login = login();
        assert!(matches!(login.standing(), Standing::Absent));
        login.take(&answer("a", Some(50)), Instant::now()).unwrap();
        tokio::time::advance(Duration::from_secs(39)).await;
        assert_eq!(good(&login).as_deref(), Some("a"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(matches!(login.standing(), Standing::Due(_)));
        login.postpone();
        assert_eq!(good(&login).as_deref(), Some("a"));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(matches!(login.standing(), Standing::Absent));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_without_an_end_is_good_for_ever() {
        let login = login();
        login.take(&answer("a", None), Instant::now()).unwrap();
        tokio::time::advance(Duration::from_secs(1_000_000)).await;
        assert_eq!(good(&login).as_deref(), Some("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_token_is_exchanged_at_once_and_one_without_a_right_not_too_often() {
        let login = login();
        let first = login.take(&answer("a", None), Instant::now()).unwrap();
        assert!(!login.refused(&first, false));
        assert_eq!(good(&login).as_deref(), Some("a"));
        assert!(login.refused(&first, true));
        assert!(matches!(login.standing(), Standing::Absent));
        assert!(login.former().is_none(), "there is nothing to log out");
        let second = login.take(&answer("b", None), Instant::now()).unwrap();
        assert!(login.refused(&first, true), "somebody has a newer one");
        assert_eq!(good(&login).as_deref(), Some("b"));
        tokio::time::advance(PATIENCE).await;
        assert!(login.refused(&second, false));
        assert_eq!(login.former().unwrap(), "b");
    }

    #[test]
    fn neither_token_shows() {
        let login = login();
        login
            .take(&answer("canary-1", None), Instant::now())
            .unwrap();
        login
            .take(&answer("canary-2", None), Instant::now())
            .unwrap();
        login.state().bearer = "canary-3".into();
        let told = login.redact("canary-1 canary-2 canary-3".into());
        assert_eq!(told, "[token] [token] [token]");
        assert!(!format!("{login:?}").contains("canary"));
        assert_eq!(login.leave(), ["canary-2", "canary-1"]);
    }

    #[test]
    fn an_answer_that_is_no_login_is_refused() {
        for (json, problem) in [
            ("{}", "empty"),
            (
                r#"{"SecretID":"a","ExpirationTime":"soon"}"#,
                "ExpirationTime",
            ),
            (
                r#"{"SecretID":"a","CreateTime":"2026-01-01T00:00:00Z","ExpirationTime":"2025-01-01T00:00:00Z"}"#,
                "ends before",
            ),
        ] {
            let answer: LoginAnswer = serde_json::from_str(json).unwrap();
            let error = login().take(&answer, Instant::now()).unwrap_err();
            assert!(error.contains(problem), "{json}: {error}");
        }
    }
}
