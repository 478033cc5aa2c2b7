//! Projects from published instances: makespans compared with the best known, and Pareto fronts of makespan and cost.

use crate::read;
use counterpoint::planning::{Problem, Project, Settings, Solution, pareto_front, plan_project, validate};
use cpu_time::ProcessTime;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

/// The cells of the rows of a table of records whose name contains one of the parts in the filter.
fn rows(path: &Path, filter: &str) -> Result<Vec<Vec<String>>, Box<dyn Error>> {
    let text = std::fs::read_to_string(path)?;
    let rows = text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    Ok(rows.filter(|row| filter.split(',').any(|part| row[0].contains(part))).collect())
}

struct Found {
    solution: Solution,
    used: Duration,
    /// The makespan after each budget.
    after: Vec<u64>,
}

/// One search up to the last of the budgets.
fn search(project: &Project, problem: &Problem, budgets: &[Duration], seed: u64) -> Found {
    let begin = ProcessTime::now();
    let mut after: Vec<u64> = Vec::new();
    let mut last = Duration::ZERO;
    let settings = Settings::default().with_seed(seed).with_evaluations(u64::MAX).with_report_every(256);
    let solution = plan_project(problem, &settings, &mut |progress| {
        let now = begin.elapsed();
        // The makespan reported before this call was the best when the budget was used up.
        while budgets.get(after.len()).is_some_and(|budget| *budget <= now) {
            after.push(if last.is_zero() { progress.makespan } else { last }.as_secs());
        }
        last = progress.makespan;
        if after.len() < budgets.len() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    validate(project, &solution.plan).unwrap_or_else(|violations| panic!("the plan is invalid: {violations:?}"));
    after.resize(budgets.len(), solution.makespan.as_secs());
    Found { solution, used: begin.elapsed(), after }
}

/// Multi-skill instances: the best known makespan, the best and mean over all seeds for each budget, and the gap to the bound.
pub(crate) fn multi_skill(data: &Path, budgets: &[Duration], seeds: u32, filter: &str) -> Result<(), Box<dyn Error>> {
    let heads: Vec<String> = budgets.iter().map(|budget| format!("{budget:?}: best, mean | gap")).collect();
    println!("| instance | known | bound | {} | proven | CPU s |", heads.join(" | "));
    println!("|---|---|---|{}---|---|", "---|---|".repeat(budgets.len()));
    for (table, known, set) in [("records.csv", 6, "d36"), ("records_generated.csv", 2, "generated")] {
        // For small and for big instances, the count and the sums of gaps by budget.
        let mut sums = [(0_u32, vec![0.0; budgets.len()]), (0, vec![0.0; budgets.len()])];
        let mut proven = 0;
        for row in rows(&data.join("msrcpsp").join(table), filter)? {
            let project = read::instance(&data.join("msrcpsp").join(format!("{}.def", row[0])))?;
            let problem = project.check()?;
            let runs: Vec<Found> =
                (1..=u64::from(seeds)).map(|seed| search(&project, &problem, budgets, seed)).collect();
            let bound = runs[0].solution.bound.as_secs();
            let used: Duration = runs.iter().map(|run| run.used).sum();
            let big = usize::from(row[0].starts_with("500") || row[0].starts_with("1000"));
            sums[big].0 += 1;
            let mut cells = String::new();
            for place in 0..budgets.len() {
                let all: Vec<u64> = runs.iter().map(|run| run.after[place]).collect();
                let mean = all.iter().sum::<u64>() as f64 / all.len() as f64;
                let gap = mean / bound as f64 - 1.0;
                sums[big].1[place] += gap;
                cells += &format!("{}, {mean:.1} | {:.2} % | ", all.iter().min().unwrap_or(&0), 100.0 * gap);
            }
            let of = runs.iter().filter(|run| run.solution.is_proven()).count();
            proven += usize::from(of > 0);
            println!("| {} | {} | {bound} | {cells}{of} of {seeds} | {:.1} |", row[0], row[known], used.as_secs_f64());
        }
        for ((count, gaps), size) in sums.iter().zip(["up to 200 tasks", "500 and 1,000 tasks"]) {
            if *count > 0 {
                let cells = gaps.iter().map(|sum| format!("| {:.2} % | ", 100.0 * sum / f64::from(*count)));
                println!("| {set}, mean of {count}, {size} | | | {}| |", cells.collect::<String>());
            }
        }
        println!("| {set}: proven | | | {}{proven} | |", "| | ".repeat(budgets.len()));
    }
    Ok(())
}

/// Single-skill instances: one line for each set.
pub(crate) fn single_skill(data: &Path, budget: Duration, filter: &str) -> Result<(), Box<dyn Error>> {
    println!(
        "| set | instances | equal to best known | proven | mean above the critical path | best known | mean above best known | CPU s |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    if !filter.is_empty() {
        println!("| *instance* | *found* | *known* | *bound* | | | *above known* | *schedules* |");
    }
    let all = rows(&data.join("rcpsp/records.csv"), filter)?;
    for set in ["j30", "j60", "j120"] {
        if all.iter().all(|row| row[1] != set) {
            continue;
        }
        let (mut count, mut as_good, mut proven, mut ours, mut best, mut above) = (0.0, 0, 0, 0.0, 0.0, 0.0);
        let mut used = Duration::ZERO;
        for row in all.iter().filter(|row| row[1] == set) {
            let project = read::instance(&data.join("rcpsp").join(set).join(format!("{}.sm", row[0])))?;
            let found = search(&project, &project.check()?, &[budget], 1);
            let (path, known): (f64, f64) = (row[3].parse()?, row[4].parse()?);
            let makespan = found.solution.makespan.as_secs_f64();
            count += 1.0;
            as_good += usize::from(makespan <= known);
            proven += usize::from(found.solution.is_proven());
            (ours, best, above) =
                (ours + makespan / path - 1.0, best + known / path - 1.0, above + makespan / known - 1.0);
            used += found.used;
            if !filter.is_empty() {
                let (bound, off) = (found.solution.bound.as_secs(), 100.0 * (makespan / known - 1.0));
                let tried = found.solution.evaluations;
                println!("| {} | {makespan} | {known} | {bound} | | | {off:.2} % | {tried} |", row[0]);
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

/// Pareto fronts of makespan and cost, each from one run.
pub(crate) fn fronts(data: &Path, budget: Duration, filter: &str) -> Result<(), Box<dyn Error>> {
    println!("| instance | plans | schedules | CPU s | makespan: cost, the shortest first |");
    println!("|---|---|---|---|---|");
    for row in rows(&data.join("msrcpsp/records.csv"), filter)? {
        let project = read::instance(&data.join("msrcpsp").join(format!("{}.def", row[0])))?;
        let problem = project.check()?;
        // The number of schedules for the time is measured first, since a front divides its budget by schedules.
        let trial = search(&project, &problem, &[budget / 10], 1);
        let pace = trial.solution.evaluations as f64 / trial.used.as_secs_f64().max(1e-6);
        let begin = ProcessTime::now();
        let settings = Settings::default().with_seed(1).with_evaluations((pace * budget.as_secs_f64()) as u64);
        let mut tried = 0;
        let front = pareto_front(&problem, 50, &settings, &mut |progress| {
            tried = progress.evaluations;
            if begin.elapsed() < 2 * budget { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let used = begin.elapsed().as_secs_f64();
        let tell = |plan: &Solution| format!("{}: {:.0}", plan.makespan.as_secs(), plan.cost as f64 / 1e6);
        let plans: Vec<String> = front.plans.iter().map(tell).collect();
        println!("| {} | {} | {tried} | {used:.1} | {} |", row[0], plans.len(), plans.join(", "));
        front.plans.iter().for_each(|plan| assert!(validate(&project, &plan.plan).is_ok(), "the plan is invalid"));
    }
    Ok(())
}
