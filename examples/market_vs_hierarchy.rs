//! The same load under four kinds of coordination, in virtual time: least-loaded routing, a hierarchy, a market and
//! pheromone trails. The example compares waiting time, work and messages.
//!
//! Twelve agents with two slots each perform the tasks; in the hierarchy four more agents lead them. Each agent needs
//! half the time for one of the four kinds of tasks. Bidders in the market include their speed in their bids, trails
//! learn the speeds, and the other two do not consider them.
//!
//! ```text
//! cargo run --release --features coordination --example market_vs_hierarchy    # the chart: target/market_vs_hierarchy.svg
//! ```
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "an example talks to a person")]

use charts::{Anchor, Area, Axis, Ink, Sheet};
use counterpoint::coordination::hierarchy::Hierarchy;
use counterpoint::coordination::stigmergy::{Config as Field, Rules};
use counterpoint::message::TaskEvent;
use counterpoint::routing::{Auction, Candidate, Candidates, LeastLoaded, RoutingStrategy, Trails};
use counterpoint::{
    AgentId, AgentSpec, AttemptId, Command, Config, Effect, Entry, Event, Incarnation, Needs, Outbox, Payload, Random,
    Scheduler, TaskId, TaskSpec, Time,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const AGENTS: u64 = 16;
const KINDS: [&str; 4] = ["read", "count", "draw", "write"];
/// Seconds of work for who is not good at it.
const LENGTH: f64 = 2.0;

fn main() -> Result<(), Box<dyn Error>> {
    let found = study(1, 8_000)?;
    println!("{}", table(&found));
    let chart = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/market_vs_hierarchy.svg");
    std::fs::create_dir_all(chart.parent().ok_or("the path has a parent")?)?;
    std::fs::write(&chart, picture(&found))?;
    println!("Chart: {}", chart.display());
    Ok(())
}

fn skilled(agent: AgentId, kind: &str) -> bool {
    let place = usize::try_from(agent.get()).unwrap_or(0) % KINDS.len();
    KINDS.get(place) == Some(&kind)
}

fn length(agent: AgentId, kind: &str) -> f64 {
    if skilled(agent, kind) { LENGTH / 2.0 } else { LENGTH }
}

fn agents() -> impl Iterator<Item = AgentSpec> {
    (0..AGENTS).map(|id| AgentSpec::new(AgentId::new(id)).with_capacity(2))
}

/// A tree of agents as a strategy: work goes down it, and the answer comes up.
#[derive(Debug)]
struct ByHierarchy {
    tree: Hierarchy,
    messages: Arc<AtomicU64>,
}

impl RoutingStrategy for ByHierarchy {
    fn name(&self) -> &str {
        "hierarchy"
    }

    fn pick(&mut self, task: &TaskSpec, among: &Candidates<'_>, _: &mut Random) -> Option<AgentId> {
        let found = self.tree.delegate(task.id, &Needs::nothing())?;
        let hops = u64::try_from(found.path.len()).unwrap_or(0);
        self.messages.fetch_add(2 * hops, Ordering::Relaxed);
        // Who leads does no work, so the tree knows of everybody who works what the scheduler knows.
        among.get(found.to).map(|agent| agent.id())
    }

    fn observe(&mut self, entry: &Entry) {
        if let Event::Task { task, event: TaskEvent::Succeeded { .. } } = &entry.event {
            let _ = self.tree.finish(*task);
        }
    }
}

/// What a way of coordinating comes to.
#[derive(Debug, Clone)]
struct Found {
    name: &'static str,
    wait: f64,
    late: f64,
    work: f64,
    messages: f64,
    fairness: f64,
}

fn study(seed: u64, tasks: u64) -> Result<Vec<Found>, Box<dyn Error>> {
    let mut all = Vec::new();
    for name in ["least loaded", "hierarchy", "market", "trails"] {
        let messages = Arc::new(AtomicU64::new(0));
        let config = Config::default().with_seed(seed);
        let config = match name {
            "hierarchy" => {
                let tree = Hierarchy::form(
                    agents().map(|agent| {
                        let score = AGENTS - agent.id.get();
                        (agent, score)
                    }),
                    4,
                )?;
                config.with_strategy(ByHierarchy { tree, messages: Arc::clone(&messages) })
            }
            "market" => {
                let said = Arc::clone(&messages);
                // An agent is called, bids what the work costs it by what it has in hand, and hears whether it has won.
                let bid = move |task: &TaskSpec, agent: &Candidate<'_>, _: Time| {
                    said.fetch_add(3, Ordering::Relaxed);
                    let cost = length(agent.id(), &task.kind) * f64::from(agent.in_flight() + 1);
                    Some(Duration::from_secs_f64(cost).as_millis().try_into().unwrap_or(u64::MAX))
                };
                config.with_strategy(Auction::new(bid))
            }
            "trails" => {
                let rules = Rules::new(Field::default().with_evaporation(0.02).with_floor(0.05))?;
                config.with_strategy(
                    Trails::default().with_rules(rules).with_tick(Duration::from_secs(5)).with_exponents(2.0, 1.0),
                )
            }
            _ => config.with_strategy(LeastLoaded::default()),
        };
        all.push(simulate(name, config, seed, tasks, &messages)?);
    }
    Ok(all)
}

enum Happens {
    Arrives(u64),
    Ends(Incarnation, AttemptId),
}

struct World {
    scheduler: Scheduler,
    now: Time,
    agenda: BTreeMap<(Time, u64), Happens>,
    serial: u64,
    arrived: BTreeMap<TaskId, Time>,
    waits: Vec<f64>,
    busy: BTreeMap<AgentId, f64>,
    random: Random,
}

impl World {
    fn at(&mut self, when: Time, what: Happens) {
        self.serial += 1;
        self.agenda.insert((when, self.serial), what);
    }

    /// A span around so many seconds, exponentially drawn.
    fn drawn(&mut self, mean: f64) -> Duration {
        Duration::from_secs_f64(-mean * (1.0 - self.random.unit()).ln())
    }

    fn say(&mut self, command: Command) -> Result<(), Box<dyn Error>> {
        let mut out = Outbox::default();
        self.scheduler.handle(self.now, command, &mut out)?;
        for effect in out.effects() {
            let Effect::Dispatch { attempt, to, task, .. } = effect else { continue };
            let arrived = self.arrived.remove(&task.id).unwrap_or(self.now);
            self.waits.push(self.now.since(arrived).as_secs_f64());
            let takes = self.drawn(length(to.agent(), &task.kind));
            *self.busy.entry(to.agent()).or_insert(0.0) += takes.as_secs_f64();
            self.at(self.now + takes, Happens::Ends(*to, *attempt));
        }
        Ok(())
    }
}

fn simulate(
    name: &'static str,
    config: Config,
    seed: u64,
    tasks: u64,
    messages: &AtomicU64,
) -> Result<Found, Box<dyn Error>> {
    let mut world = World {
        scheduler: Scheduler::new(config),
        now: Time::ZERO,
        agenda: BTreeMap::new(),
        serial: 0,
        arrived: BTreeMap::new(),
        waits: Vec::new(),
        busy: BTreeMap::new(),
        random: Random::new(seed, 7),
    };
    for agent in agents() {
        // Those who lead do no work; to compare like with like nobody of them works anywhere.
        if agent.id.get() < LEADERS {
            continue;
        }
        world.say(Command::register(agent))?;
    }
    world.at(Time::ZERO, Happens::Arrives(1));
    while let Some(((now, _), what)) = world.agenda.pop_first() {
        world.now = now;
        match what {
            Happens::Arrives(number) => {
                let kind = KINDS.get(world.random.below(KINDS.len())).copied().unwrap_or("read");
                world.arrived.insert(TaskId::new(number), now);
                world.say(Command::submit(TaskSpec::new(TaskId::new(number), kind).with_needs(Needs::nothing())))?;
                if number < tasks {
                    let gap = world.drawn(GAP);
                    world.at(now + gap, Happens::Arrives(number + 1));
                }
            }
            Happens::Ends(by, attempt) => world.say(Command::complete(by, attempt, Payload::NULL))?,
        }
    }
    let mut waits = std::mem::take(&mut world.waits);
    if u64::try_from(waits.len()) != Ok(tasks) {
        return Err(format!("{} of {tasks} tasks completed", waits.len()).into());
    }
    waits.sort_by(f64::total_cmp);
    let count = waits.len().max(1) as f64;
    let loads: Vec<f64> = world.busy.values().copied().collect();
    let squares = loads.iter().map(|load| load * load).sum::<f64>() * loads.len() as f64;
    Ok(Found {
        name,
        wait: waits.iter().sum::<f64>() / count,
        late: waits.get(waits.len() * 99 / 100).copied().unwrap_or(0.0),
        work: loads.iter().sum::<f64>() / count,
        // Each task is handed over and answered, whatever else is said.
        messages: 2.0 + messages.load(Ordering::Relaxed) as f64 / count,
        fairness: loads.iter().sum::<f64>().powi(2) / squares,
    })
}

/// In a tree of sixteen with four below each: the root, and the three that have the others below them.
const LEADERS: u64 = 4;
/// Seconds between arrivals: nine tenths of what twelve agents with two slots do if nobody looks at who is good at what.
const GAP: f64 = LENGTH * 0.875 / (0.9 * 24.0);

fn table(found: &[Found]) -> String {
    let mut text = String::from(
        "| coordination | mean wait, s | p99, s | work per task, s | messages per task | fairness |\n|---|---|---|---|---|---|\n",
    );
    for Found { name, wait, late, work, messages, fairness } in found {
        let _ = writeln!(text, "| {name} | {wait:.2} | {late:.2} | {work:.2} | {messages:.1} | {fairness:.3} |");
    }
    text
}

/// A panel for each figure in which the four differ, with a row for each of them.
fn picture(found: &[Found]) -> String {
    const ROW: f64 = 34.0;
    const NAMES: f64 = 110.0;
    type Figure = fn(&Found) -> f64;
    let figures: [(&str, Figure); 4] = [
        ("mean wait, seconds", |found| found.wait),
        ("99th percentile of the wait, seconds", |found| found.late),
        ("work per task, seconds", |found| found.work),
        ("messages per task", |found| found.messages),
    ];
    let fairness = || found.iter().map(|found| found.fairness);
    let note = format!(
        "Twelve agents with two slots each. The work is shared evenly in all of them: fairness (Jain's index) from {:.2} to {:.2}.",
        fairness().fold(1.0, f64::min),
        fairness().fold(0.0, f64::max)
    );
    let bottom = 10.0 + ROW * found.len() as f64;
    let mut sheet =
        Sheet::new("The same load under four kinds of coordination", 1_000.0, bottom + 50.0).with_note(&note);
    for (row, one) in (0_u16..).zip(found) {
        sheet.text((NAMES - 8.0, 10.0 + ROW * (f64::from(row) + 0.5) + 4.0), Anchor::End, true, one.name);
    }
    for (column, (title, figure)) in (0_u16..).zip(figures) {
        let left = NAMES + 220.0 * f64::from(column);
        let area = Area { left, right: left + 170.0, top: 10.0, bottom };
        let most = found.iter().map(figure).fold(0.0, f64::max);
        let Some(axis) = Axis::measures(title, 0.0, most, 5) else { continue };
        let x = sheet.below(area, &axis);
        for (row, one) in (0_u16..).zip(found) {
            let (top, wide) = (10.0 + ROW * f64::from(row), x(figure(one)) - left);
            let tip = format!("{}: {title} {:.2}", one.name, figure(one));
            sheet.block(Ink::solid(0), (left, top + 6.0), (wide, ROW - 12.0), &tip, None);
            sheet.text(
                (left + wide + 5.0, top + ROW / 2.0 + 4.0),
                Anchor::Start,
                false,
                &format!("{:.2}", figure(one)),
            );
        }
    }
    sheet.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_skills_need_fewer_messages() {
        let found = study(3, 1_500).unwrap();
        let [least, tree, market, trails] = &found[..] else { panic!("four") };
        assert!(market.work < 0.85 * least.work, "{found:?}");
        assert!(trails.work < 0.95 * least.work, "{found:?}");
        assert!((tree.work / least.work - 1.0).abs() < 0.08, "a hierarchy considers load only: {found:?}");
        assert!(market.messages > tree.messages && tree.messages > trails.messages, "{found:?}");
        assert!(
            found.iter().all(|one| one.fairness > 0.8 && one.fairness <= 1.0 + 1e-9 && one.wait < 20.0),
            "{found:?}"
        );
        let picture = picture(&found);
        assert_eq!(charts::faults(&picture, 4), [""; 0]);
        assert_eq!(picture.matches("<rect class=\"b0\"").count(), 16);
        // The four differ in each panel.
        for figure in [|one: &Found| one.wait, |one: &Found| one.late, |one: &Found| one.messages] {
            let values: Vec<f64> = found.iter().map(figure).collect();
            assert!(values.iter().copied().fold(0.0, f64::max) > 1.1 * values.iter().copied().fold(f64::MAX, f64::min));
        }
        for title in
            ["mean wait, seconds", "work per task, seconds", "messages per task", "fairness (Jain&#39;s index)"]
        {
            assert!(picture.contains(title), "no {title} in {picture}");
        }
    }
}
