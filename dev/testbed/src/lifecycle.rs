//! What can be done to every server, the same for each.

/// Forwards a server's `process` field; each server adds its own `restart`, which knows when it
/// is ready again.
macro_rules! lifecycle {
    ($server:ty) => {
        impl $server {
            /// Ends it at once with SIGKILL, as a crash does; its ports and data stay its own.
            ///
            /// # Errors
            ///
            /// [`Error::Signal`](crate::Error::Signal) when the signal cannot be sent.
            pub fn kill(&self) -> $crate::Result<()> {
                self.process.kill()
            }

            /// Ends it with SIGTERM and waits until it is gone; its ports and data stay its own.
            ///
            /// # Errors
            ///
            /// [`Error::Signal`](crate::Error::Signal) when it does not run, or outlives the
            /// signal by 20 seconds and had to be killed.
            pub async fn stop(&self) -> $crate::Result<()> {
                self.process.stop().await
            }

            /// Freezes it with SIGSTOP, as a hung machine does: connections stay open, new ones
            /// are taken by the kernel, and nothing is answered.
            ///
            /// # Errors
            ///
            /// [`Error::Signal`](crate::Error::Signal) when it does not run.
            pub fn pause(&self) -> $crate::Result<()> {
                self.process.pause()
            }

            /// Lets it go on after a pause.
            ///
            /// # Errors
            ///
            /// [`Error::Signal`](crate::Error::Signal) when it does not run.
            pub fn resume(&self) -> $crate::Result<()> {
                self.process.resume()
            }

            /// Its process id, while it runs.
            pub fn process_id(&self) -> Option<u32> {
                self.process.id()
            }

            /// The file that everything it printed is in, over all its starts.
            pub fn log(&self) -> &std::path::Path {
                self.process.log()
            }

            /// The last lines it printed, for a failed test to show.
            pub fn log_tail(&self) -> String {
                self.process.tail()
            }
        }
    };
}

pub(crate) use lifecycle;
