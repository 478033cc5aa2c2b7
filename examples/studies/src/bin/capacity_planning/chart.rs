//! The chart: the share of tasks that begin in time, by the number of agents; simulated (solid lines) and by the
//! formula (dashed).

use charts::{Axis, Ink, Sheet};
use std::time::Duration;

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

/// The curves come in pairs, one pair for each load.
pub(crate) fn draw(curves: &[Curve], target: f64, within: Duration) -> String {
    let mut sheet = Sheet::new(
        &format!("Tasks that begin within {} s, by the number of agents", within.as_secs_f64()),
        760.0,
        400.0,
    );
    let agents = || curves.iter().flat_map(|curve| curve.points.iter().map(|(agents, _)| f64::from(*agents)));
    let (least, most) = (agents().fold(f64::INFINITY, f64::min), agents().fold(0.0, f64::max));
    let axes = Axis::counts("number of agents", least, most, 14).zip(Axis::shares("share of the tasks", 0.0, 1.0, 6));
    let Some((x, y)) = axes else {
        sheet.empty("No number of agents has been tried.");
        return sheet.finish();
    };
    let plot = sheet.plot(sheet.room(), x, y);
    sheet.level(&plot, target, &format!("target: {:.0} %", target * 100.0));
    for (place, curve) in curves.iter().enumerate() {
        let points: Vec<(f64, f64)> = curve.points.iter().map(|(agents, share)| (f64::from(*agents), *share)).collect();
        let load = place / 2;
        let (ink, how) = if curve.played {
            (Ink::solid(2 * load), "simulated")
        } else {
            (Ink::dashed(2 * load + 1), "Erlang's formula")
        };
        sheet.line(&plot, ink, &points, &format!("{}: {how}", curve.name));
        if curve.played {
            points.iter().for_each(|(agents, share)| {
                sheet.point(&plot, ink, (*agents, *share), &format!("{agents} agents: {:.1} %", share * 100.0))
            });
        }
    }
    sheet.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_agents_is_a_tick_and_both_series_are_explained() {
        let (mut played, mut formula) = (Curve::new("load", true), Curve::new("load", false));
        (10..=18).for_each(|agents| played.push(agents, f64::from(agents) / 20.0));
        (10..=18).for_each(|agents| formula.push(agents, f64::from(agents) / 18.0));
        let svg = draw(&[played, formula], 0.95, Duration::from_secs(2));
        assert_eq!(charts::faults(&svg, 2), [""; 0]);
        for agents in 10..=18 {
            assert!(svg.contains(&format!(">{agents}</text>")), "no tick {agents} in {svg}");
        }
        for text in [
            ">number of agents<",
            ">share of the tasks<",
            ">load: simulated<",
            ">load: Erlang&#39;s formula<",
            ">target: 95 %<",
        ] {
            assert!(svg.contains(text), "no {text} in {svg}");
        }
        assert!(svg.contains("class=\"line l0\"") && svg.contains("class=\"line dash l1\""), "{svg}");
        assert!(draw(&[], 0.95, Duration::ZERO).contains("No number of agents has been tried."));
    }
}
