//! Runs a network.

use std::time::Duration;

use skipgate_core::{Elements, IndexInput, SkipMask, TensorSpec, Values};

use crate::raw::Program;
use crate::{Artifact, Device, Error};

/// How long a dispatch, one call of a compiled kernel, took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatchTime {
    /// Name of the kernel.
    pub function: String,
    /// How often it ran in parallel, or could have, by dimension.
    pub workgroups: [u32; 3],
    /// From its start to its end, on the host's clock.
    pub time: Duration,
}

/// A network that is ready to run.
///
/// **Threads:** `Send`, not `Sync`: IREE calls its session thread-compatible, so one thread at a time may use it, and
/// any number of sessions may run at the same time. That is why [`run`](Self::run) takes `&mut self`.
///
/// **Owns:** its state in IREE, its input and output buffers, its worker threads if any, and a share of its [`Artifact`].
///
/// # Hot path
///
/// Functions are looked up and the input buffers are allocated once, in [`Session::new`]. A call copies inputs and
/// mask into them, runs the network, and copies its outputs out; it allocates nothing on the Rust side. IREE
/// itself allocates the network's intermediate tensors and its outputs, anew for every call.
#[derive(Debug)]
pub struct Session {
    program: Program,
    /// In the order of the manifest.
    outputs: Vec<Values>,
    artifact: Artifact,
}

/// What a network gave, until its session runs again.
#[derive(Debug, Clone, Copy)]
pub struct Outputs<'s> {
    specs: &'s [TensorSpec],
    values: &'s [Values],
}

impl<'s> Outputs<'s> {
    /// The output of this name, in row-major order; its shape is in the manifest.
    pub fn get(&self, name: &str) -> Option<Elements<'s>> {
        self.iter().find(|(spec, _)| spec.name == name).map(|(_, elements)| elements)
    }

    /// All outputs, in the order of the manifest.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'s TensorSpec, Elements<'s>)> + use<'s> {
        self.specs.iter().zip(self.values).map(|(spec, values)| (spec, values.elements()))
    }
}

impl Session {
    /// Loads `artifact` for `device`.
    ///
    /// # Errors
    ///
    /// [`Error::Iree`] when IREE refuses the code, when the entry point of the manifest is not in it, or when
    /// there is not enough memory.
    pub fn new(artifact: &Artifact, device: Device) -> Result<Self, Error> {
        let manifest = artifact.manifest();
        let zeros = |spec: &TensorSpec| Values::zeros(spec.element_type, spec.elements().unwrap_or_default());
        Ok(Self {
            program: Program::load(artifact.vmfb(), manifest, device.0)?,
            outputs: manifest.outputs().iter().map(zeros).collect(),
            artifact: artifact.clone(),
        })
    }

    /// Runs a network with one f32 input and one f32 output on `image`, with the residual blocks that `mask` selects,
    /// and returns the logits. [`run_named`](Self::run_named) is for all networks.
    ///
    /// `image` holds the values of the input in row-major order, preprocessed as the manifest says:
    /// for a CIFAR network 3 x 32 x 32 values, channel by channel, row by row. `mask` has one element per gate;
    /// for a network without gates it is empty. The logits have the shape of the manifest's output.
    ///
    /// # Errors
    ///
    /// [`Error::NotOneF32`], [`Error::Input`] and [`Error::Mask`] before anything runs; [`Error::Iree`] and
    /// [`Error::Output`] if the network fails or does not do what its manifest says. The session stays usable.
    pub fn run(&mut self, image: &[f32], mask: &SkipMask) -> Result<&[f32], Error> {
        self.artifact.manifest().image()?;
        self.artifact.manifest().logits()?;
        self.write_all(|_| Some(image.into()))?;
        self.invoke(mask)?;
        match &self.outputs[..] {
            [Values::F32(logits)] => Ok(logits),
            _ => unreachable!("the manifest has one f32 output"),
        }
    }

    /// Runs the network on `inputs`, by name and in any order, with the residual blocks that `mask` selects.
    ///
    /// ```no_run
    /// # use skipgate_runtime::{Error, Session, SkipMask};
    /// # fn detect(session: &mut Session, pixels: &[u8], mask: &SkipMask) -> Result<(), Error> {
    /// let outputs = session.run_named(&[("pixels", pixels.into()), ("threshold", (&[0.5f32][..]).into())], mask)?;
    /// for (spec, elements) in outputs.iter() {
    ///     println!("{spec}: {} elements", elements.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Every input of [`Manifest::inputs`](skipgate_core::Manifest::inputs) is given once, with its elements in
    /// row-major order.
    ///
    /// # Errors
    ///
    /// [`Error::Inputs`], [`Error::Input`], [`Error::Index`] and [`Error::Mask`] before anything runs; [`Error::Iree`] and
    /// [`Error::Output`] if the network fails or does not do what its manifest says. The session stays usable.
    pub fn run_named(
        &mut self,
        inputs: &[(&str, Elements<'_>)],
        mask: &SkipMask,
    ) -> Result<Outputs<'_>, Error> {
        let specs = self.artifact.manifest().inputs();
        let given =
            |name: &str| inputs.iter().find(|(other, _)| *other == name).map(|(_, elements)| *elements);
        if inputs.len() != specs.len() || specs.iter().any(|spec| given(&spec.name).is_none()) {
            return Err(Error::Inputs {
                expected: listed(specs.iter().map(|spec| spec.name.as_str())),
                found: listed(inputs.iter().map(|(name, _)| *name)),
            });
        }
        self.run_with(|spec| given(&spec.name), mask)
    }

    /// Runs the network on what `given` gives for each of its inputs, with the residual blocks that `mask` selects.
    ///
    /// For callers that have their inputs in a form of their own and allocate nothing per call. An input for which it
    /// gives nothing keeps what the last run wrote, or zeros.
    ///
    /// # Errors
    ///
    /// Those of [`run_named`](Self::run_named) but for [`Error::Inputs`].
    pub fn run_with<'e>(
        &mut self,
        given: impl Fn(&TensorSpec) -> Option<Elements<'e>>,
        mask: &SkipMask,
    ) -> Result<Outputs<'_>, Error> {
        self.write_all(given)?;
        self.invoke(mask)?;
        Ok(self.outputs())
    }

    /// What the last run gave; zeros before the first.
    pub fn outputs(&self) -> Outputs<'_> {
        Outputs { specs: self.artifact.manifest().outputs(), values: &self.outputs }
    }

    /// Runs the network once more on the inputs of the last run, or on zeros, and returns how long each dispatch took, in
    /// the order in which they ran.
    ///
    /// Times are IREE's own and include what it takes to start a dispatch; profiling makes the whole run slower. A mask
    /// that has a function of its own runs in the one that takes any mask.
    ///
    /// # Errors
    ///
    /// [`Error::Mask`] before anything runs, [`Error::Iree`] if the network fails.
    pub fn profile(&mut self, mask: &SkipMask) -> Result<Vec<DispatchTime>, Error> {
        mask.check_len(self.artifact.gates().len())?;
        self.program.profile(mask)
    }

    /// Writes every input, which `given` tells.
    fn write_all<'e>(&mut self, given: impl Fn(&TensorSpec) -> Option<Elements<'e>>) -> Result<(), Error> {
        for (number, spec) in self.artifact.manifest().inputs().iter().enumerate() {
            let Some(elements) = given(spec) else { continue };
            if elements.element_type() != spec.element_type || spec.elements() != Some(elements.len()) {
                let (found, found_type) = (elements.len(), elements.element_type());
                return Err(Error::Input { expected: spec.clone(), found, found_type });
            }
            check_indices(&self.artifact.manifest().abi.index_inputs, spec, elements)?;
            self.program.write(number, elements)?;
        }
        Ok(())
    }

    fn invoke(&mut self, mask: &SkipMask) -> Result<(), Error> {
        mask.check_len(self.artifact.gates().len())?;
        self.program.run(mask, self.artifact.manifest().outputs(), &mut self.outputs)
    }

    /// The network that runs.
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }
}

/// Fails at an element that the network would use as an index of something that is not there.
fn check_indices(limits: &[IndexInput], spec: &TensorSpec, elements: Elements<'_>) -> Result<(), Error> {
    for limit in limits.iter().filter(|limit| limit.input == spec.name) {
        if let Some((place, found)) = elements.first_outside(limit.least..=limit.most) {
            return Err(Error::Index { expected: limit.clone(), place, found });
        }
    }
    Ok(())
}

/// Names, for a message.
pub(crate) fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
