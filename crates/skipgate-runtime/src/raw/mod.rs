//! Thin wrappers over IREE's C runtime: the one module with unsafe code.
//!
//! Every wrapper states what the C header says about threads and ownership. C calls back an allocator and, for profiles, a
//! sink: `extern "C"` functions, which end the process rather than let a panic cross.

mod profile;

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use half::f16;
use iree_runtime_sys as iree;
use memmap2::Mmap;
use skipgate_core::{ElementType, Elements, Manifest, SkipMask, TensorSpec, Values};

use crate::DispatchTime;
use crate::device::Kind;
use crate::error::{Error, Status};

/// Maps a file for reading.
pub(crate) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the crate documentation asks the user not to change the file while an artifact is alive.
    unsafe { Mmap::map(file) }
}

/// Turns a status into a result; `doing` completes "IREE failed to".
fn check(status: iree::iree_status_t, doing: &'static str) -> Result<(), Error> {
    if status.is_null() {
        return Ok(());
    }
    // The low bits of a status are its code; the pointer is never followed here.
    let code = u32::try_from(status.addr() & CODE_MASK).unwrap_or_default();
    let message = message(status);
    // SAFETY: the function that returned the status passed ownership, and this is its last use.
    unsafe { iree::iree_status_free(status) };
    Err(Error::Iree { doing, status: Status { code, message } })
}

/// `IREE_STATUS_CODE_MASK`, a macro that bindgen cannot evaluate.
const CODE_MASK: usize = 0x1F;

fn message(status: iree::iree_status_t) -> String {
    let mut length = 0;
    // SAFETY: without a buffer the function only measures; `status` is alive.
    unsafe { iree::iree_status_format(status, 0, ptr::null_mut(), &raw mut length) };
    let mut text = vec![0u8; length + 1];
    // SAFETY: the buffer is as long as told, with room for the final NUL; `status` is alive.
    unsafe { iree::iree_status_format(status, text.len(), text.as_mut_ptr().cast(), &raw mut length) };
    text.truncate(length);
    String::from_utf8_lossy(&text).into_owned()
}

/// The C library's allocator.
fn allocator() -> iree::iree_allocator_t {
    iree::iree_allocator_t { self_: ptr::null_mut(), ctl: Some(iree::iree_allocator_libc_ctl) }
}

/// An allocator for tensors with the C library's memory. IREE asks for zeros, and so would write the working memory of
/// every inference once more than the network does.
fn tensor_allocator() -> iree::iree_allocator_t {
    iree::iree_allocator_t { self_: ptr::null_mut(), ctl: Some(allocate_tensors) }
}

/// Bytes of zeros that every new block begins with: room for what IREE keeps in front of a tensor's contents, which a test
/// measures.
const ZEROED: usize = 4096;

/// What the rest of a block is filled with in builds with debug assertions, so that every test fails at once if IREE counts on
/// zeros there.
const FILLING: u8 = 0xA5;

/// `iree_allocator_libc_ctl`, but that only the first [`ZEROED`] bytes of a block that is asked to be zeroed are.
///
/// # Safety
///
/// As for `iree_allocator_libc_ctl`.
unsafe extern "C" fn allocate_tensors(
    this: *mut c_void,
    command: iree::iree_allocator_command_t,
    parameters: *const c_void,
    memory: *mut *mut c_void,
) -> iree::iree_status_t {
    if command != iree::IREE_ALLOCATOR_COMMAND_CALLOC {
        // SAFETY: by the caller's promise.
        return unsafe { iree::iree_allocator_libc_ctl(this, command, parameters, memory) };
    }
    // SAFETY: of the two allocating commands with the same parameters (`base/allocator.h`), the caller meant the other. A
    // block without an error is at least as long as those say.
    unsafe {
        let status =
            iree::iree_allocator_libc_ctl(this, iree::IREE_ALLOCATOR_COMMAND_MALLOC, parameters, memory);
        if status.is_null() {
            let length = (*parameters.cast::<iree::iree_allocator_alloc_params_t>()).byte_length;
            let (block, zeroed) = ((*memory).cast::<u8>(), length.min(ZEROED));
            block.write_bytes(0, zeroed);
            if cfg!(debug_assertions) {
                block.add(zeroed).write_bytes(FILLING, length - zeroed);
            }
        }
        status
    }
}

/// Borrows `text` for C: valid as long as `text` is.
fn view(text: &str) -> iree::iree_string_view_t {
    iree::iree_string_view_t { data: text.as_ptr().cast(), size: text.len() }
}

/// One reference to a reference-counted C object.
///
/// **Owns:** the reference; dropping releases it.
#[derive(Debug)]
struct Owned<T> {
    object: NonNull<T>,
    release: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// Takes the object that `create` stores through its argument.
    ///
    /// # Safety
    ///
    /// On success `create` must store a valid object and pass on a reference that `release` gives up.
    unsafe fn create(
        release: unsafe extern "C" fn(*mut T),
        doing: &'static str,
        create: impl FnOnce(*mut *mut T) -> iree::iree_status_t,
    ) -> Result<Self, Error> {
        let mut object = ptr::null_mut();
        check(create(&raw mut object), doing)?;
        let object = NonNull::new(object).expect("a C function that succeeds stores an object");
        Ok(Self { object, release })
    }

    fn as_ptr(&self) -> *mut T {
        self.object.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `create` took over this reference, and it is given up once.
        unsafe { (self.release)(self.as_ptr()) }
    }
}

/// What all sessions of the process share.
///
/// **Threads:** IREE calls all of it thread-safe. There is one per process, since registering the types of IREE's HAL in
/// a second VM instance while the first one is in use is not safe.
///
/// **Owns:** its objects, until the process ends.
struct Process {
    instance: Owned<iree::iree_runtime_instance_t>,
    /// Every device asks for an event loop. Those of the single-threaded device submit nothing to it, so nobody polls it.
    idle_events: Owned<iree::iree_async_proactor_pool_t>,
    /// Worker threads may wait for events; a thread of IREE's polls, from the first device that has workers.
    #[cfg(target_pointer_width = "64")]
    polled_events: Owned<iree::iree_async_proactor_pool_t>,
}

// SAFETY: `runtime/instance.h` says "thread-safe"; `async/util/proactor_pool.c` guards its state with a lock.
unsafe impl Send for Process {}
// SAFETY: as above.
unsafe impl Sync for Process {}

impl Process {
    fn get() -> Result<&'static Self, Error> {
        static PROCESS: OnceLock<Result<Process, Error>> = OnceLock::new();
        PROCESS.get_or_init(Self::new).as_ref().map_err(|error| match error {
            Error::Iree { doing, status } => Error::Iree { doing, status: status.clone() },
            _ => unreachable!("only IREE fails here"),
        })
    }

    fn new() -> Result<Self, Error> {
        let mut options = MaybeUninit::uninit();
        // SAFETY: the function initialises the options, which the next one only reads.
        let instance = unsafe {
            iree::iree_runtime_instance_options_initialize(options.as_mut_ptr());
            Owned::create(iree::iree_runtime_instance_release, "start", |out| {
                iree::iree_runtime_instance_create(options.as_ptr(), allocator(), out)
            })?
        };
        // SAFETY: the function only returns a value.
        let polled = unsafe { iree::iree_async_proactor_pool_options_default() };
        let mut idle = polled;
        idle.runner.create = None;
        Ok(Self {
            instance,
            idle_events: events(idle)?,
            #[cfg(target_pointer_width = "64")]
            polled_events: events(polled)?,
        })
    }

    fn events(&self, kind: Kind) -> &Owned<iree::iree_async_proactor_pool_t> {
        match kind {
            Kind::Sync => &self.idle_events,
            #[cfg(target_pointer_width = "64")]
            Kind::Task(_) => &self.polled_events,
        }
    }
}

/// A pool with one event loop, which starts when a device first asks for it.
fn events(
    options: iree::iree_async_proactor_pool_options_t,
) -> Result<Owned<iree::iree_async_proactor_pool_t>, Error> {
    // SAFETY: a pool of one needs no node identifiers.
    unsafe {
        Owned::create(iree::iree_async_proactor_pool_release, "prepare an event loop", |out| {
            iree::iree_async_proactor_pool_create(1, ptr::null(), options, allocator(), out)
        })
    }
}

/// Creates the CPU device.
fn device(process: &Process, kind: Kind) -> Result<Owned<iree::iree_hal_device_t>, Error> {
    // SAFETY: artifacts import nothing, so there is no plugin manager.
    let loader = unsafe {
        Owned::create(iree::iree_hal_executable_loader_release, "create its code loader", |out| {
            iree::iree_hal_embedded_elf_loader_create(ptr::null_mut(), allocator(), out)
        })?
    };
    // SAFETY: the name outlives the process. Nothing reads contents before they are written: IREE leaves those of new
    // tensors undefined, and a session writes whole inputs before it runs.
    let heap = unsafe {
        Owned::create(iree::iree_hal_allocator_release, "create its allocator", |out| {
            iree::iree_hal_allocator_create_heap(view("local"), tensor_allocator(), tensor_allocator(), out)
        })?
    };
    let shared = iree::iree_hal_device_create_params_t {
        next: ptr::null(),
        proactor_pool: process.events(kind).as_ptr(),
    };
    let mut loaders = [loader.as_ptr()];
    let parts = Parts { loader: loaders.as_mut_ptr(), heap: heap.as_ptr(), shared: &raw const shared };
    // The device retains the loader, the allocator and the pool.
    match kind {
        Kind::Sync => sync_device(&parts),
        #[cfg(target_pointer_width = "64")]
        Kind::Task(threads) => task_device(&parts, threads),
    }
}

/// What both kinds of device are made of.
struct Parts {
    loader: *mut *mut iree::iree_hal_executable_loader_t,
    heap: *mut iree::iree_hal_allocator_t,
    shared: *const iree::iree_hal_device_create_params_t,
}

fn sync_device(parts: &Parts) -> Result<Owned<iree::iree_hal_device_t>, Error> {
    let mut params = MaybeUninit::uninit();
    // SAFETY: the parameters are initialised, the parts alive, and there is one loader.
    unsafe {
        iree::iree_hal_sync_device_params_initialize(params.as_mut_ptr());
        Owned::create(iree::iree_hal_device_release, "create the CPU device", |out| {
            iree::iree_hal_sync_device_create(
                view("local-sync"),
                params.as_ptr(),
                parts.shared,
                1,
                parts.loader,
                parts.heap,
                allocator(),
                out,
            )
        })
    }
}

#[cfg(target_pointer_width = "64")]
fn task_device(parts: &Parts, threads: usize) -> Result<Owned<iree::iree_hal_device_t>, Error> {
    let executor = task_executor(threads)?;
    let executors = executor.as_ptr();
    let mut params = MaybeUninit::uninit();
    // SAFETY: the parameters are initialised, the parts alive, and there are one executor and one loader. The device
    // retains the executor.
    unsafe {
        iree::iree_hal_task_device_params_initialize(params.as_mut_ptr());
        Owned::create(iree::iree_hal_device_release, "create the CPU device", |out| {
            iree::iree_hal_task_device_create(
                view("local-task"),
                params.as_ptr(),
                1,
                &raw const executors,
                1,
                parts.loader,
                parts.heap,
                parts.shared,
                allocator(),
                out,
            )
        })
    }
}

/// Starts worker threads.
#[cfg(target_pointer_width = "64")]
fn task_executor(threads: usize) -> Result<Owned<iree::iree_task_executor_t>, Error> {
    let mut options = MaybeUninit::uninit();
    let mut topology = MaybeUninit::uninit();
    // SAFETY: both are initialised before they are read; the executor copies what it needs of the topology.
    unsafe {
        iree::iree_task_executor_options_initialize(options.as_mut_ptr());
        iree::iree_task_topology_initialize_from_group_count(threads, topology.as_mut_ptr());
        let executor = Owned::create(iree::iree_task_executor_release, "start worker threads", |out| {
            iree::iree_task_executor_create(options.assume_init(), topology.as_ptr(), allocator(), out)
        });
        iree::iree_task_topology_deinitialize(topology.as_mut_ptr());
        executor
    }
}

/// Held while code is loaded. IREE writes down then what the processor can do, in one place for all threads that is zero
/// meanwhile, and has no lock for it (`iree_hal_executable_environment_initialize`): another thread could take the processor
/// for one that can do nothing. `ThreadSanitizer` finds it where this lock is missing.
static LOADING: Mutex<()> = Mutex::new(());

/// Loads the code into a session of its own.
///
/// # Safety
///
/// The session and everything that came out of it must be gone before `vmfb` is.
unsafe fn session(
    process: &Process,
    device: &Owned<iree::iree_hal_device_t>,
    vmfb: &[u8],
) -> Result<Owned<iree::iree_runtime_session_t>, Error> {
    let mut options = MaybeUninit::uninit();
    // SAFETY: the options are initialised; the session retains the instance and the device.
    let session = unsafe {
        iree::iree_runtime_session_options_initialize(options.as_mut_ptr());
        Owned::create(iree::iree_runtime_session_release, "create a session", |out| {
            iree::iree_runtime_session_create_with_device(
                process.instance.as_ptr(),
                options.as_ptr(),
                device.as_ptr(),
                allocator(),
                out,
            )
        })?
    };
    let contents = iree::iree_const_byte_span_t { data: vmfb.as_ptr(), data_length: vmfb.len() };
    let loading = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the caller keeps the bytes alive; the null allocator frees nothing.
    let status = unsafe {
        iree::iree_runtime_session_append_bytecode_module_from_memory(
            session.as_ptr(),
            contents,
            null_allocator(),
        )
    };
    drop(loading);
    check(status, "load the code")?;
    Ok(session)
}

/// An allocator that owns nothing, for memory that belongs to Rust.
fn null_allocator() -> iree::iree_allocator_t {
    iree::iree_allocator_t { self_: ptr::null_mut(), ctl: None }
}

/// A function and its argument lists.
///
/// **Threads:** thread-compatible, like the session it retains.
///
/// **Owns:** its lists and a reference to the session.
#[derive(Debug)]
struct Call(iree::iree_runtime_call_t);

impl Call {
    fn new(session: &Owned<iree::iree_runtime_session_t>, function: &str) -> Result<Self, Error> {
        let mut call = MaybeUninit::uninit();
        // SAFETY: the session is alive, and the name is only read during the call.
        let status = unsafe {
            iree::iree_runtime_call_initialize_by_name(session.as_ptr(), view(function), call.as_mut_ptr())
        };
        check(status, "find the entry point")?;
        // SAFETY: a call that succeeds initialises the structure.
        Ok(Self(unsafe { call.assume_init() }))
    }

    /// Appends an argument; the list retains it.
    fn push(&mut self, argument: &Tensor) -> Result<(), Error> {
        // SAFETY: both are alive.
        let status = unsafe {
            iree::iree_runtime_call_inputs_push_back_buffer_view(&raw mut self.0, argument.0.as_ptr())
        };
        check(status, "pass an argument")
    }

    /// Runs the function. Its results are [taken](Self::take) one after the other.
    fn invoke(&mut self) -> Result<(), Error> {
        // It empties the list of results first (`vm/invocation.c`), so nothing is left of a call before.
        // SAFETY: the call is initialised and, through `&mut self`, used by one thread.
        check(unsafe { iree::iree_runtime_call_invoke(&raw mut self.0, 0) }, "run the model")
    }

    /// The first result that has not been taken yet.
    fn take(&mut self) -> Result<Tensor, Error> {
        // SAFETY: popping passes the list's reference on.
        let result = unsafe {
            Owned::create(iree::iree_hal_buffer_view_release, "return the result", |out| {
                iree::iree_runtime_call_outputs_pop_front_buffer_view(&raw mut self.0, out)
            })?
        };
        Ok(Tensor(result))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // SAFETY: `new` initialised the structure, and this is its last use.
        unsafe { iree::iree_runtime_call_deinitialize(&raw mut self.0) }
    }
}

/// A tensor in the memory of the CPU device.
///
/// **Threads:** thread-compatible, like the session that uses it.
///
/// **Owns:** a reference to IREE's buffer view.
#[derive(Debug)]
struct Tensor(Owned<iree::iree_hal_buffer_view_t>);

impl Tensor {
    /// Allocates a dense tensor of zeros.
    fn new(device: &Owned<iree::iree_hal_device_t>, spec: &TensorSpec) -> Result<Self, Error> {
        let mut tensor = Self::allocate(device, spec)?;
        // A profile may run before inputs are given; what was in memory must not matter.
        let zeros = Values::zeros(spec.element_type, spec.elements().unwrap_or_default());
        tensor.write(zeros.elements())?;
        Ok(tensor)
    }

    /// Allocates a dense tensor of whatever was in memory.
    fn allocate(device: &Owned<iree::iree_hal_device_t>, spec: &TensorSpec) -> Result<Self, Error> {
        let shape: Vec<_> = spec.shape.iter().map(|&extent| extent as iree::iree_hal_dim_t).collect();
        let params = iree::iree_hal_buffer_params_t {
            usage: iree::IREE_HAL_BUFFER_USAGE_DEFAULT | iree::IREE_HAL_BUFFER_USAGE_MAPPING,
            access: 0,
            type_: iree::IREE_HAL_MEMORY_TYPE_HOST_LOCAL | iree::IREE_HAL_MEMORY_TYPE_DEVICE_VISIBLE,
            queue_affinity: 0,
            min_alignment: 0,
        };
        let nothing = iree::iree_const_byte_span_t { data: ptr::null(), data_length: 0 };
        // SAFETY: the device is alive, the shape has the rank told, and without initial data nothing is read.
        let view = unsafe {
            Owned::create(iree::iree_hal_buffer_view_release, "allocate an input", |out| {
                iree::iree_hal_buffer_view_allocate_buffer_copy(
                    device.as_ptr(),
                    iree::iree_hal_device_allocator(device.as_ptr()),
                    shape.len(),
                    shape.as_ptr(),
                    iree_type(spec.element_type),
                    iree::IREE_HAL_ENCODING_TYPE_DENSE_ROW_MAJOR,
                    params,
                    nothing,
                    out,
                )
            })?
        };
        Ok(Self(view))
    }

    fn buffer(&self) -> *mut iree::iree_hal_buffer_t {
        // SAFETY: the view is alive and lends its buffer.
        unsafe { iree::iree_hal_buffer_view_buffer(self.0.as_ptr()) }
    }

    /// Copies `elements` into the tensor; IREE refuses more than fit.
    fn write(&mut self, elements: Elements<'_>) -> Result<(), Error> {
        match elements {
            Elements::F32(elements) => self.write_plain(elements),
            Elements::F16(elements) => self.write_plain(elements),
            Elements::I8(elements) => self.write_plain(elements),
            Elements::U8(elements) => self.write_plain(elements),
            Elements::I32(elements) => self.write_plain(elements),
            Elements::I64(elements) => self.write_plain(elements),
            Elements::Bool(elements) => self.write_plain(elements),
        }
    }

    fn write_plain<T: Plain>(&mut self, elements: &[T]) -> Result<(), Error> {
        let length = size_of_val(elements) as iree::iree_device_size_t;
        // SAFETY: `elements` is that many bytes long, without padding.
        let status =
            unsafe { iree::iree_hal_buffer_map_write(self.buffer(), 0, elements.as_ptr().cast(), length) };
        check(status, "write an input")
    }

    /// Copies the tensor out; IREE refuses to read more than there is.
    fn read(&self, values: &mut Values) -> Result<(), Error> {
        match values {
            Values::F32(values) => self.read_plain(0, values),
            Values::F16(values) => self.read_plain(0, values),
            Values::I8(values) => self.read_plain(0, values),
            Values::U8(values) => self.read_plain(0, values),
            Values::I32(values) => self.read_plain(0, values),
            Values::I64(values) => self.read_plain(0, values),
            Values::Bool(values) => self.read_bools(values),
        }
    }

    /// Copies elements from the byte `offset` on.
    fn read_plain<T: AnyBits>(&self, offset: usize, values: &mut [T]) -> Result<(), Error> {
        let length = size_of_val(values) as iree::iree_device_size_t;
        let offset = offset as iree::iree_device_size_t;
        // SAFETY: `values` has room for that many bytes, and every bit pattern is an element.
        let status = unsafe {
            iree::iree_hal_buffer_map_read(self.buffer(), offset, values.as_mut_ptr().cast(), length)
        };
        check(status, "read a result")
    }

    /// A `bool` must be 0 or 1, which nothing but the compiler's word stands for, so bytes are read.
    fn read_bools(&self, values: &mut [bool]) -> Result<(), Error> {
        let mut bytes = [0u8; 256];
        for (number, values) in values.chunks_mut(bytes.len()).enumerate() {
            let offset = number * bytes.len();
            self.read_plain(offset, &mut bytes[..values.len()])?;
            values.iter_mut().zip(bytes).for_each(|(value, byte)| *value = byte != 0);
        }
        Ok(())
    }

    fn element_type(&self) -> iree::iree_hal_element_types_t {
        // SAFETY: the view is alive.
        unsafe { iree::iree_hal_buffer_view_element_type(self.0.as_ptr()) }
    }

    fn shape(&self) -> impl Iterator<Item = iree::iree_hal_dim_t> {
        // SAFETY: the view is alive.
        let rank = unsafe { iree::iree_hal_buffer_view_shape_rank(self.0.as_ptr()) };
        // SAFETY: the view is alive, and every index is below its rank.
        (0..rank).map(|index| unsafe { iree::iree_hal_buffer_view_shape_dim(self.0.as_ptr(), index) })
    }

    /// Checks that the tensor is as `promised`.
    fn expect(&self, promised: &TensorSpec) -> Result<(), Error> {
        let same = self.shape().eq(promised.shape.iter().map(|&extent| extent as iree::iree_hal_dim_t));
        if same && self.element_type() == iree_type(promised.element_type) {
            return Ok(());
        }
        let found = self.shape().collect::<Vec<_>>();
        let found = format!("element type {:#x} of shape {found:?}", self.element_type());
        Err(Error::Output { expected: promised.clone(), found })
    }
}

/// What IREE calls an element type: its compiler forgets the signs of integers.
fn iree_type(element_type: ElementType) -> iree::iree_hal_element_types_t {
    match element_type {
        ElementType::F32 => iree::IREE_HAL_ELEMENT_TYPE_FLOAT_32,
        ElementType::F16 => iree::IREE_HAL_ELEMENT_TYPE_FLOAT_16,
        ElementType::I8 | ElementType::U8 => iree::IREE_HAL_ELEMENT_TYPE_INT_8,
        ElementType::I32 => iree::IREE_HAL_ELEMENT_TYPE_INT_32,
        ElementType::I64 => iree::IREE_HAL_ELEMENT_TYPE_INT_64,
        ElementType::Bool => iree::IREE_HAL_ELEMENT_TYPE_BOOL_8,
    }
}

/// Types whose bytes IREE may read.
///
/// # Safety
///
/// There is no padding in them.
unsafe trait Plain: Copy {}

/// Types that IREE may write bytes to.
///
/// # Safety
///
/// There is no padding in them, and every bit pattern is a value.
unsafe trait AnyBits: Copy {}

/// Implements a marker trait for numbers.
macro_rules! numbers {
    ($marker:ident: $($number:ty)*) => {
        $(
            // SAFETY: a number in memory is nothing but its bits, all of which count.
            unsafe impl $marker for $number {}
        )*
    };
}

numbers!(Plain: f32 f16 i8 u8 i32 i64);
numbers!(AnyBits: f32 f16 i8 u8 i32 i64);
// SAFETY: a `bool` is one byte, 0 or 1: what IREE's `BOOL_8` is.
unsafe impl Plain for bool {}

/// A loaded network with its buffers.
///
/// **Threads:** everything in it is thread-compatible: one thread at a time.
///
/// **Owns:** all of it. Fields drop in the order they are written in: the calls hold the last references to the session.
#[derive(Debug)]
pub(crate) struct Program {
    /// The function that takes any mask.
    any: Call,
    /// The functions for one mask each.
    specialised: Vec<(SkipMask, Call)>,
    /// In the order of the manifest.
    inputs: Vec<Tensor>,
    /// `None` in a network without gates.
    mask: Option<Tensor>,
    device: Owned<iree::iree_hal_device_t>,
    /// The session points into it.
    _vmfb: Arc<Mmap>,
}

// SAFETY: nothing in it is tied to the thread that made it: the C headers ask for one thread at a time, and no reference
// to any part of it, but to the thread-safe device, leaves this structure.
unsafe impl Send for Program {}

impl Program {
    /// Loads the code in `vmfb` and allocates the inputs that `manifest` declares.
    pub(crate) fn load(vmfb: Arc<Mmap>, manifest: &Manifest, kind: Kind) -> Result<Self, Error> {
        let process = Process::get()?;
        let device = device(process, kind)?;
        // SAFETY: the session is only referred to by the calls, which drop before `_vmfb`.
        let session = unsafe { session(process, &device, &vmfb)? };
        let input = |spec: &TensorSpec| Tensor::new(&device, spec);
        let inputs = manifest.inputs().iter().map(input).collect::<Result<Vec<_>, _>>()?;
        let mask = manifest.mask().map(input).transpose()?;
        let call = |function: &str| -> Result<_, Error> {
            let mut call = Call::new(&session, function)?;
            inputs.iter().chain(&mask).try_for_each(|argument| call.push(argument))?;
            Ok(call)
        };
        let any = call(&manifest.abi.entry_point)?;
        let specialised = manifest.abi.specialised.iter();
        let specialised = specialised.map(|entry| Ok((entry.mask.clone(), call(&entry.function)?)));
        let specialised = specialised.collect::<Result<_, Error>>()?;
        Ok(Self { any, specialised, inputs, mask, device, _vmfb: vmfb })
    }

    /// Writes the input of this number; type and length are checked by the caller.
    pub(crate) fn write(&mut self, number: usize, elements: Elements<'_>) -> Result<(), Error> {
        self.inputs[number].write(elements)
    }

    /// Runs the network on the inputs that were written last. Its results must be as `promised`; they go to `outputs`.
    pub(crate) fn run(
        &mut self,
        mask: &SkipMask,
        promised: &[TensorSpec],
        outputs: &mut [Values],
    ) -> Result<(), Error> {
        self.write_mask(mask)?;
        let own = self.specialised.iter_mut().find(|(other, _)| other == mask);
        let call = own.map_or(&mut self.any, |(_, call)| call);
        call.invoke()?;
        for (promised, output) in promised.iter().zip(outputs) {
            let result = call.take()?;
            result.expect(promised)?;
            result.read(output)?;
        }
        Ok(())
    }

    fn write_mask(&mut self, mask: &SkipMask) -> Result<(), Error> {
        self.mask.as_mut().map_or(Ok(()), |tensor| tensor.write(mask.as_slice().into()))
    }

    /// Runs the network on the inputs that were written last, through the function that takes any mask.
    pub(crate) fn profile(&mut self, mask: &SkipMask) -> Result<Vec<DispatchTime>, Error> {
        self.write_mask(mask)?;
        let call = &mut self.any;
        profile::profile(&self.device, || call.invoke())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a new tensor before anybody wrote to it.
    fn new_bytes(length: usize) -> Vec<u8> {
        let device = device(Process::get().unwrap(), Kind::Sync).unwrap();
        let spec = TensorSpec { name: "new".to_owned(), shape: vec![length], element_type: ElementType::U8 };
        let tensor = Tensor::allocate(&device, &spec).unwrap();
        let mut bytes = vec![1; length];
        tensor.read_plain(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    #[cfg_attr(not(debug_assertions), ignore = "only then the rest of a block is filled")]
    fn what_iree_keeps_in_front_of_a_tensor_is_zeroed() {
        // Those of the block's zeros that are left for the contents tell how many are in front of them.
        for length in [100, ZEROED, 1 << 20] {
            let bytes = new_bytes(length);
            let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
            // As much again as IREE takes today, and more, is to spare.
            assert!(zeros >= length.min(ZEROED / 2), "only {zeros} bytes of {length} are zeros");
            assert!(zeros < ZEROED, "the contents are a block of their own");
            assert!(bytes[zeros..].iter().all(|&byte| byte == FILLING));
        }
    }
}
