//! The consul-sync program, started as a user starts it.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use consul_sync_testbed::Client;

use crate::{
    child::Child,
    error::{Error, Result, ensure},
    servers::Access,
};

/// How often something is looked at that cannot be waited for.
const POLL: Duration = Duration::from_millis(5);
/// How long the program may take to be ready.
const READY: Duration = Duration::from_secs(10);
/// How long it may take to end after SIGTERM.
const STOP: Duration = Duration::from_secs(5);
/// How many lines of its log are shown when something failed.
const TAIL: usize = 15;

/// Where the program is.
#[derive(Clone, Debug)]
pub(crate) struct Binary(PathBuf);

/// In which direction it syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToConsul,
    ToKubernetes,
}

/// The program, which can run, be killed and run again.
pub(crate) struct Program {
    binary: Binary,
    access: Access,
    consul_url: String,
    direction: Direction,
    listen: SocketAddr,
    log: PathBuf,
    child: Option<Child>,
}

// ---- impl Binary ------------------------------------------------------------------------------------------------------

impl Binary {
    /// The one that is given, else the one beside this program.
    pub(crate) fn locate(given: Option<PathBuf>) -> Result<Self> {
        let path = match given {
            Some(path) => path,
            None => env::current_exe()
                .map_err(|source| Error::io("finding this program's own file", source))?
                .with_file_name("consul-sync"),
        };
        ensure(path.is_file(), || {
            format!(
                "there is no program {}; build it with cargo build --release -p consul-sync-bin, or name it with --program",
                path.display()
            )
        })?;
        Ok(Self(path))
    }

    /// What it prints when it is asked for something that needs no server.
    pub(crate) async fn print(&self, arguments: &[&str]) -> Result<String> {
        let output = output(self.command(), arguments).await?;
        let shown = arguments.join(" ");
        ensure(output.status.success(), || {
            format!("consul-sync {shown} failed: {}", lossy(&output.stderr))
        })?;
        Ok(lossy(&output.stdout))
    }

    /// The program without what its surroundings may have set for another Consul or another cluster.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CONSUL_") || text == "KUBECONFIG" {
                command.env_remove(&name);
            }
        }
        command.stdin(Stdio::null());
        command
    }
}

// ---- impl Direction ---------------------------------------------------------------------------------------------------

impl Direction {
    const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::ToConsul => &[],
            Self::ToKubernetes => &["--to-k8s", "--to-consul=false"],
        }
    }

    /// The line of `/readyz?verbose` that says that nothing is left to write.
    const fn slots(self) -> &'static str {
        match self {
            Self::ToConsul => "[+]slots",
            Self::ToKubernetes => "[+]to_k8s_slots",
        }
    }

    /// The name of the file of its log.
    const fn log(self) -> &'static str {
        match self {
            Self::ToConsul => "consul-sync.log",
            Self::ToKubernetes => "consul-sync-to-k8s.log",
        }
    }
}

// ---- impl Program -----------------------------------------------------------------------------------------------------

impl Program {
    /// The program as it will run; its log goes to a new file in `folder`.
    pub(crate) fn new(
        binary: Binary,
        access: Access,
        consul_url: &str,
        direction: Direction,
        folder: &Path,
    ) -> Result<Self> {
        let log = folder.join(direction.log());
        File::create(&log)
            .map_err(|source| Error::io(format!("creating {}", log.display()), source))?;
        Ok(Self {
            binary,
            access,
            consul_url: consul_url.to_owned(),
            direction,
            listen: free_port().map_err(|source| Error::io("finding a free port", source))?,
            log,
            child: None,
        })
    }

    /// Starts it and waits until it is ready. The answer is how long that took.
    pub(crate) async fn start(&mut self) -> Result<Duration> {
        let failed = |what: &str, path: &Path| {
            let what = format!("{what} {}", path.display());
            move |source| Error::io(what, source)
        };
        let log = OpenOptions::new()
            .append(true)
            .open(&self.log)
            .map_err(failed("opening", &self.log))?;
        let copy = log.try_clone().map_err(failed("opening", &self.log))?;
        let listen = self.listen.to_string();
        let mut command = self.ask("run");
        command.args(["--listen", &listen]).stdout(copy).stderr(log);
        let begun = Instant::now();
        self.child = Some(Child::spawn(command).map_err(failed("starting", &self.binary.0))?);
        let mut last = "no answer".to_owned();
        while begun.elapsed() < READY {
            if let Some(status) = self.ended() {
                return Err(Error::wrong(format!("consul-sync run ended: {status}")));
            }
            match self.get("/readyz").await {
                Ok((200, _)) => return Ok(begun.elapsed()),
                Ok((_, text)) => last = text,
                Err(_) => {}
            }
            tokio::time::sleep(POLL).await;
        }
        Err(Error::wrong(format!(
            "consul-sync run is not ready after {} s: {}",
            READY.as_secs(),
            last.trim_end()
        )))
    }

    /// Ends it with SIGKILL, as a crash does.
    pub(crate) fn kill(&mut self) {
        self.child = None;
    }

    /// Ends it with SIGTERM, as Kubernetes does. The answer is how long that took.
    pub(crate) async fn stop(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        if let Some(child) = &self.child {
            child
                .terminate()
                .map_err(|source| Error::io("sending SIGTERM to consul-sync", source))?;
        }
        loop {
            match self.ended() {
                Some(status) => {
                    self.child = None;
                    ensure(status.success(), || {
                        format!("consul-sync run ended after SIGTERM: {status}")
                    })?;
                    return Ok(begun.elapsed());
                }
                None if begun.elapsed() > STOP => {
                    return Err(Error::wrong(format!(
                        "consul-sync run ignores SIGTERM for {} s",
                        STOP.as_secs()
                    )));
                }
                None => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// How it ended, if it was started and has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.ended()
    }

    /// What `/readyz?verbose` says.
    pub(crate) async fn readiness(&self) -> Result<String> {
        Ok(self.get("/readyz?verbose").await?.1)
    }

    /// Waits until it has nothing to write any more.
    pub(crate) async fn until_all_is_written(&self) -> Result<()> {
        self.until_ready_says(self.direction.slots()).await
    }

    /// Waits until `/readyz?verbose` has a line.
    pub(crate) async fn until_ready_says(&self, line: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            let text = self.readiness().await?;
            if text.lines().any(|found| found.starts_with(line)) {
                return Ok(());
            }
            ensure(begun.elapsed() < READY, || {
                format!(
                    "/readyz?verbose does not say {line:?} within {} s: {}",
                    READY.as_secs(),
                    text.trim_end()
                )
            })?;
            tokio::time::sleep(POLL).await;
        }
    }

    /// How many registrations it has written since it started, by its own count.
    pub(crate) async fn writes(&self) -> Result<u64> {
        let (_, text) = self.get("/metrics").await?;
        written(&text).ok_or_else(|| Error::wrong("/metrics has no consul_sync_writes_total"))
    }

    /// Runs `consul-sync plan` to its end: what it printed, and its exit code.
    pub(crate) async fn plan(&self, more: &[&str]) -> Result<(String, Option<i32>)> {
        let output = output(self.ask("plan"), more).await?;
        let text = match output.status.code() {
            Some(0 | 2) => lossy(&output.stdout),
            _ => {
                return Err(Error::wrong(format!(
                    "consul-sync plan failed: {}",
                    lossy(&output.stderr)
                )));
            }
        };
        Ok((text, output.status.code()))
    }

    /// Runs `consul-sync release-brake`; what it printed.
    pub(crate) async fn release_brake(&self) -> Result<String> {
        let listen = self.listen.to_string();
        self.binary
            .print(&["release-brake", "--listen", &listen])
            .await
    }

    /// The command that runs it, as a user types it.
    pub(crate) fn command_line(&self) -> String {
        let (consul, listen) = (&self.consul_url, self.listen);
        let run = format!("consul-sync run --kubeconfig ... --consul-addr {consul}");
        let listen = ["--listen".to_owned(), listen.to_string()];
        let flags = self.direction.flags().iter().map(|flag| (*flag).to_owned());
        let words: Vec<_> = [run].into_iter().chain(listen).chain(flags).collect();
        words.join(" ")
    }

    /// Where its probes and metrics are.
    pub(crate) fn admin_url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// The file that its log goes to.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of its log.
    pub(crate) fn log_tail(&self) -> Vec<String> {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        let shown = &lines[lines.len().saturating_sub(TAIL)..];
        shown.iter().map(|&line| line.to_owned()).collect()
    }

    fn ask(&self, subcommand: &str) -> Command {
        let mut command = self.binary.command();
        command
            .arg(subcommand)
            .arg("--kubeconfig")
            .arg(&self.access.kubeconfig)
            .args(["--consul-addr", &self.consul_url])
            .args(self.direction.flags());
        if let Some(token) = &self.access.consul_token {
            command.env("CONSUL_HTTP_TOKEN", token);
        }
        command
    }

    async fn get(&self, path: &str) -> Result<(u16, String)> {
        let answer = Client::plain(&self.admin_url())?.get(path).await?;
        Ok((
            answer.status,
            String::from_utf8_lossy(&answer.body).into_owned(),
        ))
    }
}

/// Runs it to its end; it ends at once when nobody waits for it any more.
async fn output(command: Command, arguments: &[&str]) -> Result<Output> {
    let program = command.get_program().to_owned();
    tokio::process::Command::from(command)
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| Error::io(format!("running {}", program.display()), source))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The sum over all verbs.
fn written(metrics: &str) -> Option<u64> {
    metrics
        .lines()
        .filter_map(|line| {
            line.strip_prefix("consul_sync_writes_total{")?
                .rsplit_once("} ")
        })
        .map(|(_, value)| value.trim().parse::<u64>().ok())
        .try_fold(None, |sum: Option<u64>, value| {
            Some(Some(sum.unwrap_or(0) + value?))
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_summed_over_all_verbs() {
        let metrics = "# TYPE consul_sync_writes counter\n\
                       consul_sync_writes_total{verb=\"create\"} 12\n\
                       consul_sync_writes_total{verb=\"delete\"} 3\n\
                       consul_sync_batches_total 4\n";
        assert_eq!(written(metrics), Some(15));
    }

    #[test]
    fn metrics_without_writes_are_no_zero() {
        assert_eq!(written("consul_sync_batches_total 4\n"), None);
    }
}
