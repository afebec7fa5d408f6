//! The elements of tensors that go into a network and come out of it.

use std::ops::RangeInclusive;

use half::f16;
use serde::{Deserialize, Serialize};

/// Element types that cross the interface of a compiled network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ElementType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// 8 bits with a sign.
    I8,
    /// 8 bits without a sign.
    U8,
    /// 32 bits with a sign.
    I32,
    /// 64 bits with a sign.
    I64,
    /// One byte per element, 0 or 1.
    Bool,
}

impl ElementType {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::I64 => 8,
        }
    }

    /// Its name, as the manifest has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Bool => "bool",
        }
    }
}

impl std::fmt::Display for ElementType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Defines [`Elements`] and [`Values`] from the variant and the Rust type of every element type.
macro_rules! define {
    ($($variant:ident: $element:ty),*) => {
        /// The elements of a tensor in row-major order, borrowed.
        ///
        /// Slices and references to vectors become one with `into()`; `<&[f32]>::try_from` and its like take it apart.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum Elements<'a> {
            $(#[doc = concat!("Of type `", stringify!($element), "`.")] $variant(&'a [$element]),)*
        }

        /// The elements of a tensor in row-major order, owned.
        ///
        /// Vectors become one with `into()`.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Values {
            $(#[doc = concat!("Of type `", stringify!($element), "`.")] $variant(Vec<$element>),)*
        }

        impl Elements<'_> {
            /// Number of elements.
            pub fn len(&self) -> usize {
                match self { $(Self::$variant(elements) => elements.len(),)* }
            }

            /// Type of the elements.
            pub fn element_type(&self) -> ElementType {
                match self { $(Self::$variant(_) => ElementType::$variant,)* }
            }

            /// Those from `start` on, `len` of them; `None` if there are fewer.
            pub fn part(self, start: usize, len: usize) -> Option<Self> {
                let end = start.checked_add(len)?;
                match self { $(Self::$variant(elements) => elements.get(start..end).map(Self::$variant),)* }
            }

            /// A copy.
            pub fn to_values(&self) -> Values {
                match self { $(Self::$variant(elements) => Values::$variant(elements.to_vec()),)* }
            }
        }

        impl Values {
            /// So many zeros, or `false`.
            pub fn zeros(element_type: ElementType, len: usize) -> Self {
                match element_type { $(ElementType::$variant => Self::$variant(vec![Default::default(); len]),)* }
            }

            /// Adds `elements` at the end.
            ///
            /// # Errors
            ///
            /// When they are of another type.
            pub fn extend(&mut self, elements: Elements<'_>) -> Result<(), WrongType> {
                match (self, elements) {
                    $((Self::$variant(values), Elements::$variant(elements)) => values.extend_from_slice(elements),)*
                    (values, elements) => {
                        let expected = values.elements().element_type();
                        return Err(WrongType { expected, found: elements.element_type() });
                    }
                }
                Ok(())
            }

            /// The elements.
            pub fn elements(&self) -> Elements<'_> {
                match self { $(Self::$variant(elements) => Elements::$variant(elements),)* }
            }
        }

        $(
            impl<'a> From<&'a [$element]> for Elements<'a> {
                fn from(elements: &'a [$element]) -> Self {
                    Self::$variant(elements)
                }
            }

            impl<'a> From<&'a Vec<$element>> for Elements<'a> {
                fn from(elements: &'a Vec<$element>) -> Self {
                    Self::$variant(elements)
                }
            }

            impl From<Vec<$element>> for Values {
                fn from(elements: Vec<$element>) -> Self {
                    Self::$variant(elements)
                }
            }

            impl<'a> TryFrom<Elements<'a>> for &'a [$element] {
                type Error = WrongType;

                fn try_from(elements: Elements<'a>) -> Result<Self, WrongType> {
                    match elements {
                        Elements::$variant(elements) => Ok(elements),
                        _ => Err(WrongType { expected: ElementType::$variant, found: elements.element_type() }),
                    }
                }
            }
        )*
    };
}

fn first_outside<T: Copy + Into<i64>>(elements: &[T], allowed: RangeInclusive<i64>) -> Option<(usize, i64)> {
    let mut numbers = elements.iter().map(|&element| element.into()).enumerate();
    numbers.find(|(_, number)| !allowed.contains(number))
}

define!(F32: f32, F16: f16, I8: i8, U8: u8, I32: i32, I64: i64, Bool: bool);

impl Values {
    /// The same with every integer that is not among `allowed` replaced by the one of them that is next to it; floats and `bool`
    /// stay.
    #[must_use]
    pub fn limited(self, allowed: &RangeInclusive<i64>) -> Self {
        match self {
            Self::I8(values) => limited(values, allowed).into(),
            Self::U8(values) => limited(values, allowed).into(),
            Self::I32(values) => limited(values, allowed).into(),
            Self::I64(values) => limited(values, allowed).into(),
            Self::F32(_) | Self::F16(_) | Self::Bool(_) => self,
        }
    }
}

fn limited<T: Copy + Into<i64> + TryFrom<i64>>(mut values: Vec<T>, allowed: &RangeInclusive<i64>) -> Vec<T> {
    for value in &mut values {
        let number: i64 = (*value).into();
        let limited = number.min(*allowed.end()).max(*allowed.start());
        *value = T::try_from(limited).unwrap_or(*value);
    }
    values
}

impl Elements<'_> {
    /// The first integer that is not among `allowed`, with its place; floats and `bool` have none.
    pub fn first_outside(&self, allowed: RangeInclusive<i64>) -> Option<(usize, i64)> {
        match self {
            Self::I8(elements) => first_outside(elements, allowed),
            Self::U8(elements) => first_outside(elements, allowed),
            Self::I32(elements) => first_outside(elements, allowed),
            Self::I64(elements) => first_outside(elements, allowed),
            Self::F32(_) | Self::F16(_) | Self::Bool(_) => None,
        }
    }

    /// All of them as f64, which only changes integers past 2^53; `true` is 1.
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Self::F32(elements) => elements.iter().copied().map(f64::from).collect(),
            Self::F16(elements) => elements.iter().copied().map(f64::from).collect(),
            Self::I8(elements) => elements.iter().copied().map(f64::from).collect(),
            Self::U8(elements) => elements.iter().copied().map(f64::from).collect(),
            Self::I32(elements) => elements.iter().copied().map(f64::from).collect(),
            Self::I64(elements) => elements.iter().map(|&element| element as f64).collect(),
            Self::Bool(elements) => elements.iter().copied().map(f64::from).collect(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Elements are of another type than they are taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected elements of type {expected}, found {found}")]
pub struct WrongType {
    /// What they are taken for.
    pub expected: ElementType,
    /// What they are.
    pub found: ElementType,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_as_the_same_type_only() {
        let elements = Elements::from(&[1i64, 2][..]);
        assert_eq!(<&[i64]>::try_from(elements).unwrap(), [1, 2]);
        let error = <&[f32]>::try_from(elements).unwrap_err();
        assert_eq!(error.to_string(), "expected elements of type f32, found i64");
        assert_eq!(elements.to_values().elements(), elements);
    }

    #[test]
    fn parts_are_within_the_elements_and_put_together_again() {
        let elements = Elements::from(&[1u8, 2, 3][..]);
        assert_eq!(elements.part(1, 2), Some(Elements::U8(&[2, 3])));
        assert_eq!((elements.part(2, 2), elements.part(usize::MAX, 2)), (None, None));
        let mut values = Values::from(vec![9u8]);
        values.extend(elements).unwrap();
        assert_eq!(values, vec![9u8, 1, 2, 3].into());
        assert!(values.extend(Elements::I8(&[1])).is_err());
    }

    #[test]
    fn zeros_have_the_type_that_is_asked_for() {
        let zeros = Values::zeros(ElementType::F16, 3);
        assert_eq!((zeros.elements().element_type(), zeros.elements().len()), (ElementType::F16, 3));
        assert_eq!(Values::zeros(ElementType::Bool, 1), vec![false].into());
    }

    #[test]
    fn names_are_those_of_the_manifest() {
        for element_type in [ElementType::F32, ElementType::I8, ElementType::Bool] {
            let json = serde_json::to_string(&element_type).unwrap();
            assert_eq!(json, format!("\"{element_type}\""));
        }
    }
}
