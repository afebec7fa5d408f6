//! Products of computed matrices, concatenations, and what is computed from rows.

use skipgate_onnx::{NodeId, ValueId};

use super::Builder;
use crate::ImportError;
use crate::passes;
use crate::plan::{Concat, Frame, Layout, Product, Rows, Step, TensorId};

impl<'m> Builder<'_, 'm> {
    pub(super) fn product(&mut self, node: NodeId, product: &passes::Product) -> Result<(), ImportError> {
        let first = self.laid_out(product.first, Layout::InOrder, None)?;
        let second = self.laid_out(product.second, Layout::InOrder, None)?;
        let result = self.define_in_order(product.result)?;
        self.coverage.kernels += 1;
        self.steps.push(Step::Product(Product { node, sizes: product.sizes, first, second, result }));
        self.put_where_wanted(product.result)
    }

    pub(super) fn concat(&mut self, node: NodeId, concat: &passes::Concat) -> Result<(), ImportError> {
        let laid_out = |&operand| self.laid_out(operand, Layout::InOrder, None);
        let operands = concat.operands.iter().map(laid_out).collect::<Result<_, _>>()?;
        let result = self.define_in_order(concat.result)?;
        self.steps.push(Step::Concat(Concat { node, sizes: concat.sizes.clone(), operands, result }));
        self.put_where_wanted(concat.result)
    }

    pub(super) fn rows(&mut self, node: NodeId, rows: &passes::Rows<'m>) -> Result<(), ImportError> {
        let source = self.laid_out(rows.source, Layout::InOrder, None)?;
        let result = self.define_in_order(rows.result)?;
        let passes::Rows { sizes, scale, bias, .. } = *rows;
        self.steps.push(Step::Rows(Rows { node, sizes, scale, bias, source, result }));
        self.put_where_wanted(rows.result)
    }

    /// A new tensor of `value`, whose dimensions are as in the model.
    fn define_in_order(&mut self, value: ValueId) -> Result<TensorId, ImportError> {
        let frame = Frame::just(self.ty(value)?, Layout::InOrder);
        self.define(value, frame)
    }
}
