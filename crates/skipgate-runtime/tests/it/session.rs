//! What running a network returns and refuses.

use std::sync::Barrier;
use std::thread;

use skipgate_core::{EntryPoint, MaskError};
use skipgate_runtime::{Artifact, Device, Elements, Error, Hint, Session, SkipMask, f16};

use crate::fixture::{Fixture, IMAGE, expected};

/// All masks of the gated network.
const MASKS: [&str; 4] = ["11", "10", "01", "00"];

fn session(fixture: &Fixture) -> Session {
    Session::new(&fixture.open(), Device::local_sync()).unwrap()
}

#[test]
fn every_mask_runs_the_blocks_that_it_selects() {
    let mut session = session(&Fixture::gated());
    for mask in MASKS.map(|text| text.parse().unwrap()) {
        assert_eq!(session.run(&IMAGE, &mask).unwrap(), expected(&IMAGE, &mask), "{mask}");
    }
}

#[test]
fn calls_do_not_remember_the_image_of_the_call_before() {
    let mut session = session(&Fixture::gated());
    let mask = SkipMask::all_skip(2);
    for image in [IMAGE, [7.0; 8]] {
        assert_eq!(session.run(&image, &mask).unwrap(), expected(&image, &mask));
    }
}

#[test]
fn a_network_without_gates_takes_an_empty_mask() {
    let fixture = Fixture::plain();
    let mut session = session(&fixture);
    assert!(session.artifact().gates().is_empty());
    assert_eq!(session.run(&IMAGE, &SkipMask::all_run(0)).unwrap(), IMAGE.map(|value| value * value));
    let error = session.run(&IMAGE, &SkipMask::all_run(1)).unwrap_err();
    assert_eq!(error.to_string(), "the mask has 1 entries, the model has 0 gates");
}

#[test]
fn a_mask_or_an_image_of_another_length_is_refused_and_the_session_stays_usable() {
    let mut session = session(&Fixture::gated());
    let mask = SkipMask::all_run(2);
    let error = session.run(&IMAGE, &SkipMask::all_run(3)).unwrap_err();
    assert!(matches!(error, Error::Mask(MaskError::Length { expected: 2, found: 3 })), "{error}");
    let error = session.run(&IMAGE[1..], &mask).unwrap_err();
    assert_eq!(
        error.to_string(),
        "input `image: f32[1, 2, 4]` takes 8 elements of type f32, found 7 of type f32"
    );
    assert_eq!(session.run(&IMAGE, &mask).unwrap(), expected(&IMAGE, &mask));
}

#[test]
fn a_mask_with_an_entry_point_of_its_own_runs_that_one() {
    let own = EntryPoint { mask: "10".parse().unwrap(), function: "skipgate.own".to_owned() };
    let fixture = Fixture::gated().edit(|manifest| manifest.abi.specialised = vec![own]);
    let mut session = session(&fixture);
    for mask in MASKS.map(|text| text.parse().unwrap()) {
        let expected = if mask == SkipMask::skipping(2, &[1]).unwrap() {
            IMAGE.to_vec()
        } else {
            expected(&IMAGE, &mask)
        };
        assert_eq!(session.run(&IMAGE, &mask).unwrap(), expected, "{mask}");
    }
}

#[test]
fn an_entry_point_that_the_code_lacks_is_refused() {
    let fixture = Fixture::gated().edit(|manifest| manifest.abi.entry_point = "skipgate.walk".to_owned());
    let error = Session::new(&fixture.open(), Device::local_sync()).unwrap_err();
    assert!(error.to_string().starts_with("IREE failed to find the entry point: "), "{error}");
    assert!(error.to_string().contains("NOT_FOUND"), "{error}");
}

#[test]
fn an_input_shape_that_the_code_does_not_take_is_refused_by_iree() {
    let fixture = Fixture::gated().edit(|manifest| manifest.abi.inputs[0].shape = vec![1, 2, 5]);
    let error = session(&fixture).run(&[0.0; 10], &SkipMask::all_run(2)).unwrap_err();
    assert!(matches!(&error, Error::Iree { doing: "run the model", .. }), "{error}");
    assert!(error.to_string().contains("INVALID_ARGUMENT"), "{error}");
}

#[test]
fn gates_that_the_code_does_not_have_are_refused_by_iree() {
    let fixture = Fixture::plain().edit(|manifest| *manifest = Fixture::gated().manifest);
    let plain = Fixture::plain().code();
    let error = session(&fixture.with_code(&plain)).run(&IMAGE, &SkipMask::all_run(2)).unwrap_err();
    assert!(matches!(&error, Error::Iree { doing: "run the model", .. }), "{error}");
}

#[test]
fn an_output_that_the_manifest_does_not_promise_is_refused() {
    let fixture = Fixture::gated().edit(|manifest| manifest.abi.outputs[0].shape = vec![1, 9]);
    let error = session(&fixture).run(&IMAGE, &SkipMask::all_run(2)).unwrap_err();
    let message = "the model returned element type 0x21000020 of shape [1, 8], its manifest promises `logits: f32[1, 9]`";
    assert_eq!(error.to_string(), message);
}

#[test]
fn a_session_outlives_the_artifact_that_it_was_made_from() {
    let fixture = Fixture::gated();
    let mut session = session(&fixture);
    drop(fixture);
    let mask = SkipMask::all_run(2);
    assert_eq!(session.run(&IMAGE, &mask).unwrap(), expected(&IMAGE, &mask));
}

#[test]
fn a_session_moves_to_another_thread() {
    let mut session = session(&Fixture::gated());
    let mask = SkipMask::all_run(2);
    session.run(&IMAGE, &mask).unwrap();
    let logits = thread::spawn(move || session.run(&IMAGE, &mask).unwrap().to_vec()).join().unwrap();
    assert_eq!(logits, expected(&IMAGE, &SkipMask::all_run(2)));
}

#[test]
fn many_threads_each_run_a_session_on_one_artifact() {
    const THREADS: usize = 8;
    let artifact = Fixture::gated().open();
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (artifact, barrier) = (&artifact, &barrier);
            scope.spawn(move || stress(artifact, barrier, thread));
        }
    });
}

/// Makes sessions and runs them, with other images and masks than the other threads.
fn stress(artifact: &Artifact, barrier: &Barrier, thread: usize) {
    barrier.wait();
    for round in 0..10 {
        let mut session = Session::new(artifact, Device::local_sync()).unwrap();
        let image = IMAGE.map(|value| value + f32::from(u16::try_from(thread).unwrap()));
        for call in 0..20 {
            let mask = MASKS[(thread + round + call) % MASKS.len()].parse().unwrap();
            assert_eq!(session.run(&image, &mask).unwrap(), expected(&image, &mask));
        }
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
fn worker_threads_give_the_same_logits() {
    let artifact = Fixture::gated().open();
    let mut session = Session::new(&artifact, Device::local_task(2).unwrap()).unwrap();
    for mask in MASKS.map(|text| text.parse().unwrap()) {
        assert_eq!(session.run(&IMAGE, &mask).unwrap(), expected(&IMAGE, &mask), "{mask}");
    }
}

#[test]
#[cfg(not(target_pointer_width = "64"))]
fn worker_threads_are_refused_on_32_bit_targets() {
    let error = Device::local_task(2).unwrap_err();
    assert!(matches!(error, Error::NoWorkers));
    assert!(error.hint().unwrap().contains("single-threaded"));
}

#[test]
fn impossible_numbers_of_threads_are_refused() {
    for threads in [0, Device::MAX_THREADS + 1] {
        let error = Device::local_task(threads).unwrap_err();
        assert_eq!(error.to_string(), format!("{threads} worker threads are not possible, 1 to 256 are"));
        assert!(error.hint().is_none());
    }
}

/// Compiles only while the types keep their promises about threads.
#[expect(dead_code, reason = "checked by the compiler")]
mod promises {
    use super::{Artifact, Device, Error, Session};

    fn shared<T: Send + Sync + 'static>() {}
    fn moved<T: Send + 'static>() {}

    /// Has two candidates for a `T` that is `Sync`, so that the call below is ambiguous for such a type.
    trait NotSync<A> {
        fn check() {}
    }
    impl<T> NotSync<()> for T {}
    impl<T: Sync> NotSync<u8> for T {}

    fn keep() {
        shared::<Artifact>();
        shared::<Device>();
        shared::<Error>();
        moved::<Session>();
        <Session as NotSync<_>>::check();
    }
}

/// An input of every type, in another order than the network's.
fn every_type<'a>(flags: &'a [bool], halves: &'a [f16]) -> Vec<(&'static str, Elements<'a>)> {
    vec![
        ("bool", flags.into()),
        ("i64", Elements::I64(&[i64::MAX / 2, -3])),
        ("i32", Elements::I32(&[i32::MIN / 2, 7])),
        ("u8", Elements::U8(&[100, 1])),
        ("i8", Elements::I8(&[-64, 63])),
        ("f16", halves.into()),
        ("f32", Elements::F32(&[0.25, -1e30])),
    ]
}

#[test]
fn tensors_of_every_type_go_in_and_come_out_by_name() {
    let mut session = session(&Fixture::types());
    let flags: Vec<_> = (0..300).map(|place| place % 7 == 0).collect();
    let negated: Vec<_> = flags.iter().map(|flag| !flag).collect();
    let halves = [f16::from_f32(1.5), f16::from_f32(-20000.0)];
    let doubled = halves.map(|half| half + half);
    for _ in 0..2 {
        let outputs = session.run_named(&every_type(&flags, &halves), &SkipMask::all_run(0)).unwrap();
        assert_eq!(outputs.get("f32"), Some(Elements::F32(&[0.5, -2e30])));
        assert_eq!(outputs.get("f16"), Some(Elements::F16(&doubled)));
        assert_eq!(outputs.get("i8"), Some(Elements::I8(&[-128, 126])));
        assert_eq!(outputs.get("u8"), Some(Elements::U8(&[200, 2])));
        assert_eq!(outputs.get("i32"), Some(Elements::I32(&[i32::MIN, 14])));
        assert_eq!(outputs.get("i64"), Some(Elements::I64(&[i64::MAX - 1, -6])));
        assert_eq!(outputs.get("bool"), Some(Elements::Bool(&negated)));
        assert_eq!(outputs.get("f64"), None);
    }
}

#[test]
fn inputs_that_are_missing_too_many_or_of_another_type_are_refused_and_the_session_stays_usable() {
    let mut session = session(&Fixture::types());
    let (flags, halves, none) = ([true; 300], [f16::ONE; 2], SkipMask::all_run(0));
    let mut all = every_type(&flags, &halves);
    let error = session.run_named(&all[1..], &none).unwrap_err().to_string();
    assert!(error.starts_with("the network takes the inputs `f32`, `f16`, `i8`,"), "{error}");
    assert!(error.ends_with("found `i64`, `i32`, `u8`, `i8`, `f16`, `f32`"), "{error}");
    let twice = [&all[1..], &all[1..2]].concat();
    assert!(matches!(session.run_named(&twice, &none), Err(Error::Inputs { .. })));
    all[3] = ("u8", Elements::I8(&[1, 2]));
    let error = session.run_named(&all, &none).unwrap_err().to_string();
    assert_eq!(error, "input `u8: u8[2]` takes 2 elements of type u8, found 2 of type i8");
    assert!(matches!(session.run(&IMAGE, &none), Err(Error::NotOneF32(_))));
    session.run_named(&every_type(&flags, &halves), &none).unwrap();
}
