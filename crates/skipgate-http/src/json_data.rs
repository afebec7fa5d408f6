//! The elements of a tensor in JSON: flat, or nested as its shape is.

use std::fmt;

use half::f16;
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use skipgate_core::{ElementType, TensorSpec, Values};

/// A number or truth value as JSON has it.
#[derive(Clone, Copy)]
enum Scalar {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Truth(bool),
}

/// What an element of a tensor can be made of.
trait Element: Sized {
    /// What is expected, for a message.
    const EXPECTED: &'static str;

    /// The element that `scalar` stands for, if it does.
    fn from_scalar(scalar: Scalar) -> Option<Self>;
}

/// The elements of `spec` in `data`.
///
/// # Errors
///
/// When there is another number of them, one is nothing that the type can hold, or they are nested otherwise than the shape.
pub(crate) fn parse(data: &RawValue, spec: &TensorSpec) -> Result<Values, serde_json::Error> {
    Ok(match spec.element_type {
        ElementType::F32 => elements::<f32>(data, &spec.shape)?.into(),
        ElementType::F16 => elements::<f16>(data, &spec.shape)?.into(),
        ElementType::I8 => elements::<i8>(data, &spec.shape)?.into(),
        ElementType::U8 => elements::<u8>(data, &spec.shape)?.into(),
        ElementType::I32 => elements::<i32>(data, &spec.shape)?.into(),
        ElementType::I64 => elements::<i64>(data, &spec.shape)?.into(),
        ElementType::Bool => elements::<bool>(data, &spec.shape)?.into(),
    })
}

fn elements<T: Element>(data: &RawValue, shape: &[usize]) -> Result<Vec<T>, serde_json::Error> {
    let mut elements = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_str(data.get());
    let level = Level { shape, outermost: true, elements: &mut elements };
    match level.deserialize(&mut deserializer)? {
        Found::Element if !shape.is_empty() => Err(serde_json::Error::custom(format!(
            "expected elements of the shape {shape:?}, found one number"
        ))),
        Found::Element | Found::List => Ok(elements),
    }
}

/// What was found at a place of a list.
enum Found {
    Element,
    List,
}

/// A place where a tensor of this shape stands, or, if it is the outermost one, all of its elements in one list.
struct Level<'a, T> {
    shape: &'a [usize],
    outermost: bool,
    elements: &'a mut Vec<T>,
}

impl<T: Element> Level<'_, T> {
    fn push<E: serde::de::Error>(self, scalar: Scalar) -> Result<Found, E> {
        let expected = T::EXPECTED;
        let element = T::from_scalar(scalar)
            .ok_or_else(|| E::custom(format!("expected {expected}, found {scalar}")))?;
        self.elements.push(element);
        Ok(Found::Element)
    }
}

impl<'de, T: Element> DeserializeSeed<'de> for Level<'_, T> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Element> Visitor<'de> for Level<'_, T> {
    type Value = Found;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} or a list", T::EXPECTED)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Found, E> {
        self.push(Scalar::Truth(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Found, E> {
        self.push(Scalar::Signed(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Found, E> {
        self.push(Scalar::Unsigned(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Found, E> {
        self.push(Scalar::Float(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Found, A::Error> {
        let all = self.shape.iter().product::<usize>();
        let inner = self.shape.get(1..).unwrap_or_default();
        let along = self.shape.first().copied().unwrap_or(0);
        let most = if self.outermost { all.max(along) } else { along };
        let (mut scalars, mut lists) = (0, 0);
        loop {
            let level = Level { shape: inner, outermost: false, elements: &mut *self.elements };
            match list.next_element_seed(level)? {
                None => break,
                Some(Found::Element) => scalars += 1,
                Some(Found::List) => lists += 1,
            }
            if scalars + lists > most {
                return Err(A::Error::custom(format!("expected {most} elements, found more")));
            }
        }
        let flat = lists == 0 && (self.outermost && scalars == all || self.shape == [scalars]);
        let nested = scalars == 0 && self.shape.len() > 1 && self.shape[0] == lists;
        if flat || nested {
            return Ok(Found::List);
        }
        Err(A::Error::custom(format!(
            "expected {all} elements in one list, or lists nested as {:?}, found a list of {scalars} elements and {lists} \
             lists",
            self.shape
        )))
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed(number) => number.fmt(f),
            Self::Unsigned(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Truth(value) => value.fmt(f),
        }
    }
}

impl Scalar {
    #[expect(clippy::cast_precision_loss, reason = "a decimal number is rounded to the nearest float anyway")]
    fn float(self) -> Option<f64> {
        match self {
            Self::Signed(number) => Some(number as f64),
            Self::Unsigned(number) => Some(number as f64),
            Self::Float(number) => Some(number),
            Self::Truth(_) => None,
        }
    }

    fn integer<T: TryFrom<i64> + TryFrom<u64>>(self) -> Option<T> {
        match self {
            Self::Signed(number) => T::try_from(number).ok(),
            Self::Unsigned(number) => T::try_from(number).ok(),
            Self::Float(_) | Self::Truth(_) => None,
        }
    }
}

impl Element for f32 {
    const EXPECTED: &'static str = "a number that is finite in FP32";

    #[expect(clippy::cast_possible_truncation, reason = "what is too large becomes infinite, and is refused")]
    fn from_scalar(scalar: Scalar) -> Option<Self> {
        scalar.float().map(|number| number as f32).filter(|number| number.is_finite())
    }
}

impl Element for f16 {
    const EXPECTED: &'static str = "a number that is finite in FP16";

    fn from_scalar(scalar: Scalar) -> Option<Self> {
        scalar.float().map(Self::from_f64).filter(|number| number.is_finite())
    }
}

/// Integers are written without a fraction, and within their range.
macro_rules! integers {
    ($($integer:ty: $expected:literal),*) => {
        $(impl Element for $integer {
            const EXPECTED: &'static str = $expected;

            fn from_scalar(scalar: Scalar) -> Option<Self> {
                scalar.integer()
            }
        })*
    };
}

integers!(
    i8: "a whole number from -128 to 127",
    u8: "a whole number from 0 to 255",
    i32: "a whole number of 32 bits",
    i64: "a whole number of 64 bits"
);

impl Element for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_scalar(scalar: Scalar) -> Option<Self> {
        match scalar {
            Scalar::Truth(value) => Some(value),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(data: &str, element_type: ElementType, shape: &[usize]) -> Result<Values, String> {
        let data = RawValue::from_string(data.to_owned()).unwrap();
        let spec = TensorSpec { name: "x".to_owned(), shape: shape.to_vec(), element_type };
        parse(&data, &spec).map_err(|error| error.to_string())
    }

    #[test]
    fn elements_stand_in_one_list_or_in_lists_as_the_shape_is() {
        let all = Ok(vec![1i32, 2, 3, 4].into());
        for data in ["[1, 2, 3, 4]", "[[1, 2], [3, 4]]"] {
            assert_eq!(parsed(data, ElementType::I32, &[2, 2]), all);
        }
        assert_eq!(parsed("[[[1], [2]], [[3], [4]]]", ElementType::I32, &[2, 2, 1]), all);
        assert_eq!(parsed("7", ElementType::I32, &[]), Ok(vec![7i32].into()));
        assert_eq!(parsed("[7]", ElementType::I32, &[]), Ok(vec![7i32].into()));
        for data in [
            "[]",
            "[1, 2, 3]",
            "[1, 2, 3, 4, 5]",
            "[[1, 2], 3, 4]",
            "[[1, 2, 3], [4]]",
            "[[1, 2]]",
            "1",
            "{}",
            "[[[1, 2], [3, 4]]]",
            "[[[1], [2]], [[3], [4]]]",
            "[[1], [2], [3], [4]]",
        ] {
            assert!(parsed(data, ElementType::I32, &[2, 2]).is_err(), "{data}");
        }
    }

    #[test]
    fn tensors_without_elements_have_empty_lists() {
        assert_eq!(parsed("[]", ElementType::F32, &[0]), Ok(Vec::<f32>::new().into()));
        assert_eq!(parsed("[[], []]", ElementType::F32, &[2, 0]), Ok(Vec::<f32>::new().into()));
    }

    #[test]
    fn an_element_is_what_its_type_can_hold() {
        for (good, bad, element_type) in [
            ("[-1.5, 2, 1e-3]", "[1, 2, 1e39]", ElementType::F32),
            ("[-1.5, 2, 65504]", "[1, 2, 65520]", ElementType::F16),
            ("[-128, 0, 127]", "[0, 0, 128]", ElementType::I8),
            ("[0, 1, 255]", "[0, 1, -1]", ElementType::U8),
            ("[-2147483648, 0, 1]", "[0, 1, 2.0]", ElementType::I32),
            (
                "[-9223372036854775808, 9223372036854775807, 0]",
                "[0, 1, 9223372036854775808]",
                ElementType::I64,
            ),
            ("[true, false, true]", "[1, 0, 1]", ElementType::Bool),
        ] {
            assert_eq!(
                parsed(good, element_type, &[3]).map(|values| values.elements().element_type()),
                Ok(element_type)
            );
            assert!(parsed(bad, element_type, &[3]).unwrap_err().contains("expected "), "{bad}");
        }
        for data in ["[null]", "[\"1\"]", "[NaN]", "[true]", "[{}]"] {
            let data = RawValue::from_string(data.to_owned());
            let spec = TensorSpec { name: "x".to_owned(), shape: vec![1], element_type: ElementType::F32 };
            assert!(data.is_err() || parse(&data.unwrap(), &spec).is_err());
        }
    }
}
