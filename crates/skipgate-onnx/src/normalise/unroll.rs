//! `Scan`, and `Loop` with a known number of rounds: the body is written out once for each round.

use std::collections::HashMap;

use super::body::Body;
use super::build::Build;
use super::context::Context;
use super::names::Renamer;
use super::{Step, unsupported};
use crate::attributes::Attributes;
use crate::edit::int_attribute;
use crate::error::{Error, NodeProblem};
use crate::proto::{GraphProto, NodeProto};
use crate::shapes::site::axis;

/// Most rounds, and most nodes in all of them.
const MAX_ROUNDS: i64 = 64;
const MAX_NODES: usize = 1 << 12;

/// Writes out a loop whose number of rounds is known. Another one stays, and is refused later.
pub(super) fn rewrite(node: &NodeProto, _: &mut Body, context: &mut Context) -> Result<Step, Error> {
    let rounds = match node.op_type.as_str() {
        "Scan" => Rounds::of_scan(node, context),
        "Loop" => Rounds::of_loop(node, context),
        _ => return Ok(Step::Keep),
    };
    let Some(rounds) = rounds.map_err(|problem| problem.of(node))? else { return Ok(Step::Keep) };
    let nodes = usize::try_from(rounds.count).unwrap_or(usize::MAX).checked_mul(rounds.body.node.len());
    if rounds.count > MAX_ROUNDS || nodes.is_none_or(|nodes| nodes > MAX_NODES) {
        return Err(unsupported(node, "it has too many rounds to be written out"));
    }
    rounds.write(Build::of(node, context))
}

/// What the rounds of a loop are.
struct Rounds<'n> {
    body: &'n GraphProto,
    count: i64,
    /// Values that each round hands on to the next one, before the first.
    states: Vec<String>,
    /// Inputs that are cut up, with the axis and whether the last part comes first.
    parts: Vec<(String, i64, bool)>,
    /// The same for what the results of all rounds are put together to.
    results: Vec<(i64, bool)>,
    /// Whether the body begins with the number of the round and a condition, and gives a condition first.
    is_loop: bool,
}

impl<'n> Rounds<'n> {
    /// `None` where sizes are not known.
    fn of_scan(node: &'n NodeProto, context: &Context) -> Result<Option<Self>, NodeProblem> {
        let attributes = Attributes::of(node);
        let body = attributes.graph("body")?.ok_or(NodeProblem::MissingAttribute { name: "body" })?;
        let name = "num_scan_inputs";
        let count = attributes.int(name)?.and_then(|count| usize::try_from(count).ok());
        let count = count.filter(|count| (1..=node.input.len()).contains(count));
        let count = count
            .ok_or(NodeProblem::Attribute { name, expected: "1 or more, and no more than there are" })?;
        let (states, scanned) = node.input.split_at(node.input.len() - count);
        let list = |name| Ok::<_, NodeProblem>(attributes.ints(name)?.unwrap_or_default().to_vec());
        let (axes, backwards) = (list("scan_input_axes")?, list("scan_input_directions")?);
        let at = |list: &[i64], place: usize| list.get(place).copied().unwrap_or(0);
        let mut rounds = None;
        let mut parts = Vec::new();
        for (place, name) in scanned.iter().enumerate() {
            let Some(shape) = context.tensor_type(name).map(|ty| &ty.shape) else { return Ok(None) };
            let Ok(along) = axis(at(&axes, place), shape.len()) else { return Ok(None) };
            let Some(extent) = shape[along].and_then(|extent| i64::try_from(extent).ok()) else {
                return Ok(None);
            };
            if rounds.is_some_and(|rounds| rounds != extent) {
                return Ok(None);
            }
            rounds = Some(extent);
            parts.push((name.clone(), signed(along), at(&backwards, place) != 0));
        }
        let (axes, backwards) = (list("scan_output_axes")?, list("scan_output_directions")?);
        let outputs = body.output.len().saturating_sub(states.len());
        let results = (0..outputs).map(|place| (at(&axes, place), at(&backwards, place) != 0)).collect();
        let count = rounds.unwrap_or_default();
        let is_sound = count > 0 && body.input.len() == node.input.len();
        Ok(is_sound.then(|| Self { body, count, states: states.to_vec(), parts, results, is_loop: false }))
    }

    /// `None` where the number of rounds is not known, or a condition may end them.
    fn of_loop(node: &'n NodeProto, context: &Context) -> Result<Option<Self>, NodeProblem> {
        let body = Attributes::of(node).graph("body")?;
        let body = body.ok_or(NodeProblem::MissingAttribute { name: "body" })?;
        let [count, condition, states @ ..] = &node.input[..] else { return Ok(None) };
        let known = |name: &str| match context.value(name).and_then(|value| value.ints.as_deref()) {
            Some(&[value]) => value,
            _ => None,
        };
        let (Some(count), [_, inner, ..], [goes_on, ..]) = (known(count), &body.input[..], &body.output[..])
        else {
            return Ok(None);
        };
        let begins = condition.is_empty() || known(condition) == Some(1);
        let source = source(body, &goes_on.name);
        let goes_on = source == inner.name || known(source) == Some(1);
        let outputs = body.output.len().saturating_sub(1 + states.len());
        let is_sound = begins && goes_on && count > 0 && body.input.len() == node.input.len();
        let results = vec![(0, false); outputs];
        let (states, parts) = (states.to_vec(), Vec::new());
        Ok(is_sound.then_some(Self { body, count, states, parts, results, is_loop: true }))
    }

    fn write(mut self, mut build: Build) -> Result<Step, Error> {
        let mut results = vec![Vec::new(); self.results.len()];
        for round in 0..self.count {
            let given = self.given(round, &mut build);
            let names = self.body.input.iter().map(|input| input.name.clone());
            let outputs = instance(self.body, names.zip(given).collect(), &mut build)?;
            let outputs = &outputs[usize::from(self.is_loop)..];
            let (states, new) = outputs.split_at(self.states.len().min(outputs.len()));
            self.states = states.to_vec();
            for (all, new) in results.iter_mut().zip(new) {
                all.push(new.clone());
            }
        }
        let mut outputs = self.states.clone();
        for (mut all, &(axis, backwards)) in results.into_iter().zip(&self.results) {
            if backwards {
                all.reverse();
            }
            let parts: Vec<_> = all.iter().map(|one| build.unsqueeze(one, &[axis])).collect();
            let parts: Vec<_> = parts.iter().map(String::as_str).collect();
            outputs.push(build.with("Concat", &parts, vec![int_attribute("axis", axis)]));
        }
        Ok(build.finish(&outputs.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    /// What the body reads in a round.
    fn given(&self, round: i64, build: &mut Build) -> Vec<String> {
        let mut given = Vec::new();
        if self.is_loop {
            given.push(build.int_tensor(&[], &[round]));
            given.push(build.truth());
        }
        given.extend(self.states.iter().cloned());
        for (name, axis, backwards) in &self.parts {
            let place = if *backwards { self.count - 1 - round } else { round };
            let part = build.slice(name, *axis, place, place + 1);
            let axes = build.ints(&[*axis]);
            given.push(build.op("Squeeze", &[&part, &axes]));
        }
        given
    }
}

/// Writes the nodes of `body` with new names, and `given` in the place of its inputs; the names of its outputs.
pub(super) fn instance(
    body: &GraphProto,
    given: HashMap<String, String>,
    build: &mut Build,
) -> Result<Vec<String>, Error> {
    let mut nodes = Vec::new();
    let context = &mut *build.context;
    let mut define = |name: &str| Some(context.fresh(name));
    let mut renamer = Renamer::within(given, &mut define);
    for node in &body.node {
        let mut node = node.clone();
        renamer.reads(&mut node)?;
        for output in node.output.iter_mut().filter(|output| !output.is_empty()) {
            *output = renamer.define(output);
        }
        nodes.push(node);
    }
    let outputs = body.output.iter().map(|output| renamer.now(&output.name)).collect();
    for node in nodes {
        build.push(node);
    }
    Ok(outputs)
}

/// What `name` is, behind nodes that change nothing.
fn source<'n>(body: &'n GraphProto, name: &'n str) -> &'n str {
    let producer = body.node.iter().find(|node| node.output.iter().any(|output| output == name));
    match producer {
        Some(node) if node.op_type == "Identity" && node.input.len() == 1 => source(body, &node.input[0]),
        _ => name,
    }
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
