//! The figures as a picture: waits by utilisation, then every rule by every measure.

mod lines;
mod marks;

use crate::load::Load;
use crate::study::Cell;
use charts::Sheet;

/// The whole picture.
pub fn draw(loads: &[Load], grid: &[Cell], agents: usize, every: &[Cell], share: f64) -> String {
    let sheets = vec![lines::draw(loads, grid, agents), marks::draw(loads, every, share, agents)];
    Sheet::stack("Waits by utilisation and by rule", sheets)
}

const WIDTH: f64 = 1_180.0;
