//! A value made of files, and made again when they change.
//!
//! Tokens, certificates and keys are exchanged on disk while a program runs, and a program that reads them once has to
//! be restarted for it. Files are looked at when the value is needed and not watched: what is asked for seldom costs
//! nothing meanwhile, and an exchange by way of symbolic links, as of mounted secrets, is seen like any other.

use std::{
    fmt, fs, io,
    path::Path,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

/// A value that follows its files.
///
/// Half written files are met in the middle of an exchange. While no value can be made of them the last good one
/// stays in use, and each reason for that is logged once.
///
/// ```
/// use std::{fs, io};
/// use consul_sync_consul::Followed;
///
/// let file = tempfile::NamedTempFile::new()?;
/// let greeting = Followed::default();
/// let greet = || greeting.get([&file], || match fs::read_to_string(&file)? {
///     text if text.is_empty() => Err(io::Error::other("the greeting is empty")),
///     text => Ok(text),
/// });
/// assert!(greet().is_err(), "there never was a good one");
/// fs::write(&file, "hello")?;
/// assert_eq!(greet()?, "hello");
/// fs::write(&file, "")?;
/// assert_eq!(greet()?, "hello");
/// fs::write(&file, "good morning")?;
/// assert_eq!(greet()?, "good morning");
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug)]
pub struct Followed<T>(Mutex<Option<Made<T>>>);

#[derive(Debug)]
struct Made<T> {
    value: T,
    /// Of the files that it was made of, and `None` for one that was not there.
    stamps: Vec<Option<Stamp>>,
    /// Whether it is made again whatever the stamps say.
    is_doubted: bool,
    /// Why no other one could be made since.
    told: Option<String>,
}

/// What changes when a file is written or replaced.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    #[cfg(unix)]
    inode: u64,
}

// === impl Followed ===

impl<T> Default for Followed<T> {
    /// Nothing is read yet.
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Followed<T> {
    /// The value of these files as they are now. `make` is called the first time, when a file changed, and for as long
    /// as it fails; it has to read the files itself.
    ///
    /// # Errors
    /// What `make` says, when there never was a good value.
    pub fn get<E: fmt::Display>(
        &self,
        files: impl IntoIterator<Item = impl AsRef<Path>>,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Before they are read: what is written meanwhile is then seen the next time.
        let stamps = files.into_iter().map(|path| Stamp::of(path.as_ref()).ok());
        let stamps: Vec<Option<Stamp>> = stamps.collect();
        if let Some(last) = &*current
            && last.stamps == stamps
            && !last.is_doubted
        {
            return Ok(last.value.clone());
        }
        match (make(), &mut *current) {
            (Ok(value), current) => {
                *current = Some(Made {
                    value: value.clone(),
                    stamps,
                    is_doubted: false,
                    told: None,
                });
                Ok(value)
            }
            (Err(error), Some(last)) => {
                let problem = error.to_string();
                if last.told.as_ref() != Some(&problem) {
                    tracing::warn!("{problem}; what was read before stays in use");
                    last.told = Some(problem);
                }
                Ok(last.value.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The value that was made last, without a look at the files.
    pub(crate) fn last(&self) -> Option<T> {
        let current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|made| made.value.clone())
    }

    /// Has it made again the next time, because it is of no use: a file that is written within the file system's
    /// resolution of time looks unchanged.
    pub(crate) fn distrust(&self) {
        if let Some(last) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            last.is_doubted = true;
        }
    }
}

// === impl Stamp ===

impl Stamp {
    /// The stamp of a file as it is now; symbolic links are followed.
    fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|meta| Self {
            modified: meta.modified().ok(),
            length: meta.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&meta),
        })
    }
}
