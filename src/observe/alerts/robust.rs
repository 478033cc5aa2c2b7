//! Robust z-scores, from median and median absolute deviation: outliers among the reference values move neither, in
//! contrast to mean and standard deviation.

use crate::base::structure::median;

/// The factor that converts the median absolute deviation of a normal distribution to its standard deviation.
const NORMAL: f64 = 0.6745;

/// The z-score of a value, with its reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Standing {
    pub(super) z: f64,
    pub(super) median: f64,
    pub(super) mad: f64,
}

/// Compares a value with others. A deviation below `floor` counts as `floor`: among equal values a tiny difference
/// should raise no alert.
pub(super) fn standing(value: f64, others: &[f64], floor: f64) -> Option<Standing> {
    let center = median(others)?;
    let away: Vec<f64> = others.iter().map(|other| (other - center).abs()).collect();
    let mad = median(&away)?.max(floor);
    (mad > 0.0).then(|| Standing { z: NORMAL * (value - center) / mad, median: center, mad })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wild_values_do_not_hide_themselves() {
        let usual = [9.0, 10.0, 11.0, 10.0, 1_000.0, 9.0, 11.0];
        let wild = standing(1_000.0, &usual, 0.0).unwrap();
        assert_eq!((wild.median, wild.mad), (10.0, 1.0));
        assert!(wild.z > 600.0);
        let mean = usual.iter().sum::<f64>() / 7.0;
        let deviation = (usual.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / 7.0).sqrt();
        assert!((1_000.0 - mean) / deviation < 3.0, "three sigma would have missed it");
        assert_eq!(standing(1.0, &[1.0, 1.0], 0.0), None);
    }
}
