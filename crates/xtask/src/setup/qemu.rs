//! Counting the instructions of programs for boards with QEMU and the plugin in `tests/qemu`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use skipgate_core::{Emulation, Target};

use crate::debian::Archive;
use crate::process::{CommandExt, find_program, say};
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;

const PLUGIN_SOURCE: &str = "tests/qemu/count_instructions.c";

/// Versions of the plugin API to build the plugin for, one of which every QEMU since 4.2 accepts.
const PLUGIN_APIS: [u32; 2] = [2, 1];

/// What QEMU's programs for boards are called.
const PROGRAMS: [&str; 2] = ["qemu-arm", "qemu-aarch64"];

/// QEMU for the boards' programs, with the plugin that counts instructions where this machine can have one.
pub(crate) struct Emulator {
    /// What stands before the names of QEMU's programs.
    prefix: PathBuf,
    plugin: Option<PathBuf>,
}

impl Emulator {
    /// Finds a QEMU that takes plugins and builds the plugin for it. Where there is none, says why nothing is counted.
    pub(crate) fn prepare(workspace: &Workspace) -> Result<Self> {
        let system = find_program(PROGRAMS[0]).context("there is no qemu-arm in PATH")?;
        let prefix = system.with_file_name("");
        if takes_plugins(&system) {
            return Self::with_plugin(workspace, prefix);
        }
        match debian_qemu(workspace, &system) {
            Ok(prefix) => Self::with_plugin(workspace, prefix),
            Err(error) => {
                say(&format!(
                    "Instructions are not counted: `{}` is built without plugins, and no other is to be had: {error:#}",
                    system.display()
                ));
                Ok(Self { prefix, plugin: None })
            }
        }
    }

    /// The file of QEMU's program `name`.
    fn qemu(&self, name: &str) -> PathBuf {
        let mut path = self.prefix.clone().into_os_string();
        path.push(name);
        path.into()
    }

    fn with_plugin(workspace: &Workspace, prefix: PathBuf) -> Result<Self> {
        let plugin = workspace.tool("libcount_instructions.so");
        let emulator = Self { prefix, plugin: Some(plugin.clone()) };
        let qemu = emulator.qemu(PROGRAMS[0]);
        let version = Command::new(&qemu).arg("--version").read()?;
        let key = Key::new("plugin")
            .text(&qemu.to_string_lossy())
            .text(&version)
            .file(&workspace.path(PLUGIN_SOURCE))?;
        let stamp = Stamp::new(workspace.tool("plugin.stamp"));
        stamp.unless_done(&key, || emulator.build_plugin(workspace, &plugin))?;
        Ok(emulator)
    }

    /// Runs a program for `machine` and returns how many instructions it executed, libraries included, if they can be
    /// counted. The plugin leaves the number in `note`, which no other run may use at the same time.
    pub(crate) fn run(
        &self,
        machine: &Emulation,
        program: &Path,
        arguments: &[&OsStr],
        note: &Path,
    ) -> Result<Option<u64>> {
        self.count(machine, (program, arguments), note, None)
    }

    /// Like [`Emulator::run`], and leaves in `blocks` what the plugin knows of every block of instructions.
    pub(crate) fn profile(
        &self,
        machine: &Emulation,
        program: &Path,
        arguments: &[&OsStr],
        note: &Path,
        blocks: &Path,
    ) -> Result<Vec<Block>> {
        let counted = self.count(machine, (program, arguments), note, Some(blocks))?;
        counted.context("this machine's QEMU cannot count instructions")?;
        fs_err::read_to_string(blocks)?.lines().map(Block::parse).collect()
    }

    fn count(
        &self,
        machine: &Emulation,
        (program, arguments): (&Path, &[&OsStr]),
        note: &Path,
        blocks: Option<&Path>,
    ) -> Result<Option<u64>> {
        let mut qemu = Command::new(self.qemu(&machine.program));
        // Python's hashes, and with them its instructions, differ from run to run otherwise.
        qemu.args(["-cpu", &machine.cpu]).env("PYTHONHASHSEED", "0");
        let Some(plugin) = &self.plugin else {
            qemu.arg(program).args(arguments).read()?;
            return Ok(None);
        };
        if note.exists() {
            fs_err::remove_file(note)?;
        }
        let mut option = OsStr::new("file=").to_owned();
        option.push(plugin);
        option.push(",out=");
        option.push(note);
        if let Some(blocks) = blocks {
            option.push(",blocks=");
            option.push(blocks);
        }
        qemu.arg("-plugin").arg(option).arg(program).args(arguments).read()?;
        let text = fs_err::read_to_string(note)?;
        text.trim_end().parse().map(Some).with_context(|| format!("the plugin wrote `{text}`"))
    }

    /// Builds the plugin for the API version this QEMU wants, which its error message alone would tell.
    fn build_plugin(&self, workspace: &Workspace, plugin: &Path) -> Result<()> {
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
        let machine = Target::named("odroid-xu4")?.emulation().context("a board is emulated")?;
        let mut failures = Vec::new();
        for api in PLUGIN_APIS {
            let mut cc = workspace.command("cc");
            cc.args(["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"]);
            cc.arg(format!("-DQEMU_PLUGIN_API={api}")).arg(PLUGIN_SOURCE).arg("-o").arg(plugin).run()?;
            match self.run(&machine, &probe, &[], &workspace.tool("probe.instructions")) {
                Ok(Some(1..)) => return Ok(()),
                Ok(_) => failures.push(format!("API {api}: it counted no instructions")),
                Err(error) => failures.push(format!("API {api}: {error:#}")),
            }
        }
        bail!("`{}` does not take the plugin\n{}", self.qemu(&machine.program).display(), failures.join("\n"))
    }
}

/// Instructions in a row.
pub(crate) struct Block {
    /// Of the first one, in the emulated process.
    pub(crate) address: u64,
    /// Executed in it, over the whole run.
    pub(crate) executed: u64,
}

impl Block {
    fn parse(line: &str) -> Result<Self> {
        let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [address, instructions, runs] = numbers[..] else { bail!("the plugin wrote `{line}`") };
        Ok(Self { address, executed: instructions * runs })
    }
}

/// Debian's QEMU from a release that builds it with plugins: what stands before the names of its programs.
fn debian_qemu(workspace: &Workspace, system: &Path) -> Result<PathBuf> {
    let root = workspace.tool("debian-qemu");
    let prefix = workspace.tool("debian-");
    let key = Key::new("debian-qemu").text(&root.to_string_lossy()).text(&PROGRAMS.join(" "));
    Stamp::new(workspace.tool("debian-qemu.stamp")).unless_done(&key, || {
        let archive = Archive::open(workspace)?;
        say(&format!(
            "`{}` is built without plugins; getting one that can count from Debian",
            system.display()
        ));
        archive.unpack(&["qemu-user"], &root)?;
        PROGRAMS.iter().try_for_each(|name| {
            let launcher = workspace.tool(format!("debian-{name}"));
            Archive::write_launcher(&launcher, &root, &format!("usr/bin/{name}"))
        })
    })?;
    Ok(prefix)
}

fn takes_plugins(qemu: &Path) -> bool {
    Command::new(qemu).arg("-h").read().is_ok_and(|help| help.contains("-plugin"))
}
