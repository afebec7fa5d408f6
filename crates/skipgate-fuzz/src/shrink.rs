//! Makes a network that fails smaller, as long as it fails in the same way.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use skipgate_onnx::Model;

use crate::graph;
use crate::worker::{Job, Worker, network};
use crate::{Choices, Generated, Outcome, generate};

/// A small network and what is wrong with it.
pub(crate) struct Shrunk {
    pub(crate) model: Model,
    pub(crate) gates: Option<bool>,
    pub(crate) outcome: Outcome,
}

/// What shrinking works with.
pub(crate) struct Shrinker<'w> {
    pub(crate) worker: &'w mut Worker,
    /// When to be content.
    pub(crate) deadline: Instant,
    /// When to go on to the next step.
    pub(crate) until: Instant,
    /// Where models are put for the worker.
    pub(crate) dir: &'w Path,
}

impl Shrinker<'_> {
    /// The network of `seed`, which had `outcome`, made as small as time allows: in the first half of it by taking
    /// nodes out of its graph, and then once more after simpler decisions, which make layers smaller too.
    pub(crate) fn shrink(&mut self, seed: u64, outcome: &Outcome) -> Result<Shrunk> {
        let mut choices = Choices::random(seed);
        let generated = generate(&mut choices)?;
        let first = self.fewer_nodes(&generated, outcome)?;
        let now = Instant::now();
        self.until = now + self.deadline.saturating_duration_since(now) / 2;
        let simpler = self.fewer_choices(choices.made().to_vec(), outcome)?;
        self.until = self.deadline;
        let second = self.fewer_nodes(&network(&Job::Choices(simpler))?, outcome)?;
        Ok(if size(&second.model) <= size(&first.model) { second } else { first })
    }

    fn in_time(&self) -> bool {
        Instant::now() < self.until
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
            let halves = std::iter::successors(Some(best.len() / 2), |length| Some(length / 2));
            for length in halves.take_while(|length| *length > 0) {
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
            generate(&mut choices)?;
            let made = choices.made().to_vec();
            if simpler(&made, best) && self.fails(&Job::Choices(made.clone()), outcome)?.is_some() {
                return Ok(Some(made));
            }
        }
        Ok(None)
    }

    /// Takes nodes out of the graph: behind, in the middle, in front.
    fn fewer_nodes(&mut self, generated: &Generated, outcome: &Outcome) -> Result<Shrunk> {
        let gates = generated.selection.as_ref().map(|selection| selection.gate_first);
        let mut best = Shrunk { model: generated.model.clone(), gates, outcome: outcome.clone() };
        loop {
            let before = graph::nodes(&best.model);
            self.smallest(&mut best, graph::ends)?;
            self.fewer_between(&mut best)?;
            self.smallest(&mut best, graph::beginnings)?;
            if graph::nodes(&best.model) == before || !self.in_time() {
                return Ok(best);
            }
        }
    }

    /// Searches `candidates`, which hold more and more of a network, for the first that fails.
    fn smallest(&mut self, best: &mut Shrunk, candidates: fn(&Model) -> Vec<Model>) -> Result<()> {
        let candidates = candidates(&best.model);
        let (mut low, mut high) = (0, candidates.len());
        while low < high && self.in_time() {
            let middle = usize::midpoint(low, high);
            if self.accepts(best, candidates[middle].clone())? {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(())
    }

    /// Leaves out runs of nodes, long ones first.
    fn fewer_between(&mut self, best: &mut Shrunk) -> Result<()> {
        let mut length = graph::nodes(&best.model) / 2;
        while length > 0 {
            let mut start = 0;
            while start < graph::nodes(&best.model) && self.in_time() {
                let end = (start + length).min(graph::nodes(&best.model));
                let candidate = graph::without(&best.model, start..end);
                let accepted = candidate.map(|model| self.accepts(best, model)).transpose()?;
                if accepted != Some(true) {
                    start += length;
                }
            }
            length /= 2;
        }
        Ok(())
    }

    /// Replaces `best` by `candidate` if that fails in the same way.
    fn accepts(&mut self, best: &mut Shrunk, candidate: Model) -> Result<bool> {
        let path = self.dir.join("candidate.onnx");
        candidate.save(&path)?;
        let found = self.fails(&Job::File { path, gates: best.gates }, &best.outcome)?;
        let accepted = found.is_some();
        if let Some(outcome) = found {
            (best.model, best.outcome) = (candidate, outcome);
        }
        Ok(accepted)
    }
}

/// What makes a network small: its nodes, then its file.
fn size(model: &Model) -> (usize, usize) {
    (graph::nodes(model), model.to_bytes().map_or(0, |bytes| bytes.len()))
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
