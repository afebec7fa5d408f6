//! `skipgate schema`: JSON Schemas of all files and of what every command prints with `--format json`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fs_err as fs;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use skipgate_core::{Dispatch, Front, Manifest};

use super::{
    bench, compile, doctor, evaluation, gate, inspect, merge, pareto, plot, rank, report as page, run, sign,
    targets, verify,
};
use crate::adaptive::comparison::Comparison;
use crate::adaptive::report::Adapted;
use crate::adaptive::standard_input::Line;
use crate::adaptive::totals::Totals;
use crate::cli::{Format, SchemaOf as Arguments};
use crate::diagnostics::Failure;
use crate::report::{self, Report};

/// A schema with its name.
struct Named {
    name: &'static str,
    /// What it is the schema of.
    of: &'static str,
    schema: Schema,
}

/// The names of all schemas.
#[derive(Serialize, JsonSchema)]
struct Listed {
    schemas: Vec<Listing>,
}

#[derive(Serialize, JsonSchema)]
struct Listing {
    name: &'static str,
    /// What it is the schema of.
    of: &'static str,
}

/// What was written.
#[derive(Serialize, JsonSchema)]
struct Written {
    files: Vec<PathBuf>,
}

impl Report for Listed {
    fn text(&self) -> String {
        let mut table = report::table(["name", "of"]);
        for Listing { name, of } in &self.schemas {
            table.add_row([name, of]);
        }
        format!("{table}\n\n`skipgate schema NAME` prints one")
    }
}

impl Report for Written {
    fn text(&self) -> String {
        format!("wrote {}", report::counted(self.files.len(), "schema"))
    }
}

pub(crate) fn execute(arguments: &Arguments, format: Format) -> Result<()> {
    if let Some(dir) = &arguments.output {
        return report::print(&Written { files: write(dir)? }, format);
    }
    let Some(name) = &arguments.name else {
        let schemas = all().into_iter().map(|Named { name, of, .. }| Listing { name, of }).collect();
        return report::print(&Listed { schemas }, format);
    };
    let named = all().into_iter().find(|named| named.name == name);
    let named =
        named.with_context(|| format!("there is no schema `{name}`; `skipgate schema` lists them"))?;
    report::print_text(&text(&named.schema)?)
}

/// Writes every schema to a file in `dir`.
fn write(dir: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(dir)?;
    let one = |Named { name, schema, .. }: Named| {
        let path = dir.join(format!("{name}.schema.json"));
        fs::write(&path, text(&schema)?)?;
        Ok(path)
    };
    all().into_iter().map(one).collect()
}

fn text(schema: &Schema) -> Result<String> {
    Ok(serde_json::to_string_pretty(schema)? + "\n")
}

/// Every schema: of files, then of what commands print.
fn all() -> Vec<Named> {
    let mut all = files();
    all.extend(commands());
    for Named { name, of, schema } in &mut all {
        schema.insert("title".to_owned(), (*name).into());
        schema.insert("description".to_owned(), (*of).into());
    }
    all
}

/// What is read: fields with a default may be missing.
fn reading() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}

fn files() -> Vec<Named> {
    fn file<T: JsonSchema>(name: &'static str, of: &'static str) -> Named {
        Named { name, of, schema: reading().into_root_schema_for::<T>() }
    }
    let own = [
        file::<Manifest>("manifest", "manifest.json in an artifact: what it is"),
        file::<Front>("front", "pareto.json in an artifact: the configurations worth having"),
        file::<Vec<Dispatch>>(
            "dispatches",
            "dispatches.json in an artifact: the ONNX nodes behind each kernel call",
        ),
    ];
    let explored = skipgate_explore::file_schemas(reading);
    let explored = explored.into_iter().map(|(name, of, schema)| Named { name, of, schema });
    own.into_iter().chain(explored).collect()
}

fn commands() -> Vec<Named> {
    fn output<T: JsonSchema>(name: &'static str, of: &'static str) -> Named {
        let schema =
            SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
        Named { name, of, schema }
    }
    vec![
        output::<Failure>("error", "any command that fails, in the last line of standard error"),
        output::<inspect::Inspection>("inspect", "`skipgate inspect`"),
        output::<gate::Gated>("gate", "`skipgate gate`"),
        output::<compile::Written>("compile", "`skipgate compile`"),
        output::<compile::Plan>("compile-plan", "`skipgate compile --emit plan`"),
        output::<verify::Verification>("verify", "`skipgate verify`"),
        output::<sign::Generated>("keygen", "`skipgate keygen`"),
        output::<sign::Signed>("sign", "`skipgate sign`"),
        output::<run::Ran>("run", "`skipgate run`"),
        output::<bench::Found>(
            "bench",
            "`skipgate bench`, which `--latency-from` reads, and `bench --per-dispatch`",
        ),
        output::<Adapted>("simulate", "`skipgate simulate`"),
        output::<Comparison>("simulate-compare", "`skipgate simulate --compare`"),
        output::<Adapted>("serve", "`skipgate serve --workload`"),
        output::<Line>("serve-answer", "a line of `skipgate serve --stdin`"),
        output::<Totals>("serve-totals", "the last line of `skipgate serve --stdin`"),
        output::<rank::Ranked>("rank", "`skipgate rank`"),
        output::<pareto::Found>("pareto", "`skipgate pareto`"),
        output::<evaluation::Waiting>(
            "shard",
            "`skipgate rank` and `pareto` with `--shard`, when others have work left",
        ),
        output::<plot::Drawn>("plot", "`skipgate plot`"),
        output::<page::Written>("report", "`skipgate report`"),
        output::<merge::Merged>("merge", "`skipgate merge`"),
        output::<targets::Targets>("targets", "`skipgate targets`"),
        output::<doctor::Diagnosis<'_>>("doctor", "`skipgate doctor`"),
        output::<Listed>("schema", "`skipgate schema`"),
        output::<Written>("schema-output", "`skipgate schema -o DIR`"),
    ]
}
