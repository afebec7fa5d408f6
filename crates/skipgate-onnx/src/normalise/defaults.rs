//! Inputs with a default value, which most exporters write for weights.

use std::collections::HashSet;

use crate::error::Error;
use crate::model::Model;

/// From this IR version on, an initialiser need not be an input as well.
const OPTIONAL_INPUTS: i64 = 4;

/// Lets inputs that have a default value be constants: what is compiled takes the others only.
pub(super) fn fix(model: Model) -> Result<Model, Error> {
    let graph = model.graph();
    let defaults: HashSet<_> = graph.initializer.iter().map(|tensor| tensor.name.clone()).collect();
    let has_default = graph.input.iter().any(|input| defaults.contains(&input.name));
    if !has_default && model.proto().ir_version >= OPTIONAL_INPUTS {
        return Ok(model);
    }
    model.edited(|proto| {
        proto.ir_version = proto.ir_version.max(OPTIONAL_INPUTS);
        if let Some(graph) = proto.graph.as_mut() {
            graph.input.retain(|input| !defaults.contains(&input.name));
        }
        Ok(())
    })
}
