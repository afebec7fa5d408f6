//! Packages of the operating system.

use std::io::{IsTerminal, stdin};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::process::{CommandExt, find_program, say};

/// Something the operating system has to provide.
pub(crate) struct Requirement {
    what: &'static str,
    is_present: fn() -> bool,
    /// The packages of Debian and Ubuntu that provide it.
    packages: &'static [&'static str],
}

/// What every build needs.
pub(crate) const BASE: &[Requirement] = &[
    Requirement {
        what: "a C and C++ compiler (cc, c++)",
        is_present: || has_programs(&["cc", "c++"]),
        packages: &["gcc", "g++", "libc6-dev"],
    },
    Requirement {
        what: "a C and C++ compiler for armv7 (arm-linux-gnueabihf-gcc, -g++) and its C library",
        is_present: || {
            has_programs(&["arm-linux-gnueabihf-gcc", "arm-linux-gnueabihf-g++"])
                && Path::new("/usr/arm-linux-gnueabihf/include/stdio.h").exists()
        },
        packages: &["gcc-arm-linux-gnueabihf", "g++-arm-linux-gnueabihf", "libc6-dev-armhf-cross"],
    },
    Requirement {
        what: "QEMU's user-mode emulation (qemu-arm)",
        is_present: || has_programs(&["qemu-arm"]),
        packages: &["qemu-user"],
    },
    Requirement {
        what: "Python 3.10 or newer with venv",
        is_present: || {
            let check = "import sys, venv, ensurepip; assert sys.version_info >= (3, 10)";
            Command::new("python3").args(["-c", check]).succeeds()
        },
        packages: &["python3", "python3-venv"],
    },
];

/// What programs for AArch64 need.
pub(crate) const AARCH64: &[Requirement] = &[Requirement {
    what: "a C and C++ compiler for AArch64 (aarch64-linux-gnu-gcc, -g++) and its C library",
    is_present: || {
        has_programs(&["aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++"])
            && Path::new("/usr/aarch64-linux-gnu/include/stdio.h").exists()
    },
    packages: &["gcc-aarch64-linux-gnu", "g++-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
}];

/// What only the tests need.
pub(crate) const TESTS: &[Requirement] = &[
    Requirement {
        what: "Valgrind",
        is_present: || has_programs(&["valgrind"]),
        packages: &["valgrind", "libc6-dbg"],
    },
    Requirement {
        what: "OpenSSH's client and server, which stand between this machine and a board",
        is_present: || has_programs(&["ssh", "ssh-keygen"]) && Path::new("/usr/sbin/sshd").exists(),
        packages: &["openssh-client", "openssh-server"],
    },
    Requirement {
        what: "pkg-config",
        is_present: || has_programs(&["pkg-config"]),
        packages: &["pkg-config"],
    },
    Requirement {
        what: "Chromium, which the page of `skipgate report` is tested in",
        is_present: || has_programs(&["chromium"]) || has_programs(&["chromium-browser"]),
        packages: &["chromium", "fonts-dejavu-core"],
    },
];

/// What only the generator of bindings needs.
pub(crate) const BINDINGS: &[Requirement] =
    &[Requirement { what: "libclang", is_present: has_libclang, packages: &["libclang-dev"] }];

fn has_programs(names: &[&str]) -> bool {
    names.iter().all(|name| find_program(name).is_some())
}

/// Looks where LLVM's packages put it and asks the linker's cache.
fn has_libclang() -> bool {
    let versions = fs_err::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut packaged = versions
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("llvm-"))
        .filter_map(|entry| fs_err::read_dir(entry.path().join("lib")).ok())
        .flat_map(Iterator::flatten);
    let cached = || Command::new("ldconfig").arg("-p").read().is_ok_and(|list| list.contains("libclang.so"));
    packaged.any(|file| file.file_name() == "libclang.so") || cached()
}

/// Installs what is missing, or, where there is no apt, says what to install.
pub(crate) fn require(requirements: &[Requirement]) -> Result<()> {
    let missing = || requirements.iter().filter(|requirement| !(requirement.is_present)());
    let packages: Vec<_> = missing().flat_map(|requirement| requirement.packages).copied().collect();
    if packages.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing().map(|requirement| requirement.what).collect();
    let names = names.join("; ");
    ensure!(
        find_program("apt-get").is_some(),
        "this machine lacks {names}; install it with the system's package manager (Debian calls the packages {})",
        packages.join(" ")
    );
    install(&packages)?;
    match missing().next() {
        None => Ok(()),
        Some(still) => bail!(
            "{} is still missing although {} is installed; look for another installation that comes first in PATH",
            still.what,
            still.packages.join(" ")
        ),
    }
}

/// Installs packages with apt. The package lists are fetched only if apt cannot do without.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    say(&format!("Installing the system packages {}", packages.join(" ")));
    let install = || apt_get(&[&["install", "--yes", "--no-install-recommends"], packages].concat());
    if install()?.run().is_ok() {
        return Ok(());
    }
    say("Fetching the package lists, then trying again");
    apt_get(&["update"])?.run()?;
    install()?.run().with_context(|| format!("cannot install {}", packages.join(" ")))
}

/// `apt-get` as root.
fn apt_get(arguments: &[&str]) -> Result<Command> {
    let settings = ["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "-oDPkg::Lock::Timeout=120"];
    let line = [&["env"], &settings[..], arguments].concat();
    if Command::new("id").arg("-u").read()?.trim() == "0" {
        return Ok(command(&line));
    }
    ensure!(
        find_program("sudo").is_some(),
        "installing packages takes root, and there is no sudo; run as root: apt-get {}",
        arguments.join(" ")
    );
    // Where nobody can type a password, asking for one would hang.
    let sudo: &[&str] = if stdin().is_terminal() { &["sudo"] } else { &["sudo", "--non-interactive"] };
    Ok(command(&[sudo, &line].concat()))
}

fn command(line: &[&str]) -> Command {
    let mut command = Command::new(line[0]);
    command.args(&line[1..]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_present_is_not_installed_again() {
        let present = Requirement {
            what: "a shell",
            is_present: || has_programs(&["sh"]),
            packages: &["no-such-package"],
        };
        require(&[present]).unwrap();
    }
}
