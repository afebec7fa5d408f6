//! What a report is made of: the files of an artifact.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use skipgate_core::file::read_text;
use skipgate_core::{
    DISPATCHES_FILE, Dispatch, Front, Hint, MANIFEST_FILE, Manifest, ManifestError, PARETO_FILE, SkipMask,
};
use skipgate_explore::{EXPLORATION_FILE, Exploration};

use crate::page;
use crate::view::View;

/// Everything that is known of an artifact, of any target.
#[derive(Debug)]
pub struct Report {
    /// As commands name it.
    pub(crate) folder: PathBuf,
    pub(crate) manifest: Manifest,
    /// Empty if the artifact has no list of them.
    pub(crate) dispatches: Vec<Dispatch>,
    /// What `skipgate pareto` wrote.
    pub(crate) front: Option<Front>,
    pub(crate) exploration: Option<Exploration>,
    /// Name and bytes of every file.
    pub(crate) files: Vec<(String, u64)>,
    pub(crate) percentiles: BTreeMap<SkipMask, Percentiles>,
}

/// Times of calls with one mask, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentiles {
    /// The shortest.
    pub min: f64,
    /// What half of the calls do not exceed.
    pub median: f64,
    /// What 90 of 100 calls do not exceed.
    pub p90: f64,
    /// What 99 of 100 calls do not exceed.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no manifest.
    #[error("`{}` is not an artifact folder: it has no {MANIFEST_FILE}", .0.display())]
    NoArtifact(PathBuf),
    /// A file could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The manifest is not usable.
    #[error("cannot use `{}`", .path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// Another file is not usable.
    #[error("cannot use `{}`: {found}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoArtifact(_) => Some("give the folder that `skipgate compile` wrote".to_owned()),
            Self::Io(_) => None,
            Self::Manifest { source, .. } => source.hint(),
            Self::Unusable { .. } => Some("explore the artifact again with `skipgate pareto`".to_owned()),
        }
    }
}

impl Report {
    /// Reads the artifact in `folder`. It may be for another machine, since nothing of it runs.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or is for another network.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let manifest = manifest(folder)?;
        let front = optional(folder, PARETO_FILE, |text| front(text, &manifest))?;
        let exploration = optional(folder, EXPLORATION_FILE, |text| exploration(text, &manifest))?;
        let dispatches = optional(folder, DISPATCHES_FILE, |text| dispatches(text, &manifest))?;
        Ok(Self {
            folder: folder.to_owned(),
            dispatches: dispatches.unwrap_or_default(),
            front,
            exploration,
            files: files(folder)?,
            percentiles: BTreeMap::new(),
            manifest,
        })
    }

    /// Adds latencies that were measured, by mask.
    #[must_use]
    pub fn with_percentiles(mut self, percentiles: BTreeMap<SkipMask, Percentiles>) -> Self {
        self.percentiles = percentiles;
        self
    }

    /// Number of gates, which is the length of a mask.
    pub fn gates(&self) -> usize {
        self.manifest.gates.len()
    }

    /// The masks of the front, by the number of the configuration; none if there is no front.
    pub fn front_masks(&self) -> Vec<SkipMask> {
        let configurations = self.front.iter().flat_map(|front| &front.configurations);
        configurations.map(|configuration| configuration.mask.clone()).collect()
    }

    /// The page.
    pub fn html(&self) -> String {
        page::page(&View::of(self)).into_string()
    }
}

fn manifest(folder: &Path) -> Result<Manifest, Error> {
    let path = folder.join(MANIFEST_FILE);
    if !path.exists() {
        return Err(Error::NoArtifact(folder.to_owned()));
    }
    Manifest::from_json(&read_text(&path)?).map_err(|source| Error::Manifest { path, source })
}

/// What `parse` makes of the file `name`, if there is one.
fn optional<T>(
    folder: &Path,
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Error> {
    let path = folder.join(name);
    if !path.exists() {
        return Ok(None);
    }
    parse(&read_text(&path)?).map(Some).map_err(|found| Error::Unusable { path, found })
}

fn front(text: &str, manifest: &Manifest) -> Result<Front, String> {
    let front = Front::from_json(text).map_err(|error| error.to_string())?;
    for configuration in &front.configurations {
        configuration.mask.check_len(manifest.gates.len()).map_err(|error| error.to_string())?;
    }
    match &front.provenance {
        Some(provenance) if provenance.model_sha256 != manifest.model_sha256 => {
            Err("it is the front of another model than the artifact was compiled from".to_owned())
        }
        _ => Ok(front),
    }
}

fn exploration(text: &str, manifest: &Manifest) -> Result<Exploration, String> {
    let exploration: Exploration = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let gates = manifest.gates.len();
    let Exploration { explored, paper, .. } = &exploration;
    for candidate in explored.candidates.iter().chain(paper.iter().flat_map(|paper| &paper.candidates)) {
        candidate.mask.check_len(gates).map_err(|error| error.to_string())?;
    }
    if explored.single_skips.len() != gates {
        let found = explored.single_skips.len();
        return Err(format!("it says of {found} blocks what they are worth, the model has {gates} gates"));
    }
    Ok(exploration)
}

fn dispatches(text: &str, manifest: &Manifest) -> Result<Vec<Dispatch>, String> {
    let dispatches = Dispatch::from_json(text).map_err(|error| error.to_string())?;
    let gates = manifest.gates.len();
    match dispatches.iter().filter_map(|dispatch| dispatch.gate).find(|gate| *gate >= gates) {
        Some(gate) => Err(format!("it has a gate {gate}, the model has {gates} gates, numbered from 0")),
        None => Ok(dispatches),
    }
}

/// Name and bytes of every file in `folder`, by name.
fn files(folder: &Path) -> Result<Vec<(String, u64)>, Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_file() {
            files.push((entry.file_name().to_string_lossy().into_owned(), metadata.len()));
        }
    }
    files.sort();
    Ok(files)
}
