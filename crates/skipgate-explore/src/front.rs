//! Which candidates no other one beats.

/// A candidate's accuracy, the more the better, and latency, the less the better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// From 0 to 1.
    pub accuracy: f64,
    /// In any unit.
    pub latency: f64,
}

/// Positions of the points that no other point beats: none is at least as good in both and better in one. Of equal
/// points, the first. From the slowest to the fastest.
pub fn non_dominated(points: &[Point]) -> Vec<usize> {
    let mut order: Vec<_> = (0..points.len()).collect();
    // The fastest first and of equally fast ones the most accurate, so that a point is beaten only by earlier ones.
    order.sort_by(|a, b| {
        let (a, b) = (points[*a], points[*b]);
        a.latency.total_cmp(&b.latency).then(b.accuracy.total_cmp(&a.accuracy))
    });
    let mut best = f64::NEG_INFINITY;
    order.retain(|&index| {
        let better = points[index].accuracy > best;
        best = best.max(points[index].accuracy);
        better
    });
    order.reverse();
    order
}

/// The share of the rectangle between accuracy 0 and 1, latency 0 and `slowest`, that the points dominate (Zitzler and
/// Thiele 1998): 1 would be perfect at no cost. Points that are slower than `slowest` do not count.
pub fn hypervolume(points: &[Point], slowest: f64) -> f64 {
    let mut area = 0.0;
    let mut until = slowest;
    for index in non_dominated(points) {
        let Point { accuracy, latency } = points[index];
        if latency < until {
            area += accuracy * (until - latency);
            until = latency;
        }
    }
    area / slowest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(pairs: &[(f64, f64)]) -> Vec<Point> {
        pairs.iter().map(|&(accuracy, latency)| Point { accuracy, latency }).collect()
    }

    #[test]
    fn beaten_points_are_not_on_the_front() {
        let points = points(&[(0.9, 10.0), (0.8, 12.0), (0.7, 5.0), (0.7, 6.0), (0.7, 5.0), (0.1, 1.0)]);
        assert_eq!(non_dominated(&points), [0, 2, 5]);
        assert!(non_dominated(&[]).is_empty());
    }

    #[test]
    fn the_hypervolume_is_the_dominated_area() {
        let points = points(&[(0.9, 8.0), (0.5, 2.0), (0.4, 4.0), (1.0, 20.0)]);
        // From latency 10 to 8 with 0.9, from 8 to 2 with 0.5 and nothing below; the slow point is outside.
        let front: Vec<_> = points[..3].to_vec();
        assert!((hypervolume(&front, 10.0) - (0.9 * 2.0 + 0.5 * 6.0) / 10.0).abs() < 1e-12);
        assert_eq!(hypervolume(&[], 10.0).to_bits(), 0);
    }

    proptest! {
        #[test]
        fn every_point_is_on_the_front_or_beaten_by_one_that_is(pairs in proptest::collection::vec((0u8..9, 1u8..9), 1..30)) {
            let pairs: Vec<_> = pairs.into_iter().map(|(a, l)| (f64::from(a) / 9.0, f64::from(l))).collect();
            let points = points(&pairs);
            let front = non_dominated(&points);
            for (index, point) in points.iter().enumerate() {
                let beaten = |other: &Point| other.accuracy >= point.accuracy && other.latency <= point.latency;
                prop_assert_eq!(front.contains(&index), !points.iter().enumerate().any(|(at, other)|
                    at != index && beaten(other) && (other != point || at < index)));
            }
        }

        #[test]
        fn another_point_never_lowers_the_hypervolume(pairs in proptest::collection::vec((0u8..9, 1u8..9), 1..20)) {
            let pairs: Vec<_> = pairs.into_iter().map(|(a, l)| (f64::from(a) / 9.0, f64::from(l))).collect();
            let points = points(&pairs);
            let all = hypervolume(&points, 9.0);
            prop_assert!(hypervolume(&points[1..], 9.0) <= all + 1e-12 && all <= 1.0);
        }
    }
}
