//! The schemas in `docs/schemas` are those of this program, and what it writes and prints is as they say.

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err as fs;
use serde_json::{Value, json};
use support::{repository, scratch, skipgate, succeed};

fn model() -> PathBuf {
    repository().join("models/digits/resnet20.onnx")
}

fn image() -> PathBuf {
    fs::read_dir(repository().join("models/digits/samples")).unwrap().next().unwrap().unwrap().path()
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The schemas that are checked in, and those that something was compared with.
#[derive(Default)]
struct Checked(BTreeSet<String>);

impl Checked {
    /// Compares `value` with the schema called `name`.
    fn check(&mut self, name: &str, value: &Value) {
        let schema = read(&repository().join(format!("docs/schemas/{name}.schema.json")));
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<_> =
            validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}\n{value:#}");
        self.0.insert(name.to_owned());
    }

    /// The same for what `command` prints as JSON, whether or not it succeeds.
    fn print(&mut self, name: &str, command: &mut Command) -> Value {
        let output = command.args(["--format", "json"]).output().unwrap();
        let value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{command:?}: {error}: {output:?}"));
        self.check(name, &value);
        value
    }
}

#[test]
fn the_schemas_in_the_repository_are_those_of_this_program() {
    let dir = scratch("schemas");
    succeed(skipgate().args(["schema", "-o"]).arg(&dir));
    let names = |dir: &Path| -> BTreeSet<_> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let checked_in = repository().join("docs/schemas");
    let advice = "`cargo run -p skipgate -- schema -o docs/schemas` writes them again";
    assert_eq!(names(&checked_in), names(&dir), "{advice}");
    for name in names(&dir) {
        let [old, new] = [&checked_in, &dir].map(|dir| fs::read_to_string(dir.join(&name)).unwrap());
        assert!(old == new, "docs/schemas/{name} is of another version; {advice}");
    }
}

#[test]
fn one_schema_is_printed_by_its_name() {
    let front: Value = serde_json::from_str(&succeed(skipgate().args(["schema", "front"]))).unwrap();
    assert_eq!(front["title"], "front");
    let unknown = skipgate().args(["schema", "fronts"]).output().unwrap();
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("`skipgate schema` lists them"));
}

#[test]
fn a_wrong_file_does_not_fit_its_schema() {
    let schema = read(&repository().join("docs/schemas/front.schema.json"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&json!({"configurations": [{"mask": "1101"}]})));
    assert!(!validator.is_valid(&json!({"configurations": [{"accuracy": 0.5}]})));
    assert!(!validator.is_valid(&json!([])));
}

#[test]
fn everything_that_is_written_or_printed_fits_its_schema() {
    let dir = scratch("schemas-real");
    let path = |name: &str| dir.join(name);
    let artifact = path("host");
    let mut checked = Checked::default();
    let command = |name: &str| {
        let mut command = skipgate();
        command.arg(name);
        command
    };
    let on_artifact = |name: &str| {
        let mut command = command(name);
        command.arg(&artifact);
        command
    };
    checked.print("schema", &mut command("schema"));
    checked.print("schema-output", command("schema").arg("-o").arg(path("schemas")));
    checked.print("targets", &mut command("targets"));
    checked.print("doctor", &mut command("doctor"));
    checked.print("inspect", command("inspect").arg(model()));
    checked.print("gate", command("gate").arg(model()).arg("-o").arg(path("gated.onnx")));
    checked.print("compile-plan", command("compile").arg(model()).args(["--emit", "plan"]));
    checked.print("compile", command("compile").arg(model()).arg("-o").arg(&artifact));
    let verify = ["--masks", "0", "--builds", "0"];
    checked.print("verify", on_artifact("verify").arg("--model").arg(model()).args(verify));
    checked.print("run", on_artifact("run").arg("--image").arg(image()));
    let few = ["--rounds", "1", "--calls", "1"];
    let bench = checked.print("bench", on_artifact("bench").args(few));
    checked.check("latencies", &bench);
    let counted = json!({"target": "odroid-xu4", "unit": "instructions", "configurations": [{"mask": "1", "latency": 7.0}]});
    checked.check("latencies", &counted);
    checked.print("bench", on_artifact("bench").args(few).arg("--per-dispatch"));

    let store = path("host.evaluations.jsonl");
    let explore = |name: &str| {
        let mut explore = on_artifact(name);
        explore.args(["--data", "digits", "--store"]).arg(&store);
        explore
    };
    checked.print("shard", explore("rank").args(["--shard", "1/2"]));
    checked.print("rank", &mut explore("rank"));
    checked.print("pareto", explore("pareto").args(["--search", "ranking", "--compare"]));
    for line in fs::read_to_string(&store).unwrap().lines().take(4) {
        checked.check("store", &serde_json::from_str(line).unwrap());
    }
    checked.print("merge", command("merge").arg(&store).arg("-o").arg(path("all.jsonl")));
    let scores =
        json!({"method": "fisher", "images": 512, "seed": 1, "blocks": [{"gate": 0, "score": 1.2e-4}]});
    checked.check("scores", &scores);
    checked.print("plot", on_artifact("plot").arg("-o").arg(path("plot.svg")));
    checked.print("report", on_artifact("report").arg("-o").arg(path("report.html")));
    for (name, file) in [
        ("front", "pareto"),
        ("exploration", "exploration"),
        ("manifest", "manifest"),
        ("dispatches", "dispatches"),
    ] {
        checked.check(name, &read(&artifact.join(file).with_extension("json")));
    }

    let front = path("front.json");
    checked.print("bench", on_artifact("bench").args(few).arg("--front").arg("-o").arg(&front));
    let adapt = |name: &str| {
        let mut adapt = on_artifact(name);
        adapt.arg("--latency-from").arg(&front);
        adapt
    };
    let workload = ["--workload", "periodic:1ms", "--requests", "20"];
    checked.print("simulate", adapt("simulate").args(workload).args(["--power", "model:1,2"]));
    checked.print("simulate-compare", adapt("simulate").args(["--compare", "--requests", "20"]));
    checked.print("serve", adapt("serve").args(workload).args(["--data", "digits"]));
    serve_paths(&mut checked, adapt("serve"));

    checked.print("keygen", command("keygen").arg("-o").arg(path("key")));
    checked.print("sign", on_artifact("sign").arg("--key").arg(path("key.key")));
    let failed = command("inspect").args(["no.onnx", "--format", "json"]).output().unwrap();
    checked.check("error", &serde_json::from_slice(&failed.stderr).unwrap());

    let all = fs::read_dir(repository().join("docs/schemas")).unwrap();
    let all: BTreeSet<_> = all
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().replace(".schema.json", ""))
        .collect();
    assert_eq!(checked.0, all, "each schema is compared with something");
}

/// An image that is one and one that is none, as paths on standard input.
fn serve_paths(checked: &mut Checked, mut serve: Command) {
    use std::io::Write as _;

    let serve = serve.args(["--stdin", "--format", "json"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = serve.stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{}\nnone.png\n", image().display()).as_bytes()).unwrap();
    let printed = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (totals, answers) = lines.split_last().unwrap();
    for answer in answers {
        checked.check("serve-answer", answer);
    }
    checked.check("serve-totals", totals);
}
