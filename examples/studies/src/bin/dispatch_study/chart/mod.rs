//! The figures as a picture: waits by utilisation, then every rule by every measure.

mod lines;
mod marks;

use crate::load::Load;
use crate::study::Cell;
use std::fmt::Write;

/// Colours that people who see few can tell apart (Okabe and Ito 2008).
const COLOURS: [&str; 8] = ["#d55e00", "#555555", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31"];

fn colour(number: usize) -> &'static str {
    COLOURS.get(number % COLOURS.len()).copied().unwrap_or("#000000")
}

/// An SVG in the making.
#[derive(Debug, Default)]
struct Svg {
    body: String,
}

impl Svg {
    fn text(&mut self, x: f64, y: f64, anchor: &str, class: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(self.body, "<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}' class='{class}'>{text}</text>");
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(self.body, "<line x1='{x1:.1}' y1='{y1:.1}' x2='{x2:.1}' y2='{y2:.1}' class='{class}'/>");
    }

    fn path(&mut self, points: &[(f64, f64)], colour: &str, dashed: bool) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let dash = if dashed { " stroke-dasharray='4 3'" } else { "" };
        let points = points.join(" ");
        let _ = writeln!(
            self.body,
            "<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='1.8' stroke-linejoin='round'{dash}/>"
        );
    }

    fn dot(&mut self, x: f64, y: f64, colour: &str, what: &str) {
        let what = what.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            self.body,
            "<circle cx='{x:.1}' cy='{y:.1}' r='3.4' fill='{colour}' fill-opacity='.85'><title>{what}</title></circle>"
        );
    }

    fn finish(self, width: f64, height: f64) -> String {
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0} {height:.0}' width='{width:.0}' \
             height='{height:.0}' role='img' aria-label='Waits by utilisation and by rule'>\n<style>\
             text{{font:12px system-ui,sans-serif;fill:#222}}.title{{font-size:17px;font-weight:600}}\
             .head{{font-weight:600}}.tick{{font-size:10.5px;fill:#666}}.grid{{stroke:#e4e4e4}}.axis{{stroke:#999}}\
             </style>\n<rect width='100%' height='100%' fill='#fff'/>\n{}</svg>\n",
            self.body
        )
    }
}

/// A scale from values to places, even in their logarithms.
#[derive(Debug, Clone, Copy)]
struct Log {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Log {
    fn at(&self, value: f64) -> f64 {
        let share = (value.max(1e-9).clamp(self.low, self.high) / self.low).ln() / (self.high / self.low).ln();
        self.from + share * (self.to - self.from)
    }

    /// The powers of ten on it.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (low, high) = (self.low, self.high);
        (-6..=7).map(|power| 10_f64.powi(power)).filter(move |tick| (low * 0.999..=high * 1.001).contains(tick))
    }
}

/// The whole picture.
pub fn draw(loads: &[Load], grid: &[Cell], agents: usize, every: &[Cell], share: f64) -> String {
    let mut svg = Svg::default();
    let below = lines::draw(&mut svg, loads, grid, agents);
    let height = marks::draw(&mut svg, loads, every, share, agents, below);
    svg.finish(WIDTH, height)
}

const WIDTH: f64 = 1_180.0;
const LEFT: f64 = 40.0;
