//! Addresses of Consul servers.
//!
//! An address is a host, `host:port`, or a URL with scheme `http` or `https`. It is parsed once, here; nothing
//! else builds a URL from text. Paths, user names and Unix sockets are refused with a reason.

use std::fmt;

use crate::Error;

/// Consul's HTTP port.
const HTTP_PORT: u16 = 8500;
/// Consul's HTTPS port, as its documentation has it.
const HTTPS_PORT: u16 = 8501;

/// One server, or one name behind which several servers stand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    is_https: bool,
    host: Box<str>,
    port: u16,
}

// === impl ServerAddress ===

impl ServerAddress {
    /// Parses an address; without a scheme it is plain HTTP.
    ///
    /// ```
    /// use consul_sync_consul::ServerAddress;
    /// assert_eq!(ServerAddress::parse("consul")?.to_string(), "http://consul:8500");
    /// assert_eq!(ServerAddress::parse("https://[::1]")?.to_string(), "https://[::1]:8501");
    /// assert!(ServerAddress::parse("unix:///run/consul.sock").is_err());
    /// # Ok::<(), consul_sync_consul::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Settings`] that names the part that cannot be used.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |problem: &str| Error::Settings(format!("consul address {text:?}: {problem}"));
        let trimmed = text.trim();
        let (is_https, rest) = match trimmed.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some((scheme, _)) => {
                return Err(refuse(&format!("scheme {scheme:?} is not http or https")));
            }
            None => (false, trimmed),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            return Err(refuse("the host is missing"));
        }
        if rest.contains(['/', '?', '#']) {
            return Err(refuse("a path or query cannot be used; give host and port"));
        }
        if rest.contains('@') {
            // Not repeated in the message: what stands before the sign is a password as like as not.
            return Err(Error::Settings(
                "consul address: user names cannot be used; set a token instead".into(),
            ));
        }
        let (host, port) = split_port(rest).ok_or_else(|| refuse("the port is not a number"))?;
        if host.is_empty() {
            return Err(refuse("the host is missing"));
        }
        if !host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%'))
        {
            return Err(refuse("the host has characters that no host name has"));
        }
        if port == Some(0) {
            return Err(refuse("port 0 cannot be reached"));
        }
        Ok(Self {
            is_https,
            host: host.into(),
            port: port.unwrap_or(if is_https { HTTPS_PORT } else { HTTP_PORT }),
        })
    }

    /// The same with what an address has that says no port or no scheme of its own.
    pub(crate) fn parse_or(text: &str, port: Option<u16>, is_https: bool) -> Result<Self, Error> {
        let mut server = Self::parse(text)?;
        let trimmed = text.trim();
        let (has_scheme, rest) = match trimmed.split_once("://") {
            Some((_, rest)) => (true, rest),
            None => (false, trimmed),
        };
        if is_https && !has_scheme {
            server = server.with_https();
        }
        let has_port = split_port(rest.trim_end_matches('/')).is_some_and(|(_, own)| own.is_some());
        if let (Some(port), false) = (port, has_port) {
            server.port = port;
        }
        Ok(server)
    }

    /// Whether it is spoken to over TLS.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// The host name or IP address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same server over TLS; a port that was the plain default becomes the TLS default.
    #[must_use]
    pub fn with_https(mut self) -> Self {
        if !self.is_https && self.port == HTTP_PORT {
            self.port = HTTPS_PORT;
        }
        self.is_https = true;
        self
    }

    /// Host and port as the `Host` header has them.
    pub(crate) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

/// Host and port; a bare IPv6 address has no port.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, tail) = rest.split_once(']')?;
        return match tail.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None if tail.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match text.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => Some((text, None)),
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_form_is_taken() {
        for (text, want) in [
            ("consul", "http://consul:8500"),
            (" consul:80 ", "http://consul:80"),
            ("10.0.0.1", "http://10.0.0.1:8500"),
            ("::1", "http://[::1]:8500"),
            ("[::1]:80", "http://[::1]:80"),
            ("http://consul/", "http://consul:8500"),
            ("https://consul", "https://consul:8501"),
            ("https://consul:443", "https://consul:443"),
        ] {
            assert_eq!(
                ServerAddress::parse(text).unwrap().to_string(),
                want,
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "host is missing"),
            ("http://", "host is missing"),
            (":80", "host is missing"),
            ("consul:http", "port is not a number"),
            ("consul:70000", "port is not a number"),
            ("consul:0", "port 0"),
            ("ftp://consul", "scheme"),
            ("unix:///run/consul.sock", "scheme"),
            ("http://consul/prefix", "path"),
            ("con sul", "characters"),
            ("[::1", "port is not a number"),
        ] {
            let error = ServerAddress::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        let error = ServerAddress::parse("http://user:canary@consul").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
