// Two gates: the first block doubles, the second adds 1, 2, 3, 4 to the four columns.
module @skipgate {
  func.func @run(%image: tensor<1x2x4xf32>, %mask: tensor<2xi1>) -> tensor<1x8xf32> {
    %first = arith.constant 0 : index
    %second = arith.constant 1 : index
    %run_first = tensor.extract %mask[%first] : tensor<2xi1>
    %0 = scf.if %run_first -> (tensor<1x2x4xf32>) {
      %sum = arith.addf %image, %image : tensor<1x2x4xf32>
      scf.yield %sum : tensor<1x2x4xf32>
    } else {
      scf.yield %image : tensor<1x2x4xf32>
    }
    %run_second = tensor.extract %mask[%second] : tensor<2xi1>
    %1 = scf.if %run_second -> (tensor<1x2x4xf32>) {
      %columns = arith.constant dense<[[[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]]]> : tensor<1x2x4xf32>
      %sum = arith.addf %0, %columns : tensor<1x2x4xf32>
      scf.yield %sum : tensor<1x2x4xf32>
    } else {
      scf.yield %0 : tensor<1x2x4xf32>
    }
    %logits = tensor.collapse_shape %1 [[0], [1, 2]] : tensor<1x2x4xf32> into tensor<1x8xf32>
    return %logits : tensor<1x8xf32>
  }
}
