//! That neither running nor choosing allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use skipgate_runtime::controller::{
    Controller, Deadline, KeepUp, Level, Levels, Percentile, Queueing, Stepwise,
};
use skipgate_runtime::{Device, Session, SkipMask};

use crate::fixture::{Fixture, IMAGE};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting what each thread asks for.
struct Counting;

#[expect(unsafe_code, reason = "a global allocator is unsafe by nature")]
// SAFETY: everything is passed on to the system's allocator; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn only_the_first_call_may_allocate() {
    let mut session = Session::new(&Fixture::gated().open(), Device::local_sync()).unwrap();
    let masks = [SkipMask::all_run(2), SkipMask::all_skip(2)];
    session.run(&IMAGE, &masks[0]).unwrap();
    let before = ALLOCATIONS.get();
    for mask in masks.iter().cycle().take(100) {
        session.run(&IMAGE, mask).unwrap();
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert!(before > 0, "the counter counts");
}

#[test]
fn inputs_by_name_and_a_mask_that_changes_in_place_allocate_nothing() {
    let mut session = Session::new(&Fixture::gated().open(), Device::local_sync()).unwrap();
    let mut mask = SkipMask::all_run(2);
    session.run_with(|_| Some(IMAGE[..].into()), &mask).unwrap();
    let before = ALLOCATIONS.get();
    for number in 0..100 {
        mask.set(&[number % 2 == 0, number % 3 == 0]).unwrap();
        let outputs = session.run_with(|_| Some(IMAGE[..].into()), &mask).unwrap();
        assert_eq!(outputs.iter().len(), 1);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert!(before > 0, "the counter counts");
}

#[test]
fn controllers_never_allocate_once_they_are_made() {
    let ms = Duration::from_millis;
    let level = |number: u32| Level::new(0.9, ms(20) / (number + 1), ms(25) / (number + 1));
    let levels = Levels::new((0..20).map(level).collect(), 0.5).unwrap();
    let controllers: [Box<dyn Controller>; 5] = [
        Box::new(KeepUp::new(&levels, ms(40))),
        Box::new(Percentile::new(&levels, ms(40))),
        Box::new(Stepwise::new(levels.clone(), ms(20))),
        Box::new(Queueing::new(levels.clone(), ms(20), 4)),
        Box::new(Deadline::new(levels, ms(15))),
    ];
    let before = ALLOCATIONS.get();
    for mut controller in controllers {
        for request in 0..1000 {
            let now = ms(7) * request;
            if controller.admit(now, usize::from(request % 3 == 0)) {
                let configuration = controller.choose(now, now, 0);
                controller.finished(configuration, ms(9));
            }
        }
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert!(before > 0, "the counter counts");
}
