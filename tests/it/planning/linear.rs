use counterpoint::planning::{
    Agent, Constraint, LinearProgram, LpError, Project, Relation, Resource, Settings, Task, Variable, allocate,
    plan_project,
};
use counterpoint::{AgentId, Name, Random, TaskId};
use std::ops::ControlFlow;
use std::time::Duration;

/// A program with bounded variables as plain numbers, for the oracle.
#[derive(Debug)]
struct Plain {
    costs: Vec<f64>,
    bounds: Vec<(f64, f64)>,
    rows: Vec<(Vec<f64>, Relation, f64)>,
}

fn plain(random: &mut Random) -> Plain {
    let width = 1 + random.below(3);
    let number = |random: &mut Random| random.below(9) as f64 - 4.0;
    let relation = [Relation::AtMost, Relation::AtLeast, Relation::Equal, Relation::AtMost];
    Plain {
        costs: (0..width).map(|_| number(random)).collect(),
        bounds: (0..width).map(|_| (-(random.below(4) as f64), random.below(8) as f64)).collect(),
        rows: (0..random.below(5))
            .map(|_| ((0..width).map(|_| number(random)).collect(), relation[random.below(4)], number(random) * 2.0))
            .collect(),
    }
}

impl Plain {
    fn program(&self, maximise: bool) -> (LinearProgram, Vec<Variable>, Vec<Constraint>) {
        let mut program = if maximise { LinearProgram::maximise() } else { LinearProgram::minimise() };
        let variables: Vec<Variable> = self
            .costs
            .iter()
            .zip(&self.bounds)
            .map(|(cost, (low, high))| {
                program.variable("x", if maximise { -cost } else { *cost }, *low, *high).unwrap()
            })
            .collect();
        let conditions = self.rows.iter().enumerate().map(|(at, (terms, relation, bound))| {
            let terms = variables.iter().copied().zip(terms.iter().copied());
            program.constraint(format!("{at}"), terms, *relation, *bound).unwrap()
        });
        let conditions = conditions.collect();
        (program, variables, conditions)
    }

    fn holds(&self, rows: &[usize], at: &[f64]) -> bool {
        let in_box = at.iter().zip(&self.bounds).all(|(x, (low, high))| *x > low - 1e-7 && *x < high + 1e-7);
        in_box
            && rows.iter().all(|row| {
                let (terms, relation, bound) = &self.rows[*row];
                let sum: f64 = terms.iter().zip(at).map(|(a, x)| a * x).sum();
                match relation {
                    Relation::AtMost => sum < bound + 1e-7,
                    Relation::AtLeast => sum > bound - 1e-7,
                    Relation::Equal => (sum - bound).abs() < 1e-7,
                }
            })
    }

    /// The least objective over all vertices of these rows and bounds.
    fn least(&self, rows: &[usize]) -> Option<f64> {
        let width = self.costs.len();
        let mut planes: Vec<(Vec<f64>, f64)> =
            rows.iter().map(|row| (self.rows[*row].0.clone(), self.rows[*row].2)).collect();
        for at in 0..width {
            let unit: Vec<f64> = (0..width).map(|other| f64::from(u8::from(other == at))).collect();
            planes.extend([(unit.clone(), self.bounds[at].0), (unit, self.bounds[at].1)]);
        }
        let mut best: Option<f64> = None;
        for chosen in 0_u32..1 << planes.len() {
            if chosen.count_ones() as usize != width {
                continue;
            }
            let chosen = (0..planes.len()).filter(|at| chosen >> at & 1 == 1).map(|at| planes[at].clone()).collect();
            let Some(at) = corner(chosen).filter(|at| self.holds(rows, at)) else { continue };
            let sum: f64 = self.costs.iter().zip(&at).map(|(cost, x)| cost * x).sum();
            best = Some(best.map_or(sum, |best| best.min(sum)));
        }
        best
    }
}

/// The intersection of planes, by Gauss-Jordan elimination.
fn corner(mut planes: Vec<(Vec<f64>, f64)>) -> Option<Vec<f64>> {
    let width = planes.len();
    for at in 0..width {
        let pivot = (at..width).max_by(|one, two| planes[*one].0[at].abs().total_cmp(&planes[*two].0[at].abs()))?;
        planes.swap(at, pivot);
        if planes[at].0[at].abs() < 1e-9 {
            return None;
        }
        for other in (0..width).filter(|other| *other != at) {
            let times = planes[other].0[at] / planes[at].0[at];
            let (terms, bound) = planes[at].clone();
            planes[other].0.iter_mut().zip(&terms).for_each(|(a, b)| *a -= times * b);
            planes[other].1 -= times * bound;
        }
    }
    Some(planes.iter().enumerate().map(|(at, (terms, bound))| bound / terms[at]).collect())
}

#[test]
fn programs_against_all_vertices() {
    let (mut solved, mut refused) = (0, 0);
    for seed in 0..3_000 {
        let plain = plain(&mut Random::new(seed, 0));
        let all: Vec<usize> = (0..plain.rows.len()).collect();
        let maximise = seed % 2 == 1;
        let (program, variables, conditions) = plain.program(maximise);
        let sign = if maximise { -1.0 } else { 1.0 };
        match (program.solve(), plain.least(&all)) {
            (Ok(found), Some(least)) => {
                solved += 1;
                assert!((sign * found.objective - least).abs() < 1e-6, "seed {seed}: {} {least}", found.objective);
                let values: Vec<f64> = variables.iter().map(|variable| found.value(*variable)).collect();
                assert!(plain.holds(&all, &values), "seed {seed}");
                // The duals prove optimality: they have the right sign and bound the objective from below.
                let prices: Vec<f64> = conditions.iter().map(|one| sign * found.price(*one).unwrap()).collect();
                let mut bound = 0.0;
                for ((_, relation, side), price) in plain.rows.iter().zip(&prices) {
                    bound += side * price;
                    match relation {
                        Relation::AtMost => assert!(*price < 1e-7),
                        Relation::AtLeast => assert!(*price > -1e-7),
                        Relation::Equal => {}
                    }
                }
                for (at, cost) in plain.costs.iter().enumerate() {
                    let paid: f64 = plain.rows.iter().zip(&prices).map(|(row, price)| row.0[at] * price).sum();
                    let left = cost - paid;
                    bound += left * if left > 0.0 { plain.bounds[at].0 } else { plain.bounds[at].1 };
                }
                assert!((bound - least).abs() < 1e-5, "seed {seed}: prices prove {bound}, not {least}");
            }
            (Err(LpError::Infeasible { conflict }), None) => {
                refused += 1;
                let rows: Vec<usize> = conflict.iter().map(|name: &Name| name.as_str().parse().unwrap()).collect();
                assert!(plain.least(&rows).is_none(), "seed {seed}: {rows:?} is no conflict");
                for row in &rows {
                    let rest: Vec<usize> = rows.iter().copied().filter(|one| one != row).collect();
                    assert!(plain.least(&rest).is_some(), "seed {seed}: {row} has no part in the conflict");
                }
            }
            (found, least) => panic!("seed {seed}: {found:?}, not {least:?}"),
        }
    }
    assert!(solved > 1_000 && refused > 500, "{solved} solved, {refused} refused");
}

#[test]
fn unbounded_programs_name_their_variables() {
    let mut program = LinearProgram::maximise();
    let free = program.variable("free", 1.0, f64::NEG_INFINITY, f64::INFINITY).unwrap();
    let held = program.variable("held", 1.0, 0.0, 9.0).unwrap();
    let other = program.variable("other", 0.0, 0.0, f64::INFINITY).unwrap();
    let still = program.variable("still", -1.0, 0.0, f64::INFINITY).unwrap();
    program.constraint("a", [(free, 1.0), (other, -1.0)], Relation::AtMost, 3.0).unwrap();
    program.constraint("b", [(held, 1.0), (still, 1.0)], Relation::AtMost, 3.0).unwrap();
    assert_eq!(program.solve(), Err(LpError::Unbounded { variables: vec!["free".into(), "other".into()] }));
    program.constraint("c", [(other, 1.0)], Relation::AtMost, 4.0).unwrap();
    assert!((program.solve().unwrap().objective - 10.0).abs() < 1e-6);
}

#[test]
fn integer_programs_against_all_points() {
    for seed in 0..100 {
        let mut random = Random::new(seed, 1);
        let things: Vec<(f64, f64)> =
            (0..8).map(|_| (1.0 + random.below(20) as f64, 1.0 + random.below(20) as f64)).collect();
        let room = 10.0 + random.below(40) as f64;
        let mut program = LinearProgram::maximise();
        let variables: Vec<_> =
            things.iter().map(|(worth, _)| program.integer_variable("thing", *worth, 0, 1).unwrap()).collect();
        let terms = variables.iter().zip(&things).map(|(variable, (_, size))| (*variable, *size));
        program.constraint("room", terms, Relation::AtMost, room).unwrap();
        let choices = (0_u32..256).map(|choice| {
            let taken = things.iter().enumerate().filter(|(at, _)| choice >> at & 1 == 1).map(|(_, thing)| thing);
            let (worth, size) = taken.fold((0.0, 0.0), |sum, thing| (sum.0 + thing.0, sum.1 + thing.1));
            if size <= room { worth } else { 0.0 }
        });
        let found = program.solve().unwrap();
        assert!(found.is_proven && found.prices.is_none());
        assert_eq!(found.objective, choices.fold(0.0, f64::max), "seed {seed}");
    }
    // Infeasible only because of integrality.
    let mut program = LinearProgram::minimise();
    let x = program.integer_variable("x", 1.0, 0, 9).unwrap();
    program.constraint("half", [(x, 2.0)], Relation::Equal, 3.0).unwrap();
    program.constraint("any", [(x, 1.0)], Relation::AtMost, 8.0).unwrap();
    assert_eq!(program.solve(), Err(LpError::Infeasible { conflict: vec!["half".into()] }));
}

#[test]
fn invalid_programs_are_rejected() {
    let mut program = LinearProgram::minimise();
    let crossed = LpError::InvalidNumber { name: "x".into() };
    assert_eq!(program.variable("x", 1.0, 2.0, 1.0), Err(crossed.clone()));
    assert_eq!(program.variable("x", f64::NAN, 0.0, 1.0), Err(crossed.clone()));
    assert_eq!(program.variable("x", 1.0, f64::INFINITY, f64::INFINITY), Err(crossed));
    let mut other = LinearProgram::minimise();
    let foreign = other.variable("y", 1.0, 0.0, 1.0).unwrap();
    let unknown = LpError::UnknownVariable { name: "row".into() };
    assert_eq!(program.constraint("row", [(foreign, 1.0)], Relation::AtMost, 1.0), Err(unknown));
    let row = LpError::InvalidNumber { name: "row".into() };
    assert_eq!(other.constraint("row", [(foreign, 1.0)], Relation::AtMost, f64::INFINITY), Err(row));
    // A variable that occurs twice in a constraint counts twice.
    other.constraint("twice", [(foreign, 1.0), (foreign, 1.0)], Relation::AtLeast, 1.0).unwrap();
    assert!((other.solve().unwrap().objective - 0.5).abs() < 1e-9);
}

fn team(random: &mut Random, tasks: u64) -> Project {
    let agents = (0..3).map(|id| {
        let agent = Agent::new(AgentId::new(id)).with_cost_per_second(1_000_000 * (1 + random.below(5) as u64));
        agent.with_skill("a", 1 + id as u16).with_capacity(1 + random.below(2) as u32)
    });
    let mut project = agents.fold(Project::default(), Project::with_agent).with_resource(Resource::new("room", 2));
    for id in 0..tasks {
        let span = Duration::from_secs(1 + random.below(9) as u64);
        let mut task = Task::new(TaskId::new(id), span).with_need("a", 1 + random.below(3) as u16);
        if id > 0 && random.below(2) == 0 {
            let before = TaskId::new(random.below(id as usize) as u64);
            task = task.after_lag(before, Duration::from_secs(random.below(2) as u64));
        }
        project = project.with_task(if random.below(3) == 0 { task.with_use("room", 1) } else { task });
    }
    project
}

#[test]
fn an_allocation_is_a_bound_and_assigns_all_of_each_task() {
    for seed in 0..60 {
        let project = team(&mut Random::new(seed, 2), 1 + seed % 6);
        let problem = project.check().unwrap();
        let found = allocate(&problem).unwrap();
        let settings = Settings::default().with_evaluations(5_000);
        let plan = plan_project(&problem, &settings, &mut |_| ControlFlow::Continue(()));
        assert!(found.completion <= plan.makespan, "seed {seed}");
        for task in &project.tasks {
            let shares = found.shares.iter().filter(|share| share.task == task.id);
            let whole: f64 = shares.clone().map(|share| share.part).sum();
            assert!((whole - 1.0).abs() < 1e-6, "seed {seed}");
            for share in shares {
                let agent = project.agents.iter().find(|agent| agent.id == share.agent).unwrap();
                assert!(agent.skills["a"] >= task.needs["a"], "seed {seed}: without the skill");
            }
        }
        // One second less on every binding link saves at most one second in all.
        assert!(found.prices.links.iter().all(|link| link.2 <= 1.0 + 1e-6));
    }
}

#[test]
fn a_chain_determines_the_completion() {
    let task = |id, secs| Task::new(TaskId::new(id), Duration::from_secs(secs));
    let project = (1..=3).map(|id| Agent::new(AgentId::new(id))).fold(Project::default(), Project::with_agent);
    let project = project.with_task(task(1, 5)).with_task(task(2, 5).after(TaskId::new(1))).with_task(task(3, 2));
    let found = allocate(&project.check().unwrap()).unwrap();
    assert!((found.completion.as_secs_f64() - 10.0).abs() < 1e-3);
    assert_eq!(found.prices.links.len(), 1);
    assert!((found.prices.links[0].2 - 1.0).abs() < 1e-6);
    assert!(found.prices.agents.iter().all(|(_, price)| *price < 1e-6), "no agent is a bottleneck");
}

#[test]
fn the_shadow_price_of_the_budget_is_the_slope() {
    let mut looked = 0;
    for seed in 0..60 {
        let project = team(&mut Random::new(seed, 3), 6);
        let at = |budget: u64| {
            let project = project.clone().with_budget(budget);
            allocate(&project.check().ok()?).ok()
        };
        let free = allocate(&project.check().unwrap()).unwrap();
        let spent: f64 = free
            .shares
            .iter()
            .map(|share| {
                let task = project.tasks.iter().find(|task| task.id == share.task).unwrap();
                let agent = project.agents.iter().find(|agent| agent.id == share.agent).unwrap();
                let counterpoint::planning::Work::Fixed(span) = task.work else { unreachable!() };
                share.part * span.as_secs_f64() * agent.cost_per_second as f64
            })
            .sum();
        let (budget, step) = ((0.9 * spent) as u64, 500_000);
        let (Some(less), Some(here), Some(more)) = (at(budget - step), at(budget), at(budget + step)) else { continue };
        looked += 1;
        let price = here.prices.budget.unwrap() * step as f64 / 1e6;
        let (left, right) = (
            less.completion.as_secs_f64() - here.completion.as_secs_f64(),
            here.completion.as_secs_f64() - more.completion.as_secs_f64(),
        );
        assert!(price <= left + 1e-3 && price >= right - 1e-3, "seed {seed}: {left} {price} {right}");
    }
    assert!(looked > 20, "{looked} had a budget that binds");
}
