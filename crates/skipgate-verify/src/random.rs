//! Random inputs.

use fastrand::Rng;
use half::f16;
use skipgate_core::{ElementType, TensorSpec, Values};
use skipgate_data::Stacked;

use crate::Error;

/// `runs` random inputs for a network that takes `specs`: numbers between -1 and 1, any bytes, and for wider integers,
/// which often count or choose something, 0 and 1. A seed always gives the same.
pub fn random_inputs(specs: &[TensorSpec], runs: usize, seed: u64) -> Result<Stacked, Error> {
    let mut dice = Rng::with_seed(seed);
    let mut inputs = Stacked::empty(specs);
    for _ in 0..runs {
        let tensors: Vec<_> = specs.iter().map(|spec| random_values(spec, &mut dice)).collect();
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
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_inputs_and_another_one_others() {
        let specs: Vec<_> = [ElementType::F32, ElementType::F16, ElementType::I8, ElementType::I64]
            .map(|element_type| TensorSpec { name: element_type.to_string(), shape: vec![8], element_type })
            .into();
        let inputs = |seed| random_inputs(&specs, 2, seed).unwrap();
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
        assert_eq!(inputs(1).run(1).map(|elements| elements.len()).collect::<Vec<_>>(), [8; 4]);
    }
}
