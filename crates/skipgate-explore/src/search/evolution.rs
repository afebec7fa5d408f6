//! Improves masks by trying small changes.

use skipgate_core::SkipMask;

use super::race::race;
use super::{Beam, Search};
use crate::{Engine, Error};

/// Share of the budget that the greedy search gets, whose masks are the first generation.
const START: f64 = 0.5;
/// Changed masks that race, if the budget allows for it, against the best one of their number of skipped blocks.
const CHALLENGERS: usize = 4;

/// An evolutionary search for all numbers of skipped blocks at once: keeps the best mask of each (an archive of elites,
/// Mouret and Clune 2015), and lets it race against descendants, which run one block that it skips and skip one that it
/// runs, or skip one block more than the best one with a block less.
#[derive(Debug, Clone, Copy)]
pub struct Evolution {
    /// The same seed gives the same masks.
    pub seed: u64,
}

impl Search for Evolution {
    fn masks(&self, engine: &mut Engine, images: usize) -> Result<Vec<SkipMask>, Error> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a positive number"
        )]
        let start = (images as f64 * START) as usize;
        let mut elites = Beam { width: 1 }.masks(engine, start)?;
        let batch = engine.split().batch_size();
        let depths = elites.len() - 1;
        let limit = engine.spent().max(images);
        // Two races at every number of skipped blocks between none and all, where there is nothing to choose.
        let rounds: Vec<_> = (1..depths).rev().chain(1..depths).collect();
        for (round, &skipped) in rounds.iter().enumerate() {
            let left = limit - engine.spent();
            let share = left / (rounds.len() - round);
            // A race takes a batch of each mask at least, and two masks.
            if left < 2 * batch {
                break;
            }
            let challengers = (share / batch).saturating_sub(1).clamp(1, CHALLENGERS);
            let mut masks = vec![elites[skipped].clone()];
            masks.push(with_one_more(&elites[skipped - 1], &mut random));
            masks.extend((1..challengers).map(|_| exchanged(&elites[skipped], &mut random)));
            masks.sort();
            masks.dedup();
            if let Some(best) = race(engine, masks, 1, share, round)?.into_iter().next() {
                elites[skipped] = best;
            }
        }
        Ok(elites)
    }
}

/// Skips one block more.
fn with_one_more(mask: &SkipMask, random: &mut fastrand::Rng) -> SkipMask {
    let mut run = mask.as_slice().to_vec();
    flip(&mut run, true, random);
    run.into()
}

/// Skips another block instead of one.
fn exchanged(mask: &SkipMask, random: &mut fastrand::Rng) -> SkipMask {
    let mut run = mask.as_slice().to_vec();
    let back = flip(&mut run, false, random);
    // Not the same one again.
    if let Some(back) = back {
        run[back] = false;
        flip(&mut run, true, random);
        run[back] = true;
    }
    run.into()
}

/// Turns one of the elements with that value, and says which.
fn flip(run: &mut [bool], value: bool, random: &mut fastrand::Rng) -> Option<usize> {
    let choices: Vec<_> = (0..run.len()).filter(|&gate| run[gate] == value).collect();
    let gate = random.choice(choices)?;
    run[gate] = !value;
    Some(gate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_keep_or_raise_the_number_of_skipped_blocks() {
        let mut random = fastrand::Rng::with_seed(7);
        let mask: SkipMask = "1101101".parse().unwrap();
        for _ in 0..50 {
            let other = exchanged(&mask, &mut random);
            assert_eq!((other.skipped(), other != mask), (2, true));
            let more = with_one_more(&mask, &mut random);
            assert_eq!(more.skipped(), 3);
            assert!((0..7).all(|gate| mask.as_slice()[gate] || !more.as_slice()[gate]));
        }
    }
}
