//! What became of all cases, by operator: what `docs/support/operators.json` holds.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::Result;
use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::{Checked, Outcome, page};
use crate::outcome::kind_of;

/// What is supported, as far as ONNX's cases show it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Support {
    /// By name of the operator, with its domain unless that is ONNX's own.
    pub(super) operators: BTreeMap<String, Operator>,
}

/// One operator, or all models of several nodes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Operator {
    /// The earliest and the latest operator set of its cases.
    pub(super) opsets: (i64, i64),
    /// By target.
    pub(super) targets: BTreeMap<String, Tally>,
}

/// Numbers of cases.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) right: usize,
    /// Of those that are right, the ones with inputs that were compiled in.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) baked: usize,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) wrong: usize,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) crash: usize,
    /// By reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) refused: BTreeMap<String, usize>,
    /// By reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) out_of_scope: BTreeMap<String, usize>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What cases count for whose models are of several nodes and no expansion of an operator.
pub(super) const NETWORKS: &str = "several nodes";
/// What the name of a case has behind that of the case whose operator it writes out.
const EXPANDED: &str = "_expanded";
const JSON: &str = "operators.json";
const PAGE: &str = "operators.md";

impl Support {
    /// Reads what [`write`](Self::write) wrote to `folder`; nothing is known if it did not.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(JSON);
        if !path.exists() {
            return Ok(Self::default());
        }
        Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
    }

    /// Writes it and the page that shows it to `folder`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join(JSON), serde_json::to_string_pretty(self)? + "\n")?;
        Ok(fs::write(folder.join(PAGE), self.page())?)
    }

    /// The page for people.
    pub fn page(&self) -> String {
        page::text(self)
    }

    /// Puts `results` for `target` in the place of what was known about it.
    pub fn update(&mut self, target: &str, results: &[Checked]) {
        for operator in self.operators.values_mut() {
            operator.targets.remove(target);
        }
        let names = names(results);
        for checked in results {
            let operator = self.operators.entry(names[checked.case.as_str()].clone()).or_default();
            operator.add(target, checked);
        }
        self.operators.retain(|_, operator| !operator.targets.is_empty());
    }

    /// The numbers of all operators for `target` together.
    pub(super) fn total(&self, target: &str) -> Tally {
        let mut total = Tally::default();
        for tally in self.operators.values().filter_map(|operator| operator.targets.get(target)) {
            total.right += tally.right;
            total.baked += tally.baked;
            total.wrong += tally.wrong;
            total.crash += tally.crash;
            for (sum, part) in
                [(&mut total.refused, &tally.refused), (&mut total.out_of_scope, &tally.out_of_scope)]
            {
                for (reason, count) in part {
                    *sum.entry(reason.clone()).or_default() += count;
                }
            }
        }
        total
    }

    /// Cases for `target` that are wrong or crash.
    pub fn failures(&self, target: &str) -> usize {
        let total = self.total(target);
        total.wrong + total.crash
    }

    /// Cases for `target` that are right, and that are in scope.
    pub fn right(&self, target: &str) -> (usize, usize) {
        let total = self.total(target);
        (total.right, total.in_scope())
    }

    /// The numbers for `target` in a line.
    pub fn line(&self, target: &str) -> String {
        let total = self.total(target);
        let (in_scope, refused) = (total.in_scope(), total.refused.values().sum::<usize>());
        format!(
            "{target}: {} of {in_scope} cases in scope right ({:.1} %; {} with inputs compiled in), {refused} refused, \
             {} wrong, {} crash; {} out of scope",
            total.right,
            100.0 * total.right as f64 / in_scope.max(1) as f64,
            total.baked,
            total.wrong,
            total.crash,
            total.out_of_scope.values().sum::<usize>(),
        )
    }
}

impl Tally {
    pub(super) fn in_scope(&self) -> usize {
        self.right + self.wrong + self.crash + self.refused.values().sum::<usize>()
    }
}

impl Operator {
    fn add(&mut self, target: &str, checked: &Checked) {
        let (first, last) = self.opsets;
        self.opsets = if self.targets.is_empty() {
            (checked.opset, checked.opset)
        } else {
            (first.min(checked.opset), last.max(checked.opset))
        };
        let tally = self.targets.entry(target.to_owned()).or_default();
        match &checked.outcome {
            Outcome::Right => {
                tally.right += 1;
                tally.baked += usize::from(!checked.baked.is_empty());
            }
            Outcome::Wrong(_) => tally.wrong += 1,
            Outcome::Crash(_) => tally.crash += 1,
            Outcome::Refused(error) => *tally.refused.entry(reason(error)).or_default() += 1,
            Outcome::OutOfScope(reason) => *tally.out_of_scope.entry(reason.clone()).or_default() += 1,
        }
    }
}

/// What each case counts for.
fn names(results: &[Checked]) -> HashMap<&str, String> {
    let of_one_node = |case: &str| {
        let checked = results.iter().find(|checked| checked.case == case)?;
        checked.operator.clone()
    };
    let name = |checked: &Checked| {
        let base = checked.case.split(EXPANDED).next().unwrap_or_default();
        let operator = of_one_node(base).or_else(|| checked.operator.clone());
        operator.unwrap_or_else(|| NETWORKS.to_owned())
    };
    results.iter().map(|checked| (checked.case.as_str(), name(checked))).collect()
}

/// An error without the names of the nodes of a case.
fn reason(error: &str) -> String {
    let kind = kind_of(error);
    kind.strip_prefix("node _ ").unwrap_or(&kind).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(case: &str, operator: Option<&str>, opset: i64, outcome: Outcome) -> Checked {
        let operator = operator.map(str::to_owned);
        Checked { case: case.to_owned(), operator, opset, outcome, baked: Vec::new(), seconds: 0.1 }
    }

    fn results() -> Vec<Checked> {
        let refused = "node `y` (Mish): no reason".to_owned();
        vec![
            checked("node/test_mish", Some("Mish"), 18, Outcome::Refused(refused)),
            checked("node/test_mish_expanded_ver22", None, 22, Outcome::Right),
            checked("simple/test_net", None, 9, Outcome::Wrong("1 instead of 2".to_owned())),
        ]
    }

    #[test]
    fn cases_count_for_their_operator_written_out_or_not() {
        let mut support = Support::default();
        support.update("host", &results());
        let mish = &support.operators["Mish"];
        assert_eq!(mish.opsets, (18, 22));
        assert_eq!(mish.targets["host"].right, 1);
        assert_eq!(mish.targets["host"].refused["(Mish): no reason"], 1);
        assert_eq!(support.operators[NETWORKS].targets["host"].wrong, 1);
        assert_eq!(support.failures("host"), 1);
        assert!(support.line("host").starts_with("host: 1 of 3 cases in scope right (33.3 %"));
    }

    #[test]
    fn a_later_run_takes_the_place_of_an_earlier_one_for_its_target_only() {
        let mut support = Support::default();
        support.update("host", &results());
        support.update("odroid-xu4", &results()[..2]);
        support.update("host", &results()[2..]);
        assert_eq!(support.total("host").in_scope(), 1);
        assert_eq!(support.total("odroid-xu4").right, 1);
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Support::read(dir.path()).unwrap(), Support::default());
        let mut support = Support::default();
        support.update("host", &results());
        support.write(dir.path()).unwrap();
        assert_eq!(Support::read(dir.path()).unwrap(), support);
        assert_eq!(fs::read_to_string(dir.path().join(PAGE)).unwrap(), support.page());
    }
}
