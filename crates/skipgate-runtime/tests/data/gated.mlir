// Two gates. The first doubles or, skipped, negates; the second adds 1, 2, 3, 4 to the four columns or multiplies by them.
// A skipped block that returns its input, as in a real network, would leak memory in code from IREE 3.13
// (iree-org/iree#24753), and the tests look for leaks of the runtime.
module @skipgate {
  func.func @run(%image: tensor<1x2x4xf32>, %mask: tensor<2xi1>) -> tensor<1x8xf32> {
    %first = arith.constant 0 : index
    %second = arith.constant 1 : index
    %run_first = tensor.extract %mask[%first] : tensor<2xi1>
    %0 = scf.if %run_first -> (tensor<1x2x4xf32>) {
      %sum = arith.addf %image, %image : tensor<1x2x4xf32>
      scf.yield %sum : tensor<1x2x4xf32>
    } else {
      %negative = arith.negf %image : tensor<1x2x4xf32>
      scf.yield %negative : tensor<1x2x4xf32>
    }
    %run_second = tensor.extract %mask[%second] : tensor<2xi1>
    %columns = arith.constant dense<[[[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]]]> : tensor<1x2x4xf32>
    %1 = scf.if %run_second -> (tensor<1x2x4xf32>) {
      %sum = arith.addf %0, %columns : tensor<1x2x4xf32>
      scf.yield %sum : tensor<1x2x4xf32>
    } else {
      %product = arith.mulf %0, %columns : tensor<1x2x4xf32>
      scf.yield %product : tensor<1x2x4xf32>
    }
    %logits = tensor.collapse_shape %1 [[0], [1, 2]] : tensor<1x2x4xf32> into tensor<1x8xf32>
    return %logits : tensor<1x8xf32>
  }

  // Stands for an entry point of its own: the image as it is, which no mask of the function above gives.
  func.func @own(%image: tensor<1x2x4xf32>, %mask: tensor<2xi1>) -> tensor<1x8xf32> {
    %logits = tensor.collapse_shape %image [[0], [1, 2]] : tensor<1x2x4xf32> into tensor<1x8xf32>
    return %logits : tensor<1x8xf32>
  }
}
