//! The version of the interface.

use std::ffi::c_char;

/// Version of this header, major part. A program checks that it runs with a library of the version that it was built for
/// by comparing SKIPGATE_VERSION_NUMBER with skipgate_version_number().
pub const SKIPGATE_VERSION_MAJOR: u32 = 0;
/// Version of this header, minor part. Before 1.0 another one is another interface, and the SONAME has it.
pub const SKIPGATE_VERSION_MINOR: u32 = 1;
/// Version of this header, patch part.
pub const SKIPGATE_VERSION_PATCH: u32 = 0;
/// Version of this header as one number that grows: major * 1000000 + minor * 1000 + patch.
pub const SKIPGATE_VERSION_NUMBER: u32 = 1000;

/// Version of the library that the program runs with, as SKIPGATE_VERSION_NUMBER has it.
#[unsafe(no_mangle)]
pub extern "C" fn skipgate_version_number() -> u32 {
    SKIPGATE_VERSION_NUMBER
}

/// The same as text, such as \"0.1.0\"; it belongs to the library and is always valid.
#[unsafe(no_mangle)]
pub extern "C" fn skipgate_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn all_forms_of_the_version_are_that_of_the_crate() {
        let [major, minor, patch] = [SKIPGATE_VERSION_MAJOR, SKIPGATE_VERSION_MINOR, SKIPGATE_VERSION_PATCH];
        assert_eq!(format!("{major}.{minor}.{patch}"), env!("CARGO_PKG_VERSION"));
        assert_eq!(SKIPGATE_VERSION_NUMBER, 1_000_000 * major + 1000 * minor + patch);
        // SAFETY: a NUL-terminated text of the program.
        let text = unsafe { CStr::from_ptr(skipgate_version()) };
        assert_eq!(text.to_str(), Ok(env!("CARGO_PKG_VERSION")));
    }
}
