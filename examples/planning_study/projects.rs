//! Projects from published instances: makespans beside the best known, and fronts of duration against cost.

use crate::read;
use counterpoint::planning::{Problem, Project, Settings, Solution, pareto_front, plan_project, validate};
use cpu_time::ProcessTime;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

/// The rows of a table of records that name something, as cells.
fn rows(path: &Path, filter: &str) -> Result<Vec<Vec<String>>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path)?;
    let rows = text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    Ok(rows.filter(|row| row[0].contains(filter)).collect())
}

struct Found {
    solution: Solution,
    used: Duration,
    /// When the best was found.
    reached: Duration,
}

fn search(project: &Project, problem: &Problem, budget: Duration) -> Found {
    let begin = ProcessTime::now();
    let (mut best, mut reached) = (Duration::MAX, Duration::ZERO);
    let settings = Settings::default().with_seed(1).with_evaluations(u64::MAX).with_report_every(256);
    let solution = plan_project(problem, &settings, &mut |progress| {
        let now = begin.elapsed();
        if progress.makespan < best {
            (best, reached) = (progress.makespan, now);
        }
        if now < budget { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    validate(project, &solution.plan).unwrap_or_else(|breaches| panic!("the plan is wrong: {breaches:?}"));
    Found { solution, used: begin.elapsed(), reached }
}

/// Multi-skill instances: what is known, what is found, how far that is from the bound.
pub(crate) fn multi_skill(data: &Path, budget: Duration, filter: &str) -> Result<(), Box<dyn Error>> {
    println!("| instance | known | found | bound | gap | reached after | schedules |");
    println!("|---|---|---|---|---|---|---|");
    for (table, known, set) in [("records.csv", 6, "d36"), ("records_generated.csv", 2, "generated")] {
        let (mut gaps, mut proven) = (Vec::new(), 0);
        let mut big = Vec::new();
        for row in rows(&data.join("msrcpsp").join(table), filter)? {
            let project = read::instance(&data.join("msrcpsp").join(format!("{}.def", row[0])))?;
            let problem = project.check()?;
            let found = search(&project, &problem, budget);
            let listed: f64 = row.get(if known == 6 { 4 } else { 3 }).map_or(Ok(0.0), |cell| cell.parse())?;
            let bound = found.solution.bound.as_secs_f64().max(listed);
            let gap = found.solution.makespan.as_secs_f64() / bound - 1.0;
            proven += usize::from(gap <= 0.0);
            if row[0].starts_with("500") || row[0].starts_with("1000") {
                big.push(gap)
            } else {
                gaps.push(gap)
            }
            println!(
                "| {} | {} | {} | {bound} | {:.2} % | {:.2} s | {} |",
                row[0],
                row[known],
                found.solution.makespan.as_secs(),
                100.0 * gap,
                found.reached.as_secs_f64(),
                found.solution.evaluations
            );
        }
        let mean = |gaps: &[f64]| 100.0 * gaps.iter().sum::<f64>() / gaps.len().max(1) as f64;
        println!("| {set}: mean up to 200 tasks | {} | | | {:.2} % | {proven} proven | |", gaps.len(), mean(&gaps));
        if !big.is_empty() {
            println!("| {set}: mean of 500 and 1,000 tasks | {} | | | {:.2} % | | |", big.len(), mean(&big));
        }
    }
    Ok(())
}

/// Single-skill instances: one line for each set.
pub(crate) fn single_skill(data: &Path, budget: Duration, filter: &str) -> Result<(), Box<dyn Error>> {
    println!(
        "| set | instances | as good as known | proven | mean above the critical path | known | mean above known | CPU s |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let all = rows(&data.join("rcpsp/records.csv"), filter)?;
    for set in ["j30", "j60", "j120"] {
        let (mut count, mut as_good, mut proven, mut ours, mut best, mut above) = (0.0, 0, 0, 0.0, 0.0, 0.0);
        let mut used = Duration::ZERO;
        for row in all.iter().filter(|row| row[1] == set) {
            let project = read::instance(&data.join("rcpsp").join(set).join(format!("{}.sm", row[0])))?;
            let found = search(&project, &project.check()?, budget);
            let (path, known): (f64, f64) = (row[3].parse()?, row[4].parse()?);
            let makespan = found.solution.makespan.as_secs_f64();
            count += 1.0;
            as_good += usize::from(makespan <= known);
            proven += usize::from(found.solution.is_proven());
            (ours, best, above) =
                (ours + makespan / path - 1.0, best + known / path - 1.0, above + makespan / known - 1.0);
            used += found.used;
            if !filter.is_empty() {
                println!("| {} | {makespan} | {known} | {} | | | | |", row[0], found.solution.bound.as_secs());
            }
        }
        println!(
            "| {set} | {count} | {as_good} | {proven} | {:.2} % | {:.2} % | {:.3} % | {:.0} |",
            100.0 * ours / count,
            100.0 * best / count,
            100.0 * above / count,
            used.as_secs_f64()
        );
    }
    Ok(())
}

/// Fronts of duration against cost: where they begin and end, how many plans are on each, and the middle.
pub(crate) fn fronts(data: &Path, budget: Duration, filter: &str) -> Result<(), Box<dyn Error>> {
    println!("| instance | plans | soonest, its cost | half way | cheapest, its makespan | schedules |");
    println!("|---|---|---|---|---|---|");
    for row in rows(&data.join("msrcpsp/records.csv"), filter)? {
        let project = read::instance(&data.join("msrcpsp").join(format!("{}.def", row[0])))?;
        let problem = project.check()?;
        // How many schedules that time allows is tried out: a front is shared out by schedules.
        let trial = search(&project, &problem, budget / 10);
        let pace = trial.solution.evaluations as f64 / trial.used.as_secs_f64().max(1e-6);
        let begin = ProcessTime::now();
        let settings = Settings::default().with_seed(1).with_evaluations((pace * budget.as_secs_f64()) as u64);
        let front = pareto_front(&problem, 50, &settings, &mut |_| {
            if begin.elapsed() < 2 * budget { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let tell = |plan: &Solution| format!("{}, {:.0}", plan.makespan.as_secs(), plan.cost as f64 / 1e6);
        let (first, last) = (front.plans.first().ok_or("no plan")?, front.plans.last().ok_or("no plan")?);
        let middle = front.within(first.cost.midpoint(last.cost)).ok_or("no plan")?;
        let tried: u64 = front.plans.iter().map(|plan| plan.evaluations).sum();
        println!(
            "| {} | {} | {} | {} | {} | {tried} |",
            row[0],
            front.plans.len(),
            tell(first),
            tell(middle),
            tell(last)
        );
        front.plans.iter().for_each(|plan| assert!(validate(&project, &plan.plan).is_ok(), "the plan is wrong"));
    }
    Ok(())
}
