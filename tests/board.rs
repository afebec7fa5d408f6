//! `--on ssh://BOARD` against a server of OpenSSH on this machine, with the board's program under qemu-arm behind it.

#[path = "support/mod.rs"]
mod support;

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use support::{board, board_program, compile, repository, scratch, skipgate, succeed};

/// No test waits longer for something to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// The digits ResNet-20 for the board, with a front, compiled once.
fn artifact() -> &'static Path {
    static ARTIFACT: OnceLock<PathBuf> = OnceLock::new();
    ARTIFACT.get_or_init(|| {
        let artifact = scratch("board").join("resnet20 xu4's");
        compile(&repository().join("models/digits/resnet20.onnx"), "odroid-xu4", &artifact);
        let front = r#"{"configurations": [{"mask": "111111", "accuracy": 0.98}, {"mask": "000000", "accuracy": 0.93}]}"#;
        fs::write(artifact.join("pareto.json"), front).unwrap();
        artifact
    })
}

fn image() -> PathBuf {
    fs::read_dir(repository().join("models/digits/samples")).unwrap().next().unwrap().unwrap().path()
}

/// A server that only the key of its client opens, and where ssh finds it, as `board`.
struct Server {
    process: Child,
    dir: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill_sessions();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(name: &str) -> Self {
        let dir = scratch(&format!("board-{name}"));
        for key in ["host", "client"] {
            succeed(
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(key)),
            );
        }
        // A server that root starts wants this folder, which the system makes when it boots.
        let _ = fs::create_dir_all("/run/sshd");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |file: &str| dir.join(file).display().to_string();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n",
            at("host"),
            at("client.pub")
        );
        fs::write(dir.join("sshd_config"), config).unwrap();
        let client = ["board", "stranger"].map(|host| {
            format!(
                "Host {host}\n  HostName 127.0.0.1\n  Port {port}\n  HostKeyAlias {host}\n  IdentityFile {}\n  \
                 IdentitiesOnly yes\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n",
                at("client"),
                at("known_hosts")
            )
        });
        let client = client.concat();
        fs::write(dir.join("ssh_config"), client).unwrap();
        let key = fs::read_to_string(dir.join("host.pub")).unwrap();
        fs::write(dir.join("known_hosts"), format!("board {key}")).unwrap();
        let log = fs::File::create(dir.join("log")).unwrap().into_parts().0;
        let mut server = Command::new("/usr/sbin/sshd");
        server.args(["-D", "-e", "-f"]).arg(dir.join("sshd_config")).stdin(Stdio::null()).stderr(log);
        let process = server.spawn().unwrap();
        wait_until("the server listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { process, dir }
    }

    /// The folder on the board.
    fn folder(&self) -> PathBuf {
        self.dir.join("on the board")
    }

    /// `skipgate COMMAND ARTIFACT` there, with the program under emulation.
    fn skipgate(&self, command: &str) -> Command {
        let mut skipgate = self.bare(command, "board");
        skipgate.args(["--runner", "qemu-arm -cpu cortex-a15"]);
        skipgate
    }

    /// The same on the machine that is called `host`, which is to run the program itself.
    fn bare(&self, command: &str, host: &str) -> Command {
        let mut skipgate = skipgate();
        skipgate.arg(command).arg(artifact()).arg("--program").arg(board_program());
        skipgate.arg("--on").arg(format!("ssh://{host}{}", self.folder().display()));
        skipgate.env("SKIPGATE_SSH", self.ssh());
        skipgate
    }

    /// What connects to it.
    fn ssh(&self) -> String {
        format!("ssh -F '{}'", self.dir.join("ssh_config").display())
    }

    /// Names in the folder on the board that begin with `start`.
    fn found(&self, start: &str) -> Vec<String> {
        let entries = fs::read_dir(self.folder()).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(start)).collect()
    }

    /// Waits until a run has begun.
    fn wait_for_run(&self) {
        wait_until("a run begins", || {
            self.found("skipgate-run.").iter().any(|run| self.folder().join(run).join("skipgate").exists())
        });
    }

    /// Waits until nothing of any run is left. A folder goes when its program has ended.
    fn wait_for_nothing(&self) {
        wait_until("the run is gone", || self.found("skipgate-run.").is_empty());
    }

    /// Ends the processes that serve connections.
    fn kill_sessions(&self) {
        let children = |process: i32| -> Vec<i32> {
            let list =
                fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
            list.split_whitespace().map(|number| number.parse().unwrap()).collect()
        };
        let is_server = |process: &i32| {
            fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.starts_with("sshd"))
        };
        let sessions = children(Pid::from_child(&self.process).as_raw_nonzero().get());
        let all: Vec<_> =
            sessions.iter().flat_map(|session| children(*session)).chain(sessions.clone()).collect();
        for session in all.iter().filter(|process| is_server(process)) {
            let _ = kill_process(Pid::from_raw(*session).unwrap(), Signal::KILL);
        }
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited too long until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Exit code, standard output and standard error.
fn all(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// A table without what depends on the clock.
fn timeless(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.contains(" us")).collect()
}

#[test]
fn bench_measures_on_the_board_and_writes_what_pareto_takes() {
    let server = Server::start("bench");
    let figures = server.dir.join("board.json");
    let bench = || {
        let mut bench = server.skipgate("bench");
        bench.args(["--rounds", "1", "--calls", "1", "--every", "3", "--output"]).arg(&figures);
        all(&mut bench)
    };
    let (code, text, said) = bench();
    assert_eq!(code, 0, "{said}");
    assert!(text.contains("odroid-xu4, 1 thread, 1 rounds of 1 calls"), "{text}");
    assert!(said.contains("copying skipgate to board") && said.contains(" cores"), "{said}");
    let found: Value = serde_json::from_str(&fs::read_to_string(&figures).unwrap()).unwrap();
    let masks: Vec<_> =
        found["configurations"].as_array().unwrap().iter().map(|line| &line["mask"]).collect();
    assert_eq!(masks, ["111111", "111000", "000000"]);
    assert_eq!(found["artifact"], artifact().to_str().unwrap());
    server.wait_for_nothing();
    // The second time everything is there, but for a file that was damaged.
    let (code, _, said) = bench();
    assert!(code == 0 && !said.contains("copying"), "{said}");
    let objects = server.folder().join("skipgate-objects");
    let manifest = skipgate_core::FileDigest::of(&fs::read(artifact().join("manifest.json")).unwrap());
    fs::write(objects.join(manifest.sha256), "no manifest").unwrap();
    let (code, _, said) = bench();
    assert!(code == 0 && said.matches("copying").count() == 1 && said.contains("manifest.json"), "{said}");
}

#[test]
fn run_gives_what_the_board_gives() {
    let server = Server::start("run");
    let (code, there, said) = all(server.skipgate("run").arg("--image").arg(image()).args(["--skip", "1,4"]));
    assert_eq!(code, 0, "{said}");
    let here =
        succeed(board().arg("run").arg(artifact()).arg("--image").arg(image()).args(["--skip", "1,4"]));
    assert_eq!(timeless(&there), timeless(&here));
    assert!(there.contains("mask 101101"), "{there}");

    let path = |name: &str| server.dir.join(name);
    support::write_noise(&path("x.npy"), [2, 3, 32, 32]);
    let tensors = |mut program: Command, output: &str| {
        succeed(program.arg("--input").arg(path("x.npy")).arg("--output").arg(path(output)))
    };
    let there = tensors(server.skipgate("run"), "there.npy");
    assert!(there.contains(&format!("to {}", path("there.npy").display())), "{there}");
    let mut here = board();
    here.arg("run").arg(artifact());
    tensors(here, "here.npy");
    assert_eq!(fs::read(path("there.npy")).unwrap(), fs::read(path("here.npy")).unwrap());
    server.wait_for_nothing();
}

#[test]
fn the_board_checks_signatures_too() {
    let server = Server::start("signed");
    let signed = server.dir.join("signed");
    fs::create_dir(&signed).unwrap();
    for entry in fs::read_dir(artifact()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, signed.join(path.file_name().unwrap())).unwrap();
    }
    let key = |ending: &str| server.dir.join(format!("owner{ending}"));
    succeed(skipgate().args(["keygen", "-o"]).arg(key("")));
    succeed(skipgate().arg("sign").arg(&signed).arg("--key").arg(key(".key")));
    let run = |artifact: &Path| {
        let mut run = skipgate();
        run.arg("run").arg(artifact).arg("--image").arg(image()).arg("--require-key").arg(key(".pub"));
        run.arg("--program").arg(board_program()).args(["--runner", "qemu-arm -cpu cortex-a15"]);
        run.arg("--on").arg(format!("ssh://board{}", server.folder().display()));
        all(run.env("SKIPGATE_SSH", server.ssh()))
    };
    let (code, text, said) = run(&signed);
    assert!(code == 0 && text.contains("ran 6 of 6"), "{said}");
    let (code, _, said) = run(artifact());
    assert!(code == 1 && said.contains("is not signed"), "{said}");
}

#[test]
fn serve_passes_input_output_and_exit_code_on() {
    let server = Server::start("serve");
    let figures = server.dir.join("front.json");
    succeed(server.skipgate("bench").args(["--front", "--rounds", "1", "--calls", "1", "-o"]).arg(&figures));
    let serve = || {
        let mut serve = server.skipgate("serve");
        serve.arg("--latency-from").arg(&figures);
        serve
    };
    let workload = ["--workload", "steady:50ms", "--requests", "3", "--data", "digits", "--format", "json"];
    let report: Value = serde_json::from_str(&succeed(serve().args(workload))).unwrap();
    assert_eq!(report["networks"][0]["name"], "gated");

    let mut child = serve().arg("--stdin").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let paths = format!("{}\n/no/such/image.png\n", image().display());
    child.stdin.take().unwrap().write_all(paths.as_bytes()).unwrap();
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    let lines: Vec<Value> =
        String::from_utf8(stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcomes: Vec<_> = lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!((status.code(), &outcomes[..]), (Some(1), &["processed", "failed"][..]));
    server.wait_for_nothing();
}

#[test]
fn errors_of_the_board_are_those_of_here() {
    let server = Server::start("errors");
    let (code, _, said) = all(server.skipgate("run").arg("--image").arg(repository().join("README.md")));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("error: ") && said.contains("README.md"), "{said}");
    let mut json = server.skipgate("run");
    let (code, _, said) = all(json.args(["--format", "json", "--image"]).arg(repository().join("README.md")));
    let failure: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert!(code == 1 && failure["error"].is_string(), "{said}");
    server.wait_for_nothing();
}

#[test]
fn a_machine_of_another_kind_is_refused_unless_something_runs_programs_there() {
    let server = Server::start("kind");
    let (code, _, said) = all(&mut server.bare("bench", "board"));
    assert_eq!(code, 1);
    assert!(said.contains("the artifact is for arm (odroid-xu4)") && said.contains("--runner"), "{said}");
    assert_eq!(server.found("skipgate-run."), Vec::<String>::new());
    // Nothing was sent to a machine that has no use for it.
    assert!(fs::read_dir(server.folder().join("skipgate-objects")).unwrap().next().is_none());
}

#[test]
fn machines_that_are_not_reached_are_named_with_what_to_do() {
    let server = Server::start("unreachable");
    let (code, _, said) = all(&mut server.bare("bench", "stranger"));
    assert_eq!(code, 1);
    assert!(
        said.contains("cannot reach stranger: ") && said.contains("connect once with `ssh stranger`"),
        "{said}"
    );
    // Port 1 is nobody's.
    let mut nobody = skipgate();
    nobody
        .arg("bench")
        .arg(artifact())
        .arg("--program")
        .arg(board_program())
        .args(["--on", "ssh://127.0.0.1:1"]);
    let (code, _, said) = all(nobody.args(["--format", "json"]));
    let failure: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &failure["hint"]), (1, &Value::from("see that `ssh 127.0.0.1 true` works")), "{said}");
    let (code, _, said) =
        all(skipgate().arg("bench").arg(artifact()).args(["--on", "ssh://-oProxyCommand=x"]));
    assert!(code == 2 && said.contains("a name begins with a dash"), "{said}");
}

#[test]
fn a_file_of_which_a_part_came_is_not_there() {
    let server = Server::start("part");
    let cut = server.dir.join("cut.sh");
    // Hands on the first thousand bytes of each file.
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *mktemp*.new*) head -c 1000 | ssh -F '{0}' \"$@\";; *) exec ssh -F '{0}' \"$@\";; esac\n",
        server.dir.join("ssh_config").display()
    );
    fs::write(&cut, script).unwrap();
    fs::set_permissions(&cut, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut bench = server.skipgate("bench");
    let (code, _, said) = all(bench.env("SKIPGATE_SSH", format!("'{}'", cut.display())));
    assert_eq!(code, 1);
    assert!(said.contains("received 1000 of "), "{said}");
    assert!(fs::read_dir(server.folder().join("skipgate-objects")).unwrap().next().is_none());
}

#[test]
fn whoever_loses_the_connection_leaves_nothing_on_the_board() {
    let server = Server::start("broken");
    let mut endless = server.skipgate("bench");
    endless.args(["--rounds", "1000000"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = endless.spawn().unwrap();
    server.wait_for_run();
    server.kill_sessions();
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert!(status.code() == Some(1) && said.contains("the connection to board broke"), "{said}");
    server.wait_for_nothing();
}

#[test]
fn ctrl_c_ends_the_program_on_the_board() {
    let server = Server::start("interrupted");
    let bench = server.skipgate("bench");
    // What runs in the background of a shell does not heed the signal, nor does what it starts.
    let mut endless = Command::new("env");
    endless.arg("--default-signal=INT").arg(bench.get_program()).args(bench.get_args());
    endless.envs(bench.get_envs().filter_map(|(name, value)| Some((name, value?))));
    endless.args(["--rounds", "1000000"]).process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = endless.spawn().unwrap();
    server.wait_for_run();
    kill_process_group(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(!child.wait().unwrap().success());
    server.wait_for_nothing();
}
