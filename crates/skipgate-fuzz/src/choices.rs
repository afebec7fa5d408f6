//! The decisions that a generated network is made of.

/// Decisions, each a number below a bound: random ones from a seed, or those of an earlier run, possibly changed.
///
/// Every list of numbers gives a valid network, and smaller numbers give simpler ones, so a network is made smaller by
/// leaving out numbers and lowering them; no generator needs code of its own for that.
#[derive(Debug, Clone)]
pub struct Choices {
    random: Option<fastrand::Rng>,
    given: Vec<u32>,
    made: Vec<u32>,
}

impl Choices {
    /// Random decisions.
    pub fn random(seed: u64) -> Self {
        Self { random: Some(fastrand::Rng::with_seed(seed)), given: Vec::new(), made: Vec::new() }
    }

    /// The decisions in `given`, then the simplest ones.
    pub fn replay(given: &[u32]) -> Self {
        Self { random: None, given: given.to_vec(), made: Vec::new() }
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u32::try_from(bound).unwrap_or(u32::MAX).max(1);
        let choice = match &mut self.random {
            Some(random) => random.u32(0..bound),
            None => self.given.get(self.made.len()).copied().unwrap_or(0).min(bound - 1),
        };
        self.made.push(choice);
        choice as usize
    }

    /// One of `options`, of which the first is the simplest.
    pub fn of<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.below(options.len())]
    }

    /// True in one of `times` cases; false is the simpler answer.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) + 1 == times
    }

    /// Everything that was decided so far.
    pub fn made(&self) -> &[u32] {
        &self.made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_can_be_made_again() {
        let mut random = Choices::random(7);
        let numbers: Vec<_> = (1..50).map(|bound| random.below(bound)).collect();
        let mut again = Choices::replay(random.made());
        assert_eq!((1..50).map(|bound| again.below(bound)).collect::<Vec<_>>(), numbers);
        assert_eq!(again.below(9), 0);
    }

    #[test]
    fn a_decision_stays_below_its_bound() {
        let mut given = Choices::replay(&[9, 9]);
        assert_eq!((given.below(3), given.of(&['a', 'b'])), (2, 'b'));
        assert_eq!(given.made(), [2, 1]);
        assert!(!Choices::replay(&[]).one_in(4));
    }
}
