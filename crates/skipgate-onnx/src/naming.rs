//! Names of blocks.
//!
//! Both of torch's exporters say which module a node comes from: the older one in the name of the node
//! (`/layer1/layer1.1/conv1/Conv`), the newer one in its metadata (`pkg.torch.onnx.name_scopes`). A block is
//! called like the innermost module that holds all of it.

use std::collections::{HashMap, HashSet};

use crate::proto::NodeProto;

/// `metadata_props` key under which torch lists the modules around a node, outermost first, the operation itself last.
const SCOPES_KEY: &str = "pkg.torch.onnx.name_scopes";

/// Path of the innermost module around all of `branch` and `add`, such as `layer1.1`; `None` if unknown or if only
/// the whole model holds them all.
pub(crate) fn module_name<'m>(
    add: &NodeProto,
    branch: impl Iterator<Item = &'m NodeProto>,
) -> Option<String> {
    let branch = common_module(branch);
    // An addition written in the model itself leaves only the branch to tell the block by.
    let whole = match (module_path(add), &branch) {
        (Some(add), Some(branch)) => Some(common_path(&add, branch)),
        (add, None) => add,
        (None, Some(_)) => None,
    };
    whole
        .filter(|path| !path.is_empty())
        .or(branch)
        .filter(|path| !path.is_empty())
        .map(|path| path.join("."))
}

/// Path of the innermost module around all of `nodes`, such as `blocks.3`; `None` if unknown or if only the whole model
/// holds them all.
pub(crate) fn module_around<'m>(nodes: impl Iterator<Item = &'m NodeProto>) -> Option<String> {
    common_module(nodes).filter(|path| !path.is_empty()).map(|path| path.join("."))
}

fn common_module<'m>(nodes: impl Iterator<Item = &'m NodeProto>) -> Option<Vec<String>> {
    nodes.filter_map(module_path).reduce(|a, b| common_path(&a, &b))
}

fn common_path(a: &[String], b: &[String]) -> Vec<String> {
    a.iter().zip(b).take_while(|(a, b)| a == b).map(|(a, _)| a.clone()).collect()
}

/// Attribute names from the model down to the module that `node` comes from.
fn module_path(node: &NodeProto) -> Option<Vec<String>> {
    let scopes = node.metadata_props.iter().find(|entry| entry.key == SCOPES_KEY);
    match scopes {
        Some(entry) => path_of_scopes(&entry.value),
        None => path_of_name(&node.name),
    }
}

/// From `['', 'layer1', 'layer1.0', 'add']`: the last but one is the full path of the module.
fn path_of_scopes(scopes: &str) -> Option<Vec<String>> {
    let names: Vec<_> = scopes.split('\'').skip(1).step_by(2).collect();
    let module = names.len().checked_sub(2).and_then(|index| names.get(index))?;
    Some(module.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect())
}

/// From `/layer1/layer1.1/conv1/Conv`: every part but the last is a module. A part of a sequence repeats the name of
/// the sequence in front of its number.
fn path_of_name(name: &str) -> Option<Vec<String>> {
    let parts: Vec<_> = name.strip_prefix('/')?.split('/').collect();
    let (_, modules) = parts.split_last()?;
    let mut path = Vec::new();
    let mut parent = "";
    for module in modules {
        let own = module.strip_prefix(parent).and_then(|rest| rest.strip_prefix('.')).unwrap_or(module);
        path.extend(own.split('.').map(str::to_owned));
        parent = module;
    }
    Some(path)
}

/// Makes every name unique by numbering those that occur more than once: `encoder.0#1`, `encoder.0#2`. A number is left
/// out if the name with it is taken already.
pub(crate) fn make_unique(names: &mut [String]) {
    let mut total: HashMap<String, usize> = HashMap::new();
    for name in names.iter() {
        *total.entry(name.clone()).or_default() += 1;
    }
    let mut taken: HashSet<String> = total.keys().cloned().collect();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for name in names.iter_mut().filter(|name| total[*name] > 1) {
        let number = seen.entry(name.clone()).or_default();
        let numbered = loop {
            *number += 1;
            let numbered = format!("{name}#{number}");
            if taken.insert(numbered.clone()) {
                break numbered;
            }
        };
        *name = numbered;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::StringStringEntryProto;

    fn named(name: &str) -> NodeProto {
        NodeProto { name: name.into(), ..NodeProto::default() }
    }

    fn scoped(scopes: &str) -> NodeProto {
        let entry = StringStringEntryProto {
            key: SCOPES_KEY.into(),
            value: scopes.into(),
            ..StringStringEntryProto::default()
        };
        NodeProto { metadata_props: vec![entry], ..named("node_Add_1") }
    }

    fn name_of(add: &NodeProto, branch: &[NodeProto]) -> Option<String> {
        module_name(add, branch.iter())
    }

    #[test]
    fn both_exporters_give_one_name() {
        let old =
            [named("/backbone/layer1/layer1.1/conv1/Conv"), named("/backbone/layer1/layer1.1/conv2/Conv")];
        let add = named("/backbone/layer1/layer1.1/Add");
        assert_eq!(name_of(&add, &old).unwrap(), "backbone.layer1.1");
        let new = [
            scoped(
                "['', 'backbone', 'backbone.layer1', 'backbone.layer1.1', 'backbone.layer1.1.conv1', 'conv2d']",
            ),
            scoped(
                "['', 'backbone', 'backbone.layer1', 'backbone.layer1.1', 'backbone.layer1.1.conv2', 'conv2d_1']",
            ),
        ];
        let add = scoped("['', 'backbone', 'backbone.layer1', 'backbone.layer1.1', 'add']");
        assert_eq!(name_of(&add, &new).unwrap(), "backbone.layer1.1");
    }

    #[test]
    fn nested_sequences_keep_one_number_per_level() {
        assert_eq!(path_of_name("/conv/conv.0/conv.0.2/Conv").unwrap(), ["conv", "0", "2"]);
    }

    #[test]
    fn an_addition_in_the_model_itself_is_named_after_its_branch() {
        let branch = [named("/body/body.3/conv/Conv")];
        assert_eq!(name_of(&named("/Add_2"), &branch).unwrap(), "body.3.conv");
    }

    #[test]
    fn names_without_modules_say_nothing() {
        assert_eq!(name_of(&named("Add_12"), &[named("Conv_10")]), None);
        assert_eq!(name_of(&named(""), &[]), None);
    }

    #[test]
    fn repeated_names_are_numbered() {
        let mut names = ["a", "b", "a"].map(str::to_owned);
        make_unique(&mut names);
        assert_eq!(names, ["a#1", "b", "a#2"]);
    }

    #[test]
    fn a_number_that_is_taken_is_left_out() {
        let mut names = ["a", "a", "a#1", "a#3", "a", "a#1#1", "a#1"].map(str::to_owned);
        make_unique(&mut names);
        assert_eq!(names, ["a#2", "a#4", "a#1#2", "a#3", "a#5", "a#1#1", "a#1#3"]);
    }
}
