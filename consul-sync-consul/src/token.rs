//! The ACL token: a secret that shows in no log, and a file that is read again when it changes.

use std::{
    fmt, fs, iter,
    path::{Path, PathBuf},
    sync::Arc,
};

use http::HeaderValue;

use crate::{Error, Login, followed::Followed};

/// A secret text. `Debug` and `Display` never show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

/// Where the ACL token comes from.
///
/// ```
/// use consul_sync_consul::{Secret, TokenSource};
/// let source = TokenSource::Value(Secret::new("canary"));
/// assert!(!format!("{source:?}").contains("canary"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TokenSource {
    /// No token: Consul takes the requests as anonymous.
    #[default]
    Anonymous,
    /// The token itself.
    Value(Secret),
    /// A file that holds it; read again whenever it changes. While the file is empty or cannot be read, the
    /// last good token stays in use, never none (fault G04).
    File(PathBuf),
    /// A login by an auth method.
    Login(Login),
}

/// The token as requests carry it.
#[derive(Debug)]
pub(crate) struct Token {
    source: TokenSource,
    current: Followed<HeaderValue>,
}

// === impl Secret ===

impl Secret {
    /// Takes a secret; white space around it is dropped.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().trim().into())
    }

    /// The secret itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

// === impl Token ===

impl Token {
    /// Reads the token once, so that a token that cannot be used is known at once.
    pub(crate) fn new(source: TokenSource) -> Result<Self, Error> {
        let token = Self {
            source,
            current: Followed::default(),
        };
        match token.login() {
            Some(login) => drop(login.bearer()?),
            None => drop(token.header()?),
        }
        Ok(token)
    }

    /// Whether requests carry none.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.source == TokenSource::Anonymous
    }

    /// The login that it comes from, where it does.
    pub(crate) fn login(&self) -> Option<&Login> {
        match &self.source {
            TokenSource::Login(login) => Some(login),
            _ => None,
        }
    }

    /// The header value for the next request, where it takes no login.
    ///
    /// # Errors
    /// [`Error::Token`] when there never was a good one.
    pub(crate) fn header(&self) -> Result<Option<HeaderValue>, Error> {
        match &self.source {
            TokenSource::Anonymous | TokenSource::Login(_) => Ok(None),
            TokenSource::Value(secret) => self
                .current
                .get(iter::empty::<&Path>(), || {
                    header(secret.expose())
                        .map_err(|problem| Error::Token(format!("consul token: {problem}")))
                })
                .map(Some),
            TokenSource::File(path) => self.current.get([path], || read(path)).map(Some),
        }
    }

    /// Reads the file again for the next request, because its token was refused.
    pub(crate) fn distrust(&self) {
        self.current.distrust();
    }

    /// Replaces the token wherever it stands in a text.
    pub(crate) fn redact(&self, text: String) -> String {
        if let Some(login) = self.login() {
            return login.redact(text);
        }
        let current = self.current.last();
        match current.as_ref().map(HeaderValue::to_str) {
            Some(Ok(secret)) if text.contains(secret) => text.replace(secret, "[token]"),
            _ => text,
        }
    }
}

fn read(path: &Path) -> Result<HeaderValue, Error> {
    let problem = match fs::read_to_string(path) {
        Ok(text) => match header(text.trim()) {
            Ok(header) => return Ok(header),
            Err(problem) => problem.to_owned(),
        },
        Err(error) => error.to_string(),
    };
    let path = path.display();
    Err(Error::Token(format!("consul token file {path}: {problem}")))
}

pub(crate) fn header(text: &str) -> Result<HeaderValue, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err("it holds characters that no token has");
    }
    let mut value =
        HeaderValue::from_str(text).map_err(|_| "it holds characters that no token has")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(token: &Token) -> String {
        let header = token.header().unwrap().unwrap();
        header.to_str().unwrap().to_owned()
    }

    #[test]
    fn fault_g04_a_rotated_file_is_read_again_and_an_empty_one_keeps_the_old_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "first\n").unwrap();
        let token = Token::new(TokenSource::File(path.clone())).unwrap();
        assert_eq!(text(&token), "first");
        fs::write(&path, " second \n").unwrap();
        assert_eq!(text(&token), "second");
        for bad in ["", "\n", "half \u{0} written"] {
            fs::write(&path, bad).unwrap();
            assert_eq!(text(&token), "second", "{bad:?}");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(text(&token), "second");
        fs::write(&path, "third").unwrap();
        assert_eq!(text(&token), "third");
    }

    #[test]
    fn fault_g04_a_file_that_never_was_good_is_an_error_and_never_anonymous() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty");
        fs::write(&path, " \n").unwrap();
        let error = Token::new(TokenSource::File(path.clone())).unwrap_err();
        assert!(error.to_string().contains("it is empty"), "{error}");
        let missing = folder.path().join("missing");
        let missing = Token::new(TokenSource::File(missing)).unwrap_err();
        assert!(missing.to_string().contains("missing"), "{missing}");
        assert!(Token::new(TokenSource::Value(Secret::new(""))).is_err());
    }

    #[test]
    fn a_refused_token_is_read_again_though_its_file_looks_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "aaaa").unwrap();
        let token = Token::new(TokenSource::File(path.clone())).unwrap();
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "bbbb").unwrap();
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(before)
            .unwrap();
        assert_eq!(text(&token), "aaaa");
        token.distrust();
        assert_eq!(text(&token), "bbbb");
    }

    #[test]
    fn the_token_shows_in_no_debug_output() {
        let token = Token::new(TokenSource::Value(Secret::new("canary"))).unwrap();
        assert!(!format!("{token:?}").contains("canary"));
        assert_eq!(token.redact("a canary sings".into()), "a [token] sings");
    }
}
