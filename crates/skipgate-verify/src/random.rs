//! Random inputs.

use fastrand::Rng;
use half::f16;
use skipgate_core::{Abi, ElementType, TensorSpec, Values};
use skipgate_data::Stacked;

use crate::Error;

/// `runs` random inputs for a network that takes `specs`, which are among the inputs of `abi`: numbers between -1 and 1, any
/// bytes, and for wider integers, which often count or choose something, 0 and 1. What is used as indices holds none that
/// the network does not have. A seed always gives the same.
pub fn random_inputs(specs: &[TensorSpec], abi: &Abi, runs: usize, seed: u64) -> Result<Stacked, Error> {
    let mut dice = Rng::with_seed(seed);
    let mut inputs = Stacked::empty(specs);
    for _ in 0..runs {
        let mut allowed = |spec: &TensorSpec| match abi.indices(&spec.name) {
            Some(indices) => random_values(spec, &mut dice).limited(&indices),
            None => random_values(spec, &mut dice),
        };
        let tensors: Vec<_> = specs.iter().map(&mut allowed).collect();
        inputs.push(tensors.iter().map(Values::elements))?;
    }
    Ok(inputs)
}

fn random_values(spec: &TensorSpec, dice: &mut Rng) -> Values {
    let elements = 0..spec.elements().unwrap_or_default();
    let float = |dice: &mut Rng| 2.0 * dice.f32() - 1.0;
    match spec.element_type {
        ElementType::F32 => elements.map(|_| float(dice)).collect::<Vec<_>>().into(),
        ElementType::F16 => elements.map(|_| f16::from_f32(float(dice))).collect::<Vec<_>>().into(),
        ElementType::I8 => elements.map(|_| dice.i8(..)).collect::<Vec<_>>().into(),
        ElementType::U8 => elements.map(|_| dice.u8(..)).collect::<Vec<_>>().into(),
        ElementType::I32 => elements.map(|_| dice.i32(0..2)).collect::<Vec<_>>().into(),
        ElementType::I64 => elements.map(|_| dice.i64(0..2)).collect::<Vec<_>>().into(),
        ElementType::Bool => elements.map(|_| dice.bool()).collect::<Vec<_>>().into(),
    }
}

#[cfg(test)]
mod tests {
    use skipgate_core::IndexInput;

    use super::*;

    fn abi(index_inputs: Vec<IndexInput>) -> Abi {
        let inputs = [ElementType::F32, ElementType::F16, ElementType::I8, ElementType::I64]
            .map(|element_type| TensorSpec { name: element_type.to_string(), shape: vec![8], element_type })
            .into();
        Abi { entry_point: String::new(), specialised: vec![], inputs, outputs: vec![], index_inputs }
    }

    #[test]
    fn a_seed_always_gives_the_same_inputs_and_another_one_others() {
        let abi = abi(vec![]);
        let inputs = |seed| random_inputs(&abi.inputs, &abi, 2, seed).unwrap();
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
        assert_eq!(inputs(1).run(1).map(|elements| elements.len()).collect::<Vec<_>>(), [8; 4]);
    }

    #[test]
    fn indices_are_of_something_that_is_there() {
        let node = "Gather words".to_owned();
        let abi = abi(vec![IndexInput { input: "i8".to_owned(), least: -3, most: 2, node }]);
        let inputs = random_inputs(&abi.inputs, &abi, 20, 1).unwrap();
        for run in 0..20 {
            assert_eq!(inputs.run(run).nth(2).unwrap().first_outside(-3..=2), None);
        }
    }
}
