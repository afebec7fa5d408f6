//! `ceil_mode` of pools, where it changes nothing.

use super::Step;
use super::body::Body;
use super::context::Context;
use crate::attributes::Attributes;
use crate::proto::NodeProto;
use crate::shapes::site::wide;
use crate::shapes::window::{Slide, slides};

/// Takes `ceil_mode` from a pool whose windows all fit, or whose padding follows from its size: what the compiler makes
/// of a last window differs in details, and here there is none.
pub(super) fn remove(node: &NodeProto, _: &mut Body, context: &mut Context) -> Step {
    let is_pool = matches!(node.op_type.as_str(), "AveragePool" | "LpPool" | "MaxPool");
    if !is_pool || !Attributes::of(node).has("ceil_mode") || !fits(node, context) {
        return Step::Keep;
    }
    let mut plain = node.clone();
    plain.attribute.retain(|attribute| attribute.name != "ceil_mode");
    forget_unreached(&mut plain, context);
    Step::nodes(vec![plain])
}

/// Takes the padding behind the last window away, which the compiler stumbles over.
fn forget_unreached(node: &mut NodeProto, context: &Context) {
    let Ok(Some(slides)) = slides(&context.site(node)) else { return };
    let Some(pads) = node.attribute.iter_mut().find(|attribute| attribute.name == "pads") else { return };
    for (pad, slide) in pads.ints.iter_mut().skip(slides.len()).zip(&slides) {
        let (Some(input), Some(reached)) = (slide.input.map(wide), reached(slide)) else { continue };
        let behind = reached - slide.pads[0] - input;
        *pad = (*pad).min(i64::try_from(behind.max(0)).unwrap_or(i64::MAX));
    }
}

/// Elements that the windows reach over, from where the first one begins.
fn reached(slide: &Slide) -> Option<i128> {
    let [positions, stride, dilation, kernel] =
        [slide.floor?, slide.stride, slide.dilation, slide.kernel].map(wide);
    (positions - 1).checked_mul(stride)?.checked_add(dilation.checked_mul(kernel - 1)?)?.checked_add(1)
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
