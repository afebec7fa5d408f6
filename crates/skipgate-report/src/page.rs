//! The page: what is on it, in which order.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};
use skipgate_core::si;

use crate::view::{Choice, Unit, View, bytes, interval, percent};
use crate::{chart, facts, network};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// A table of more blocks is closed at first, since it fills more than a screen.
const MOST_OPEN_BLOCKS: usize = 24;
/// What stands where a number is not known.
const UNKNOWN: &str = "not measured";

pub(crate) fn page(view: &View) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(view))
            body data-run=(view.run()) {
                (title(view))
                main {
                    section.stage aria-label="Front and chosen configuration" { (front(view)) (chosen(view)) }
                    (network_section(view))
                    (configurations(view))
                    (blocks_section(view))
                    section.wide { h2 { "Artifact" } (facts::facts(view)) }
                }
                footer { "Written by skipgate " (env!("CARGO_PKG_VERSION")) ". This page loads nothing from anywhere." }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

fn head(view: &View) -> Markup {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(policy);
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (view.name) " · skipgate" }
            style { (PreEscaped(STYLE)) }
        }
    }
}

/// As a policy names what it allows.
fn hash(text: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(text))
}

fn title(view: &View) -> Markup {
    let manifest = &view.report.manifest;
    let size = view.report.files.iter().map(|(_, size)| size).sum();
    let segments = manifest.gates.iter().map(|gate| gate.segment).collect::<std::collections::BTreeSet<_>>();
    html! {
        header {
            p.kicker { "skipgate report" }
            h1 { (view.name) }
            ul.summary {
                li { b { (manifest.target.name) } " target" }
                li { b { (manifest.gates.len()) } " blocks can be skipped, in " b { (segments.len()) } " segments" }
                @if !view.front.is_empty() { li { b { (view.front.len()) } " configurations on the front" } }
                li { b { (bytes(size)) } " in " (view.report.files.len()) " files" }
            }
        }
    }
}

/// The picture of the front with the dial below it, or what makes one.
fn front(view: &View) -> Markup {
    let Some(charts) = chart::charts(view) else { return no_front(view) };
    html! {
        figure.front {
            h2 { "Accuracy and latency" }
            (charts)
            @if view.front.len() > 1 {
                label.dial {
                    span { "number " b data-field="name" { "0" } }
                    input #dial type="range" min="0" max=(view.front.len() - 1) value=(view.front.len() - 1) step="1"
                        aria-label="Configuration of the front";
                    span.ends { span { "faster, more is skipped" } span { "more blocks run" } }
                }
            }
            figcaption {
                (key(&html! { circle.dot cx="8" cy="8" r="5" {} }, "on the front", "mark"))
                (key(&html! { line.whisker x1="8" x2="8" y1="1" y2="15" {} }, "95 % interval", "mark"))
                @if !view.beaten.is_empty() {
                    (key(&html! { rect.dot x="4.5" y="4.5" width="7" height="7" {} }, "beaten by another", "mark beaten"))
                }
                @if !view.paper.is_empty() {
                    (key(&html! { path.paper d=(chart::triangle(8.0, 8.0)) {} }, "the paper's method", "mark"))
                }
            }
        }
    }
}

fn key(symbol: &Markup, meaning: &str, class: &str) -> Markup {
    html! { span.key { svg viewBox="0 0 16 16" aria-hidden="true" { g class=(class) { (symbol) } } (meaning) } }
}

fn no_front(view: &View) -> Markup {
    let (what, next) = match (&view.report.front, view.report.manifest.gates.is_empty()) {
        (_, true) => ("This network has no gates, so there is nothing to choose.", None),
        (None, false) => (
            "This artifact has not been explored yet. Choose blocks below to see their mask, or let skipgate find the \
             configurations that are worth having; DATA is the folder of a data set:",
            Some(format!("skipgate pareto {} --data DATA", view.folder)),
        ),
        (Some(_), false) => (
            "The front of this artifact has masks alone. This measures their accuracy and latency; DATA is the folder of \
             a data set:",
            Some(format!("skipgate pareto {} --data DATA", view.folder)),
        ),
    };
    html! {
        section.front.empty {
            h2 { "Accuracy and latency" }
            p { (what) }
            @if let Some(next) = next { (command(&next, false)) }
        }
    }
}

/// A command, with a button that copies it. The one that follows the choice is called so.
fn command(text: &str, follows: bool) -> Markup {
    html! {
        div.command {
            pre { code id=[follows.then_some("command")] { (text) } }
            button.copy type="button" { "Copy" }
        }
    }
}

/// What is known of the configuration that is chosen.
fn chosen(view: &View) -> Markup {
    let choice = view.first();
    let manifest = &view.report.manifest;
    let macs: u64 = manifest.gates.iter().map(|gate| gate.macs).sum();
    html! {
        section.chosen aria-labelledby="chosen-title" {
            h2 #chosen-title { "Chosen: " span data-field="title" { (name_of(&choice)) } }
            dl.figures aria-live="polite" {
                div.large { dt { "accuracy, 95 % interval" } dd data-field="accuracy" { (accuracy(&choice)) }
                    dd.note data-field="interval" { (interval_note(&choice)) } }
                div.large { dt { "latency" } dd data-field="latency" { (latency(view, &choice)) }
                    dd.note data-field="speedup" { (speed_up(&choice)) } }
                div { dt { "blocks" } dd { b data-field="running" { (choice.mask.running()) } " of " (choice.mask.len()) " run" } }
                div { dt { "skipped" } dd { b data-field="saved" { (si(saved(view, &choice))) } " of " (si(macs)) " MACs in blocks" } }
                @if !view.report.percentiles.is_empty() {
                    div.row { dt { "50, 90, 99 of 100 calls within" } dd data-field="percentiles" { (percentiles(&choice)) } }
                }
                div.row { dt { "mask" } dd { code.mask data-field="mask" { (choice.mask) } } }
            }
            h3 { "Run it" }
            (command(format!("{} {}", view.run(), choice.argument).trim_end(), true))
            noscript { p.note { "Choosing takes JavaScript; the tables below have every number." } }
        }
    }
}

fn network_section(view: &View) -> Markup {
    if view.report.manifest.gates.is_empty() {
        return html! {};
    }
    html! {
        section.wide {
            h2 { "Network" }
            p.lead {
                "In the order in which it runs; a number is the block's multiply-accumulate operations. Press a block to skip or run it."
            }
            p.keys {
                span.key { span.swatch.run {} "runs" } span.key { span.swatch.skip {} "skipped: what comes in goes out" }
                span.key { span.swatch.always {} "always runs" }
            }
            (network::network(view, &view.first().mask))
        }
    }
}

fn blocks_section(view: &View) -> Markup {
    let gates = view.report.manifest.gates.len();
    if gates == 0 {
        return html! {};
    }
    html! {
        section.wide {
            h2 { "Blocks" }
            details open[gates <= MOST_OPEN_BLOCKS] {
                summary { "Names, sizes and worth of " (gates) " blocks" }
                (network::blocks(view, &view.first().mask))
            }
        }
    }
}

fn configurations(view: &View) -> Markup {
    if view.front.is_empty() {
        return html! {};
    }
    html! {
        section.wide {
            h2 { "Configurations" }
            p.lead { "On the images that they were chosen with, none of these is beaten by another in both accuracy and latency. The \
                accuracies here are of other images. "
                @if let Some(source) = view.source() {
                    "Latency: " (source.source) @if !source.measured { ", not measured mask by mask" } "."
                }
            }
            (table(view, &view.front, "Configurations of the front"))
            @if view.report.percentiles.is_empty() {
                p.note { "Percentiles of the latencies are added by these two commands:" }
                (command(&format!("skipgate bench {0} --front --format json > front.json\n\
                    skipgate report {0} --latency-from front.json -o report.html", view.folder), false))
            }
            @if !view.beaten.is_empty() {
                details { summary { (view.beaten.len()) " others that were measured and are beaten" }
                    (table(view, &view.beaten, "Beaten configurations")) }
            }
        }
    }
}

fn table(view: &View, choices: &[Choice], label: &str) -> Markup {
    let times = choices.iter().any(|choice| choice.percentiles.is_some());
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table.choices {
                thead { tr {
                    th scope="col" { "choose" } th.number scope="col" { "accuracy" } th.number scope="col" { "95 % interval" }
                    th.number scope="col" { (view.unit.name) } th.number scope="col" { "speed-up" }
                    @if times { @for name in ["min", "p50", "p90", "p99", "max"] { th.number scope="col" { (name) " (µs)" } } }
                    th.number scope="col" { "run" } th scope="col" { "mask" }
                } }
                tbody { @for choice in choices { (row(view, choice, times)) } }
            }
        }
    }
}

fn row(view: &View, choice: &Choice, times: bool) -> Markup {
    let first = *choice == view.first();
    let numbers = choice.percentiles.map(|times| [times.min, times.median, times.p90, times.p99, times.max]);
    html! {
        tr {
            th scope="row" { label {
                input type="radio" name="configuration" checked[first] data-mask=(choice.mask) data-title=(name_of(choice))
                    data-accuracy=(accuracy(choice)) data-interval=(interval_note(choice)) data-latency=(latency(view, choice))
                    data-speedup=(speed_up(choice)) data-percentiles=(percentiles(choice)) data-argument=(choice.argument);
                (name_of(choice))
            } }
            td.number { (choice.accuracy.map_or_else(|| "–".to_owned(), percent)) }
            td.number { (choice.interval.map_or_else(|| "–".to_owned(), interval)) }
            td.number { (choice.latency.map_or_else(|| "–".to_owned(), |latency| view.unit.number(latency))) }
            td.number { (choice.speed_up.map_or_else(|| "–".to_owned(), |speed_up| format!("{speed_up:.2}×"))) }
            @if times { @for place in 0..5 { td.number { (numbers.map_or_else(|| "–".to_owned(), |numbers| format!("{:.0}", numbers[place]))) } } }
            td.number { (choice.mask.running()) }
            td { code.mask { (choice.mask) } }
        }
    }
}

/// Its number, or that it has none.
fn name_of(choice: &Choice) -> String {
    match choice.argument.strip_prefix("--config ") {
        Some(number) => format!("configuration {number}"),
        None if choice.mask.skipped() == 0 => "all blocks".to_owned(),
        None => "off the front".to_owned(),
    }
}

fn accuracy(choice: &Choice) -> String {
    choice.accuracy.map_or_else(|| UNKNOWN.to_owned(), percent)
}

fn interval_note(choice: &Choice) -> String {
    choice.interval.map_or_else(String::new, interval)
}

fn latency(view: &View, choice: &Choice) -> String {
    choice.latency.map_or_else(|| UNKNOWN.to_owned(), |latency| view.unit.text(latency))
}

fn speed_up(choice: &Choice) -> String {
    choice.speed_up.map_or_else(String::new, |speed_up| format!("{speed_up:.2}× the speed of all blocks"))
}

fn percentiles(choice: &Choice) -> String {
    let text = |time| Unit::MICROSECONDS.number(time);
    choice.percentiles.map_or_else(
        || UNKNOWN.to_owned(),
        |times| format!("{}, {}, {} µs", text(times.median), text(times.p90), text(times.p99)),
    )
}

/// Multiply-accumulate operations of the blocks that are skipped.
fn saved(view: &View, choice: &Choice) -> u64 {
    let gates = view.report.manifest.gates.iter().zip(choice.mask.as_slice());
    gates.filter(|(_, run)| !**run).map(|(gate, _)| gate.macs).sum()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use fs_err as fs;
    use serde_json::{Value, json};
    use skipgate_core::SkipMask;
    use tempfile::TempDir;

    use crate::{Error, Percentiles, Report};

    const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&";

    fn manifest(block: &str, class: &str) -> Value {
        let gate = |block: &str| json!({"block": block, "segment": 0, "macs": 4_718_592, "parameters": 4640});
        json!({
            "format_version": skipgate_core::FORMAT_VERSION,
            "generator": "skipgate 0.1.0",
            "iree": {"version": "3.13.0", "revision": "0"},
            "target": {"name": "odroid-xu4", "arch": "arm", "triple": "armv7a", "cpu": "cortex-a15", "features": []},
            "options": {"arithmetic": "fast", "kernels": true},
            "abi": {
                "entry_point": "skipgate.run",
                "specialised": [],
                "inputs": [
                    {"name": "image", "shape": [1, 3, 32, 32], "element_type": "f32"},
                    {"name": "skip_mask", "shape": [2], "element_type": "bool"},
                ],
                "outputs": [{"name": "logits", "shape": [1, 2], "element_type": "f32"}],
            },
            "gates": [gate(block), gate("b")],
            "coverage": {"kernels": 1, "generic": [], "costly_gates": []},
            "class_names": [class, "dog"],
            "model_sha256": "00",
            "files": {"model.vmfb": {"bytes": 4, "sha256": "00"}},
        })
    }

    /// An artifact called `name` in a folder of its own.
    fn artifact(name: &str, manifest: &Value) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("manifest.json"), manifest.to_string()).unwrap();
        fs::write(path.join("model.vmfb"), "code").unwrap();
        (dir, path)
    }

    fn front() -> Value {
        let configuration = |mask, accuracy, latency| {
            json!({"mask": mask, "accuracy": accuracy, "accuracy_interval": [accuracy - 0.01, accuracy + 0.01],
                "latency": latency})
        };
        json!({"configurations": [configuration("11", 0.98, 291.0), configuration("01", 0.93, 133.0)]})
    }

    #[test]
    fn names_of_a_model_become_text_and_nothing_else() {
        let (_dir, path) = artifact("a <b> & 'c'", &manifest(HOSTILE, HOSTILE));
        fs::write(path.join("dispatches.json"), json!([{"nodes": [HOSTILE]}]).to_string()).unwrap();
        let html = Report::open(&path).unwrap().html();
        assert_eq!(html.matches("<script").count(), 1, "the page's own");
        assert!(!html.contains("<img") && !html.contains("<b> &"));
        assert!(html.contains("&lt;/script&gt;&lt;script&gt;alert(1)"), "the name itself is there");
        assert!(html.contains("a &lt;b&gt; &amp; "));
    }

    #[test]
    fn the_page_loads_nothing_and_allows_only_its_own_script() {
        let (_dir, path) = artifact("host", &manifest("a", "cat"));
        let html = Report::open(&path).unwrap().html();
        for elsewhere in ["http:", "https:", "src=", "href=", "url(", "@import", "style=", "onclick"] {
            assert!(!html.contains(elsewhere), "{elsewhere}");
        }
        assert!(html.contains("default-src 'none'; style-src 'sha256-"));
        assert!(html.contains(&super::hash(super::SCRIPT)));
    }

    #[test]
    fn every_configuration_has_its_numbers_and_its_command() {
        let (_dir, path) = artifact("host", &manifest("a", "cat"));
        fs::write(path.join("pareto.json"), front().to_string()).unwrap();
        let times = Percentiles { min: 120.0, median: 130.0, p90: 150.0, p99: 171.0, max: 900.0 };
        let mask: SkipMask = "01".parse().unwrap();
        let html = Report::open(&path).unwrap().with_percentiles([(mask, times)].into()).html();
        for text in [
            "98.00 %",
            "92.00 to 94.00 %",
            "133 µs",
            "2.19×",
            "171",
            "data-argument=\"--config 1\"",
            "4.72 M MACs",
        ] {
            assert!(html.contains(text), "{text}");
        }
        let run = format!("skipgate run {} --input INPUT.npz --output OUTPUT.npz --config 0", path.display());
        assert!(html.contains(&run), "{run}");
    }

    #[test]
    fn without_a_front_the_page_says_what_makes_one() {
        let (_dir, path) = artifact("my artifact", &manifest("a", "cat"));
        let html = Report::open(&path).unwrap().html();
        assert!(
            html.contains("skipgate pareto &#39;") || html.contains("skipgate pareto '"),
            "the path is quoted"
        );
        assert!(html.contains("data-gate=\"1\"") && !html.contains("type=\"radio\""));
    }

    #[test]
    fn a_front_of_another_network_is_refused() {
        let (_dir, path) = artifact("host", &manifest("a", "cat"));
        fs::write(path.join("pareto.json"), r#"{"configurations": [{"mask": "101"}]}"#).unwrap();
        let error = Report::open(&path).unwrap_err().to_string();
        assert!(error.ends_with("pareto.json`: the mask has 3 entries, the model has 2 gates"), "{error}");
        fs::remove_file(path.join("pareto.json")).unwrap();
        fs::write(path.join("dispatches.json"), r#"[{"gate": 2, "nodes": []}]"#).unwrap();
        let error = Report::open(&path).unwrap_err().to_string();
        assert!(error.ends_with("it has a gate 2, the model has 2 gates, numbered from 0"), "{error}");
    }

    #[test]
    fn a_folder_without_a_manifest_is_no_artifact() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Report::open(dir.path()), Err(Error::NoArtifact(_))));
    }
}
