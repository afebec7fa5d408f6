//! Generates the checked-in Rust bindings of IREE's and MLIR's C headers, and the C header of our own interface.
//!
//! Generating at build time would ask every user for libclang; checking the result in does not, and the comparison in
//! the test run shows when the headers moved.

#[path = "../../iree-runtime-sys/build/source.rs"]
mod source;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use bindgen::{Builder, EnumVariation, Formatter, RustEdition, RustTarget};
use source::Source;

use crate::setup::mlir::Headers;
use crate::setup::rust::host_triple;

/// C functions of the runtime that the project calls.
const RUNTIME_FUNCTIONS: &[&str] = &[
    "iree_allocator_libc_ctl",
    "iree_async_proactor_pool_(create|release|options_default)",
    "iree_hal_allocator_(create_heap|release)",
    "iree_hal_buffer_map_(read|write)",
    "iree_hal_buffer_view_(allocate_buffer_copy|buffer|element_type|release|shape_(dim|rank))",
    "iree_hal_device_(allocator|profiling_begin|profiling_end|release)",
    "iree_hal_embedded_elf_loader_create",
    "iree_hal_executable_loader_release",
    "iree_hal_sync_device_(create|params_initialize)",
    "iree_hal_task_device_(create|params_initialize)",
    "iree_runtime_call_(deinitialize|initialize_by_name|invoke)",
    "iree_runtime_call_(inputs_push_back|outputs_pop_front)_buffer_view",
    "iree_runtime_instance_(create|options_initialize|release)",
    "iree_runtime_session_(append_bytecode_module_from_memory|create_with_device|options_initialize|release)",
    "iree_status_(code_string|format|free)",
    "iree_task_executor_(create|options_initialize|release)",
    "iree_task_topology_(deinitialize|initialize_from_group_count)",
];

/// C enumerations whose values the project names, and structures that it fills or reads on its own.
const RUNTIME_TYPES: &[&str] = &[
    "iree_allocator_alloc_params_t",
    "iree_hal_device_profiling_data_family_bits_t",
    "iree_hal_profile_(executable_function_record|host_execution_event|sink_vtable)_t",
    "iree_hal_profile_queue_event_type_e",
    "iree_hal_resource_t",
    "iree_hal_buffer_usage_bits_t",
    "iree_hal_element_types_t",
    "iree_hal_encoding_types_t",
    "iree_hal_memory_type_bits_t",
    "iree_status_code_e",
];

/// Types that only travel behind a pointer, or whose fields only C touches.
const RUNTIME_OPAQUE: &[&str] = &[
    "iree_async_proactor_t",
    "iree_hal_(allocator|buffer|buffer_view|device|executable_loader)_t",
    "iree_task_topology_t",
    "iree_vm_(list|module)_t",
];

/// C functions of MLIR, and of IREE on MLIR's handles, that edits of compiled IR need.
const MLIR_FUNCTIONS: &[&str] = &[
    "ireeCompilerInvocationExportStealModule",
    "ireeCompilerInvocationImportStealModule",
    "mlirArrayAttrGetElement",
    "mlirArrayAttrGetNumElements",
    "mlirAttributeIsAArray",
    "mlirAttributeIsADenseI32Array",
    "mlirAttributeIsADenseI64Array",
    "mlirAttributeIsAInteger",
    "mlirAttributeIsAString",
    "mlirAttributeParseGet",
    "mlirBlockAppendOwnedOperation",
    "mlirBlockCreate",
    "mlirBlockGetArgument",
    "mlirBlockGetFirstOperation",
    "mlirBlockGetNextInRegion",
    "mlirBlockGetNumArguments",
    "mlirBlockGetParentRegion",
    "mlirBlockInsertOwnedOperationAfter",
    "mlirBlockInsertOwnedOperationBefore",
    "mlirDenseArrayGetNumElements",
    "mlirDenseI32ArrayGetElement",
    "mlirDenseI64ArrayGetElement",
    "mlirIdentifierGet",
    "mlirIdentifierStr",
    "mlirIntegerAttrGetValueInt",
    "mlirLocationCallSiteGetCallee",
    "mlirLocationFusedGetLocations",
    "mlirLocationFusedGetNumLocations",
    "mlirLocationIsACallSite",
    "mlirLocationIsAFused",
    "mlirLocationIsAName",
    "mlirLocationNameGet",
    "mlirLocationNameGetChildLoc",
    "mlirLocationNameGetName",
    "mlirNoneTypeGet",
    "mlirOpOperandGetNextUse",
    "mlirOpOperandGetOwner",
    "mlirOpResultGetOwner",
    "mlirOpResultGetResultNumber",
    "mlirOperationClone",
    "mlirOperationCreate",
    "mlirOperationDestroy",
    "mlirOperationGetAttributeByName",
    "mlirOperationGetBlock",
    "mlirOperationGetContext",
    "mlirOperationGetFirstRegion",
    "mlirOperationGetLocation",
    "mlirOperationGetName",
    "mlirOperationGetNextInBlock",
    "mlirOperationGetNumOperands",
    "mlirOperationGetNumResults",
    "mlirOperationGetOperand",
    "mlirOperationGetResult",
    "mlirOperationGetNumSuccessors",
    "mlirOperationGetSuccessor",
    "mlirOperationMoveBefore",
    "mlirOperationRemoveFromParent",
    "mlirOperationSetAttributeByName",
    "mlirOperationSetLocation",
    "mlirOperationSetOperands",
    "mlirOperationSetSuccessor",
    "mlirOperationStateAddAttributes",
    "mlirOperationStateAddOperands",
    "mlirOperationStateAddOwnedRegions",
    "mlirOperationStateAddResults",
    "mlirOperationStateAddSuccessors",
    "mlirOperationStateGet",
    "mlirOperationVerify",
    "mlirRegionAppendOwnedBlock",
    "mlirRegionCreate",
    "mlirRegionGetFirstBlock",
    "mlirRegionGetNextInOperation",
    "mlirRegionInsertOwnedBlockAfter",
    "mlirStringAttrGetValue",
    "mlirTypeParseGet",
    "mlirUnitAttrGet",
    "mlirValueEqual",
    "mlirValueGetFirstUse",
    "mlirValueGetType",
    "mlirValueIsAOpResult",
    "mlirValueReplaceAllUsesOfWith",
];

/// A target whose layout has a file of its own. Every other 64-bit Linux target has the layout of `x86_64`.
struct Layout {
    file: &'static str,
    clang_target: &'static str,
    /// The compiler whose C headers are used.
    gcc: &'static str,
}

const LAYOUTS: &[Layout] = &[
    Layout { file: "x86_64.rs", clang_target: "x86_64-unknown-linux-gnu", gcc: "gcc" },
    Layout { file: "arm.rs", clang_target: "armv7-unknown-linux-gnueabihf", gcc: "arm-linux-gnueabihf-gcc" },
];

/// Writes the bindings, or, with `check`, fails when the files differ from what would be written.
pub(crate) fn generate(mlir: &Headers, check: bool) -> Result<()> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in a folder")?;
    let sys = crates.join("iree-runtime-sys");
    let explicit = env::var_os("IREE_SOURCE_DIR").map(PathBuf::from);
    let source = source::find(explicit.as_deref(), &sys, &host_triple()?).map_err(anyhow::Error::msg)?;
    for layout in LAYOUTS {
        let text = runtime(&source, &sys.join("bindings/runtime.h"), layout)?;
        deliver(&sys.join("bindings").join(layout.file), &text, check)?;
    }
    let compiler_crate = crates.join("skipgate-iree/src");
    deliver(&compiler_crate.join("bindings.rs"), &compiler(&source)?, check)?;
    deliver(&compiler_crate.join("mlir_bindings.rs"), &self::mlir(&source, mlir)?, check)?;
    let capi = crates.join("skipgate-capi");
    deliver(&capi.join("include/skipgate.h"), &header(&capi)?, check)
}

/// The header of our own C interface.
fn header(capi: &Path) -> Result<String> {
    let config = cbindgen::Config::from_file(capi.join("cbindgen.toml")).map_err(anyhow::Error::msg)?;
    let mut text = Vec::new();
    cbindgen::generate_with_config(capi, config)?.write(&mut text);
    // What Rust calls safety is in C what a function takes for granted.
    Ok(String::from_utf8(text)?.replace("// # Safety\n", "// The caller promises:\n"))
}

/// Bindings of the runtime, statically linked.
fn runtime(source: &Source, header: &Path, layout: &Layout) -> Result<String> {
    let mut builder = common(source, header)?
        .clang_arg(format!("--target={}", layout.clang_target))
        .clang_arg("-DIREE_ALLOCATOR_SYSTEM_CTL=iree_allocator_libc_ctl")
        .clang_arg(format!("-I{}", source.runtime_include().display()));
    for dir in c_headers(layout.gcc)? {
        builder = builder.clang_arg(format!("-isystem{dir}"));
    }
    for function in RUNTIME_FUNCTIONS {
        builder = builder.allowlist_function(function);
    }
    for name in RUNTIME_TYPES {
        builder = builder.allowlist_type(name);
    }
    for name in RUNTIME_OPAQUE {
        builder = builder.allowlist_type(name).opaque_type(name);
    }
    Ok(builder.generate()?.to_string())
}

/// Bindings of the compiler, opened at run time.
fn compiler(source: &Source) -> Result<String> {
    let include = compiler_include(source);
    let bindings = common(source, &include.join("iree/compiler/embedding_api.h"))?
        .clang_arg(format!("-I{}", include.display()))
        .allowlist_function("ireeCompiler.*")
        .dynamic_library_name("CompilerApi")
        .dynamic_link_require_all(true)
        .generate()?;
    Ok(bindings.to_string())
}

/// Bindings of what the compiler library exports of MLIR, opened at run time.
fn mlir(source: &Source, mlir: &Headers) -> Result<String> {
    // A checkout has the headers of the very version.
    let own = source.dir.join("third_party/llvm-project/mlir/include");
    let (own, include) = if own.join("mlir-c").is_dir() { (true, &own) } else { (false, &mlir.include) };
    let compiler_include = compiler_include(source);
    let mut builder = common(source, &compiler_include.join("iree/compiler/mlir_interop.h"))?
        .header(include.join("mlir-c/BuiltinAttributes.h").display().to_string())
        .header(include.join("mlir-c/BuiltinTypes.h").display().to_string())
        .clang_arg(format!("-I{}", compiler_include.display()))
        .clang_arg(format!("-I{}", include.display()))
        .raw_line(format!("// MLIR's are those in {}.", if own { "that checkout" } else { &mlir.origin }))
        .raw_line("use crate::bindings::iree_compiler_invocation_t;")
        .blocklist_type("iree_compiler_invocation_t")
        .dynamic_library_name("MlirApi")
        .dynamic_link_require_all(true);
    for function in MLIR_FUNCTIONS {
        builder = builder.allowlist_function(function);
    }
    Ok(builder.generate()?.to_string())
}

/// Include folder of the compiler's C API.
fn compiler_include(source: &Source) -> PathBuf {
    source.dir.join("compiler/bindings/c")
}

/// What all bindings share.
fn common(source: &Source, header: &Path) -> Result<Builder> {
    let origin = source.pinned.as_deref().unwrap_or("a checkout");
    let builder = bindgen::builder()
        .header(header.display().to_string())
        .default_enum_style(EnumVariation::Consts)
        .prepend_enum_name(false)
        // Comments in C conventions are no rustdoc.
        .generate_comments(false)
        .merge_extern_blocks(true)
        // As `cargo fmt` would, which sees these files too.
        .formatter(Formatter::Rustfmt)
        .rustfmt_configuration_file(Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rustfmt.toml")))
        .rust_target(RustTarget::stable(85, 0).map_err(|_| anyhow!("bindgen does not know Rust 1.85"))?)
        .rust_edition(RustEdition::Edition2024)
        .use_core()
        .raw_line(format!("// Written by `cargo xtask bindings` from IREE's C headers in {origin}."));
    Ok(builder)
}

/// Folders with the C library's headers that `gcc` searches; clang brings the compiler's own.
fn c_headers(gcc: &str) -> Result<Vec<String>> {
    let output = Command::new(gcc)
        .args(["-E", "-Wp,-v", "-x", "c", "/dev/null"])
        .env("LC_ALL", "C")
        .output()
        .with_context(|| format!("cannot run `{gcc}`; `cargo xtask setup` installs it"))?;
    let folders: Vec<_> = String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter_map(|line| line.strip_prefix(' '))
        .filter(|folder| !Path::new(folder).join("stddef.h").is_file())
        .map(str::to_owned)
        .collect();
    ensure!(!folders.is_empty(), "`{gcc} -Wp,-v` lists no include folders");
    Ok(folders)
}

/// Writes `text` to `path`, or compares it with what is there.
fn deliver(path: &Path, text: &str, check: bool) -> Result<()> {
    if check {
        let found = fs_err::read_to_string(path)?;
        ensure!(found == text, "`{}` is out of date; run `cargo xtask bindings`", path.display());
    } else {
        fs_err::write(path, text)?;
    }
    Ok(())
}
