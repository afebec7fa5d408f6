//! JSON Schemas of the files that an exploration reads and writes.

use schemars::{Schema, SchemaGenerator};

use crate::store::StoreLine;
use crate::{Exploration, latency, ranking};

/// The schema of each file by its name, made by `generator`, with what the file is.
pub fn file_schemas(generator: fn() -> SchemaGenerator) -> [(&'static str, &'static str, Schema); 4] {
    let of = |schema: fn(SchemaGenerator) -> Schema| schema(generator());
    [
        (
            "exploration",
            "exploration.json in an artifact: all that `skipgate pareto` found",
            of(SchemaGenerator::into_root_schema_for::<Exploration>),
        ),
        (
            "latencies",
            "what `skipgate pareto --latency-from` reads",
            of(SchemaGenerator::into_root_schema_for::<latency::File>),
        ),
        (
            "scores",
            "what `skipgate-models importance` writes, for `--scores`",
            of(SchemaGenerator::into_root_schema_for::<ranking::ScoresFile>),
        ),
        (
            "store",
            "a line of a results store, `.evaluations.jsonl`",
            of(SchemaGenerator::into_root_schema_for::<StoreLine>),
        ),
    ]
}
