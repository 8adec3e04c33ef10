//! Processor time of the servers and of this program: on few cores it says more than a time does, because what else the
//! machine does is not in it.

use std::fs;

use crate::error::{Error, Result};

/// What the kernel counts in, whatever its own tick is: a hundredth of a second on every processor that servers have.
const TICKS_A_SECOND: f64 = 100.0;

/// Processor time used since `Self::of` was called.
pub(crate) struct Processor {
    ids: Vec<u32>,
    before: f64,
}

impl Processor {
    /// Of these processes together. One that does not run counts for nothing.
    ///
    /// # Errors
    /// When what the kernel says of one cannot be read.
    pub(crate) fn of(ids: impl IntoIterator<Item = Option<u32>>) -> Result<Self> {
        let ids: Vec<u32> = ids.into_iter().flatten().collect();
        let before = sum(&ids)?;
        Ok(Self { ids, before })
    }

    /// How many seconds.
    ///
    /// # Errors
    /// When what the kernel says of one cannot be read: it has ended.
    pub(crate) fn seconds(&self) -> Result<f64> {
        Ok(sum(&self.ids)? - self.before)
    }
}

fn sum(ids: &[u32]) -> Result<f64> {
    ids.iter().map(|id| of_one(*id)).sum()
}

fn of_one(id: u32) -> Result<f64> {
    let path = format!("/proc/{id}/stat");
    let text = fs::read_to_string(&path).map_err(Error::io(format!("reading {path}")))?;
    ticks(&text)
        .map(|ticks| ticks / TICKS_A_SECOND)
        .ok_or_else(|| Error::wrong(format!("{path} is {text:?}")))
}

/// Of the program itself and of the kernel for it; the name before them may hold anything.
fn ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_program_and_of_the_kernel_for_it_are_added_whatever_its_name_is() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 9 9 9 9 120 30 5 6 20 0 9 0 1 1 1";
        assert_eq!(ticks(stat), Some(150.0));
        assert_eq!(ticks("7 (a) S 1"), None);
    }
}
