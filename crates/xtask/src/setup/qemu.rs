//! Counting the instructions of programs for the board with QEMU and the plugin in `tests/qemu`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::debian::Archive;
use crate::process::{CommandExt, find_program, say};
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

const PLUGIN_SOURCE: &str = "tests/qemu/count_instructions.c";

/// Versions of the plugin API to build the plugin for, one of which every QEMU since 4.2 accepts.
const PLUGIN_APIS: [u32; 2] = [2, 1];

/// QEMU with the plugin that counts instructions.
pub(crate) struct InstructionCounter {
    qemu: PathBuf,
    plugin: PathBuf,
}

impl InstructionCounter {
    /// Finds a QEMU that takes plugins and builds the plugin for it.
    pub(crate) fn prepare(workspace: &Workspace) -> Result<Self> {
        let counter =
            Self { qemu: with_plugins(workspace)?, plugin: workspace.tool("libcount_instructions.so") };
        let version = Command::new(&counter.qemu).arg("--version").read()?;
        let key = Key::new("plugin")
            .text(&counter.qemu.to_string_lossy())
            .text(&version)
            .file(&workspace.path(PLUGIN_SOURCE))?;
        Stamp::new(workspace.tool("plugin.stamp")).unless_done(&key, || counter.build_plugin(workspace))?;
        Ok(counter)
    }

    /// Runs a program for the board and returns how many instructions it executed, libraries included. The plugin
    /// leaves the number in `note`, which no other run may use at the same time.
    pub(crate) fn count(&self, program: &Path, arguments: &[&OsStr], note: &Path) -> Result<u64> {
        if note.exists() {
            fs_err::remove_file(note)?;
        }
        let mut plugin = OsStr::new("file=").to_owned();
        plugin.push(&self.plugin);
        plugin.push(",out=");
        plugin.push(note);
        let mut qemu = Command::new(&self.qemu);
        qemu.args(["-cpu", "cortex-a15", "-plugin"]).arg(plugin).arg(program).args(arguments).read()?;
        let text = fs_err::read_to_string(note)?;
        text.trim_end().parse().with_context(|| format!("the plugin wrote `{text}`"))
    }

    /// Builds the plugin for the API version this QEMU wants, which its error message alone would tell.
    fn build_plugin(&self, workspace: &Workspace) -> Result<()> {
        say("Building the QEMU plugin that counts instructions");
        let probe = workspace.tool("probe");
        let source = workspace.tool("probe.c");
        fs_err::write(&source, "int main(void) { return 0; }\n")?;
        workspace
            .command("arm-linux-gnueabihf-gcc")
            .arg("-static")
            .arg(source)
            .arg("-o")
            .arg(&probe)
            .run()?;
        let mut failures = Vec::new();
        for api in PLUGIN_APIS {
            let mut cc = workspace.command("cc");
            cc.args(["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"]);
            cc.arg(format!("-DQEMU_PLUGIN_API={api}"))
                .arg(PLUGIN_SOURCE)
                .arg("-o")
                .arg(&self.plugin)
                .run()?;
            match self.count(&probe, &[], &workspace.tool("probe.instructions")) {
                Ok(instructions) if instructions > 0 => return Ok(()),
                Ok(_) => failures.push(format!("API {api}: it counted no instructions")),
                Err(error) => failures.push(format!("API {api}: {error:#}")),
            }
        }
        bail!("`{}` does not take the plugin\n{}", self.qemu.display(), failures.join("\n"))
    }
}

/// The system's `qemu-arm` if it was built with plugin support, else Debian's from a release that has it.
fn with_plugins(workspace: &Workspace) -> Result<PathBuf> {
    let system = find_program("qemu-arm").context("there is no qemu-arm in PATH")?;
    if takes_plugins(&system) {
        return Ok(system);
    }
    let root = workspace.tool("debian-qemu");
    let launcher = workspace.tool("debian-qemu-arm");
    let key = Key::new("debian-qemu").text(&root.to_string_lossy());
    let stamp = Stamp::new(workspace.tool("debian-qemu.stamp"));
    let unpacked = stamp.unless_done(&key, || {
        let system = system.display();
        say(&format!(
            "`{system}` is built without plugins; getting one that can count instructions from Debian"
        ));
        Archive::open(workspace)?.unpack(&["qemu-user"], &root)?;
        Archive::write_launcher(&launcher, &root, "usr/bin/qemu-arm")
    });
    unpacked.with_context(|| {
        format!(
            "`{}` is built without plugin support (`-plugin`), which counting instructions takes; \
             put a qemu-arm built with --enable-plugins first in PATH",
            system.display()
        )
    })?;
    Ok(launcher)
}

fn takes_plugins(qemu: &Path) -> bool {
    Command::new(qemu).arg("-h").read().is_ok_and(|help| help.contains("-plugin"))
}
