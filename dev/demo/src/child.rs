//! A child process that does not outlive this one.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{self, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Ends the process group when the program that started it is gone, however that went: it waits on a pipe whose other
/// end only that program holds.
const WATCHER: &str = r#"trap '' HUP INT TERM; read -r _; kill -KILL "-$1" 2>/dev/null"#;

/// A child in a process group of its own, so that ctrl-C in a terminal does not reach it before the demo has decided
/// what to do. Dropping it ends it at once with SIGKILL.
#[derive(Debug)]
pub(crate) struct Child {
    child: process::Child,
    watcher: process::Child,
}

impl Child {
    pub(crate) fn spawn(mut command: Command) -> io::Result<Self> {
        let mut child = command.process_group(0).spawn()?;
        let watcher = Command::new("sh")
            .args(["-c", WATCHER, "watcher", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        match watcher {
            Ok(watcher) => Ok(Self { child, watcher }),
            Err(error) => {
                // Without its watcher it must not run; it has done nothing yet.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::TERM)?)
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The watcher first: once the child is reaped, its id may become another process's. Nobody is left to be told
        // of an error.
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
        if self.ended().is_none() {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_dropped_child_is_gone_with_all_that_it_started() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "sleep 600 & wait"])
            .stdout(Stdio::piped());
        let mut child = Child::spawn(command).unwrap();
        let mut output = child.child.stdout.take().unwrap();
        drop(child);
        // The pipe ends when the last process that holds it has ended.
        assert_eq!(output.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_child_is_gone_when_the_program_that_started_it_is() {
        let mut command = Command::new("sleep");
        command.arg("600").stdout(Stdio::piped());
        let mut child = Child::spawn(command).unwrap();
        let mut output = child.child.stdout.take().unwrap();
        // What the kernel does when this program is gone.
        drop(child.watcher.stdin.take());
        assert_eq!(output.read(&mut [0]).unwrap(), 0);
    }
}
