//! Controllers.

use std::time::Duration;

use skipgate_runtime::controller::{
    Controller, Deadline, EnergyBudget, KeepUp, Level, Levels, Percentile, Queueing, Stepwise,
};

use crate::status::{SkipgateStatus, elements, failed, free, hand_out, invalid};

/// Chooses for each request which configuration runs. It has no thread and no clock: every call is told the time, in
/// nanoseconds since any moment that stays the same. One thread at a time may use one.
pub struct SkipgateController(Box<dyn Controller + Send>);

/// A configuration of a front, as controllers see it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SkipgateLevel {
    /// From 0 to 1.
    pub accuracy: f64,
    /// Median latency on an idle device.
    pub median_ns: u64,
    /// The latency that 99 of 100 calls do not exceed there.
    pub p99_ns: u64,
}

/// Skips one step more after each request that finds the device busy and is dropped, one step less after a pause of more
/// than `idle_ns` between requests (algorithm 1 of the paper, section II-B).
///
/// `levels` are those of the front, in its order; only those that are more accurate than `minimum_accuracy` are used. On
/// success, *controller is the caller's, who frees it with skipgate_controller_free. Errors:
/// SKIPGATE_STATUS_INVALID_ARGUMENT, SKIPGATE_STATUS_CONFIGURATIONS.
///
/// # Safety
///
/// `levels` is null or points to `count` levels; `controller` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_controller_stepwise(
    levels: *const SkipgateLevel,
    count: usize,
    minimum_accuracy: f64,
    idle_ns: u64,
    controller: *mut *mut SkipgateController,
) -> SkipgateStatus {
    let new = |levels| Box::new(Stepwise::new(levels, Duration::from_nanos(idle_ns))) as _;
    // SAFETY: by the caller's promise.
    unsafe { make(levels, count, minimum_accuracy, controller, new) }
}

/// The same, but lets up to `room` requests wait instead of dropping them.
///
/// # Safety
///
/// As for skipgate_controller_stepwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_controller_queueing(
    levels: *const SkipgateLevel,
    count: usize,
    minimum_accuracy: f64,
    idle_ns: u64,
    room: usize,
    controller: *mut *mut SkipgateController,
) -> SkipgateStatus {
    let new = |levels| Box::new(Queueing::new(levels, Duration::from_nanos(idle_ns), room)) as _;
    // SAFETY: by the caller's promise.
    unsafe { make(levels, count, minimum_accuracy, controller, new) }
}

/// Runs the most accurate configuration that is expected to be through `deadline_ns` after the request arrived.
///
/// # Safety
///
/// As for skipgate_controller_stepwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_controller_deadline(
    levels: *const SkipgateLevel,
    count: usize,
    minimum_accuracy: f64,
    deadline_ns: u64,
    controller: *mut *mut SkipgateController,
) -> SkipgateStatus {
    let new = |levels| Box::new(Deadline::new(levels, Duration::from_nanos(deadline_ns))) as _;
    // SAFETY: by the caller's promise.
    unsafe { make(levels, count, minimum_accuracy, controller, new) }
}

/// Runs the most accurate configuration with which the device keeps up, and drops only what cannot be through `deadline_ns`
/// after it arrived any more. The one to begin with; twice the latency with all blocks is a good deadline.
///
/// # Safety
///
/// As for skipgate_controller_stepwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_controller_keep_up(
    levels: *const SkipgateLevel,
    count: usize,
    minimum_accuracy: f64,
    deadline_ns: u64,
    controller: *mut *mut SkipgateController,
) -> SkipgateStatus {
    let new = |levels| Box::new(KeepUp::new(&levels, Duration::from_nanos(deadline_ns))) as _;
    // SAFETY: by the caller's promise.
    unsafe { make(levels, count, minimum_accuracy, controller, new) }
}

/// The same, but drops nothing, and keeps 99 of 100 requests within `bound_ns` from arrival to answer.
///
/// # Safety
///
/// As for skipgate_controller_stepwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_controller_percentile(
    levels: *const SkipgateLevel,
    count: usize,
    minimum_accuracy: f64,
    bound_ns: u64,
    controller: *mut *mut SkipgateController,
) -> SkipgateStatus {
    let new = |levels| Box::new(Percentile::new(&levels, Duration::from_nanos(bound_ns))) as _;
    // SAFETY: by the caller's promise.
    unsafe { make(levels, count, minimum_accuracy, controller, new) }
}

/// Like skipgate_controller_keep_up, but the device works no more than `share` of the time, above 0 and at most 1, and so needs no
/// more power than idle + share * (busy - idle).
///
/// # Safety
///
/// As for skipgate_controller_stepwise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_controller_energy_budget(
    levels: *const SkipgateLevel,
    count: usize,
    minimum_accuracy: f64,
    deadline_ns: u64,
    share: f64,
    controller: *mut *mut SkipgateController,
) -> SkipgateStatus {
    if !(share > 0.0 && share <= 1.0) {
        return invalid(&format!("the share is {share}; expected more than 0 and at most 1"));
    }
    let deadline = Duration::from_nanos(deadline_ns);
    let new = |levels| Box::new(EnergyBudget::new(&levels, deadline, share)) as _;
    // SAFETY: by the caller's promise.
    unsafe { make(levels, count, minimum_accuracy, controller, new) }
}

/// Hands out what `new` makes of the levels.
///
/// # Safety
///
/// As for `skipgate_controller_stepwise`.
unsafe fn make(
    levels: *const SkipgateLevel,
    count: usize,
    minimum_accuracy: f64,
    controller: *mut *mut SkipgateController,
    new: impl FnOnce(Levels) -> Box<dyn Controller + Send>,
) -> SkipgateStatus {
    // SAFETY: by the caller's promise; they are only read, during this call.
    let Some(levels) = (unsafe { elements(levels, count) }) else { return invalid("the levels are null") };
    let level = |level: &SkipgateLevel| {
        let [median, p99] = [level.median_ns, level.p99_ns].map(Duration::from_nanos);
        Level::new(level.accuracy, median, p99)
    };
    match Levels::new(levels.iter().map(level).collect(), minimum_accuracy) {
        // SAFETY: by the caller's promise about `controller`.
        Ok(levels) => unsafe { hand_out(SkipgateController(new(levels)), controller) },
        Err(error) => failed(SkipgateStatus::Configurations, error),
    }
}

/// Frees a controller; null is passed over.
///
/// # Safety
///
/// `controller` is null, or was handed out by this library and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_controller_free(controller: *mut SkipgateController) {
    // SAFETY: by the caller's promise.
    unsafe { free(controller) };
}

/// A request arrives at `now_ns`, while `waiting` others are being processed or wait for it: whether it is kept. If not, it
/// is dropped. A null controller keeps none.
///
/// # Safety
///
/// `controller` is null, or live and used by no other thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_controller_admit(
    controller: *mut SkipgateController,
    now_ns: u64,
    waiting: usize,
) -> bool {
    // SAFETY: by the caller's promise.
    unsafe { controller.as_mut() }
        .is_some_and(|controller| controller.0.admit(Duration::from_nanos(now_ns), waiting))
}

/// The same for a request that must be answered by a deadline of its own, at the time `deadline_ns`. Controllers without
/// deadlines pass it over.
///
/// # Safety
///
/// As for skipgate_controller_admit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_controller_admit_by(
    controller: *mut SkipgateController,
    now_ns: u64,
    deadline_ns: u64,
    waiting: usize,
) -> bool {
    let [now, deadline] = [now_ns, deadline_ns].map(Duration::from_nanos);
    // SAFETY: by the caller's promise.
    unsafe { controller.as_mut() }.is_some_and(|controller| controller.0.admit_by(now, deadline, waiting))
}

/// The device begins at `now_ns` with a request that arrived at `arrived_ns`, while `waiting` others wait behind it: the
/// number of the configuration to run. 0 for a null controller.
///
/// # Safety
///
/// `controller` is null, or live and used by no other thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_controller_choose(
    controller: *mut SkipgateController,
    now_ns: u64,
    arrived_ns: u64,
    waiting: usize,
) -> usize {
    let [now, arrived] = [now_ns, arrived_ns].map(Duration::from_nanos);
    // SAFETY: by the caller's promise.
    unsafe { controller.as_mut() }.map_or(0, |controller| controller.0.choose(now, arrived, waiting))
}

/// The device took this long for a request in that configuration.
///
/// # Safety
///
/// `controller` is null, or live and used by no other thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn skipgate_controller_finished(
    controller: *mut SkipgateController,
    configuration: usize,
    took_ns: u64,
) {
    // SAFETY: by the caller's promise.
    if let Some(controller) = unsafe { controller.as_mut() } {
        controller.0.finished(configuration, Duration::from_nanos(took_ns));
    }
}
