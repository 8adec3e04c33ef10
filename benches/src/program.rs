//! The program that is measured.

use std::{
    env,
    fs::File,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use consul_sync_testbed::Client;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::error::{Error, Result};

/// How often the program is asked whether it is ready.
const POLL: Duration = Duration::from_millis(5);
/// How long it may take to be ready.
const READY: Duration = Duration::from_secs(120);

/// `consul-sync run`; it ends when this is dropped.
pub(crate) struct Program {
    child: Child,
    admin: Client,
    log: PathBuf,
    pub(crate) started: Instant,
}

/// What the program says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// Registrations written since it started.
    pub(crate) writes: f64,
    /// Bytes.
    pub(crate) resident: f64,
    pub(crate) cpu_seconds: f64,
}

/// The program's file, beside this one unless it is given.
pub(crate) fn locate(given: Option<PathBuf>) -> Result<PathBuf> {
    let path = match given {
        Some(path) => path,
        None => env::current_exe()
            .map_err(Error::io("finding this program's own file"))?
            .with_file_name("consul-sync"),
    };
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::wrong(format!(
        "there is no program {}; build it, or name it with --program",
        path.display()
    )))
}

impl Program {
    /// Starts it and waits until it is ready: until both sides are listed.
    pub(crate) async fn start(
        file: &Path,
        kubeconfig: &Path,
        arguments: &[&str],
        folder: &Path,
    ) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listen = listener
            .and_then(|listener| listener.local_addr())
            .map_err(Error::io("finding a free port"))?;
        let log = folder.join("consul-sync.log");
        let output =
            File::create(&log).map_err(Error::io(format!("creating {}", log.display())))?;
        let copy = output.try_clone().map_err(Error::io("opening the log"))?;
        let mut command = Command::new(file);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CONSUL_") || text == "KUBECONFIG" {
                command.env_remove(&name);
            }
        }
        let started = Instant::now();
        let child = command
            .arg("run")
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(arguments)
            .args(["--listen", &listen.to_string()])
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(copy)
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::io(format!("starting {}", file.display())))?;
        let mut program = Self {
            child,
            admin: Client::plain(&format!("http://{listen}"))?.keeping_connections(),
            log,
            started,
        };
        program.until_ready().await?;
        Ok(program)
    }

    async fn until_ready(&mut self) -> Result<()> {
        while self.started.elapsed() < READY {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Error::wrong(format!(
                    "consul-sync ended with {status}: {}",
                    self.tail()
                )));
            }
            if let Ok(answer) = self.admin.get("/readyz").await
                && answer.status == 200
            {
                return Ok(());
            }
            sleep(POLL).await;
        }
        Err(Error::wrong(format!(
            "consul-sync is not ready after {READY:?}: {}",
            self.tail()
        )))
    }

    /// Reads its metrics.
    pub(crate) async fn read(&self) -> Result<Reading> {
        let body = self.admin.get("/metrics").await?.success()?.body;
        let text = String::from_utf8_lossy(&body);
        let sum = |name: &str| -> f64 {
            text.lines()
                .filter_map(|line| line.strip_prefix(name))
                .filter(|rest| rest.starts_with([' ', '{']))
                .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
                .sum()
        };
        Ok(Reading {
            writes: sum("consul_sync_writes_total"),
            resident: sum("process_resident_memory_bytes"),
            cpu_seconds: sum("process_cpu_seconds_total"),
        })
    }

    /// Waits until it has written so many registrations, and then has nothing to write any more.
    pub(crate) async fn until_written(&self, count: usize, limit: Duration) -> Result<Reading> {
        let begun = Instant::now();
        #[expect(clippy::cast_precision_loss, reason = "counters")]
        while self.read().await?.writes < count as f64 {
            if begun.elapsed() > limit {
                return Err(Error::wrong(format!(
                    "consul-sync has not written {count} registrations after {limit:?}: {}",
                    self.tail()
                )));
            }
            sleep(Duration::from_millis(100)).await;
        }
        self.until_quiet(limit.saturating_sub(begun.elapsed()))
            .await
    }

    /// Waits until it has nothing to write any more.
    pub(crate) async fn until_quiet(&self, limit: Duration) -> Result<Reading> {
        self.until_idle(limit, f64::INFINITY).await
    }

    /// Waits until it has nothing to do any more: what it wrote last is also read back.
    pub(crate) async fn until_at_rest(&self, limit: Duration) -> Result<Reading> {
        self.until_idle(limit, 0.05).await
    }

    /// The most memory that it had resident at any time, in bytes, where the system says so.
    pub(crate) fn most_resident(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let kibibytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: f64 = kibibytes.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024.0)
    }

    /// Waits until it writes nothing and takes no more than so much processor time for a while.
    async fn until_idle(&self, limit: Duration, cpu_seconds: f64) -> Result<Reading> {
        let begun = Instant::now();
        let mut last = self.read().await?;
        loop {
            sleep(Duration::from_millis(1500)).await;
            let now = self.read().await?;
            #[expect(clippy::float_cmp, reason = "counters")]
            if now.writes == last.writes && now.cpu_seconds - last.cpu_seconds <= cpu_seconds {
                return Ok(now);
            }
            if begun.elapsed() > limit {
                return Err(Error::wrong(format!(
                    "consul-sync still works after {limit:?}: {}",
                    self.tail()
                )));
            }
            last = now;
        }
    }

    /// Ends it with SIGTERM and waits until it is gone.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(id) = self
            .child
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()))
        {
            let sent = rustix::process::kill_process(id, rustix::process::Signal::TERM);
            sent.map_err(|error| Error::io("sending SIGTERM")(error.into()))?;
        }
        let ended = self.child.wait().await;
        ended.map_err(Error::io("waiting for consul-sync"))?;
        Ok(())
    }

    fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}
