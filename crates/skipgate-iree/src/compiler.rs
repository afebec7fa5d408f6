//! The compiler behind a safe interface. This is the only module that calls its C API (`iree/compiler/embedding_api.h`).

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use skipgate_core::{Dispatch, EntryPoint, IREE_REVISION, IREE_VERSION, IreeVersion, Target};

use crate::bindings::{
    CompilerApi, IREE_COMPILER_DIAGNOSTIC_SEVERITY_ERROR, IREE_COMPILER_PIPELINE_STD,
    iree_compiler_diagnostic_severity_t, iree_compiler_error_t, iree_compiler_invocation_t,
    iree_compiler_output_t, iree_compiler_session_t, iree_compiler_source_t,
};
use crate::emit::{Emitted, FUNCTION};
use crate::gating::{self, Placed};
use crate::ir::Ir;
use crate::linker::Linker;
use crate::mlir_bindings::MlirApi;
use crate::{
    CompileError, LoadError, branch_edges, check_temporary_folder, diagnostics, find_library, flags,
};

/// Major version of the C API in the upper 16 bits of `ireeCompilerGetAPIVersion`; a new one breaks the old.
const API_MAJOR: i32 = 1;

/// The loaded compiler library.
///
/// There is one in a process: its last shutdown would be final, so it is initialised once and never shut down.
///
/// **Threads:** each compilation works in a session of its own; any number may run at once.
pub struct Compiler {
    api: CompilerApi,
    mlir: MlirApi,
    path: PathBuf,
    version: IreeVersion,
}

impl Compiler {
    /// The compiler of this process; found, opened and checked at the first call. A failure is not kept: the next call
    /// tries again.
    pub fn get() -> Result<&'static Self, LoadError> {
        static COMPILER: OnceLock<Compiler> = OnceLock::new();
        static LOADING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiler) = COMPILER.get() {
            return Ok(compiler);
        }
        let compiler = Self::open(&find_library()?)?;
        Ok(COMPILER.get_or_init(|| compiler))
    }

    fn open(path: &Path) -> Result<Self, LoadError> {
        let refused = |source| LoadError::Open { path: path.to_owned(), source };
        // SAFETY: the file is an IREE compiler library, whose initialisers have no precondition; the loader checks that
        // every symbol of the bindings exists.
        let api = unsafe { CompilerApi::new(path) }.map_err(refused)?;
        // SAFETY: the function has no precondition.
        let major = unsafe { api.ireeCompilerGetAPIVersion() } >> 16;
        let version = if major == API_MAJOR {
            // SAFETY: called once in the process (under the lock of `get`) before any other use, and never shut down.
            unsafe { api.ireeCompilerGlobalInitialize() };
            set_global_flags(&api);
            // SAFETY: the compiler is initialised; the string lives as long as it is.
            unsafe { text(api.ireeCompilerGetRevision()) }
        } else {
            format!("with C API version {major}")
        };
        let expected = format!("{IREE_VERSION} at revision {IREE_REVISION}");
        let version = parse_version(&version)
            .filter(|found| found.version == IREE_VERSION && found.revision == IREE_REVISION)
            .ok_or_else(|| LoadError::Version { path: path.to_owned(), found: version, expected })?;
        // SAFETY: as above; it is the same library.
        let mlir = unsafe { MlirApi::new(path) }.map_err(refused)?;
        Ok(Self { api, mlir, path: path.to_owned(), version })
    }

    /// The library file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Version of the library.
    pub fn version(&self) -> &IreeVersion {
        &self.version
    }

    /// Whether it gets from MLIR text to the commands of a network, in front of the code for `target`.
    pub(crate) fn check(&self, mlir: String, target: &Target) -> Result<(), CompileError> {
        let linker = Linker::new(&self.path, target)?;
        let session = self.session(target, &linker)?;
        let source = Source::new(&session, mlir)?;
        let invocation = Invocation::new(&session);
        invocation.parse(&source)?;
        invocation.run(c"start", c"stream")
    }

    fn session(&self, target: &Target, linker: &Linker) -> Result<Session<'_>, CompileError> {
        let session = Session::new(&self.api);
        for flag in flags::for_target(target, linker.path()) {
            session.set_flag(flag)?;
        }
        Ok(session)
    }

    /// Compiles MLIR text to a vmfb for `target`.
    pub(crate) fn compile(
        &self,
        program: Program,
        target: &Target,
        verification: Verification,
    ) -> Result<Output, CompileError> {
        check_temporary_folder()?;
        let linker = Linker::new(&self.path, target)?;
        let session = self.session(target, &linker)?;
        let Program { emitted: Emitted { mlir, in_place }, gates, entry_points } = program;
        let source = Source::new(&session, mlir)?;
        let invocation = Invocation::new(&session);
        invocation.set_verification(verification);
        invocation.parse(&source)?;
        invocation.run(c"start", c"stream")?;
        let callers = invocation
            .edit(&self.mlir, "listing functions", |ir| Ok::<_, CompileError>(gating::functions(ir)))?;
        let Placed { commands, copying } =
            invocation.edit(&self.mlir, "placing gates", |ir| gating::place(ir, FUNCTION, &in_place))?;
        invocation
            .run(c"stream", c"hal")
            .or_else(|error| Err(unlinked(&linker, &callers, target)?.unwrap_or(error)))?;
        let dispatches = invocation.edit(&self.mlir, "listing dispatches", |ir| {
            Ok::<_, CompileError>(gating::dispatches(ir, FUNCTION))
        })?;
        invocation.edit(&self.mlir, "predicating gates", |ir| {
            gating::predicate(ir, FUNCTION, gates, &entry_points, &commands)
        })?;
        invocation.run(c"hal", c"vm")?;
        invocation.edit(&self.mlir, "splitting branches", branch_edges::split)?;
        invocation.run(c"vm", c"end")?;
        Ok(Output { vmfb: invocation.vm_bytecode()?, dispatches, copying })
    }
}

/// When the compiler checks that what it works on is well-formed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verification {
    /// At the end of each phase. A pass that spoils something is found there, or by the pass that cannot go on with it.
    #[default]
    BetweenPhases,
    /// Behind each pass, too, which takes almost as long as all passes together, but finds what went wrong where it did.
    /// `docs/decisions/0006-verification.md` has the figures.
    BehindPasses,
}

/// What was missing when code was linked, if that is why it was not; `callers` are nodes by the functions of their code.
fn unlinked(
    linker: &Linker,
    callers: &BTreeMap<String, Vec<String>>,
    target: &Target,
) -> Result<Option<CompileError>, CompileError> {
    let missing = linker.missing()?;
    if missing.functions.is_empty() {
        return Ok(None);
    }
    let mut nodes: Vec<String> = Vec::new();
    for node in missing.callers.iter().filter_map(|caller| callers.get(caller)).flatten() {
        if !nodes.contains(node) {
            nodes.push(node.clone());
        }
    }
    let functions = missing.functions.into_iter().collect();
    Ok(Some(CompileError::Link { functions, nodes, target: target.name.clone() }))
}

/// What to compile.
#[derive(Debug)]
pub(crate) struct Program {
    /// The network.
    pub(crate) emitted: Emitted,
    /// Number of its gates.
    pub(crate) gates: usize,
    /// Configurations that get a function of their own.
    pub(crate) entry_points: Vec<EntryPoint>,
}

/// What a program becomes.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) vmfb: Vec<u8>,
    /// The dispatches of its function.
    pub(crate) dispatches: Vec<Dispatch>,
    /// Why the gates copy that do.
    pub(crate) copying: BTreeMap<usize, &'static str>,
}

/// `3.13.0rc20261016 @ 89ece87...`: the release of a candidate is the version in front of `rc`.
fn parse_version(text: &str) -> Option<IreeVersion> {
    let (version, revision) = text.split_once(" @ ")?;
    let release = version.split("rc").next()?;
    Some(IreeVersion { version: release.to_owned(), revision: revision.to_owned() })
}

/// Sets the flags that no session has.
fn set_global_flags(api: &CompilerApi) {
    let arguments: Vec<_> = flags::GLOBAL.iter().map(|flag| flag.as_ptr()).collect();
    let count = i32::try_from(arguments.len()).expect("there are few");
    // SAFETY: the compiler is initialised, and no session exists yet; the strings are static, and the array is read
    // during the call only.
    unsafe {
        api.ireeCompilerSetupGlobalCL(count, arguments.as_ptr().cast_mut(), c"skipgate".as_ptr(), false);
    };
}

/// Copies a C string.
///
/// # Safety
///
/// `pointer` is null or points to a NUL-terminated string.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: not null, so NUL-terminated by the caller's promise.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// Takes the message out of an error and frees it; `None` for success, which is a null pointer.
///
/// # Safety
///
/// `error` is null or an error that the caller owns.
unsafe fn take_error(api: &CompilerApi, error: *mut iree_compiler_error_t) -> Option<String> {
    if error.is_null() {
        return None;
    }
    // SAFETY: the error is live until it is destroyed in the next statement; its message lives as long.
    let message = unsafe { text(api.ireeCompilerErrorGetMessage(error)) };
    // SAFETY: owned by the caller's promise and not used again.
    unsafe { api.ireeCompilerErrorDestroy(error) };
    Some(message)
}

/// An MLIR context with the flags of one compilation.
struct Session<'a> {
    api: &'a CompilerApi,
    handle: *mut iree_compiler_session_t,
}

impl<'a> Session<'a> {
    fn new(api: &'a CompilerApi) -> Self {
        // SAFETY: the compiler is initialised; the header says that creation cannot fail.
        Self { api, handle: unsafe { api.ireeCompilerSessionCreate() } }
    }

    fn set_flag(&self, flag: String) -> Result<(), CompileError> {
        let refused = |flag, message| CompileError::Flag { flag, message };
        let Ok(argument) = CString::new(flag.as_str()) else {
            return Err(refused(flag, "it holds a NUL byte".to_owned()));
        };
        let arguments = [argument.as_ptr()];
        // SAFETY: the session is live, and the array holds the one NUL-terminated string that argc announces.
        let error = unsafe { self.api.ireeCompilerSessionSetFlags(self.handle, 1, arguments.as_ptr()) };
        // SAFETY: a returned error is the caller's.
        match unsafe { take_error(self.api, error) } {
            Some(message) => Err(refused(flag, message)),
            None => Ok(()),
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // SAFETY: live, and everything made from it borrows it, so is gone.
        unsafe { self.api.ireeCompilerSessionDestroy(self.handle) };
    }
}

/// The MLIR text, which the compiler reads in place.
struct Source<'s> {
    session: &'s Session<'s>,
    handle: *mut iree_compiler_source_t,
    _text: CString,
}

impl<'s> Source<'s> {
    fn new(session: &'s Session<'s>, mlir: String) -> Result<Self, CompileError> {
        let failed = |message| diagnostics::failure("reading", vec![message]);
        let text = CString::new(mlir).map_err(|error| failed(error.to_string()))?;
        let bytes = text.as_bytes_with_nul();
        let mut handle = ptr::null_mut();
        // SAFETY: the buffer, whose length includes its NUL, is not moved and outlives the source that refers to it,
        // since both are owned by the returned value.
        let error = unsafe {
            session.api.ireeCompilerSourceWrapBuffer(
                session.handle,
                c"model.mlir".as_ptr(),
                bytes.as_ptr().cast(),
                bytes.len(),
                true,
                &raw mut handle,
            )
        };
        // SAFETY: a returned error is the caller's.
        match unsafe { take_error(session.api, error) } {
            Some(message) => Err(failed(message)),
            None => Ok(Self { session, handle, _text: text }),
        }
    }
}

impl Drop for Source<'_> {
    fn drop(&mut self) {
        // SAFETY: live, and invocations that read it are over: they are used only inside `Compiler::compile`.
        unsafe { self.session.api.ireeCompilerSourceDestroy(self.handle) };
    }
}

/// One run of the compiler.
struct Invocation<'s> {
    session: &'s Session<'s>,
    handle: *mut iree_compiler_invocation_t,
    /// Boxed because the compiler keeps its address.
    errors: Box<Diagnostics>,
}

/// The errors reported so far. The compiler may report from any thread.
type Diagnostics = Mutex<Vec<String>>;

/// Called by the compiler for every diagnostic.
///
/// # Safety
///
/// `user_data` points to live [`Diagnostics`], and `message` to `size` bytes.
unsafe extern "C" fn collect(
    severity: iree_compiler_diagnostic_severity_t,
    message: *const c_char,
    size: usize,
    user_data: *mut c_void,
) {
    if severity != IREE_COMPILER_DIAGNOSTIC_SEVERITY_ERROR || message.is_null() {
        return;
    }
    // SAFETY: the compiler passes back the pointer given to it, which the invocation keeps alive.
    let errors = unsafe { &*user_data.cast::<Diagnostics>() };
    // SAFETY: by the header, `message` holds `size` bytes for the duration of the call.
    let bytes = unsafe { std::slice::from_raw_parts(message.cast::<u8>(), size) };
    // The first line says where and what; behind it the compiler dumps the IR at hand, megabytes of it.
    let message = String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned();
    errors.lock().unwrap_or_else(PoisonError::into_inner).push(message);
}

impl<'s> Invocation<'s> {
    fn new(session: &'s Session<'s>) -> Self {
        let errors = Box::new(Diagnostics::default());
        // SAFETY: the session is live and outlives the invocation by the lifetime.
        let handle = unsafe { session.api.ireeCompilerInvocationCreate(session.handle) };
        let user_data = ptr::from_ref(errors.as_ref()).cast_mut().cast();
        // SAFETY: `collect` has the signature and makes no call into the compiler; its user data is owned by the
        // returned value, which destroys the invocation before it frees them.
        unsafe {
            session.api.ireeCompilerInvocationEnableCallbackDiagnostics(handle, 0, Some(collect), user_data);
        }
        Self { session, handle, errors }
    }

    fn failed(&self, phase: &'static str) -> CompileError {
        diagnostics::failure(phase, self.take_errors())
    }

    /// The errors that were reported since the last call.
    fn take_errors(&self) -> Vec<String> {
        std::mem::take(&mut self.errors.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn parse(&self, source: &Source) -> Result<(), CompileError> {
        // SAFETY: both handles are live and of one session.
        let parsed =
            unsafe { self.session.api.ireeCompilerInvocationParseSource(self.handle, source.handle) };
        if parsed { Ok(()) } else { Err(self.failed("parsing")) }
    }

    fn set_verification(&self, verification: Verification) {
        let behind_passes = verification == Verification::BehindPasses;
        // SAFETY: the invocation is live.
        unsafe { self.session.api.ireeCompilerInvocationSetVerifyIR(self.handle, behind_passes) };
    }

    /// The pipeline between two of its phases, as `iree-compile --compile-from=... --compile-to=...` names them.
    fn run(&self, from: &CStr, to: &CStr) -> Result<(), CompileError> {
        let api = self.session.api;
        // SAFETY: the invocation is live and holds IR of the phase `from`; the strings outlive the calls.
        let done = unsafe {
            api.ireeCompilerInvocationSetCompileFromPhase(self.handle, from.as_ptr());
            api.ireeCompilerInvocationSetCompileToPhase(self.handle, to.as_ptr());
            api.ireeCompilerInvocationPipeline(self.handle, IREE_COMPILER_PIPELINE_STD)
        };
        if done { Ok(()) } else { Err(self.failed("compiling")) }
    }

    /// Edits the module between two phases, and checks that it still is one that the compiler could have made.
    fn edit<T, E>(
        &self,
        mlir: &MlirApi,
        name: &'static str,
        edit: impl FnOnce(&Ir) -> Result<T, E>,
    ) -> Result<T, CompileError>
    where
        CompileError: From<E>,
    {
        // SAFETY: the invocation is live.
        let module = unsafe { mlir.ireeCompilerInvocationExportStealModule(self.handle) };
        // SAFETY: the module has left the invocation, so this is the only one to use and own it.
        let ir = unsafe { Ir::new(mlir, module) }.ok_or_else(|| self.failed("editing"))?;
        let result = edit(&ir);
        let mistakes = ir.take_mistakes();
        if !mistakes.is_empty() {
            return Err(self.spoilt(name, mistakes));
        }
        let result = result?;
        if !ir.verify() {
            return Err(self.spoilt(name, ir.take_mistakes()));
        }
        // SAFETY: the invocation is live and takes the module over.
        let accepted = unsafe { mlir.ireeCompilerInvocationImportStealModule(self.handle, ir.release()) };
        if accepted { Ok(result) } else { Err(self.failed("editing")) }
    }

    /// An edit that left the module in a state that the compiler would not accept.
    fn spoilt(&self, edit: &'static str, mut diagnostics: Vec<String>) -> CompileError {
        diagnostics.append(&mut self.take_errors());
        CompileError::Edit { edit, diagnostics }
    }

    /// The compiled module as bytes of a vmfb.
    fn vm_bytecode(&self) -> Result<Vec<u8>, CompileError> {
        let api = self.session.api;
        let failed = |message| diagnostics::failure("writing", vec![message]);
        let output = Buffer::new(api).map_err(failed)?;
        // SAFETY: both handles are live; the pipeline has produced VM IR.
        let error = unsafe { api.ireeCompilerInvocationOutputVMBytecode(self.handle, output.handle) };
        // SAFETY: a returned error is the caller's.
        match unsafe { take_error(api, error) } {
            Some(message) => Err(failed(message)),
            None => output.bytes().map_err(failed),
        }
    }
}

impl Drop for Invocation<'_> {
    fn drop(&mut self) {
        // SAFETY: live and not used again; after this no diagnostic arrives.
        unsafe { self.session.api.ireeCompilerInvocationDestroy(self.handle) };
    }
}

/// What `edit` makes of a module in text form.
#[cfg(test)]
pub(crate) fn edit_text<T, E>(text: &str, edit: impl FnOnce(&Ir) -> Result<T, E>) -> Result<T, CompileError>
where
    CompileError: From<E>,
{
    let compiler = Compiler::get().unwrap();
    let session = Session::new(&compiler.api);
    let source = Source::new(&session, text.to_owned())?;
    let invocation = Invocation::new(&session);
    invocation.parse(&source)?;
    invocation.edit(&compiler.mlir, "testing", edit)
}

/// A buffer in memory that the compiler writes to.
struct Buffer<'a> {
    api: &'a CompilerApi,
    handle: *mut iree_compiler_output_t,
}

impl<'a> Buffer<'a> {
    fn new(api: &'a CompilerApi) -> Result<Self, String> {
        let mut handle = ptr::null_mut();
        // SAFETY: the out pointer is valid for the call.
        let error = unsafe { api.ireeCompilerOutputOpenMembuffer(&raw mut handle) };
        // SAFETY: a returned error is the caller's.
        match unsafe { take_error(api, error) } {
            Some(message) => Err(message),
            None => Ok(Self { api, handle }),
        }
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        let (mut contents, mut size) = (ptr::null_mut(), 0u64);
        // SAFETY: the output is live and a memory buffer; the out pointers are valid for the call.
        let error =
            unsafe { self.api.ireeCompilerOutputMapMemory(self.handle, &raw mut contents, &raw mut size) };
        // SAFETY: a returned error is the caller's.
        if let Some(message) = unsafe { take_error(self.api, error) } {
            return Err(message);
        }
        let size = usize::try_from(size).map_err(|error| error.to_string())?;
        // SAFETY: the call succeeded, so `contents` holds `size` bytes while the output lives; they are copied here.
        Ok(unsafe { std::slice::from_raw_parts(contents.cast::<u8>(), size) }.to_vec())
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        // SAFETY: live and not used again.
        unsafe { self.api.ireeCompilerOutputDestroy(self.handle) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error of compiling a function of one operation on four floats, which gives `%v1`.
    fn error(operation: &str, target: &str) -> String {
        let mlir = format!(
            r#"module @skipgate {{
                func.func @run(%v0: !torch.vtensor<[4],f32>) -> (!torch.vtensor<[4],f32>)
                    attributes {{torch.onnx_meta.opset_version = 17 : si64}} {{
                  %v1 = {operation} : (!torch.vtensor<[4],f32>) -> (!torch.vtensor<[4],f32>) loc("Rolu layer1/act")
                  return %v1 : !torch.vtensor<[4],f32>
                }}
              }}"#
        );
        let program = Program { emitted: Emitted { mlir, in_place: vec![] }, gates: 0, entry_points: vec![] };
        let target = Target::named(target).unwrap();
        Compiler::get()
            .unwrap()
            .compile(program, &target, Verification::BehindPasses)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_diagnostic_names_the_onnx_node() {
        let found = error(r#"torch.operator "onnx.Rolu"(%v0)"#, "x86-64-v3");
        let expected =
            "node `layer1/act` (Rolu): the compiler failed while compiling: failed to legalize operation";
        assert!(found.starts_with(expected), "{found}");
        assert_eq!(found.lines().count(), 1);
    }

    #[test]
    fn a_missing_function_is_named_with_the_node_that_calls_it() {
        for target in ["x86-64-v3", "odroid-xu4"] {
            let found = error(r#""torch.aten.log10"(%v0)"#, target);
            let expected = format!(
                "node `layer1/act` (Rolu): the code for {target} calls log10f, which there is no library for"
            );
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_release_of_a_candidate_is_its_version() {
        let version = parse_version("3.13.0rc20261016 @ 89ece87b").unwrap();
        assert_eq!((version.version.as_str(), version.revision.as_str()), ("3.13.0", "89ece87b"));
        assert_eq!(parse_version(""), None);
    }
}
