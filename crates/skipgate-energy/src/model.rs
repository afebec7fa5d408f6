//! Two levels of power.

/// No measurement: the device is taken to need one power while it works and another while it waits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerModel {
    /// Watts while it waits.
    pub idle: f64,
    /// Watts while it works.
    pub busy: f64,
}

impl PowerModel {
    /// Average power in watts over `total_s` seconds, of which the device works `busy_s`.
    pub fn watts(&self, busy_s: f64, total_s: f64) -> f64 {
        let share = if total_s > 0.0 { (busy_s / total_s).min(1.0) } else { 0.0 };
        self.idle + (self.busy - self.idle) * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_between_the_two_levels() {
        let model = PowerModel { idle: 2.0, busy: 6.0 };
        for (busy, expected) in [(0.0, 2.0), (2.5, 3.0), (10.0, 6.0), (11.0, 6.0)] {
            assert!((model.watts(busy, 10.0) - expected).abs() < 1e-9, "{busy}");
        }
        assert!((model.watts(0.0, 0.0) - 2.0).abs() < 1e-9);
    }
}
