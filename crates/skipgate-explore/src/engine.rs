//! Evaluates masks on images with the real artifact.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use skipgate_core::SkipMask;
use skipgate_data::Dataset;
use skipgate_runtime::{Artifact, Device, Session};

use crate::{Error, Outcomes, Shard, Split, Store};

/// Evaluates masks on batches of images: once, on all cores, and only its share if there are other machines.
pub struct Engine<'a> {
    artifact: &'a Artifact,
    dataset: &'a Dataset,
    split: Split,
    store: Store,
    shard: Shard,
    /// One for each thread.
    sessions: Vec<Session>,
    asked: HashSet<(SkipMask, usize)>,
    spent: usize,
    computed: usize,
    progress: Box<dyn Fn(usize) + 'a>,
}

/// A mask on a batch.
type Job<'m> = (&'m SkipMask, usize);

impl<'a> Engine<'a> {
    /// An engine that works with `threads` threads and adds its results to `store`.
    ///
    /// # Errors
    ///
    /// When the network has no gates, or cannot be loaded.
    pub fn new(
        artifact: &'a Artifact,
        dataset: &'a Dataset,
        split: Split,
        store: Store,
        shard: Shard,
        threads: usize,
    ) -> Result<Self, Error> {
        if artifact.gates().is_empty() {
            return Err(Error::NoGates);
        }
        let session = |_| Session::new(artifact, Device::local_sync());
        let sessions = (0..threads.max(1)).map(session).collect::<Result<_, _>>()?;
        let (asked, progress) = (HashSet::new(), Box::new(|_| ()));
        Ok(Self { artifact, dataset, split, store, shard, sessions, asked, spent: 0, computed: 0, progress })
    }

    /// Calls `progress` with the number of images of every result that is asked for, as soon as it is there.
    pub fn on_progress(&mut self, progress: impl Fn(usize) + 'a) {
        self.progress = Box::new(progress);
    }

    /// The network.
    pub fn artifact(&self) -> &Artifact {
        self.artifact
    }

    /// The images.
    pub fn dataset(&self) -> &Dataset {
        self.dataset
    }

    /// Number of gates.
    pub fn gates(&self) -> usize {
        self.artifact.gates().len()
    }

    /// Which images are for what.
    pub fn split(&self) -> &Split {
        &self.split
    }

    /// Images on which masks were evaluated since [`restart`](Self::restart), those found in the store included, each
    /// pair of mask and image once: what a method costs, whatever was known before.
    pub fn spent(&self) -> usize {
        self.spent
    }

    /// Images on which masks were really evaluated by this engine.
    pub fn computed(&self) -> usize {
        self.computed
    }

    /// Counts what is [`spent`](Self::spent) from zero.
    pub fn restart(&mut self) {
        self.asked.clear();
        self.spent = 0;
    }

    /// Outcomes of each mask on all images of `batches`, in that order.
    ///
    /// # Errors
    ///
    /// When the network fails, the store cannot be written, or results are missing that other machines compute
    /// ([`Error::Pending`]).
    pub fn evaluate(&mut self, masks: &[SkipMask], batches: Range<usize>) -> Result<Vec<Outcomes>, Error> {
        let mut jobs = Vec::new();
        let mut seen = HashSet::new();
        for job in masks.iter().flat_map(|mask| batches.clone().map(move |batch| (mask, batch))) {
            if !seen.insert(job) {
                continue;
            }
            job.0.check_len(self.gates())?;
            let known = self.store.get(job.0, job.1).is_some();
            if self.asked.insert((job.0.clone(), job.1)) {
                let images = self.split.batch(job.1).len();
                self.spent += images;
                if known {
                    (self.progress)(images);
                }
            }
            if !known {
                jobs.push(job);
            }
        }
        let (own, others): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(|(mask, batch)| self.shard.has(mask, *batch));
        self.compute(&own)?;
        if !others.is_empty() {
            return Err(Error::Pending { missing: others.len() });
        }
        Ok(masks.iter().map(|mask| self.known(mask, batches.clone())).collect())
    }

    /// Outcomes of `mask` on those of `batches` that it was evaluated on.
    pub fn known(&self, mask: &SkipMask, batches: Range<usize>) -> Outcomes {
        let mut all = Outcomes::default();
        for outcomes in batches.filter_map(|batch| self.store.get(mask, batch)) {
            all.extend(outcomes);
        }
        all
    }

    /// Does the jobs on all threads and stores each result as soon as it is there.
    fn compute(&mut self, jobs: &[Job]) -> Result<(), Error> {
        let Self { dataset, split, store, sessions, computed, progress, .. } = self;
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (sender, results) = mpsc::channel();
        thread::scope(|scope| {
            for session in sessions.iter_mut().take(jobs.len()) {
                let (sender, next, failed) = (sender.clone(), &next, &failed);
                let (dataset, split) = (*dataset, &*split);
                scope.spawn(move || {
                    while let Some(&(mask, batch)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = run(session, dataset, split.batch(batch), mask);
                        let stop = result.is_err() || failed.load(Ordering::Relaxed);
                        if sender.send((mask, batch, result)).is_err() || stop {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let mut first_error = None;
            for (mask, batch, result) in results {
                let stored = result.and_then(|outcomes| {
                    let images = outcomes.len();
                    store.insert(mask.clone(), batch, outcomes)?;
                    *computed += images;
                    progress(images);
                    Ok(())
                });
                if let Err(error) = stored {
                    failed.store(true, Ordering::Relaxed);
                    first_error.get_or_insert(error);
                }
            }
            first_error.map_or(Ok(()), Err)
        })
    }
}

/// Outcomes of one mask on the images at `positions`.
fn run(
    session: &mut Session,
    dataset: &Dataset,
    positions: &[usize],
    mask: &SkipMask,
) -> Result<Outcomes, Error> {
    let image = session.artifact().manifest().image().map_err(skipgate_runtime::Error::from)?;
    let elements = image.elements().unwrap_or_default();
    let scores = session.artifact().manifest().scores;
    let mut image = vec![0.0; elements];
    let mut outcomes = Outcomes::default();
    for &position in positions {
        dataset.input(position, &mut image);
        outcomes.push(session.run(&image, mask)?, scores, dataset.label(position));
    }
    Ok(outcomes)
}
