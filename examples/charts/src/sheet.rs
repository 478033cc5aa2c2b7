//! A sheet: the title, the plots, the legend.

use crate::Axis;
use crate::draw::{Frame, theme, width, xml};
use std::fmt::Write as _;

/// Colours that people who see few can tell apart (after Okabe and Ito 2008), for a light and for a dark page.
const COLOURS: [[&str; 2]; 8] = [
    ["#0072b2", "#56b4e9"],
    ["#c95400", "#ff9447"],
    ["#00805d", "#2fc79a"],
    ["#b0558c", "#e39cc4"],
    ["#7a6a12", "#d9c26a"],
    ["#4f5560", "#b8c0cc"],
    ["#b58300", "#f2c53d"],
    ["#4fa3d6", "#a7dcff"],
];
const RULES: &str = "\
.cpc .line{fill:none;stroke-width:2;stroke-linejoin:round}.cpc .dash{stroke-dasharray:6 4}\
.cpc .dot{stroke-width:.8;fill-opacity:.85}.cpc .edge{stroke:#8a94a3;fill:none}";

/// Pixels: the margin of a sheet, the row of a legend, and what a mark with its gap takes.
const MARGIN: f64 = 20.0;
const ROW: f64 = 20.0;
const MARK: f64 = 28.0;

/// The area of a plot in pixels; the labels of its axes lie outside of it.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "a rectangle")]
pub struct Area {
    /// The left edge.
    pub left: f64,
    /// The right edge.
    pub right: f64,
    /// The upper edge.
    pub top: f64,
    /// The lower edge.
    pub bottom: f64,
}

impl From<Area> for Frame {
    fn from(Area { left, right, top, bottom }: Area) -> Self {
        Self { left, right, top, bottom }
    }
}

/// A colour by its number, and whether a line of it is dashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ink {
    colour: usize,
    dashed: bool,
}

impl Ink {
    /// A colour with solid lines.
    #[must_use]
    pub const fn solid(number: usize) -> Self {
        Self { colour: number % COLOURS.len(), dashed: false }
    }

    /// A colour with dashed lines.
    #[must_use]
    pub const fn dashed(number: usize) -> Self {
        Self { dashed: true, ..Self::solid(number) }
    }
}

/// The side of a text that is at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a text has a start, a middle and an end")]
pub enum Anchor {
    /// The text begins at the position.
    Start,
    /// The text is centred on the position.
    Middle,
    /// The text ends at the position.
    End,
}

/// A plot with two axes.
#[derive(Debug)]
pub struct Plot {
    area: Area,
    x: Axis,
    y: Axis,
}

impl Plot {
    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.x.0.x(x, self.area.into()), self.y.0.y(y, self.area.into()))
    }
}

/// How the legend shows a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Line,
    Dot,
    Block,
}

/// A chart in the making. Positions are pixels below the header, whose height follows from the legend.
#[derive(Debug)]
pub struct Sheet {
    title: String,
    note: String,
    width: f64,
    height: f64,
    body: String,
    legend: Vec<(Mark, Ink, String)>,
}

impl Sheet {
    /// A sheet with this width, and this height below the title and the legend.
    #[must_use]
    pub fn new(title: &str, width: f64, height: f64) -> Self {
        let (title, note) = (title.to_owned(), String::new());
        Self { title, note, width, height, body: String::new(), legend: Vec::new() }
    }

    /// Sets a sentence that is shown below the title.
    #[must_use]
    pub fn with_note(mut self, note: &str) -> Self {
        note.clone_into(&mut self.note);
        self
    }

    /// The area for a single plot.
    #[must_use]
    pub const fn room(&self) -> Area {
        Area { left: 3.0 * MARGIN, right: self.width - 2.0 * MARGIN, top: 2.0 * MARGIN, bottom: self.height - 48.0 }
    }

    /// Draws the axes of a plot.
    pub fn plot(&mut self, area: Area, x: Axis, y: Axis) -> Plot {
        x.0.draw_below(&mut self.body, area.into());
        y.0.draw_left(&mut self.body, area.into());
        let Area { left, right, bottom, .. } = area;
        let _ = writeln!(self.body, "<path class=\"edge\" d=\"M{left:.1} {bottom:.1}H{right:.1}\"/>");
        Plot { area, x, y }
    }

    /// Draws an axis below an area that has rows instead of a vertical axis, and returns the horizontal positions of values.
    pub fn below(&mut self, area: Area, axis: &Axis) -> impl Fn(f64) -> f64 + use<> {
        axis.0.draw_below(&mut self.body, area.into());
        let axis = axis.0.clone();
        move |value| axis.x(value, area.into())
    }

    /// Shades a row from one side of the sheet to the other, below all that is drawn later.
    pub fn row(&mut self, y: f64, height: f64) {
        let wide = self.width;
        let _ = writeln!(
            self.body,
            "<rect class=\"lane\" x=\"0\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{height:.1}\"/>"
        );
    }

    /// Draws a line through points.
    pub fn line(&mut self, plot: &Plot, ink: Ink, points: &[(f64, f64)], name: &str) {
        let points: Vec<String> =
            points.iter().map(|point| plot.at(*point)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let dash = if ink.dashed { " dash" } else { "" };
        let _ = writeln!(
            self.body,
            "<polyline class=\"line{dash} l{}\" points=\"{}\"><title>{}</title></polyline>",
            ink.colour,
            points.join(" "),
            xml(name, 120)
        );
        self.explain(Mark::Line, ink, name);
    }

    /// Draws a horizontal line across a plot, with its name above its right end.
    pub fn level(&mut self, plot: &Plot, value: f64, name: &str) {
        let (x, y) = (plot.area.right, plot.at((0.0, value)).1);
        let _ = writeln!(
            self.body,
            "<path class=\"edge dash\" d=\"M{:.1} {y:.1}H{x:.1}\"/><text class=\"dim e\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
            plot.area.left,
            y - 4.0,
            xml(name, 80)
        );
    }

    /// Draws a mark at a point of a plot, in the shape of its colour, with a tooltip. The legend does not mention it.
    pub fn point(&mut self, plot: &Plot, ink: Ink, point: (f64, f64), tip: &str) {
        marker(&mut self.body, ink, plot.at(point), &format!("<title>{}</title>", xml(tip, 160)));
    }

    /// Draws a mark of a series at a point of a plot, in the shape of its colour, with a tooltip of the name and of a text.
    pub fn dot(&mut self, plot: &Plot, ink: Ink, point: (f64, f64), name: &str, tip: &str) {
        self.mark(ink, plot.at(point), name, tip);
    }

    /// The same at a position in pixels.
    pub fn mark(&mut self, ink: Ink, at: (f64, f64), name: &str, tip: &str) {
        marker(&mut self.body, ink, at, &format!("<title>{}: {}</title>", xml(name, 120), xml(tip, 160)));
        self.explain(Mark::Dot, ink, name);
    }

    /// Draws a rectangle from a corner with a size, and with a tooltip. A name is explained in the legend.
    pub fn block(&mut self, ink: Ink, (x, y): (f64, f64), (wide, high): (f64, f64), tip: &str, name: Option<&str>) {
        let _ = writeln!(
            self.body,
            "<rect class=\"b{}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{high:.1}\" rx=\"2\"><title>{}</title></rect>",
            ink.colour,
            wide.max(0.0),
            xml(tip, 160)
        );
        if let Some(name) = name {
            self.explain(Mark::Block, ink, name);
        }
    }

    /// Writes a text; a strong one in bold.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, strong: bool, text: &str) {
        let (class, text) = (if strong { "n ink" } else { "ink" }, xml(text, 160));
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = writeln!(
            self.body,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    /// Says why there is nothing to be drawn.
    pub fn empty(&mut self, why: &str) {
        let _ = writeln!(self.body, "<text class=\"dim\" x=\"{MARGIN}\" y=\"{MARGIN}\">{}</text>", xml(why, 160));
    }

    /// The chart as an SVG image that follows the reader's preference for a light or dark theme.
    #[must_use]
    pub fn finish(self) -> String {
        self.render().0
    }

    /// Sheets below each other as one image, each with its own legend.
    #[must_use]
    pub fn stack(title: &str, sheets: Vec<Self>) -> String {
        let (mut body, mut wide, mut y) = (String::new(), 0.0_f64, 0.0);
        for sheet in sheets {
            let (drawn, width, height) = sheet.render();
            body.push_str(&drawn.replacen("<svg ", &format!("<svg y=\"{y}\" "), 1));
            (wide, y) = (wide.max(width), y + height);
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide}\" height=\"{y}\" viewBox=\"0 0 {wide} {y}\" \
             role=\"img\">\n<title>{}</title>\n{body}</svg>\n",
            xml(title, 160)
        )
    }

    /// The image with its width and its height.
    fn render(self) -> (String, f64, f64) {
        let mut header = format!("<text class=\"h ink\" x=\"{MARGIN}\" y=\"32\">{}</text>\n", xml(&self.title, 160));
        let mut y = 38.0;
        if !self.note.is_empty() {
            let _ = writeln!(header, "<text class=\"dim\" x=\"{MARGIN}\" y=\"51\">{}</text>", xml(&self.note, 200));
            y += ROW;
        }
        y = self.draw_legend(&mut header, y);
        let (wide, high) = (self.width, self.height + y);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"cpc\" width=\"{wide}\" height=\"{high}\" \
             viewBox=\"0 0 {wide} {high}\" role=\"img\">\n<title>{}</title>\n<style>{}{RULES}",
            xml(&self.title, 160),
            theme("cpc")
        );
        for (number, [light, _]) in COLOURS.iter().enumerate() {
            let _ = write!(svg, ".cpc .l{number}{{stroke:{light}}}.cpc .b{number}{{fill:{light}}}");
        }
        svg.push_str("@media (prefers-color-scheme:dark){");
        for (number, [_, dark]) in COLOURS.iter().enumerate() {
            let _ = write!(svg, ".cpc .l{number}{{stroke:{dark}}}.cpc .b{number}{{fill:{dark}}}");
        }
        let _ = writeln!(svg, "}}</style>\n<rect class=\"bg\" width=\"{wide}\" height=\"{high}\" rx=\"8\"/>");
        let _ = writeln!(svg, "{header}<g transform=\"translate(0,{y})\">\n{}</g>\n</svg>", self.body);
        (svg, wide, high)
    }

    /// Adds a series to the legend, once.
    fn explain(&mut self, mark: Mark, ink: Ink, name: &str) {
        let entry = (mark, ink, name.to_owned());
        if !self.legend.contains(&entry) {
            self.legend.push(entry);
        }
    }

    /// Draws the legend from `top` on, in as many rows as it needs; returns its lower edge.
    fn draw_legend(&self, out: &mut String, top: f64) -> f64 {
        let (mut x, mut y) = (MARGIN, top);
        for (mark, ink, name) in &self.legend {
            let room = MARK + width(name) as f64 / 10.0 + 24.0;
            if x + room > self.width - MARGIN / 2.0 && x > MARGIN {
                (x, y) = (MARGIN, y + ROW);
            }
            let middle = y + 10.0;
            out.push_str("<g class=\"legend\">");
            match mark {
                Mark::Line => {
                    let dash = if ink.dashed { " dash" } else { "" };
                    let _ = write!(out, "<path class=\"line{dash} l{}\" d=\"M{x} {middle}h22\"/>", ink.colour);
                }
                Mark::Dot => marker(out, *ink, (x + 11.0, middle), ""),
                Mark::Block => {
                    let _ = write!(
                        out,
                        "<rect class=\"b{}\" x=\"{}\" y=\"{}\" width=\"14\" height=\"12\" rx=\"3\"/>",
                        ink.colour,
                        x + 6.0,
                        middle - 6.0
                    );
                }
            }
            let _ = writeln!(
                out,
                "<text class=\"ink\" x=\"{}\" y=\"{}\">{}</text></g>",
                x + MARK,
                middle + 4.0,
                xml(name, 120)
            );
            x += room;
        }
        if self.legend.is_empty() { top } else { y + ROW }
    }
}

/// A mark whose shape goes with the colour, so that marks can be told apart without colours.
fn marker(out: &mut String, ink: Ink, (x, y): (f64, f64), inside: &str) {
    let class = format!("class=\"dot b{}\"", ink.colour);
    let path = match ink.colour % 4 {
        0 => {
            let _ = writeln!(out, "<circle {class} cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.6\">{inside}</circle>");
            return;
        }
        1 => format!("M{:.1} {:.1}h6.4v6.4h-6.4z", x - 3.2, y - 3.2),
        2 => format!("M{x:.1} {:.1}l4.2 7.4h-8.4z", y - 4.6),
        _ => format!("M{x:.1} {:.1}l4.4 4.4l-4.4 4.4l-4.4 -4.4z", y - 4.4),
    };
    let _ = writeln!(out, "<path {class} d=\"{path}\">{inside}</path>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_names_each_series_once_and_wraps() {
        let mut sheet = Sheet::new("Title & more", 300.0, 200.0).with_note("note");
        let axis = || Axis::measures("an axis, s", 0.0, 1.0, 5).unwrap();
        let plot = sheet.plot(sheet.room(), axis(), axis());
        for (number, name) in
            (0..6).chain(0..2).zip(["first", "second", "third", "fourth", "fifth", "sixth", "first", "second"])
        {
            sheet.line(&plot, Ink::solid(number), &[(0.0, 0.0), (1.0, f64::NAN)], name);
        }
        sheet.dot(&plot, Ink::solid(1), (1.0, 1.0), "first", "a < b");
        let svg = sheet.finish();
        assert_eq!(svg.matches("<g class=\"legend\">").count(), 7);
        assert!(svg.contains("<title>Title &amp; more</title>") && svg.contains("first: a &lt; b"), "{svg}");
        assert!(!svg.contains("NaN") && svg.contains("translate(0,118)"), "{svg}");
    }

    #[test]
    fn sheets_are_stacked_at_their_heights() {
        let stacked = Sheet::stack("Both", vec![Sheet::new("One", 300.0, 60.0), Sheet::new("Two", 400.0, 50.0)]);
        assert!(stacked.contains("width=\"400\" height=\"186\"") && stacked.contains("<svg y=\"98\""), "{stacked}");
    }

    #[test]
    fn an_empty_sheet_states_it() {
        let mut sheet = Sheet::new("Title", 300.0, 60.0);
        sheet.empty("no data");
        assert!(sheet.finish().contains(">no data<"));
    }
}
