//! What an artifact is: its machine, tensors, preprocessing, classes, files, and how its front was found.

use maud::{Markup, Render, html};
use skipgate_core::{Preprocessing, Provenance, Resize, Scores, TensorSpec};

use crate::view::{View, bytes};

/// The definition lists at the end of the page.
pub(crate) fn facts(view: &View) -> Markup {
    let manifest = &view.report.manifest;
    html! {
        div.facts {
            section { h3 { "Machine and build" } dl {
                (fact("target", &manifest.target.name))
                (fact("triple", html! { code { (manifest.target.triple) } }))
                (fact("processor", &manifest.target.cpu))
                (fact("written by", html! { (manifest.generator) ", IREE " (manifest.iree.version) }))
                (fact("model", html! { code.hash { (manifest.model_sha256) } }))
            } }
            section { h3 { "Inputs and outputs" } dl {
                @for tensor in &manifest.abi.inputs { (fact("input", self::tensor(tensor))) }
                @for tensor in manifest.outputs() { (fact("output", self::tensor(tensor))) }
                (fact("numbers of the output", scores(manifest.scores)))
            } }
            section { h3 { "Images" } (preprocessing(manifest.preprocessing.as_ref())) }
            section { h3 { "Files" } dl {
                @for (name, size) in &view.report.files { (fact(name, bytes(*size))) }
            } }
            @if let Some(provenance) = view.report.front.as_ref().and_then(|front| front.provenance.as_ref()) {
                section { h3 { "How the front was found" } (self::provenance(provenance)) }
            }
            section { h3 { "Classes" } (classes(&manifest.class_names)) }
        }
    }
}

fn fact(name: &str, value: impl Render) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn tensor(tensor: &TensorSpec) -> Markup {
    html! { code { (tensor.to_string()) } }
}

fn scores(scores: Scores) -> &'static str {
    match scores {
        Scores::Logits => "logits",
        Scores::Probabilities => "probabilities",
        Scores::LogProbabilities => "logarithms of probabilities",
        Scores::IndependentProbabilities => "a probability for each class on its own",
    }
}

fn preprocessing(preprocessing: Option<&Preprocessing>) -> Markup {
    let Some(Preprocessing { color, resize, interpolation, layout, mean, std }) = preprocessing else {
        return html! {
            p { "The artifact does not say how an image becomes its input; " code { "skipgate compile --preset imagenet" }
                " or " code { "--mean … --std …" } " writes it down. Tensors go in with " code { "--input" } "." }
        };
    };
    let resized = match resize {
        Resize::Exact => "images of the input's size only".to_owned(),
        Resize::Stretch => format!("to the input's size, {}", format!("{interpolation:?}").to_lowercase()),
        _ => format!("{resize}, {}, then the middle", format!("{interpolation:?}").to_lowercase()),
    };
    html! { dl {
        (fact("channels", html! { (color) ", " (layout) }))
        (fact("resize", resized))
        (fact("mean", numbers(mean)))
        (fact("deviation", numbers(std)))
    } }
}

fn numbers(values: &[f32]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn provenance(provenance: &Provenance) -> Markup {
    html! { dl {
        (fact("search", html! { (provenance.search) ", " (provenance.evaluations) " evaluations" }))
        (fact("chosen on", html! { (provenance.search_images) " images" }))
        (fact("accuracy on", html! { (provenance.report_images) " other images" }))
        (fact("latency", &provenance.latency.source))
        (fact("data set", html! { code.hash { (provenance.data_sha256) } }))
    } }
}

fn classes(names: &[String]) -> Markup {
    if names.is_empty() {
        return html! { p { "The artifact has no class names; " code { "skipgate compile --classes FILE" } " adds them." } };
    }
    html! {
        details open[names.len() <= 12] {
            summary { (names.len()) " names, in the order of the output" }
            ol.classes start="0" { @for name in names { li { (name) } } }
        }
    }
}
