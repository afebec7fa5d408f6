//! Gives the shared library its SONAME, the name that programs find it by: another one for each interface. Before 1.0, that is
//! each minor version.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let [major, minor] = ["CARGO_PKG_VERSION_MAJOR", "CARGO_PKG_VERSION_MINOR"]
        .map(|name| std::env::var(name).unwrap_or_default());
    let interface = if major == "0" { format!("0.{minor}") } else { major };
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libskipgate.so.{interface}");
}
