//! The median.

/// The middle value, or the mean of the two middle values; NaN values are ignored. `None` without values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    let lower = if sorted.len().is_multiple_of(2) { *sorted.get(middle.checked_sub(1)?)? } else { upper };
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_few_values() {
        assert_eq!((median(&[]), median(&[f64::NAN])), (None, None));
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[1.0, 3.0])), (Some(2.0), Some(2.0)));
        assert_eq!(median(&[f64::MAX, f64::MAX]), Some(f64::MAX));
    }
}
