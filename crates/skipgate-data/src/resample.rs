//! Resizing of images byte for byte as in Pillow, which torchvision and timm resize with: networks are trained and
//! measured on what it gives.
//!
//! An image is resized along its rows and then along its columns. In between, and in the end, values are rounded to
//! bytes; weights are integers of [`BITS`] bits behind the point. From version 13 on, Pillow does some images whose aspect
//! changes the other way round, which moves a few bytes by one or two.

use image::{ImageBuffer, Pixel};
use skipgate_core::Interpolation;

/// Bits of a weight behind the point.
const BITS: u32 = 22;

/// `image` in another size.
pub(crate) fn resize<P: Pixel<Subpixel = u8>>(
    image: &ImageBuffer<P, Vec<u8>>,
    (width, height): (u32, u32),
    interpolation: Interpolation,
) -> ImageBuffer<P, Vec<u8>> {
    let channels = usize::from(P::CHANNEL_COUNT);
    let rows = along(image.as_raw(), channels, image.width(), width, interpolation);
    let columns = along(&rows, width as usize * channels, image.height(), height, interpolation);
    ImageBuffer::from_raw(width, height, columns).expect("it has the bytes of an image of this size")
}

/// Resizes one axis of `old` to `new` elements; `inner` is what the axes behind it hold together.
fn along(data: &[u8], inner: usize, old: u32, new: u32, interpolation: Interpolation) -> Vec<u8> {
    if old == new {
        return data.to_vec();
    }
    let windows: Vec<_> = (0..new).map(|place| Window::of(place, old, new, interpolation)).collect();
    let mut resized = Vec::with_capacity(data.len() / old as usize * new as usize);
    for block in data.chunks_exact(old as usize * inner) {
        for window in &windows {
            resized.extend((0..inner).map(|place| window.sum(&block[window.first * inner + place..], inner)));
        }
    }
    resized
}

/// What a new element is computed from.
struct Window {
    /// The first old element.
    first: usize,
    /// Weights of that one and of those behind it.
    weights: Vec<i64>,
}

impl Window {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "places in an image, and weights that Pillow truncates after half is added"
    )]
    fn of(place: u32, old: u32, new: u32, interpolation: Interpolation) -> Self {
        let scale = f64::from(old) / f64::from(new);
        let wider = scale.max(1.0);
        let reach = wider * reach(interpolation);
        let center = (f64::from(place) + 0.5) * scale;
        let first = (center - reach + 0.5).max(0.0) as u32;
        let end = ((center + reach + 0.5) as u32).min(old);
        let weight = |x: u32| filter(interpolation, ((f64::from(x) - center + 0.5) * (1.0 / wider)).abs());
        let total: f64 = (first..end).map(weight).sum();
        let rounded = |weight: f64| (weight * f64::from(1 << BITS) + 0.5_f64.copysign(weight)) as i64;
        let weights = (first..end).map(|x| rounded(weight(x) / total)).collect();
        Self { first: first as usize, weights }
    }

    /// The weighted sum of every `step`-th byte.
    #[expect(clippy::cast_sign_loss, reason = "clamped to a byte")]
    fn sum(&self, bytes: &[u8], step: usize) -> u8 {
        let products = self.weights.iter().zip(bytes.iter().step_by(step));
        let sum: i64 = products.map(|(weight, &byte)| weight * i64::from(byte)).sum();
        ((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as u8
    }
}

/// How far a filter looks to each side.
fn reach(interpolation: Interpolation) -> f64 {
    match interpolation {
        Interpolation::Bilinear => 1.0,
        Interpolation::Bicubic => 2.0,
    }
}

/// The weight of what is `x` away.
fn filter(interpolation: Interpolation, x: f64) -> f64 {
    const A: f64 = -0.5;
    match interpolation {
        Interpolation::Bilinear => (1.0 - x).max(0.0),
        Interpolation::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        Interpolation::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        Interpolation::Bicubic => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use image::GrayImage;

    use super::*;

    /// `edge` in other widths, by Pillow 13.0.0.
    const EXPECTED: &[(u32, Interpolation, &[u8])] = &[
        (3, Interpolation::Bilinear, &[36, 193, 126]),
        (3, Interpolation::Bicubic, &[21, 210, 119]),
        (4, Interpolation::Bilinear, &[0, 170, 173, 129]),
        (4, Interpolation::Bicubic, &[0, 180, 176, 123]),
        (9, Interpolation::Bilinear, &[0, 0, 43, 212, 255, 214, 51, 105, 200]),
        (9, Interpolation::Bicubic, &[0, 0, 31, 224, 255, 223, 28, 96, 212]),
    ];

    /// One row in another width.
    fn row(bytes: &[u8], width: u32, interpolation: Interpolation) -> Vec<u8> {
        let image = GrayImage::from_raw(u32::try_from(bytes.len()).unwrap(), 1, bytes.to_vec()).unwrap();
        resize(&image, (width, 1), interpolation).into_raw()
    }

    /// `tests/preprocessing.rs` compares whole images.
    #[test]
    fn rows_are_those_of_pillow() {
        let edge = [0, 0, 255, 255, 10, 200];
        for (width, interpolation, expected) in EXPECTED {
            assert_eq!(row(&edge, *width, *interpolation), *expected, "{width} {interpolation:?}");
        }
    }

    #[test]
    fn an_image_of_one_colour_stays_so() {
        for interpolation in [Interpolation::Bilinear, Interpolation::Bicubic] {
            for size in [(1, 1), (5, 3), (40, 50)] {
                let image = GrayImage::from_pixel(17, 9, image::Luma([201]));
                assert!(resize(&image, size, interpolation).pixels().all(|pixel| pixel.0 == [201]));
            }
        }
    }
}
