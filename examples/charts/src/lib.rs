//! The charts of the examples: a sheet with a title, plots with titled axes, and a legend.
//!
//! Axes, texts and style are those of the pictures that the library draws: the folder is included here, since the library
//! does not make them public.
//!
//! ```
//! use charts::{Axis, Ink, Sheet};
//!
//! let mut sheet = Sheet::new("Tasks that begin in time", 760.0, 420.0);
//! let room = sheet.room();
//! let axes = Axis::counts("agents", 10.0, 18.0, 10).zip(Axis::shares("share of the tasks", 0.0, 1.0, 6));
//! match axes.map(|(x, y)| sheet.plot(room, x, y)) {
//!     Some(plot) => sheet.line(&plot, Ink::solid(0), &[(10.0, 0.2), (16.0, 0.97)], "simulated"),
//!     None => sheet.empty("No simulation has been run."),
//! }
//! assert!(sheet.finish().contains(">16<"));
//! ```

#[path = "../../../src/base/draw/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the library uses more of it")]
mod draw;
mod faults;
mod sheet;

use draw::Quantity;
pub use faults::faults;
pub use sheet::{Anchor, Area, Ink, Plot, Sheet};

/// An axis with a title that names the quantity and its unit. Each constructor returns `None` if a bound is not a finite
/// number, and takes the largest number of ticks.
#[derive(Debug, Clone)]
pub struct Axis(draw::Axis);

impl Axis {
    /// An axis of real numbers, extended to its outer ticks.
    #[must_use]
    pub fn measures(title: &str, low: f64, high: f64, most: usize) -> Option<Self> {
        draw::Axis::new(title, Quantity::Measure, low, high, most).map(Self)
    }

    /// An axis of whole numbers, extended to its outer ticks.
    #[must_use]
    pub fn counts(title: &str, low: f64, high: f64, most: usize) -> Option<Self> {
        draw::Axis::new(title, Quantity::Count, low, high, most).map(Self)
    }

    /// An axis of shares, labelled in percent and extended to its outer ticks.
    #[must_use]
    pub fn shares(title: &str, low: f64, high: f64, most: usize) -> Option<Self> {
        draw::Axis::new(title, Quantity::Share, low, high, most).map(Self)
    }

    /// A logarithmic axis; `None` also if `high` is not positive.
    #[must_use]
    pub fn decades(title: &str, low: f64, high: f64) -> Option<Self> {
        draw::Axis::new(title, Quantity::Decades, low, high, 8).map(Self)
    }

    /// A time axis from zero, in seconds.
    #[must_use]
    pub fn seconds(title: &str, high: f64, most: usize) -> Option<Self> {
        draw::Axis::new(title, Quantity::Seconds, 0.0, high, most).map(Self)
    }
}
