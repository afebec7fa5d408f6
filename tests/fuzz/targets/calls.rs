//! Sequences of calls of the C interface, as a careless program makes them: nulls, wrong lengths, names that are none,
//! configurations that were not asked for. Only what the header makes the caller promise is kept: what is freed is not used
//! again, and arrays have the lengths that are told. Under `AddressSanitizer`.
#![no_main]

use std::ffi::{CString, c_char};
use std::ptr::{null, null_mut};
use std::sync::LazyLock;
use std::{env, fs};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use skipgate_capi::artifact::*;
use skipgate_capi::controller::*;
use skipgate_capi::describe::*;
use skipgate_capi::session::*;
use skipgate_capi::status::*;
use skipgate_capi::tensor::*;

/// Where the artifacts are, a folder each.
const FOLDER: &str = "SKIPGATE_FUZZ_ARTIFACTS";

/// Paths of artifacts, of which the last one is none.
static PATHS: LazyLock<Vec<CString>> = LazyLock::new(|| {
    let folder = env::var(FOLDER).expect("cargo xtask fuzz says where the artifacts are");
    let entries = fs::read_dir(&folder).expect("the artifacts are there");
    let paths = entries.map(|entry| entry.expect("it can be read").path().display().to_string());
    let mut paths: Vec<_> = paths.collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder} has no artifact");
    paths.push(format!("{folder}/none"));
    paths.into_iter().map(|path| CString::new(path).expect("it has no NUL")).collect()
});

/// A length that is right, or a little wrong, or anything.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Length {
    Right,
    Off(i8),
    Any(u16),
}

impl Length {
    fn of(self, right: usize) -> usize {
        match self {
            Self::Right => right,
            Self::Off(by) => right.saturating_add_signed(by.into()),
            Self::Any(length) => length.into(),
        }
    }
}

#[derive(Debug, Arbitrary)]
struct RunCall {
    session: u8,
    image: Length,
    gates: Length,
    logits: Length,
    mask: Vec<u8>,
    value: f32,
    null: u8,
}

#[derive(Debug, Arbitrary)]
struct NamedCall {
    session: u8,
    gates: Length,
    mask: Vec<u8>,
    left_out: u8,
    bytes: Length,
    fill: u8,
    repeated: bool,
    wrong_name: bool,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
struct Level {
    accuracy: f64,
    median_ns: u64,
    p99_ns: u64,
}

#[derive(Debug, Arbitrary)]
struct ControllerCall {
    kind: u8,
    levels: Vec<Level>,
    minimum: f64,
    time_ns: u64,
    room: usize,
    share: f64,
}

#[derive(Debug, Arbitrary)]
enum Call {
    Open(u8),
    FreeArtifact(u8),
    Describe { artifact: u8, number: usize },
    NewSession { artifact: u8, threads: u8 },
    FreeSession(u8),
    Run(RunCall),
    RunNamed(NamedCall),
    Output { session: u8, number: usize },
    NewController(ControllerCall),
    FreeController(u8),
    Admit { controller: u8, now_ns: u64, waiting: usize },
    AdmitBy { controller: u8, now_ns: u64, deadline_ns: u64, waiting: usize },
    Choose { controller: u8, now_ns: u64, arrived_ns: u64, waiting: usize },
    Finished { controller: u8, configuration: usize, took_ns: u64 },
    LastError,
}

/// A session, and the artifact that it was made from by its path.
#[derive(Clone, Copy)]
struct Made {
    session: *mut SkipgateSession,
    /// Lengths of image, mask and logits.
    lengths: [usize; 3],
    /// Number of its path.
    path: usize,
}

/// What the program holds.
#[derive(Default)]
struct Program {
    artifacts: Vec<(usize, *mut SkipgateArtifact)>,
    sessions: Vec<Made>,
    controllers: Vec<*mut SkipgateController>,
}

/// The element that `number` stands for, or null for one number more.
fn pick<T: Copy>(all: &[T], number: u8) -> Option<T> {
    all.get(usize::from(number) % (all.len() + 1)).copied()
}

/// Takes the element that `number` stands for.
fn take<T>(all: &mut Vec<T>, number: u8) -> Option<T> {
    let number = usize::from(number) % (all.len() + 1);
    (number < all.len()).then(|| all.swap_remove(number))
}

/// Most things of a kind that are held at a time, so that an input cannot ask for all memory.
const MOST: usize = 4;

/// `length` bytes: `first`, and 1 for what it lacks.
fn mask(first: &[u8], length: usize) -> Vec<u8> {
    let mut mask = first.to_vec();
    mask.resize(length, 1);
    mask
}

impl Program {
    fn make(&mut self, call: Call) {
        match call {
            Call::Open(path) => self.open(path.into()),
            Call::FreeArtifact(number) => {
                let taken = take(&mut self.artifacts, number).map_or(null_mut(), |(_, artifact)| artifact);
                // SAFETY: it is held no more, or null.
                unsafe { skipgate_artifact_free(taken) };
            }
            Call::Describe { artifact, number } => self.describe(artifact, number),
            Call::NewSession { artifact, threads } => self.new_session(artifact, threads),
            Call::FreeSession(number) => {
                let taken = take(&mut self.sessions, number).map_or(null_mut(), |made| made.session);
                // SAFETY: it is held no more, or null.
                unsafe { skipgate_session_free(taken) };
            }
            Call::Run(call) => self.run(call),
            Call::RunNamed(call) => self.run_named(&call),
            Call::Output { session, number } => self.output(session, number),
            Call::NewController(call) => self.new_controller(call),
            Call::FreeController(number) => {
                let taken = take(&mut self.controllers, number).unwrap_or(null_mut());
                // SAFETY: it is held no more, or null.
                unsafe { skipgate_controller_free(taken) };
            }
            Call::Admit { controller, now_ns, waiting } => {
                let controller = pick(&self.controllers, controller).unwrap_or(null_mut());
                // SAFETY: live or null.
                unsafe { skipgate_controller_admit(controller, now_ns, waiting) };
            }
            Call::AdmitBy { controller, now_ns, deadline_ns, waiting } => {
                let controller = pick(&self.controllers, controller).unwrap_or(null_mut());
                // SAFETY: live or null.
                unsafe { skipgate_controller_admit_by(controller, now_ns, deadline_ns, waiting) };
            }
            Call::Choose { controller, now_ns, arrived_ns, waiting } => {
                let controller = pick(&self.controllers, controller).unwrap_or(null_mut());
                // SAFETY: live or null.
                unsafe { skipgate_controller_choose(controller, now_ns, arrived_ns, waiting) };
            }
            Call::Finished { controller, configuration, took_ns } => {
                let controller = pick(&self.controllers, controller).unwrap_or(null_mut());
                // SAFETY: live or null.
                unsafe { skipgate_controller_finished(controller, configuration, took_ns) };
            }
            Call::LastError => {
                // SAFETY: a NUL-terminated text of the library, which says what was wrong.
                let text = unsafe { std::ffi::CStr::from_ptr(skipgate_last_error()) };
                text.to_str().expect("messages are UTF-8");
            }
        }
    }

    fn open(&mut self, path: usize) {
        if self.artifacts.len() == MOST {
            return;
        }
        let number = path % (PATHS.len() + 1);
        let path = PATHS.get(number).map_or(null(), |path| path.as_ptr());
        let mut artifact = null_mut();
        // SAFETY: a text or null, and a place.
        let status = unsafe { skipgate_artifact_open(path, &raw mut artifact) };
        let is_one = number + 1 < PATHS.len();
        assert_eq!(status == SkipgateStatus::Ok, is_one, "{status:?} for path {number}");
        if is_one {
            self.artifacts.push((number, artifact));
        }
    }

    fn describe(&self, artifact: u8, number: usize) {
        let artifact = pick(&self.artifacts, artifact).map_or(null(), |(_, artifact)| artifact.cast_const());
        // SAFETY: live or null, and places that can be written to.
        unsafe {
            let mut gate = std::mem::zeroed();
            skipgate_artifact_gate(artifact, number, &raw mut gate);
            let mut configuration = std::mem::zeroed();
            skipgate_artifact_configuration(artifact, number, &raw mut configuration);
            let mut preprocessing = std::mem::zeroed();
            skipgate_artifact_preprocessing(artifact, &raw mut preprocessing);
            let mut tensor: SkipgateTensor = std::mem::zeroed();
            if skipgate_artifact_input(artifact, number, &raw mut tensor) == SkipgateStatus::Ok {
                assert!(!tensor.name.is_null() && number < skipgate_artifact_inputs(artifact));
            }
            skipgate_artifact_output(artifact, number, &raw mut tensor);
            skipgate_artifact_class(artifact, number);
        }
    }

    fn new_session(&mut self, artifact: u8, threads: u8) {
        if self.sessions.len() == MOST {
            return;
        }
        let (path, artifact) = pick(&self.artifacts, artifact).unwrap_or((usize::MAX, null_mut()));
        let mut session = null_mut();
        // Threads take a millisecond to start, so most sessions have none.
        let threads = if threads < 250 { 1 } else { usize::from(threads) - 249 };
        // SAFETY: live or null, and a place.
        let status = unsafe { skipgate_session_new(artifact, threads, &raw mut session) };
        if status == SkipgateStatus::Ok {
            // SAFETY: live.
            let lengths = unsafe {
                [
                    skipgate_artifact_image_length(artifact),
                    skipgate_artifact_gates(artifact),
                    skipgate_artifact_logits_length(artifact),
                ]
            };
            self.sessions.push(Made { session, lengths, path });
        }
    }

    fn run(&self, call: RunCall) {
        let made = pick(&self.sessions, call.session);
        let Made { session, lengths, .. } =
            made.unwrap_or(Made { session: null_mut(), lengths: [0; 3], path: 0 });
        let [image, gates, logits] =
            [(call.image, lengths[0]), (call.gates, lengths[1]), (call.logits, lengths[2])]
                .map(|(length, right)| length.of(right));
        let (image, mask) = (vec![call.value; image], mask(&call.mask, gates));
        let mut found = vec![0.0; logits];
        let or_null = |bit: u8, pointer| if call.null & bit == 0 { pointer } else { null::<u8>() };
        // SAFETY: live or null, and arrays that are null or of their lengths.
        let status = unsafe {
            skipgate_session_run(
                session,
                or_null(1, image.as_ptr().cast()).cast(),
                image.len(),
                or_null(2, mask.as_ptr()).cast(),
                mask.len(),
                or_null(4, found.as_mut_ptr().cast()).cast_mut().cast(),
                found.len(),
            )
        };
        let fits = image.len() == lengths[0] && mask.len() == lengths[1];
        assert!(
            status != SkipgateStatus::Ok || (made.is_some() && fits && mask.iter().all(|byte| *byte < 2))
        );
    }

    fn run_named(&self, call: &NamedCall) {
        let Some(Made { session, lengths, path }) = pick(&self.sessions, call.session) else { return };
        let mut artifact = null_mut();
        // SAFETY: the artifact of the session, opened once more to ask for its tensors.
        unsafe {
            let opened = skipgate_artifact_open(PATHS[path].as_ptr(), &raw mut artifact);
            assert_eq!(opened, SkipgateStatus::Ok);
        }
        let ask = |count: usize, one: &dyn Fn(usize, *mut SkipgateTensor) -> SkipgateStatus| {
            let tensors = (0..count).map(|number| {
                // SAFETY: of numbers and pointers, for which zeros stand for something.
                let mut tensor = unsafe { std::mem::zeroed() };
                assert_eq!(one(number, &raw mut tensor), SkipgateStatus::Ok);
                tensor
            });
            tensors.collect::<Vec<SkipgateTensor>>()
        };
        // SAFETY: live, and places that can be written to.
        let (inputs, outputs) = unsafe {
            (
                ask(skipgate_artifact_inputs(artifact), &|number, tensor| {
                    skipgate_artifact_input(artifact, number, tensor)
                }),
                ask(skipgate_artifact_outputs(artifact), &|number, tensor| {
                    skipgate_artifact_output(artifact, number, tensor)
                }),
            )
        };
        let name = |tensor: &SkipgateTensor| if call.wrong_name { c"none".as_ptr() } else { tensor.name };
        // Elements of eight bytes are the most that a type asks to be aligned to.
        let memory =
            |tensor: &SkipgateTensor| vec![u64::from_ne_bytes([call.fill; 8]); tensor.bytes.div_ceil(8) + 16];
        let bytes =
            |tensor: &SkipgateTensor| call.bytes.of(tensor.bytes).min(8 * (tensor.bytes.div_ceil(8) + 16));
        let data: Vec<_> = inputs.iter().map(memory).collect();
        let mut places: Vec<_> = outputs.iter().map(memory).collect();
        let mut given: Vec<_> = inputs
            .iter()
            .zip(&data)
            .map(|(tensor, data)| SkipgateInput {
                name: name(tensor),
                data: data.as_ptr().cast(),
                bytes: bytes(tensor),
            })
            .collect();
        if usize::from(call.left_out) < given.len() {
            given.remove(call.left_out.into());
        }
        if call.repeated
            && let Some(SkipgateInput { name, data, bytes }) = given.first()
        {
            given.push(SkipgateInput { name: *name, data: *data, bytes: *bytes });
        }
        let wanted: Vec<_> = outputs
            .iter()
            .zip(&mut places)
            .map(|(tensor, place)| SkipgateOutput {
                name: tensor.name,
                data: place.as_mut_ptr().cast(),
                bytes: bytes(tensor),
            })
            .collect();
        let mask = mask(&call.mask, call.gates.of(lengths[1]));
        // SAFETY: live, and arrays of their lengths.
        unsafe {
            skipgate_session_run_named(
                session,
                given.as_ptr(),
                given.len(),
                mask.as_ptr().cast(),
                mask.len(),
                wanted.as_ptr(),
                wanted.len(),
            );
            skipgate_artifact_free(artifact);
        }
    }

    fn output(&self, session: u8, number: usize) {
        let session = pick(&self.sessions, session).map_or(null(), |made| made.session.cast_const());
        let (mut data, mut bytes) = (null(), 0);
        // SAFETY: live or null, and places.
        let status = unsafe { skipgate_session_output(session, number, &raw mut data, &raw mut bytes) };
        if status == SkipgateStatus::Ok {
            // SAFETY: what the library says is there; reading it is what the sanitizer checks.
            let read = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), bytes) };
            std::hint::black_box(read.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
        }
    }

    fn new_controller(&mut self, call: ControllerCall) {
        let ControllerCall { kind, levels, minimum, time_ns, room, share } = call;
        if self.controllers.len() == MOST {
            return;
        }
        let level = |Level { accuracy, median_ns, p99_ns }| SkipgateLevel { accuracy, median_ns, p99_ns };
        let levels: Vec<_> = levels.into_iter().map(level).collect();
        let (first, count) = (levels.as_ptr(), levels.len());
        let mut made = null_mut();
        let place = &raw mut made;
        // SAFETY: levels of their number, and a place.
        let status = unsafe {
            match kind % 6 {
                0 => skipgate_controller_stepwise(first, count, minimum, time_ns, place),
                1 => skipgate_controller_queueing(first, count, minimum, time_ns, room, place),
                2 => skipgate_controller_deadline(first, count, minimum, time_ns, place),
                3 => skipgate_controller_keep_up(first, count, minimum, time_ns, place),
                4 => skipgate_controller_energy_budget(first, count, minimum, time_ns, share, place),
                _ => skipgate_controller_percentile(first, count, minimum, time_ns, place),
            }
        };
        if status == SkipgateStatus::Ok {
            self.controllers.push(made);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: each is live and not used again. Sessions stay usable without their artifacts.
        unsafe {
            self.artifacts.iter().for_each(|(_, artifact)| skipgate_artifact_free(*artifact));
            self.sessions.iter().for_each(|made| skipgate_session_free(made.session));
            self.controllers.iter().for_each(|controller| skipgate_controller_free(*controller));
        }
    }
}

fuzz_target!(|calls: Vec<Call>| {
    let mut program = Program::default();
    for call in calls.into_iter().take(64) {
        program.make(call);
    }
    let _: *const c_char = skipgate_last_error();
});
