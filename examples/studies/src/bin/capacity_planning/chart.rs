//! The chart: the share of tasks that begin in time, by the number of agents; simulated (solid lines) and by the
//! formula (dashed).

use std::fmt::Write as _;

pub(crate) struct Curve {
    name: String,
    played: bool,
    points: Vec<(u32, f64)>,
}

impl Curve {
    pub(crate) fn new(name: &str, played: bool) -> Self {
        Self { name: name.to_owned(), played, points: Vec::new() }
    }

    pub(crate) fn push(&mut self, agents: u32, share: f64) {
        self.points.push((agents, share));
    }
}

const COLOURS: [&str; 6] = ["#1b6ca8", "#1b6ca8", "#c0392b", "#c0392b", "#2e7d32", "#2e7d32"];
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
const EDGE: f64 = 70.0;

pub(crate) fn draw(curves: &[Curve], promise: f64) -> String {
    let agents = || curves.iter().flat_map(|curve| curve.points.iter().map(|(agents, _)| f64::from(*agents)));
    let (least, most) = (agents().fold(f64::MAX, f64::min), agents().fold(0.0, f64::max));
    let x = |agents: f64| EDGE + (agents - least) / (most - least).max(1.0) * (WIDTH - 2.0 * EDGE);
    let y = |share: f64| HEIGHT - EDGE - share * (HEIGHT - 2.0 * EDGE);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let (y, percent) = (y(share), share * 100.0);
        let _ = writeln!(
            svg,
            "<path d=\"M{EDGE} {y:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{percent} %</text>",
            WIDTH - EDGE,
            EDGE - 6.0,
            y + 4.0
        );
    }
    for step in 0..=6_u32 {
        let agents = (least + (most - least) * f64::from(step) / 6.0).round();
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{agents}</text>",
            x(agents),
            HEIGHT - EDGE + 18.0
        );
    }
    let _ =
        writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">agents</text>", WIDTH / 2.0, HEIGHT - 14.0);
    let _ = writeln!(
        svg,
        "<path d=\"M{EDGE} {:.1}H{:.1}\" stroke=\"#888\" stroke-dasharray=\"2 3\"/><text x=\"{:.1}\" y=\"{:.1}\">target</text>",
        y(promise),
        WIDTH - EDGE,
        WIDTH - EDGE + 4.0,
        y(promise) + 4.0
    );
    for ((curve, colour), row) in curves.iter().zip(COLOURS.iter().cycle()).zip(0_u32..) {
        let line: Vec<String> = curve
            .points
            .iter()
            .map(|(agents, share)| format!("{:.1},{:.1}", x(f64::from(*agents)), y(*share)))
            .collect();
        let dash = if curve.played { "" } else { " stroke-dasharray=\"6 4\"" };
        let how = if curve.played { "simulated" } else { "by the formula" };
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>",
            line.join(" ")
        );
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}, {how}</text>",
            EDGE + 10.0,
            20.0 + 15.0 * f64::from(row),
            curve.name
        );
    }
    svg.push_str("</svg>\n");
    svg
}
