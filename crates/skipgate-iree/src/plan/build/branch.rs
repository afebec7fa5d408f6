//! `If` nodes that stay branches of the program.
//!
//! The compiler moves no change of layout into a branch or out of it: each image would be transposed at both ends, and
//! weights at every call. So whatever passes an `If` does so in the layout that convolutions are compiled in: it is
//! transposed on one side and back on the other, and the compiler finds that one of the two cancels what it adds itself.

use std::collections::HashSet;

use skipgate_onnx::element_type::FLOAT;
use skipgate_onnx::{Node, NodeId, ScopeId, ValueId};

use super::{Builder, unsupported};
use crate::ImportError;
use crate::plan::{Body, Branch, Capture, Step};

impl<'p, 'm> Builder<'p, 'm> {
    pub(super) fn branch(&mut self, id: NodeId) -> Result<(), ImportError> {
        let node = self.graph.node(id);
        let scope =
            |name| node.graph(name).ok_or_else(|| unsupported(node, format!("an If without `{name}`")));
        let [otherwise, then] = [scope("else_branch")?, scope("then_branch")?];
        self.initializers(otherwise)?;
        self.initializers(then)?;
        let captures = self.captures(&[otherwise, then]);
        let &[Some(condition)] = &node.inputs[..] else {
            return Err(unsupported(node, format!("an If with {} inputs", node.inputs.len())));
        };
        let condition = self.read(condition)?;
        let outputs: Vec<_> = node.outputs.iter().copied().flatten().collect();
        outputs.iter().try_for_each(|&output| self.ty(output).map(drop))?;
        let otherwise = self.body(otherwise, &captures)?;
        let then = self.body(then, &captures)?;
        let results =
            outputs.into_iter().map(|output| self.define(output, None)).collect::<Result<_, _>>()?;
        let reason = self.findings.gates.reason(id).map(str::to_owned);
        let captures = captures.into_iter().map(|(_, capture)| capture).collect();
        self.steps.push(Step::Branch(Branch {
            node: id,
            reason,
            condition,
            captures,
            otherwise,
            then,
            results,
        }));
        Ok(())
    }

    /// What one of the branches takes from outside, each value as its first reader does. Values in a frame are read from
    /// it in the branch.
    fn captures(&self, branches: &[ScopeId]) -> Vec<(ValueId, Capture<'m>)> {
        let (mut captures, mut seen) = (Vec::new(), HashSet::new());
        for (node, place, value) in branches.iter().flat_map(|&scope| self.operands(scope)) {
            let source = self.current.get(&value).filter(|source| self.frame_of(**source).is_none());
            let Some(&source) = source.filter(|_| seen.insert(value)) else { continue };
            let weights = self.graph.constant(value).filter(|_| place == 1 && node.is("Conv"));
            let weights = weights.filter(|tensor| tensor.data_type == FLOAT);
            captures.push((value, Capture { source, weights }));
        }
        captures
    }

    fn body(&mut self, scope: ScopeId, captures: &[(ValueId, Capture<'m>)]) -> Result<Body<'m>, ImportError> {
        let (outside, steps) = (self.current.clone(), std::mem::take(&mut self.steps));
        let captured =
            captures.iter().map(|&(value, _)| self.define(value, None)).collect::<Result<_, _>>()?;
        let (mut frames, mut seen) = (Vec::new(), HashSet::new());
        for (.., value) in self.operands(scope) {
            let Some(&source) = outside.get(&value).filter(|_| seen.insert(value)) else { continue };
            if let Some(frame) = self.frame_of(source).cloned() {
                frames.push((source, self.define(value, Some(frame))?));
            }
        }
        self.nodes(scope)?;
        let results = &self.graph.scope(scope).outputs;
        let results = results.iter().map(|&output| self.read(output)).collect::<Result<_, _>>()?;
        let steps = std::mem::replace(&mut self.steps, steps);
        self.current = outside;
        Ok(Body { captured, frames, steps, results })
    }

    /// Every operand of a node of `scope`, and of the graphs in its nodes, as a node, the operand's place in it, and the
    /// value.
    fn operands(&self, scope: ScopeId) -> Vec<(&'p Node<'m>, usize, ValueId)> {
        let mut operands = Vec::new();
        for id in self.graph.nodes() {
            let node = self.graph.node(id);
            let within = node.scope == scope
                || self.graph.owners(node.scope).any(|owner| self.graph.node(owner).scope == scope);
            if within {
                let present =
                    node.inputs.iter().enumerate().filter_map(|(place, input)| Some((place, (*input)?)));
                operands.extend(present.map(|(place, value)| (node, place, value)));
            }
        }
        operands
    }
}
