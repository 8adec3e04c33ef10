//! One server process: started, killed, stopped, paused, and never left behind.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::{Error, Program, Result};

/// How long a server may take to end after SIGTERM, or to freeze after SIGSTOP.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// How long a process may take to freeze before it is asked again.
const PAUSE_LIMIT: Duration = Duration::from_millis(200);

/// How often a running server is looked at while something is waited for.
pub(crate) const POLL: Duration = Duration::from_millis(15);

/// What a server's log is cut to in an error.
const TAIL_LINES: usize = 25;
const TAIL_BYTES: usize = 16 * 1024;

/// Ends the server when the process that started it is gone, however that went, and removes the
/// server's folder. It waits on a pipe whose other end only that process holds.
const WATCHER: &str = r#"
trap '' HUP INT TERM
read -r _
kill -KILL "-$1" 2>/dev/null
tries=0
while kill -0 "-$1" 2>/dev/null && [ "$tries" -lt 40 ]; do tries=$((tries + 1)); sleep 0.05; done
if [ -n "$2" ]; then rm -rf -- "$2"; fi
"#;

/// A server's process, which can be ended and started again with the same arguments.
///
/// It runs in a process group of its own, so ctrl-C in a terminal does not reach it before the
/// program that started it has decided what to do. It ends when this is dropped, and also when
/// this process ends without dropping it: by a signal, or because a `static` holds it.
#[derive(Debug)]
pub(crate) struct Process {
    program: Program,
    launch: Launch,
    running: Mutex<Option<Running>>,
}

/// How a process is started, each time.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) file: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) log: PathBuf,
    /// Removed when the process that started the server is gone; `None` keeps it.
    pub(crate) remove: Option<PathBuf>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    group: Pid,
    watcher: Child,
    ended: bool,
}

// ---- Process ----

impl Process {
    pub(crate) fn new(program: Program, launch: Launch) -> Self {
        Self {
            program,
            launch,
            running: Mutex::new(None),
        }
    }

    pub(crate) const fn program(&self) -> Program {
        self.program
    }

    /// Starts it, unless it runs.
    pub(crate) fn start(&self) -> Result<()> {
        let mut running = self.lock();
        if let Some(running) = running.as_mut()
            && matches!(running.child.try_wait(), Ok(None))
        {
            return Ok(());
        }
        *running = None;
        *running = Some(self.spawn()?);
        Ok(())
    }

    /// Ends it at once with SIGKILL and waits until it is gone.
    pub(crate) fn kill(&self) -> Result<()> {
        match self.lock().take() {
            Some(mut running) => running
                .end()
                .map_err(|source| self.signal_error("killed", source)),
            None => Ok(()),
        }
    }

    /// Asks it to end with SIGTERM and waits until it is gone; kills it after a time limit and
    /// then answers with an error.
    pub(crate) async fn stop(&self) -> Result<()> {
        // A paused process would not see the SIGTERM.
        self.signal(Signal::CONT, "resumed")?;
        self.signal(Signal::TERM, "stopped")?;
        let started = Instant::now();
        while self.exit_status().is_none() && self.lock().is_some() {
            if started.elapsed() > STOP_LIMIT {
                self.kill()?;
                let late = format!("still running {STOP_LIMIT:?} after SIGTERM");
                return Err(
                    self.signal_error("stopped", io::Error::new(io::ErrorKind::TimedOut, late))
                );
            }
            tokio::time::sleep(POLL).await;
        }
        self.kill()
    }

    /// Freezes it with SIGSTOP: its connections stay open and nothing is answered.
    ///
    /// Returns once every thread of it is frozen; the signal alone leaves it time to answer.
    pub(crate) fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP, "paused")?;
        let Some(id) = self.lock().as_ref().map(|running| running.group) else {
            return Ok(());
        };
        // An exit also ends the wait, and stays to be seen by whoever looks next.
        let events = WaitIdOptions::STOPPED
            | WaitIdOptions::EXITED
            | WaitIdOptions::NOWAIT
            | WaitIdOptions::NOHANG;
        let started = Instant::now();
        let mut since = started;
        loop {
            let seen = waitid(WaitId::Pid(id), events)
                .map_err(|source| self.signal_error("paused", source.into()))?;
            if seen.is_some() {
                return Ok(());
            }
            if started.elapsed() > STOP_LIMIT {
                let late = format!("still going on {STOP_LIMIT:?} after SIGSTOP");
                let late = io::Error::new(io::ErrorKind::TimedOut, late);
                return Err(self.signal_error("paused", late));
            }
            // A process that was stopped between making a child and that child's first instruction waits for the
            // child, which is stopped, too, and so never stops itself: let both go on a little, and try again.
            if since.elapsed() > PAUSE_LIMIT {
                self.signal(Signal::CONT, "paused")?;
                self.signal(Signal::STOP, "paused")?;
                since = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets it go on after [`pause`](Self::pause).
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT, "resumed")
    }

    /// How it ended, if it has.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        self.lock()
            .as_mut()
            .and_then(|running| running.child.try_wait().ok().flatten())
    }

    /// Its process id, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.lock().as_ref().map(|running| running.child.id())
    }

    /// Where everything it printed goes, over all its starts.
    pub(crate) fn log(&self) -> &Path {
        &self.launch.log
    }

    /// The last lines it printed.
    pub(crate) fn tail(&self) -> String {
        match fs::read(&self.launch.log) {
            Ok(bytes) => tail(&String::from_utf8_lossy(
                &bytes[bytes.len().saturating_sub(TAIL_BYTES)..],
            )),
            Err(error) => format!("  (no log: {error})"),
        }
    }

    fn spawn(&self) -> Result<Running> {
        let Launch {
            file,
            arguments,
            log,
            remove,
        } = &self.launch;
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .map_err(|source| Error::file("create", log.clone(), source))?;
        let errors = output
            .try_clone()
            .map_err(|source| Error::file("create", log.clone(), source))?;
        let spawn_error = |source| Error::Spawn {
            program: self.program,
            path: file.clone(),
            source,
        };

        let mut child = Command::new(file)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(spawn_error)?;
        let group = Pid::from_child(&child);
        let watcher = Command::new("sh")
            .args(["-c", WATCHER, "watcher", &child.id().to_string()])
            .arg(remove.as_deref().unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        match watcher {
            Ok(watcher) => Ok(Running {
                child,
                group,
                watcher,
                ended: false,
            }),
            Err(source) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(spawn_error(source))
            }
        }
    }

    fn signal(&self, signal: Signal, action: &'static str) -> Result<()> {
        match self.lock().as_ref() {
            Some(running) => kill_process_group(running.group, signal)
                .map_err(|source| self.signal_error(action, source.into())),
            None => Err(self.signal_error(action, io::Error::other("it is not running"))),
        }
    }

    fn signal_error(&self, action: &'static str, source: io::Error) -> Error {
        Error::Signal {
            program: self.program,
            action,
            source,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        // The state is one Option, whole at any time, so a panic elsewhere does not spoil it.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left to tell; the watcher has the same job.
        let _ = self.kill();
    }
}

// ---- Running ----

impl Running {
    /// Ends both and reaps them; again, it does nothing.
    fn end(&mut self) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        // The watcher first: once the server is reaped, its id may become another process's.
        self.watcher.kill()?;
        self.watcher.wait()?;
        match kill_process_group(self.group, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
        self.child.wait()?;
        self.ended = true;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    shown
        .iter()
        .map(|line| format!("  | {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests;
