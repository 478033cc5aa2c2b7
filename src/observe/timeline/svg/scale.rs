//! The window of time that is drawn, and the positions of instants in it.

use super::GUTTER;
use crate::observe::timeline::Bar;
use core::fmt;

/// Tenths of a pixel: positions are integers, so that a chart is the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Px(pub(super) u64);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{}", self.0 / 10),
            tenth => write!(f, "{}.{tenth}", self.0 / 10),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Scale {
    /// The start and the length (at least 1) of the window, in nanoseconds.
    pub(super) from: u64,
    pub(super) span: u64,
    /// The width of the window, in tenths of a pixel.
    pub(super) plot: u64,
}

impl Scale {
    /// The position of an instant, in tenths of a pixel from the left edge of the chart.
    pub(super) fn x(self, at: u64) -> u64 {
        let offset = u128::from(at.saturating_sub(self.from).min(self.span));
        let x = offset * u128::from(self.plot) / u128::from(self.span);
        u64::try_from(x).unwrap_or(self.plot).saturating_add(GUTTER * 10)
    }

    pub(super) const fn until(self) -> u64 {
        self.from.saturating_add(self.span)
    }
}

/// The end of a bar; an open bar ends with the window.
pub(super) fn end_of(bar: &Bar, until: u64) -> u64 {
    bar.end.map_or_else(|| until.max(bar.start.as_nanos()), |end| end.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenths_are_written_if_there_are_any() {
        assert_eq!([Px(125), Px(120)].map(|px| px.to_string()), ["12.5", "12"]);
    }
}
