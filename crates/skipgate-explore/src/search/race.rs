//! Early stopping: masks that are worse beyond doubt are not evaluated to the end.

use skipgate_core::SkipMask;

use crate::{Engine, Error, Outcomes};

/// Standard errors that a mask must be behind. At 3, one in 740 comparisons drops the better of two equal masks.
const DEVIATIONS: f64 = 3.0;

/// Evaluates `masks` batch by batch until `keep` are left, `images` evaluations are spent or the images of the search
/// are used up, and returns all of them by the probability of the true class, the best first.
///
/// Batches are taken in turn from number `first`, so that not every race is decided by the same images. After each
/// batch, masks that are worse than the last one kept beyond doubt drop out; their results are not exact, and the order
/// of those that stay is one of estimates.
pub(super) fn race(
    engine: &mut Engine,
    masks: Vec<SkipMask>,
    keep: usize,
    images: usize,
    first: usize,
) -> Result<Vec<SkipMask>, Error> {
    let end = engine.spent() + images;
    let batches = engine.split().search();
    let mut dropped = Vec::new();
    let mut runners: Vec<_> = masks.into_iter().map(|mask| (mask, Outcomes::default())).collect();
    for batch in batches.clone().map(|turn| (turn + first) % batches.len()) {
        let masks: Vec<_> = runners.iter().map(|(mask, _)| mask.clone()).collect();
        let cost = masks.len() * engine.split().images(batch..batch + 1);
        let started = runners.iter().any(|(_, outcomes)| !outcomes.is_empty());
        if started && (runners.len() <= keep || engine.spent() + cost > end) {
            break;
        }
        for ((_, all), outcomes) in runners.iter_mut().zip(engine.evaluate(&masks, batch..batch + 1)?) {
            all.extend(&outcomes);
        }
        runners.sort_by(|(_, a), (_, b)| b.confidence().total_cmp(&a.confidence()));
        if let Some((_, last)) = runners.get(keep - 1).cloned() {
            let (worse, rest) =
                runners.into_iter().partition(|(_, outcomes)| outcomes.is_worse_than(&last, DEVIATIONS));
            // Those that dropped out later are better.
            dropped = [worse, dropped].concat();
            runners = rest;
        }
    }
    Ok(runners.into_iter().chain(dropped).map(|(mask, _)| mask).collect())
}
