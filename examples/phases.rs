//! A project with four phases (design, development, testing, deployment) and the team of each phase. Members that the
//! next phase needs stay, and unfinished work of a member that leaves is handed over to another member. During
//! development one member is lost.
//!
//! ```text
//! cargo run --features coordination --example phases    # the Gantt chart: target/phases.svg
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use charts::{Anchor, Area, Axis, Ink, Sheet};
use counterpoint::team::{Formed, Matrix, Person, Phase, PhaseError, Phases, Request, growth};
use counterpoint::{AgentId, Name, TaskId, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;

const DAY: u64 = 86_400;
const NAMES: [&str; 7] = ["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus"];

fn main() -> Result<(), Box<dyn Error>> {
    let (project, formed) = project()?;
    for team in &formed {
        println!("{}", told(team));
    }
    let chart = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/phases.svg");
    std::fs::create_dir_all(chart.parent().ok_or("the path has a parent")?)?;
    std::fs::write(&chart, gantt(&project, &formed))?;
    println!("\nSkills to learn before the next project:");
    for gap in growth(&matrix(), &requests().map(|request| (request, 100))).iter().take(3) {
        println!(
            "  {} at level {}: {} agents have it, {} of the work needs it",
            gap.skill, gap.level, gap.holders, gap.demand
        );
    }
    println!("\nChart: {}", chart.display());
    Ok(())
}

fn matrix() -> Matrix {
    let person = |id: u64, cost: u64, skills: &[(&str, u16)]| {
        let person = Person::new(AgentId::new(id)).with_cost(cost);
        skills.iter().fold(person, |person, (skill, level)| person.with_skill(*skill, *level))
    };
    Matrix::of([
        person(0, 9, &[("architecture", 3), ("backend", 2)]),
        person(1, 6, &[("backend", 3), ("testing", 1)]),
        person(2, 6, &[("frontend", 3), ("design", 2)]),
        person(3, 5, &[("testing", 3), ("operations", 1)]),
        person(4, 5, &[("operations", 3), ("backend", 1)]),
        person(5, 7, &[("design", 3), ("frontend", 1)]),
        person(6, 8, &[("backend", 2), ("frontend", 2), ("testing", 2)]),
    ])
}

fn requests() -> [Request; 4] {
    [
        Request::new([("architecture", 2), ("design", 3)]),
        Request::new([("backend", 2), ("frontend", 2), ("architecture", 1)]),
        Request::new([("testing", 2), ("backend", 2)]),
        Request::new([("operations", 2), ("testing", 2)]),
    ]
}

fn phases() -> Vec<Phase> {
    ["design", "development", "testing", "deployment"]
        .into_iter()
        .zip(requests())
        .map(|(name, request)| Phase::new(name, request))
        .collect()
}

/// The work of each phase: what it takes, and whether it is finished within the phase.
const WORK: [&[(&str, bool)]; 4] = [
    &[("architecture", true), ("design", true)],
    &[("backend", true), ("backend", false), ("frontend", false)],
    &[("testing", true), ("testing", false), ("backend", true)],
    &[("operations", true), ("testing", true)],
];

/// Runs the project: five days for a phase.
fn project() -> Result<(Phases, Vec<Formed>), PhaseError> {
    let day = |number: u64| Time::from_secs(DAY * number);
    let (mut project, first) = Phases::start(matrix(), phases(), 3, day(0))?;
    let (mut formed, mut next) = (vec![first], 1_u64);
    for (phase, work) in (0_u64..).zip(WORK) {
        if phase > 0 {
            formed.push(project.advance(day(5 * phase))?);
        }
        for (skill, within) in work {
            let needs = BTreeMap::from([(Name::from(*skill), 1)]);
            let able = project.team().iter().copied().find(|agent| matrix().level(skill, *agent) > 0);
            let Some(agent) = able else { continue };
            project.begin(TaskId::new(next), agent, needs)?;
            if *within {
                project.finish(TaskId::new(next), agent)?;
            }
            next += 1;
        }
        if phase == 1 {
            let lost = *project
                .team()
                .iter()
                .find(|agent| matrix().level("frontend", **agent) > 1)
                .unwrap_or(&AgentId::new(2));
            formed.push(project.lose(lost, day(8))?);
        }
    }
    // What went on from phase to phase is finished by whoever has it in hand.
    let open: Vec<(TaskId, AgentId)> = project.under_way().collect();
    for (task, owner) in open {
        project.finish(task, owner)?;
    }
    project.end(day(20))?;
    Ok((project, formed))
}

fn name(agent: AgentId) -> &'static str {
    usize::try_from(agent.get()).ok().and_then(|place| NAMES.get(place)).unwrap_or(&"?")
}

fn told(formed: &Formed) -> String {
    let list = |agents: &BTreeSet<AgentId>| agents.iter().map(|agent| name(*agent)).collect::<Vec<_>>().join(", ");
    let mut text = format!(
        "day {:>2}, phase {}: {}",
        formed.at.as_nanos() / (DAY * 1_000_000_000),
        formed.phase + 1,
        list(&formed.team)
    );
    for (what, agents) in [("joined", &formed.joined), ("left", &formed.left)] {
        if !agents.is_empty() {
            let _ = write!(text, "; {what}: {}", list(agents));
        }
    }
    for handover in &formed.handovers {
        let to = handover.to.map_or("no work yet", name);
        let _ = write!(text, "; {} is handed over from {} to {to}", handover.task, name(handover.from));
    }
    text
}

/// A row for each person, a colour for each phase, and a mark where the lost person leaves.
fn gantt(project: &Phases, formed: &[Formed]) -> String {
    const ROW: f64 = 30.0;
    const TOP: f64 = 24.0;
    const END: Time = Time::from_secs(20 * DAY);
    let bottom = TOP + ROW * f64::from(u16::try_from(NAMES.len()).unwrap_or(0));
    let area = Area { left: 80.0, right: 700.0, top: TOP, bottom };
    let mut sheet = Sheet::new("The team of a project by phase", 740.0, bottom + 50.0);
    let Some(axis) = Axis::seconds("time since the start of the project", END.since(Time::ZERO).as_secs_f64(), 12)
    else {
        sheet.empty("The project has no duration.");
        return sheet.finish();
    };
    for row in (0..u16::try_from(NAMES.len()).unwrap_or(0)).step_by(2) {
        sheet.row(TOP + ROW * f64::from(row), ROW);
    }
    let position = sheet.below(area, &axis);
    let x = |at: Time| position(at.since(Time::ZERO).as_secs_f64());
    let y = |agent: AgentId| TOP + ROW * f64::from(u16::try_from(agent.get()).unwrap_or(0));
    for (row, name) in (0_u16..).zip(NAMES) {
        sheet.text((area.left - 10.0, TOP + ROW * f64::from(row) + 19.0), Anchor::End, true, name);
    }
    for (place, phase) in phases().into_iter().enumerate() {
        for stint in project.stints().iter().filter(|stint| stint.phase == place) {
            let (from, to) = (x(stint.from), x(stint.to.unwrap_or(END)));
            let tip = format!("{} ({}) works on {}", name(stint.agent), stint.agent, phase.name);
            let at = (from, y(stint.agent) + 4.0);
            sheet.block(Ink::solid(place), at, (to - from - 1.0, ROW - 8.0), &tip, Some(&phase.name));
        }
    }
    // Within a phase a team changes only because a member is lost.
    let within = formed.iter().zip(formed.iter().skip(1)).filter(|(before, after)| before.phase == after.phase);
    for (_, after) in within {
        for lost in &after.left {
            let at = (x(after.at) + 6.0, y(*lost) + ROW / 2.0);
            sheet.mark(Ink::solid(5), at, "lost during the phase", name(*lost));
        }
    }
    sheet.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn teams_follow_the_phases_and_work_changes_hands_once() {
        let (project, formed) = project().unwrap();
        assert_eq!(formed.iter().map(|team| team.phase).collect::<Vec<_>>(), [0, 1, 1, 2, 3]);
        for (before, after) in formed.iter().zip(&formed[1..]) {
            assert!(
                after
                    .handovers
                    .iter()
                    .all(|one| !after.team.contains(&one.from) && one.to.is_none_or(|to| after.team.contains(&to)))
            );
            assert_eq!(after.joined.len() + before.team.len() - after.left.len(), after.team.len());
        }
        assert!(formed.iter().any(|team| team.handovers.iter().any(|one| one.to.is_some())));
        assert_eq!(project.under_way().count(), 0);
        let svg = gantt(&project, &formed);
        assert_eq!(svg.matches("rx=\"2\"><title>").count(), project.stints().len());
        assert_eq!(charts::faults(&svg, 1), [""; 0]);
        for text in
            ["time since the start of the project", ">10 d<", ">deployment<", ">lost during the phase<", ">Cleo<"]
        {
            assert!(svg.contains(text), "no {text} in {svg}");
        }
    }
}
