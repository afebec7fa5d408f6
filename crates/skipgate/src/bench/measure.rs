//! Interleaved measurement: every configuration of every network gets its turn in every round, so that whatever drifts
//! drifts for all of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use skipgate_core::{ElementType, Elements, Manifest, SkipMask, TensorSpec, Values};
use skipgate_runtime::{Artifact, Device, Session, f16};

use super::times::Times;

/// Largest difference between the logits of the gated and of the pruned network, in units of the largest logit. The
/// two round differently; networks that differ in a block are orders of magnitude further apart.
const TOLERANCE: f64 = 1e-3;

/// Networks under measurement.
pub(crate) struct Bench {
    session: Session,
    inputs: Vec<(String, Values)>,
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
        let mut bench = Self {
            session: Session::new(artifact, device)?,
            inputs: patterns(artifact.manifest()),
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
        let inputs = named(&self.inputs);
        let expected = self.session.run_named(&inputs, mask)?;
        let found = session.run_named(&inputs, &SkipMask::all_run(0))?;
        let close =
            found.iter().zip(expected.iter()).all(|((_, found), (_, expected))| close(found, expected));
        ensure!(
            close,
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
        let inputs = named(&self.inputs);
        for configuration in &mut self.configurations {
            let Configuration { mask, gated, pruned, .. } = configuration;
            for is_pruned in [pruned_first, !pruned_first] {
                if !is_pruned {
                    gated.push(calls(&mut self.session, &inputs, mask, self.calls)?);
                } else if let Some(Pruned { session, times }) = pruned {
                    times.push(calls(session, &inputs, &SkipMask::all_run(0), self.calls)?);
                }
            }
        }
        self.rounds += 1;
        self.switch()
    }

    /// Runs every mask twice in a row, over and over: the first call changes the mask, the second repeats it.
    fn switch(&mut self) -> Result<()> {
        let mut times = vec![[Vec::new(), Vec::new()]; self.switches.len()];
        let inputs = named(&self.inputs);
        for _ in 0..self.calls {
            for (Switch { mask, .. }, [changed, repeated]) in self.switches.iter().zip(&mut times) {
                changed.push(call(&mut self.session, &inputs, mask)?);
                repeated.push(call(&mut self.session, &inputs, mask)?);
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
fn calls(session: &mut Session, inputs: &Named, mask: &SkipMask, count: usize) -> Result<Vec<Duration>> {
    session.run_named(inputs, mask)?;
    (0..count).map(|_| call(session, inputs, mask)).collect()
}

fn call(session: &mut Session, inputs: &Named, mask: &SkipMask) -> Result<Duration> {
    let start = Instant::now();
    session.run_named(inputs, mask)?;
    Ok(start.elapsed())
}

/// Inputs by name, as a session takes them.
type Named<'v> = [(&'v str, Elements<'v>)];

/// `inputs` as a session takes them.
pub(super) fn named(inputs: &[(String, Values)]) -> Vec<(&str, Elements<'_>)> {
    inputs.iter().map(|(name, values)| (name.as_str(), values.elements())).collect()
}

/// Something for every input; zeros might be quicker than real images.
pub(super) fn patterns(manifest: &Manifest) -> Vec<(String, Values)> {
    let allowed = |spec: &TensorSpec| match manifest.abi.indices(&spec.name) {
        Some(indices) => pattern(spec).limited(&indices),
        None => pattern(spec),
    };
    manifest.inputs().iter().map(|spec| (spec.name.clone(), allowed(spec))).collect()
}

/// Numbers from -1 to 1, any bytes, and for wider integers, which often count or choose something, 0 and 1.
fn pattern(spec: &TensorSpec) -> Values {
    let numbers = 0..spec.elements().unwrap_or_default();
    let byte = |number: usize| u8::try_from(number * 37 % 255).unwrap_or_default();
    let float = |number| f32::from(byte(number)) / 127.0 - 1.0;
    match spec.element_type {
        ElementType::F32 => numbers.map(float).collect::<Vec<_>>().into(),
        ElementType::F16 => numbers.map(|number| f16::from_f32(float(number))).collect::<Vec<_>>().into(),
        ElementType::I8 => numbers.map(|number| i8::from_ne_bytes([byte(number)])).collect::<Vec<_>>().into(),
        ElementType::U8 => numbers.map(byte).collect::<Vec<_>>().into(),
        ElementType::I32 => numbers.map(|number| i32::from(byte(number) % 2)).collect::<Vec<_>>().into(),
        ElementType::I64 => numbers.map(|number| i64::from(byte(number) % 2)).collect::<Vec<_>>().into(),
        ElementType::Bool => numbers.map(|number| byte(number) % 2 == 1).collect::<Vec<_>>().into(),
    }
}

/// Whether the results are equal up to rounding.
fn close(found: Elements<'_>, expected: Elements<'_>) -> bool {
    let (found, expected) = (found.to_f64(), expected.to_f64());
    let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= TOLERANCE * largest;
    found.len() == expected.len() && found.iter().zip(&expected).all(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_are_compared_up_to_rounding() {
        let close = |found: &[f32], expected: &[f32]| close(found.into(), expected.into());
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
    fn inputs_are_neither_constant_nor_out_of_range() {
        let spec = |element_type| TensorSpec { name: "x".to_owned(), shape: vec![3, 32], element_type };
        for element_type in [ElementType::F32, ElementType::F16, ElementType::I64, ElementType::Bool] {
            let values = pattern(&spec(element_type)).elements().to_f64();
            assert!(values.iter().all(|value| (-1.0..=1.01).contains(value)), "{element_type}");
            assert!(values.iter().any(|value| (*value - values[0]).abs() > 0.5), "{element_type}");
        }
    }
}
