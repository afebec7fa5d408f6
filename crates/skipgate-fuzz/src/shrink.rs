//! Makes a network that fails smaller, as long as it fails in the same way.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use skipgate_onnx::Model;

use crate::graph;
use crate::worker::{Job, Worker, network};
use crate::{Choices, Features, Outcome, generate};

/// A small network and what is wrong with it.
pub(crate) struct Shrunk {
    pub(crate) model: Model,
    pub(crate) gates: Option<bool>,
    pub(crate) outcome: Outcome,
}

/// What shrinking works with.
pub(crate) struct Shrinker<'w> {
    pub(crate) worker: &'w mut Worker,
    pub(crate) features: Features,
    /// When to be content.
    pub(crate) deadline: Instant,
    /// Where models are put for the worker.
    pub(crate) dir: &'w Path,
}

impl Shrinker<'_> {
    /// The network of `seed`, which had `outcome`, made as small as time allows.
    pub(crate) fn shrink(&mut self, seed: u64, outcome: &Outcome) -> Result<Shrunk> {
        let mut choices = Choices::random(seed);
        generate(&mut choices, self.features)?;
        let choices = self.fewer_choices(choices.made().to_vec(), outcome)?;
        let generated = network(&Job::Choices(choices), self.features)?;
        let gates = generated.selection.map(|selection| selection.gate_first);
        self.fewer_nodes(generated.model, gates, outcome)
    }

    fn in_time(&self) -> bool {
        Instant::now() < self.deadline
    }

    /// Whether `job` fails like `outcome`, and how.
    fn fails(&mut self, job: &Job, outcome: &Outcome) -> Result<Option<Outcome>> {
        let found = self.worker.run(job)?.outcome;
        Ok((found.name() == outcome.name() && found.kind() == outcome.kind()).then_some(found))
    }

    /// Leaves out decisions, sets them to 0 and lowers them.
    fn fewer_choices(&mut self, mut best: Vec<u32>, outcome: &Outcome) -> Result<Vec<u32>> {
        loop {
            let before = best.clone();
            for length in [16, 8, 4, 2, 1] {
                let mut start = 0;
                while start < best.len() && self.in_time() {
                    match self.simpler_span(&best, start, length, outcome)? {
                        Some(simpler) => best = simpler,
                        None => start += length,
                    }
                }
            }
            if best == before || !self.in_time() {
                return Ok(best);
            }
        }
    }

    /// `best` without some decisions, or with simpler ones.
    fn simpler_span(
        &mut self,
        best: &[u32],
        start: usize,
        length: usize,
        outcome: &Outcome,
    ) -> Result<Option<Vec<u32>>> {
        let end = (start + length).min(best.len());
        let mut candidates = vec![[&best[..start], &best[end..]].concat()];
        let with = |change: fn(u32) -> u32| {
            let changed = best[start..end].iter().map(|&number| change(number)).collect();
            [best[..start].to_vec(), changed, best[end..].to_vec()].concat()
        };
        candidates.push(with(|_| 0));
        if length == 1 {
            candidates.extend([with(|number| number / 2), with(|number| number.saturating_sub(1))]);
        }
        for candidate in candidates {
            // What is decided counts, not what is asked.
            let mut choices = Choices::replay(&candidate);
            generate(&mut choices, self.features)?;
            let made = choices.made().to_vec();
            if simpler(&made, best) && self.fails(&Job::Choices(made.clone()), outcome)?.is_some() {
                return Ok(Some(made));
            }
        }
        Ok(None)
    }

    /// Takes nodes out of the graph.
    fn fewer_nodes(&mut self, mut model: Model, gates: Option<bool>, outcome: &Outcome) -> Result<Shrunk> {
        let mut last = outcome.clone();
        'smaller: while self.in_time() {
            for candidate in graph::smaller(&model) {
                if !self.in_time() {
                    break;
                }
                let path = self.dir.join("candidate.onnx");
                candidate.save(&path)?;
                if let Some(found) = self.fails(&Job::File { path, gates }, outcome)? {
                    (model, last) = (candidate, found);
                    continue 'smaller;
                }
            }
            break;
        }
        Ok(Shrunk { model, gates, outcome: last })
    }
}

/// Fewer decisions, or as many that are lower.
fn simpler(a: &[u32], b: &[u32]) -> bool {
    (a.len(), a.iter().map(|&n| u64::from(n)).sum::<u64>(), a)
        < (b.len(), b.iter().map(|&n| u64::from(n)).sum::<u64>(), b)
}

#[cfg(test)]
mod tests {
    use super::simpler;

    #[test]
    fn fewer_and_lower_numbers_are_simpler() {
        assert!(simpler(&[9], &[0, 0]));
        assert!(simpler(&[0, 1], &[2, 0]));
        assert!(!simpler(&[1, 2], &[1, 2]));
    }
}
