//! placeholder
use super::Step;
use super::body::Body;
use super::context::Context;
use crate::error::Error;
use crate::proto::NodeProto;
pub(super) fn rewrite(_: &NodeProto, _: &mut Body, _: &mut Context) -> Result<Step, Error> { Ok(Step::Keep) }
