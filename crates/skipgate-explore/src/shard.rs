//! Sharing the work among machines.

use std::fmt;
use std::hash::{Hash as _, Hasher};
use std::str::FromStr;

use skipgate_core::SkipMask;

use crate::Error;

/// One of several machines that share the evaluations; written `3/16`, from 1. `1/1` does everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: u64,
    count: u64,
}

impl Shard {
    /// The only one.
    pub const WHOLE: Self = Self { number: 1, count: 1 };

    /// Whether the evaluation of `mask` on a batch is the work of this one. Depends on nothing else, so the machines
    /// need not know of each other.
    pub(crate) fn has(self, mask: &SkipMask, batch: usize) -> bool {
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        mask.as_slice().hash(&mut hasher);
        (batch as u64).hash(&mut hasher);
        // The low bits of this hash follow the input's; the high ones do not.
        (hasher.finish() >> 32) % self.count == self.number - 1
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text
            .split_once('/')
            .and_then(|(number, count)| Some((number.parse().ok()?, count.parse().ok()?)));
        match parts {
            Some((number, count)) if (1..=count).contains(&number) => Ok(Self { number, count }),
            _ => Err(Error::Shard { found: text.to_owned() }),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

/// FNV-1a (Fowler, Noll, Vo), which the standard library's hash is not: the same in every version and on every machine.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_evaluation_is_the_work_of_one_shard() {
        let shards: Vec<Shard> = (1..=3).map(|number| format!("{number}/3").parse().unwrap()).collect();
        let mut share = [0; 3];
        for skipped in 0..50 {
            let mask = SkipMask::skipping(50, &[skipped]).unwrap();
            for batch in 0..10 {
                let mine: Vec<_> = (0..3).filter(|&index| shards[index].has(&mask, batch)).collect();
                assert_eq!(mine.len(), 1);
                share[mine[0]] += 1;
            }
        }
        assert!(share.iter().all(|count| (130..=200).contains(count)), "{share:?}");
        assert!(Shard::WHOLE.has(&SkipMask::all_run(3), 7));
    }

    #[test]
    fn a_shard_is_written_as_number_and_count() {
        assert_eq!("3/16".parse::<Shard>().unwrap().to_string(), "3/16");
        for text in ["0/2", "3/2", "1", "a/b", "1/0", ""] {
            let error = text.parse::<Shard>().unwrap_err().to_string();
            assert_eq!(error, format!("a shard is written K/N, with K from 1 to N, found `{text}`"));
        }
    }
}
