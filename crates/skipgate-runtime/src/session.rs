//! Runs a network.

use std::time::Duration;

use skipgate_core::SkipMask;

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
/// The function is looked up and the input buffers are allocated once, in [`Session::new`]. A call copies image and
/// mask into them, runs the network, and copies the logits out; it allocates nothing on the Rust side. IREE
/// itself allocates the network's intermediate tensors and its output, anew for every call.
#[derive(Debug)]
pub struct Session {
    program: Program,
    logits: Vec<f32>,
    artifact: Artifact,
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
        Ok(Self {
            program: Program::load(artifact.vmfb(), manifest, device.0)?,
            logits: vec![0.0; manifest.logits().elements().unwrap_or_default()],
            artifact: artifact.clone(),
        })
    }

    /// Runs the network on `image`, with the residual blocks that `mask` selects, and returns the logits.
    ///
    /// `image` holds the values of the manifest's first input in row-major order, preprocessed as the manifest says:
    /// for a CIFAR network 3 x 32 x 32 values, channel by channel, row by row. `mask` has one element per gate;
    /// for a network without gates it is empty. The logits have the shape of the manifest's output.
    ///
    /// # Errors
    ///
    /// [`Error::ImageLength`] and [`Error::Mask`] before anything runs; [`Error::Iree`] and [`Error::Output`] if the
    /// network fails or does not do what its manifest says. The session stays usable.
    pub fn run(&mut self, image: &[f32], mask: &SkipMask) -> Result<&[f32], Error> {
        self.check(image, mask)?;
        let output = &self.artifact.manifest().logits().shape;
        self.program.run(image, mask, output, &mut self.logits)?;
        Ok(&self.logits)
    }

    /// Runs the network like [`run`](Self::run), and returns how long each dispatch took, in the order in which they ran.
    ///
    /// Times are IREE's own and include what it takes to start a dispatch; profiling makes the whole run slower. A mask
    /// that has a function of its own runs in the one that takes any mask.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn profile(&mut self, image: &[f32], mask: &SkipMask) -> Result<Vec<DispatchTime>, Error> {
        self.check(image, mask)?;
        self.program.profile(image, mask)
    }

    fn check(&self, image: &[f32], mask: &SkipMask) -> Result<(), Error> {
        let input = self.artifact.manifest().image();
        let expected = input.elements().unwrap_or_default();
        if image.len() != expected {
            return Err(Error::ImageLength { expected, shape: input.shape.clone(), found: image.len() });
        }
        Ok(mask.check_len(self.artifact.gates().len())?)
    }

    /// The network that runs.
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }
}
