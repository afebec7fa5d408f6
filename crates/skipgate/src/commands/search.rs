//! Rankings and searches by their names.

use anyhow::{Context as _, Result};
use skipgate_explore::ranking::{Random, Ranking, Scores, Sensitivity};
use skipgate_explore::search::{Beam, Evolution, Nested, Search, Surrogate};

use crate::cli::{Ranking as RankingArguments, RankingName, SearchName};

/// The ranking that the arguments name.
pub(super) fn ranking(arguments: &RankingArguments) -> Result<Box<dyn Ranking>> {
    let scores = |method| -> Result<Box<dyn Ranking>> {
        let path = arguments.scores.as_ref().with_context(|| {
            format!("ranking by {method} needs the file that `skipgate-models importance` writes; give it with --scores")
        })?;
        Ok(Box::new(Scores::read(path, method)?))
    };
    match arguments.by {
        RankingName::Sensitivity => Ok(Box::new(Sensitivity)),
        RankingName::Random => Ok(Box::new(Random { seed: arguments.seed })),
        RankingName::L2Norm => scores("l2-norm"),
        RankingName::Fisher => scores("fisher"),
        RankingName::Hessian => scores("hessian"),
    }
}

/// The search with that name; `by` is the ranking of the one that has one.
pub(super) fn search(name: SearchName, by: &RankingArguments) -> Result<Box<dyn Search>> {
    Ok(match name {
        SearchName::Surrogate => Box::new(Surrogate { seed: by.seed }),
        SearchName::Ranking => Box::new(Nested { ranking: ranking(by)? }),
        SearchName::Greedy => Box::new(Beam { width: 1 }),
        SearchName::Beam => Box::new(Beam { width: 4 }),
        SearchName::Evolution => Box::new(Evolution { seed: by.seed }),
    })
}
