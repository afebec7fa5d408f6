//! Numbers as people read them.

/// `40.6 M`: three significant digits and the unit prefix.
pub fn si(number: u64) -> String {
    let mut scaled = number as f64;
    for prefix in ["", " k", " M", " G"] {
        if scaled < 999.5 || prefix == " G" {
            let decimals =
                if prefix.is_empty() || scaled >= 99.95 { 0 } else { usize::from(scaled < 9.995) + 1 };
            return format!("{scaled:.decimals$}{prefix}");
        }
        scaled /= 1000.0;
    }
    unreachable!("the last prefix takes every number")
}

#[cfg(test)]
mod tests {
    use super::si;

    #[test]
    fn numbers_have_three_digits_and_a_prefix() {
        let cases = [(0, "0"), (999, "999"), (1000, "1.00 k"), (4_718_592, "4.72 M"), (40_600_000, "40.6 M")];
        for (number, text) in cases {
            assert_eq!(si(number), text);
        }
        assert_eq!(si(999_500_000_000_000), "999500 G");
    }
}
