//! `ceil_mode` of pools, where it changes nothing.

use super::Step;
use super::body::Body;
use super::context::Context;
use crate::attributes::Attributes;
use crate::proto::NodeProto;
use crate::shapes::window::slides;

/// Takes `ceil_mode` from a pool whose windows all fit, or whose padding follows from its size: what the compiler makes
/// of a last window differs in details, and here there is none.
pub(super) fn remove(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    let is_pool = matches!(node.op_type.as_str(), "AveragePool" | "LpPool" | "MaxPool");
    if !is_pool || !Attributes::of(node).has("ceil_mode") || !fits(node, context) {
        return Step::Keep;
    }
    let mut plain = node.clone();
    plain.attribute.retain(|attribute| attribute.name != "ceil_mode");
    Step::nodes(vec![plain])
}

fn fits(node: &NodeProto, context: &Context) -> bool {
    let site = context.site(node);
    let wanted = site.attributes.flag("ceil_mode").unwrap_or(true);
    match slides(&site) {
        Ok(Some(slides)) => {
            !wanted || slides.iter().all(|slide| slide.ceil.is_some() && slide.ceil == slide.floor)
        }
        Ok(None) => site.input(0).is_ok(),
        Err(_) => false,
    }
}
