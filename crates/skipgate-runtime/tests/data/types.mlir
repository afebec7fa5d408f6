// An input of every element type, and as many outputs: each is computed, so that nothing is handed through.
module @skipgate {
  func.func @run(
      %f32: tensor<2xf32>, %f16: tensor<2xf16>, %i8: tensor<2xi8>, %u8: tensor<2xi8>, %i32: tensor<2xi32>,
      %i64: tensor<2xi64>, %bool: tensor<300xi1>
  ) -> (tensor<2xf32>, tensor<2xf16>, tensor<2xi8>, tensor<2xi8>, tensor<2xi32>, tensor<2xi64>, tensor<300xi1>) {
    %0 = arith.addf %f32, %f32 : tensor<2xf32>
    %1 = arith.addf %f16, %f16 : tensor<2xf16>
    %2 = arith.addi %i8, %i8 : tensor<2xi8>
    %3 = arith.addi %u8, %u8 : tensor<2xi8>
    %4 = arith.addi %i32, %i32 : tensor<2xi32>
    %5 = arith.addi %i64, %i64 : tensor<2xi64>
    %true = arith.constant dense<true> : tensor<300xi1>
    %6 = arith.xori %bool, %true : tensor<300xi1>
    return %0, %1, %2, %3, %4, %5, %6
      : tensor<2xf32>, tensor<2xf16>, tensor<2xi8>, tensor<2xi8>, tensor<2xi32>, tensor<2xi64>, tensor<300xi1>
  }
}
