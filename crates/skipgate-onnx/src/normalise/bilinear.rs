//! Images sampled between their elements, at places that are computed.

use super::build::Build;
use crate::edit::int_attribute;
use crate::tensor::element_type::{FLOAT, INT64};

/// Places along one dimension: the elements before and behind each, and how near it is to the second one.
pub(super) struct Between {
    first: String,
    second: String,
    share: String,
}

impl Between {
    /// `places` are floats; those outside of the dimension, which has `extent` elements, are taken for its edge.
    pub(super) fn of(build: &mut Build, places: &str, extent: i64) -> Self {
        let last = (extent - 1) as f32;
        let (least, most) = (build.scalar(0.0, FLOAT), build.scalar(last, FLOAT));
        let inside = build.op("Clip", &[places, &least, &most]);
        let whole = build.op("Floor", &[&inside]);
        let share = build.op("Sub", &[&inside, &whole]);
        let first = build.cast(&whole, INT64);
        let (one, end) = (build.int_tensor(&[], &[1]), build.int_tensor(&[], &[extent - 1]));
        let next = build.op("Add", &[&first, &one]);
        let second = build.op("Min", &[&next, &end]);
        Self { first, second, share }
    }
}

/// Images as rows: one for each place, with an element of each channel.
pub(super) struct Rows {
    rows: String,
    extents: [i64; 2],
}

impl Rows {
    /// `image` has the dimensions image, group, channel of the group, height and width, and `extents` are the last two.
    pub(super) fn of(build: &mut Build, image: &str, channels: i64, extents: [i64; 2]) -> Self {
        let last = build.transpose(image, &[0, 1, 3, 4, 2]);
        Self { rows: build.reshape(&last, &[-1, channels]), extents }
    }

    /// The four elements around each place with channels as their last dimension, each times its weight. Images and groups
    /// begin at the rows `starts`.
    pub(super) fn around(&self, build: &mut Build, starts: &str, [y, x]: [&Between; 2]) -> [String; 4] {
        let one = build.scalar(1.0, FLOAT);
        let [(y_first, x_first), (y_second, x_second)] = [
            (build.op("Sub", &[&one, &y.share]), build.op("Sub", &[&one, &x.share])),
            (y.share.clone(), x.share.clone()),
        ];
        let corners = [
            (&y.first, &y_first, &x.first, &x_first),
            (&y.first, &y_first, &x.second, &x_second),
            (&y.second, &y_second, &x.first, &x_first),
            (&y.second, &y_second, &x.second, &x_second),
        ];
        corners.map(|(row, row_weight, column, column_weight)| {
            let width = build.int_tensor(&[], &[self.extents[1]]);
            let row = build.op("Mul", &[row, &width]);
            let place = build.op("Add", &[&row, column]);
            let place = build.op("Add", &[&place, starts]);
            let elements = build.with("Gather", &[&self.rows, &place], vec![int_attribute("axis", 0)]);
            let weight = build.op("Mul", &[row_weight, column_weight]);
            let weight = build.unsqueeze(&weight, &[-1]);
            build.op("Mul", &[&elements, &weight])
        })
    }

    /// Where each of `count` images or groups begins, as a list.
    pub(super) fn starts(&self, build: &mut Build, count: i64) -> String {
        let size: i64 = self.extents.iter().product();
        let starts: Vec<_> = (0..count).map(|number| number * size).collect();
        build.ints(&starts)
    }
}
