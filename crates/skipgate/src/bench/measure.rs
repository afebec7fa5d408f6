//! Interleaved measurement: every configuration of every network gets its turn in every round, so that whatever drifts
//! drifts for all of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use skipgate_core::SkipMask;
use skipgate_runtime::{Artifact, Device, Session};

use super::times::Times;

/// Largest difference between the logits of the gated and of the pruned network, in units of the largest logit. The
/// two round differently; networks that differ in a block are orders of magnitude further apart.
const TOLERANCE: f32 = 1e-3;

/// Networks under measurement.
pub(crate) struct Bench {
    session: Session,
    image: Vec<f32>,
    calls: usize,
    rounds: usize,
    pub(crate) configurations: Vec<Configuration>,
    /// Empty if there is only one mask.
    pub(crate) switches: Vec<Switch>,
}

/// The network at one mask.
pub(crate) struct Configuration {
    pub(crate) skipped: usize,
    pub(crate) mask: SkipMask,
    pub(crate) gated: Times,
    pub(crate) pruned: Option<Pruned>,
}

/// The network with the same blocks removed for good.
pub(crate) struct Pruned {
    session: Session,
    pub(crate) times: Times,
}

/// Calls with one mask, apart by the call before.
pub(crate) struct Switch {
    pub(crate) mask: SkipMask,
    /// The call before had another mask.
    pub(crate) changed: Times,
    /// The call before had the same mask.
    pub(crate) repeated: Times,
}

impl Bench {
    /// Loads the networks. `pruned` is by the number of blocks removed, of masks that skip the last ones.
    pub(crate) fn new(
        artifact: &Artifact,
        mut pruned: BTreeMap<usize, Artifact>,
        masks: Vec<SkipMask>,
        device: Device,
        calls: usize,
    ) -> Result<Self> {
        let elements = artifact.manifest().image().elements().context("the manifest was checked")?;
        let mut bench = Self {
            session: Session::new(artifact, device)?,
            image: pattern(elements),
            calls,
            rounds: 0,
            configurations: Vec::new(),
            switches: switches(artifact.gates().len()),
        };
        for mask in masks {
            let skipped = mask.skipped();
            let pruned =
                pruned.remove(&skipped).map(|network| bench.pruned(&network, device, &mask)).transpose()?;
            bench.configurations.push(Configuration { skipped, mask, gated: Times::default(), pruned });
        }
        Ok(bench)
    }

    /// Loads a pruned network and makes sure that it computes what the gated one does with `mask`.
    fn pruned(&mut self, network: &Artifact, device: Device, mask: &SkipMask) -> Result<Pruned> {
        let mut session = Session::new(network, device)?;
        let expected = self.session.run(&self.image, mask)?;
        let found = session.run(&self.image, &SkipMask::all_run(0))?;
        ensure!(
            close(found, expected),
            "the network without {} blocks computes something else than the artifact with mask {mask}; \
             was it compiled from the same model?",
            mask.skipped()
        );
        Ok(Pruned { session, times: Times::default() })
    }

    /// Measures every configuration once more.
    pub(crate) fn round(&mut self) -> Result<()> {
        // The second of two inherits caches from the first, so they take turns in being it.
        let pruned_first = self.rounds % 2 == 1;
        for configuration in &mut self.configurations {
            let Configuration { mask, gated, pruned, .. } = configuration;
            for is_pruned in [pruned_first, !pruned_first] {
                if !is_pruned {
                    gated.push(calls(&mut self.session, &self.image, mask, self.calls)?);
                } else if let Some(Pruned { session, times }) = pruned {
                    times.push(calls(session, &self.image, &SkipMask::all_run(0), self.calls)?);
                }
            }
        }
        self.rounds += 1;
        self.switch()
    }

    /// Runs every mask twice in a row, over and over: the first call changes the mask, the second repeats it.
    fn switch(&mut self) -> Result<()> {
        let mut times = vec![[Vec::new(), Vec::new()]; self.switches.len()];
        for _ in 0..self.calls {
            for (Switch { mask, .. }, [changed, repeated]) in self.switches.iter().zip(&mut times) {
                changed.push(call(&mut self.session, &self.image, mask)?);
                repeated.push(call(&mut self.session, &self.image, mask)?);
            }
        }
        for (switch, [changed, repeated]) in self.switches.iter_mut().zip(times) {
            switch.changed.push(changed);
            switch.repeated.push(repeated);
        }
        Ok(())
    }

    /// The median of every series in the last round, in microseconds.
    pub(crate) fn last_medians(&self) -> BTreeMap<String, f64> {
        let series = self.configurations.iter().flat_map(|configuration| {
            let Configuration { skipped, gated, pruned, .. } = configuration;
            let pruned = pruned.as_ref().map(|pruned| (format!("pruned {skipped}"), &pruned.times));
            [(format!("gated {skipped}"), gated)].into_iter().chain(pruned)
        });
        series.filter_map(|(name, times)| Some((name, times.last_median_us()?))).collect()
    }
}

/// All-run and all-skip, which differ most.
fn switches(gates: usize) -> Vec<Switch> {
    let switch = |mask| Switch { mask, changed: Times::default(), repeated: Times::default() };
    if gates == 0 {
        Vec::new()
    } else {
        [SkipMask::all_run(gates), SkipMask::all_skip(gates)].map(switch).into()
    }
}

/// Times of `count` calls, after one that is not measured and brings the network into the caches.
fn calls(session: &mut Session, image: &[f32], mask: &SkipMask, count: usize) -> Result<Vec<Duration>> {
    session.run(image, mask)?;
    (0..count).map(|_| call(session, image, mask)).collect()
}

fn call(session: &mut Session, image: &[f32], mask: &SkipMask) -> Result<Duration> {
    let start = Instant::now();
    session.run(image, mask)?;
    Ok(start.elapsed())
}

/// Numbers from -1 to 1; zeros might be quicker than real images.
pub(crate) fn pattern(elements: usize) -> Vec<f32> {
    (0..elements).map(|index| (index * 37 % 255) as f32 / 127.0 - 1.0).collect()
}

/// Whether the logits are equal up to rounding.
fn close(found: &[f32], expected: &[f32]) -> bool {
    let largest = expected.iter().fold(0.0_f32, |largest, logit| largest.max(logit.abs()));
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= TOLERANCE * largest;
    found.len() == expected.len() && found.iter().zip(expected).all(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_are_compared_up_to_rounding() {
        assert!(close(&[10.0, 0.001], &[10.001, 0.0]));
        assert!(!close(&[10.0, 0.1], &[10.0, 0.0]));
        assert!(!close(&[10.0], &[10.0, 0.0]));
        assert!(!close(&[f32::NAN], &[10.0]));
    }

    #[test]
    fn a_network_without_gates_has_no_mask_to_switch() {
        assert!(switches(0).is_empty());
        assert_eq!(
            switches(2).iter().map(|switch| switch.mask.to_string()).collect::<Vec<_>>(),
            ["11", "00"]
        );
    }

    #[test]
    fn the_image_is_neither_constant_nor_out_of_range() {
        let image = pattern(3 * 32 * 32);
        assert!(image.iter().all(|value| (-1.0..=1.01).contains(value)) && image[0] < image[1]);
    }
}
