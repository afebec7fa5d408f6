//! From an artifact to its front.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use skipgate_core::{Configuration, Front, LatencySource, Provenance, SkipMask};

use crate::search::Search;
use crate::{Accuracy, Engine, Error, Latency, Point, Split, hypervolume, non_dominated};

/// File name in an artifact folder of everything that a search found.
pub const EXPLORATION_FILE: &str = "exploration.json";

/// What `exploration.json` holds: what a search found, and the paper's method if it was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Exploration {
    /// The search, as on the command line.
    pub search: String,
    /// What it found.
    pub explored: Explored,
    /// What the paper's method found with as many evaluations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper: Option<Explored>,
}

/// Everything that a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Explored {
    /// By the number of skipped blocks; none and all are always among them.
    pub candidates: Vec<Candidate>,
    /// Evaluations of one mask on one image that found and compared the candidates.
    pub evaluations: usize,
    /// What the latencies are.
    pub latency: LatencySource,
    /// For each gate, by how much the share of images that are classified right falls if its block alone is skipped.
    pub single_skips: Vec<f64>,
}

/// A mask that a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Candidate {
    /// The blocks that run.
    pub mask: SkipMask,
    /// On the images that it was chosen on.
    pub search: Accuracy,
    /// On the others.
    pub report: Accuracy,
    /// Latency of one image.
    pub latency: f64,
    /// Whether no other candidate beats it, by the images that they were chosen on.
    pub on_front: bool,
}

/// Batches on which each block is skipped alone for the picture, if no search did so on all.
const SINGLE_SKIP_BATCHES: usize = 5;

/// Evaluations of one mask on one image that [`explore`] takes at most for that number of searches.
pub fn most_evaluations(engine: &Engine, searches: usize) -> usize {
    let (gates, split) = (engine.gates(), engine.split());
    let search = gates * split.images(split.search());
    let candidates = (gates + 1) * split.images(0..split.report().end);
    searches * (search + candidates) + gates * split.images(single_skip_batches(split))
}

/// Lets each of `searches` find candidates and evaluates each candidate on all images.
///
/// The budget of each is what the paper's method costs: an evaluation of every gate on the images of the search for the
/// search itself, and one of every number of skipped blocks to compare the candidates. Images to report on have no part
/// in any decision. Latencies of all candidates are taken together, so that a mask has the same one wherever it is.
/// What single skips cost is evaluated apart, for people to look at.
///
/// # Errors
///
/// When the engine or the measurement of latencies fails.
pub fn explore(
    engine: &mut Engine,
    searches: &[&dyn Search],
    latency: &Latency,
) -> Result<Vec<Explored>, Error> {
    let found: Vec<_> = searches.iter().map(|search| find(engine, *search)).collect::<Result<_, _>>()?;
    let single_skips = single_skips(engine)?;
    let mut masks: Vec<_> = found.iter().flat_map(|found| found.masks.iter().cloned()).collect();
    masks.sort();
    masks.dedup();
    let latencies = latency.of(engine.artifact(), &masks)?;
    let latencies: BTreeMap<_, _> = masks.into_iter().zip(latencies).collect();
    let (engine, source) = (&*engine, latency.source(engine.artifact()));
    let explored = |found: Found| Explored {
        evaluations: found.evaluations,
        candidates: found.candidates(engine, &latencies),
        latency: source.clone(),
        single_skips: single_skips.clone(),
    };
    Ok(found.into_iter().map(explored).collect())
}

/// What a search found.
struct Found {
    /// By the number of skipped blocks, with none and all.
    masks: Vec<SkipMask>,
    /// What that cost, the comparison of the masks included.
    evaluations: usize,
}

/// Lets `search` find candidates within its budget, and evaluates them on all images.
fn find(engine: &mut Engine, search: &dyn Search) -> Result<Found, Error> {
    engine.restart();
    let split = engine.split().clone();
    let budget = engine.gates() * split.images(split.search());
    let mut masks = search.masks(engine, budget)?;
    masks.extend([SkipMask::all_run(engine.gates()), SkipMask::all_skip(engine.gates())]);
    masks.sort_by_key(|mask| (mask.skipped(), mask.clone()));
    masks.dedup();
    engine.evaluate(&masks, split.search())?;
    let evaluations = engine.spent();
    engine.evaluate(&masks, split.report())?;
    Ok(Found { masks, evaluations })
}

impl Found {
    /// The candidates with what the engine knows of them.
    fn candidates(self, engine: &Engine, latencies: &BTreeMap<SkipMask, f64>) -> Vec<Candidate> {
        let (search, report) = (engine.split().search(), engine.split().report());
        let candidate = |mask: SkipMask| Candidate {
            search: engine.known(&mask, search.clone()).accuracy(),
            report: engine.known(&mask, report.clone()).accuracy(),
            latency: latencies[&mask],
            mask,
            on_front: false,
        };
        let mut candidates: Vec<_> = self.masks.into_iter().map(candidate).collect();
        let points: Vec<_> = candidates.iter().map(Candidate::chosen_by).collect();
        for index in non_dominated(&points) {
            candidates[index].on_front = true;
        }
        candidates
    }
}

fn single_skip_batches(split: &Split) -> Range<usize> {
    0..split.search().end.min(SINGLE_SKIP_BATCHES)
}

/// What skipping each block alone costs, on the images of the search or the first of them.
fn single_skips(engine: &mut Engine) -> Result<Vec<f64>, Error> {
    let (gates, all) = (engine.gates(), engine.split().search());
    let mut masks = vec![SkipMask::all_run(gates)];
    for gate in 0..gates {
        masks.push(SkipMask::skipping(gates, &[gate])?);
    }
    let images = engine.split().images(all.clone());
    let complete = masks.iter().all(|mask| engine.known(mask, all.clone()).len() == images);
    let batches = if complete { all } else { single_skip_batches(engine.split()) };
    let shares: Vec<_> =
        engine.evaluate(&masks, batches)?.iter().map(|outcomes| outcomes.accuracy().share()).collect();
    Ok(shares[1..].iter().map(|share| shares[0] - share).collect())
}

impl Candidate {
    fn chosen_by(&self) -> Point {
        Point { accuracy: self.search.share(), latency: self.latency }
    }

    fn reported(&self) -> Point {
        Point { accuracy: self.report.share(), latency: self.latency }
    }
}

impl Explored {
    /// The candidates on the front, by the number of skipped blocks.
    pub fn front(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(|candidate| candidate.on_front)
    }

    /// Hypervolume of the front on the images to report on, up to the latency of the whole network.
    pub fn hypervolume(&self) -> f64 {
        let points: Vec<_> = self.front().map(Candidate::reported).collect();
        hypervolume(&points, self.candidates[0].latency)
    }

    /// The candidate that skips this many blocks and is the most accurate of those on the images of the search.
    pub fn at(&self, skipped: usize) -> Option<&Candidate> {
        let here = self.candidates.iter().filter(|candidate| candidate.mask.skipped() == skipped);
        here.max_by_key(|candidate| candidate.search.correct)
    }

    /// What goes into `pareto.json`. `search` names the search as on the command line.
    pub fn to_front(&self, engine: &Engine, search: &str) -> Front {
        let split = engine.split();
        let configuration = |candidate: &Candidate| Configuration {
            mask: candidate.mask.clone(),
            accuracy: Some(candidate.report.share()),
            accuracy_interval: Some(candidate.report.interval()),
            latency: Some(candidate.latency),
        };
        let provenance = Provenance {
            generator: concat!("skipgate ", env!("CARGO_PKG_VERSION")).to_owned(),
            model_sha256: engine.artifact().manifest().model_sha256.clone(),
            data_sha256: engine.dataset().sha256().to_owned(),
            search_images: split.images(split.search()),
            report_images: split.images(split.report()),
            search: search.to_owned(),
            evaluations: self.evaluations,
            candidates: self.candidates.len(),
            latency: self.latency.clone(),
        };
        Front { provenance: Some(provenance), configurations: self.front().map(configuration).collect() }
    }
}
