//! IREE's own profile of a device (`hal/profile_sink.h`, `hal/profile_schema.h`): when each dispatch ran.
//!
//! IREE hands records to a sink, which here is a structure of ours with functions that C calls. They only copy, and a
//! panic in one of them would end the process.

use std::collections::HashMap;
use std::mem::offset_of;
use std::ptr;
use std::time::Duration;

use iree_runtime_sys as iree;

use super::{Owned, check};
use crate::DispatchTime;
use crate::error::Error;

/// Content types of the chunks of records that are read.
const FUNCTIONS: &[u8] = b"application/vnd.iree.hal.profile.executable-functions";
const EVENTS: &[u8] = b"application/vnd.iree.hal.profile.host-execution-events";

/// What IREE writes a profile to.
#[repr(C)]
struct Sink {
    /// First, as in every object of IREE. IREE counts references here, but Rust owns the sink.
    resource: iree::iree_hal_resource_t,
    functions: Vec<u8>,
    events: Vec<u8>,
}

static VTABLE: iree::iree_hal_profile_sink_vtable_t = iree::iree_hal_profile_sink_vtable_t {
    destroy: Some(destroy),
    begin_session: Some(begin_session),
    write: Some(write),
    end_session: Some(end_session),
};

unsafe extern "C" fn destroy(_: *mut iree::iree_hal_profile_sink_t) {}

unsafe extern "C" fn begin_session(
    _: *mut iree::iree_hal_profile_sink_t,
    _: *const iree::iree_hal_profile_chunk_metadata_t,
) -> iree::iree_status_t {
    ptr::null_mut()
}

unsafe extern "C" fn end_session(
    _: *mut iree::iree_hal_profile_sink_t,
    _: *const iree::iree_hal_profile_chunk_metadata_t,
    _: iree::iree_status_code_t,
) -> iree::iree_status_t {
    ptr::null_mut()
}

/// Copies the chunks that are of use.
///
/// # Safety
///
/// `sink` is a [`Sink`] that nothing else uses during the call; `metadata` and `count` parts of a chunk are readable.
unsafe extern "C" fn write(
    sink: *mut iree::iree_hal_profile_sink_t,
    metadata: *const iree::iree_hal_profile_chunk_metadata_t,
    count: iree::iree_host_size_t,
    parts: *const iree::iree_const_byte_span_t,
) -> iree::iree_status_t {
    // SAFETY: by the caller's promise; IREE writes from one thread at a time.
    let (sink, content) = unsafe { (&mut *sink.cast::<Sink>(), (*metadata).content_type) };
    // SAFETY: a string view is readable over its length.
    let chunk = match unsafe { bytes(content.data.cast(), content.size) } {
        FUNCTIONS => &mut sink.functions,
        EVENTS => &mut sink.events,
        _ => return ptr::null_mut(),
    };
    for index in 0..count {
        // SAFETY: there are `count` spans, each readable over its length.
        chunk.extend_from_slice(unsafe {
            let part = &*parts.add(index);
            bytes(part.data, part.data_length)
        });
    }
    ptr::null_mut()
}

/// # Safety
///
/// Unless `length` is 0, that many bytes are readable at `data` for the lifetime that the caller chooses.
unsafe fn bytes<'a>(data: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts(data, length) }
}

/// Profiles what `run` makes `device` do: its dispatches in the order in which they began.
pub(super) fn profile(
    device: &Owned<iree::iree_hal_device_t>,
    run: impl FnOnce() -> Result<(), Error>,
) -> Result<Vec<DispatchTime>, Error> {
    let profile = Profile::begin(device)?;
    run()?;
    profile.end()
}

/// A device that is being profiled, until this is dropped.
struct Profile<'d> {
    device: &'d Owned<iree::iree_hal_device_t>,
    /// Owned; the device uses it until profiling ends.
    sink: *mut Sink,
}

impl<'d> Profile<'d> {
    fn begin(device: &'d Owned<iree::iree_hal_device_t>) -> Result<Self, Error> {
        let resource = iree::iree_hal_resource_t { ref_count: 1, vtable: ptr::from_ref(&VTABLE).cast() };
        let sink = Box::into_raw(Box::new(Sink { resource, functions: Vec::new(), events: Vec::new() }));
        let profile = Self { device, sink };
        // SAFETY: all fields are numbers or pointers that may be null: no filter and no counters.
        let mut options: iree::iree_hal_device_profiling_options_t = unsafe { std::mem::zeroed() };
        options.data_families = u64::from(
            iree::IREE_HAL_DEVICE_PROFILING_DATA_HOST_EXECUTION_EVENTS
                | iree::IREE_HAL_DEVICE_PROFILING_DATA_EXECUTABLE_METADATA,
        );
        options.sink = sink.cast();
        // SAFETY: the device is alive, the sink lives until profiling has ended, and the options are only read during
        // the call.
        let begun = unsafe { iree::iree_hal_device_profiling_begin(device.as_ptr(), &raw const options) };
        check(begun, "begin a profile")?;
        Ok(profile)
    }

    fn end(self) -> Result<Vec<DispatchTime>, Error> {
        // SAFETY: the device is alive, and nothing runs on it: whoever uses it waits for what was started.
        check(unsafe { iree::iree_hal_device_profiling_end(self.device.as_ptr()) }, "end a profile")?;
        // SAFETY: the device has given the sink up.
        Ok(read(unsafe { &*self.sink }))
    }
}

impl Drop for Profile<'_> {
    fn drop(&mut self) {
        // SAFETY: as in `end`, behind which this does nothing more. The status is this function's to free.
        unsafe {
            let status = iree::iree_hal_device_profiling_end(self.device.as_ptr());
            iree::iree_status_free(status);
        }
        // SAFETY: made by `Box::into_raw`, and the device has given it up.
        drop(unsafe { Box::from_raw(self.sink) });
    }
}

fn read(sink: &Sink) -> Vec<DispatchTime> {
    type Function = iree::iree_hal_profile_executable_function_record_t;
    type Event = iree::iree_hal_profile_host_execution_event_t;
    let mut names = HashMap::new();
    for record in records(&sink.functions) {
        let Some(header) = read_as::<Function>(record) else { continue };
        let name = record.get(size_of::<Function>()..).unwrap_or_default();
        let name = name.get(..header.name_length as usize).unwrap_or_default();
        names.insert(
            (header.executable_id, header.function_ordinal),
            String::from_utf8_lossy(name).into_owned(),
        );
    }
    let mut events: Vec<_> = records(&sink.events)
        .filter_map(read_as::<Event>)
        .filter(|event| event.type_ == iree::IREE_HAL_PROFILE_QUEUE_EVENT_TYPE_DISPATCH)
        .collect();
    events.sort_by_key(|event| event.start_host_time_ns);
    let time = |event: Event| {
        let nanoseconds = event.end_host_time_ns.saturating_sub(event.start_host_time_ns);
        DispatchTime {
            function: names.get(&(event.executable_id, event.function_ordinal)).cloned().unwrap_or_default(),
            workgroups: event.workgroup_count,
            time: Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default()),
        }
    };
    events.into_iter().map(time).collect()
}

/// The records of a chunk. Each begins with its length.
fn records(mut chunk: &[u8]) -> impl Iterator<Item = &[u8]> {
    const { assert!(offset_of!(iree::iree_hal_profile_host_execution_event_t, record_length) == 0) };
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*chunk.first_chunk()?) as usize;
        let (record, rest) = chunk.split_at_checked(length.max(size_of::<u32>()))?;
        chunk = rest;
        Some(record)
    })
}

/// The beginning of a record; `T` consists of numbers only.
fn read_as<T: Copy>(record: &[u8]) -> Option<T> {
    // SAFETY: the record is long enough, and every bit pattern is a number; its place may be unaligned.
    (record.len() >= size_of::<T>()).then(|| unsafe { record.as_ptr().cast::<T>().read_unaligned() })
}
