//! The program as a process.

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use consul_sync_testbed::Client;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use tempfile::TempDir;

use crate::until::until;

/// What the program is given, to find its servers.
pub(crate) trait Reach {
    fn kubeconfig(&self) -> &Path;
    /// Consul's address, as in `http://127.0.0.1:8500`.
    fn consul(&self) -> &str;
    /// Consul's token.
    fn token(&self) -> Option<&str>;
}

/// A running `consul-sync run`, killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
    // After the child, which writes into it.
    _folder: TempDir,
}

/// What a command that ends by itself printed.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// What is logged where a test says nothing else.
const LOUD: [&str; 2] = ["--log-level", "debug"];

fn is_level(argument: &&str) -> bool {
    argument.starts_with("--log-level")
}

impl Program {
    /// Starts it on these servers; it may not be ready yet.
    pub(crate) fn start(servers: &impl Reach, arguments: &[&str]) -> Self {
        Self::start_as(servers, "run", arguments)
    }

    /// The same by another command that runs.
    pub(crate) fn start_as(servers: &impl Reach, name: &str, arguments: &[&str]) -> Self {
        Self::spawn(command(servers, name), arguments, None)
    }

    /// Starts it where the names of hosts are those of a file.
    pub(crate) fn start_among(servers: &impl Reach, arguments: &[&str], hosts: &Path) -> Self {
        let plain = command(servers, "run");
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        command
            .args(["--mount", "sh", "-ec"])
            .arg("mount --bind \"$1\" /etc/hosts; shift; exec \"$@\"")
            .args(["sh".as_ref(), hosts.as_os_str(), plain.get_program()])
            .args(plain.get_args())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null());
        let variables = plain.get_envs();
        command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
        Self::spawn(command, arguments, None)
    }

    /// Starts it with its log going elsewhere; here it is empty then.
    pub(crate) fn start_telling(servers: &impl Reach, arguments: &[&str], told: Stdio) -> Self {
        Self::spawn(command(servers, "run"), arguments, Some(told))
    }

    fn spawn(mut command: Command, arguments: &[&str], told: Option<Stdio>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let kept = File::create(&log).unwrap();
        let child = command
            .args(["--listen", "127.0.0.1:0"])
            .args(LOUD.iter().filter(|_| !arguments.iter().any(is_level)))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(told.unwrap_or_else(|| kept.into()))
            .spawn()
            .unwrap();
        Self {
            child,
            log,
            _folder: folder,
        }
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn ready(servers: &impl Reach, arguments: &[&str]) -> Self {
        let program = Self::start(servers, arguments);
        program.until_ready().await;
        program
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until a line of its log holds this.
    pub(crate) async fn until_logged(&self, text: &str) {
        until(text, async || self.log(), |log| log.contains(text)).await;
    }

    /// Where its admin server listens.
    pub(crate) async fn admin_address(&self) -> SocketAddr {
        let address = |log: &str| -> Option<SocketAddr> {
            let (_, rest) = log.split_once("admin server listens address=")?;
            rest.split_whitespace().next()?.parse().ok()
        };
        let log = until(
            "the admin server's address",
            async || self.log(),
            |log| address(log).is_some(),
        )
        .await;
        address(&log).unwrap()
    }

    /// A client of its admin server.
    pub(crate) async fn admin(&self) -> Client {
        Client::plain(&format!("http://{}", self.admin_address().await)).unwrap()
    }

    pub(crate) async fn until_ready(&self) {
        let admin = self.admin().await;
        until(
            "the program ready",
            async || match admin.get("/readyz?verbose").await {
                Ok(answer) => (
                    answer.status,
                    String::from_utf8_lossy(&answer.body).into_owned(),
                    self.log(),
                ),
                Err(error) => (0, error.to_string(), self.log()),
            },
            |(status, ..)| *status == 200,
        )
        .await;
    }

    /// One metric's value, as it is written: of services that go to Consul, where it is about a direction.
    pub(crate) async fn metric(&self, series: &str) -> Option<String> {
        self.metric_of("to_consul", series).await
    }

    /// The same of a direction.
    pub(crate) async fn metric_of(&self, direction: &str, series: &str) -> Option<String> {
        let label = format!("direction=\"{direction}\"");
        let answer = self.admin().await.get("/metrics").await.unwrap();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        text.lines().find_map(|line| {
            // The label is left out of what is looked for.
            let line =
                line.replacen(&format!("{{{label}}}"), "", 1)
                    .replacen(&format!("{label},"), "", 1);
            line.strip_prefix(series)?
                .strip_prefix(' ')
                .map(str::to_owned)
        })
    }

    /// Limits the number of files that it may have open, or not, and gives what it was before.
    pub(crate) fn limit_files(&self, most: Option<u64>) -> Option<u64> {
        let process = Some(Pid::from_child(&self.child));
        let now = Rlimit {
            current: most,
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        prlimit(process, Resource::Nofile, now).unwrap().current
    }

    /// The most memory that it had so far, in bytes.
    pub(crate) fn most_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
        kilobytes.parse::<usize>().unwrap() * 1024
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        until(
            "the program's end",
            async || child.try_wait().unwrap(),
            Option::is_some,
        )
        .await
        .unwrap()
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of consul-sync run:\n{}---", self.log());
        }
    }
}

/// Runs a command to its end.
pub(crate) async fn run(servers: &impl Reach, arguments: &[&str]) -> Printed {
    run_with(servers, arguments, &[]).await
}

/// The same in an environment that has these variables, too.
pub(crate) async fn run_with(
    servers: &impl Reach,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Printed {
    let (name, arguments) = arguments.split_first().unwrap();
    let mut command = tokio::process::Command::from(command(servers, name));
    let output = command
        .envs(variables.iter().copied())
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    Printed {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn command(servers: &impl Reach, name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consul-sync"));
    command
        .arg(name)
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("KUBECONFIG", servers.kubeconfig())
        .env("CONSUL_HTTP_ADDR", servers.consul())
        .stdin(Stdio::null());
    if let Some(token) = servers.token() {
        command.env("CONSUL_HTTP_TOKEN", token);
    }
    command
}
