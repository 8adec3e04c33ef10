//! Servers that a command finds: it prints their addresses, separated by white space.
//!
//! The command is a program and its arguments, separated by blanks; no shell reads it, as none does for Consul's own programs
//! (`exec=` addresses, github.com/hashicorp/go-netaddrs). What it prints is taken when it ends with 0. Arguments of such commands hold
//! keys of clouds, so only the program is ever named.

use std::{fmt, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    time::timeout,
};

use crate::{Error, ServerAddress};

/// How long the command may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The most bytes that are read of what it prints.
const MOST: u64 = 64 * 1024;
/// The most characters of it that an error repeats.
const REPEATED: usize = 200;

/// A command that prints addresses.
#[derive(Clone)]
pub(crate) struct Discovery {
    program: String,
    arguments: Vec<String>,
    port: Option<u16>,
    is_https: bool,
}

// === impl Discovery ===

impl Discovery {
    /// Takes the command apart. Addresses without a port have this one, and those without a scheme are https if that is
    /// said.
    ///
    /// # Errors
    /// [`Error::Settings`] where there is no command.
    pub(crate) fn new(command: &str, port: Option<u16>, is_https: bool) -> Result<Self, Error> {
        let mut words = command.split_whitespace().map(str::to_owned);
        let Some(program) = words.next() else {
            let problem = "the command that prints consul's addresses is empty";
            return Err(Error::Settings(problem.to_owned()));
        };
        Ok(Self {
            program,
            arguments: words.collect(),
            port,
            is_https,
        })
    }

    pub(crate) fn is_https(&self) -> bool {
        self.is_https
    }

    /// Runs it. At least one address, each once.
    ///
    /// # Errors
    /// [`Error::Discovery`] that says what went wrong and what was printed.
    pub(crate) async fn addresses(&self) -> Result<Vec<ServerAddress>, Error> {
        let failed = |problem: String| Error::Discovery {
            program: self.program.clone(),
            problem,
        };
        let printed = match timeout(LIMIT, self.run()).await {
            Ok(printed) => printed.map_err(failed)?,
            Err(_) => return Err(failed(format!("no end within {} s", LIMIT.as_secs()))),
        };
        let mut addresses = Vec::new();
        for text in printed.split_whitespace() {
            let text = text.trim_matches('"');
            let address = ServerAddress::parse_or(text, self.port, self.is_https)
                .map_err(|error| failed(error.to_string()))?;
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err(failed("it printed no address".to_owned()));
        }
        Ok(addresses)
    }

    async fn run(&self) -> Result<String, String> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("it cannot be started: {error}"))?;
        let (out, err) = tokio::join!(read(child.stdout.take()), read(child.stderr.take()));
        let status = child.wait().await.map_err(|error| error.to_string())?;
        if status.success() {
            return Ok(out);
        }
        let how = match status.code() {
            Some(code) => format!("it ended with {code}"),
            None => "a signal ended it".to_owned(),
        };
        let printed = if err.trim().is_empty() { &out } else { &err };
        Err(match excerpt(printed) {
            text if text.is_empty() => format!("{how} and printed nothing"),
            text => format!("{how} and printed {text:?}"),
        })
    }
}

/// Reads up to the limit; what is beyond it is not waited for.
async fn read(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What came before an error is what there is.
        let _ = stream.take(MOST).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn excerpt(text: &str) -> String {
    let text = text.trim();
    let mut short: String = text.chars().take(REPEATED).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

impl fmt::Display for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "addresses that {} prints", self.program)
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery")
            .field("program", &self.program)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(name: &str, text: &str) -> Result<Vec<String>, String> {
        // The only place for more than one word in an argument is a file.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        let command = format!("/bin/sh {}", file.display());
        let discovery = Discovery::new(&command, Some(99), false).unwrap();
        let addresses = discovery.addresses().await;
        let addresses = addresses.map_err(|error| error.to_string())?;
        Ok(addresses.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn addresses_are_separated_by_any_white_space_and_have_the_port_unless_their_own() {
        assert_eq!(
            found(
                "good",
                "printf '10.0.0.1 \"fd00::1\"\\n10.0.0.2:7\\t10.0.0.1\\n'"
            )
            .await,
            Ok(vec![
                "http://10.0.0.1:99".to_owned(),
                "http://[fd00::1]:99".to_owned(),
                "http://10.0.0.2:7".to_owned(),
            ])
        );
        let word = Discovery::new("/bin/echo consul", None, true).unwrap();
        let addresses = word.addresses().await.unwrap();
        assert_eq!(addresses[0].to_string(), "https://consul:8501");
    }

    #[tokio::test]
    async fn what_went_wrong_is_told_with_what_was_printed() {
        for (name, text, problem) in [
            (
                "code",
                "echo 10.0.0.1; echo 'no rights' >&2; exit 3",
                "it ended with 3 and printed \"no rights\"",
            ),
            (
                "out",
                "echo oh; exit 1",
                "it ended with 1 and printed \"oh\"",
            ),
            ("mute", "exit 1", "it ended with 1 and printed nothing"),
            ("none", "echo", "it printed no address"),
            ("text", "echo 'oh/no'", "\"oh/no\""),
        ] {
            let error = found(name, text).await.unwrap_err();
            assert!(
                error.contains(problem) && error.contains("/bin/sh"),
                "{name}: {error}"
            );
        }
        let missing = Discovery::new("/nowhere/found --key=canary", None, false).unwrap();
        let error = missing.addresses().await.unwrap_err();
        let told = format!("{error} {error:?} {missing:?} {missing}");
        assert!(
            told.contains("/nowhere/found") && told.contains("cannot be started"),
            "{told}"
        );
        assert!(!told.contains("canary"), "{told}");
        assert!(Discovery::new(" ", None, false).is_err());
    }

    #[tokio::test]
    async fn no_shell_reads_the_command() {
        let marked = Discovery::new("/bin/echo $HOME;x", None, false).unwrap();
        let error = marked.addresses().await.unwrap_err().to_string();
        assert!(error.contains("$HOME;x"), "{error}");
    }
}
