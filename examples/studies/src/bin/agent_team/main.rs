//! Five agents work on three goals with eight tasks: statistics of a table, a least-squares line that is fitted and
//! tested, and a report with a chart. The same workflow then runs again with an agent that leaves half-way. Tensors of
//! tasks, agents and levels, computed from the engine's state before, half-way and after, show the assignments.
//!
//! ```text
//! cargo run --release -p studies --bin agent_team      # writes target/agent_team/report.md and chart.svg
//! ```
//!
//! The table contains speeds and stopping distances of cars (M. Ezekiel, Methods of Correlation Analysis, 1930).
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::exhaustive_structs,
    clippy::cast_precision_loss,
    reason = "the modules of an example have no users outside it"
)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

#[cfg(test)]
mod tests;
mod work;

use counterpoint::decompose::{Ask, RulePack, decompose};
use counterpoint::definition::{Definition, Expr, Link};
use counterpoint::planning::{NodeEstimate, TaskTensor};
use counterpoint::routing::BestMatch;
use counterpoint::team::{Matrix, Person, Request, backups, form};
use counterpoint::{
    Accepted, AgentCommand, AgentId, AgentSpec, Command, Config, Effect, Engine, Incarnation, Limits, Name, Outbox,
    Payload, RunId, RunOutcome, Time,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use work::About;

const GOALS: [&str; 3] = ["develop a model of the distance", "analyse the data", "produce a report"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let about = About { csv: root.join("src/bin/agent_team/cars.csv"), out: root.join("../../target/agent_team") };
    let team = team()?;
    for leaver in [None, Some("ML engineer")] {
        let done = run(&team, &about, leaver)?;
        println!("{}", done.table(&team, leaver));
    }
    println!("Report: {}", about.out.join("report.md").display());
    Ok(())
}

/// Everybody who could be asked.
fn people() -> Vec<AgentSpec> {
    let agent = |id: u64, name: &str| AgentSpec::new(AgentId::new(id)).with_name(name);
    vec![
        agent(1, "data analyst")
            .with_skill("data", 3)
            .with_skill("analysis", 3)
            .with_skill("modelling", 1)
            .with_skill("design", 1),
        agent(2, "ML engineer").with_skill("modelling", 3).with_skill("design", 3),
        agent(3, "report writer").with_skill("writing", 3),
        agent(4, "QA tester").with_skill("testing", 3).with_skill("writing", 1),
        agent(5, "project manager").with_skill("planning", 3),
        agent(6, "lawyer").with_skill("law", 3),
        agent(7, "translator").with_skill("translation", 3),
    ]
}

/// The five of them who are needed: a team that covers the skills, small, of those who are best at what is asked for.
fn team() -> Result<Vec<AgentSpec>, Box<dyn Error>> {
    let needed = ["planning", "design", "modelling", "testing", "data", "analysis", "writing"].map(|skill| (skill, 3));
    let matrix = Matrix::of(people().iter().map(Person::from));
    let request = Request::new(needed).with_each(1);
    let formed = form(&matrix, &request)?;
    let alone = backups(&matrix, &request, &formed.members).values().filter(|others| others.is_empty()).count();
    println!(
        "A team of {} of {} agents covers {} skills; {alone} of them have no substitute.\n",
        formed.members.len(),
        people().len(),
        needed.len()
    );
    Ok(people().into_iter().filter(|agent| formed.members.contains(&agent.id)).collect())
}

/// The three goals as one workflow: each is decomposed by rules, and the report waits for the analysis.
fn workflow() -> Result<Definition, Box<dyn Error>> {
    let mut rules = RulePack::common();
    let mut all = Definition::new("three goals");
    for goal in GOALS {
        all.nodes.extend(decompose(&mut rules, &Ask::new(goal), &Limits::default())?.nodes);
    }
    for node in &mut all.nodes {
        if node.name == "writing" {
            node.after.push(Link::success("analysis"));
            let before = ["outline", "analysis"].map(|name| (name, Expr::node(name)));
            node.input = Expr::object([("about", Expr::Input.at("/about")), ("before", Expr::object(before))]);
        }
    }
    let names: Vec<_> = all.nodes.iter().map(|node| node.name.clone()).collect();
    Ok(all.with_output(Expr::object(names.into_iter().map(|name| (name.clone(), Expr::node(name))))))
}

/// What came of a run.
struct Done {
    /// What was done in each round, by whom.
    rounds: Vec<Vec<(AgentId, String)>>,
    output: Payload,
    nodes: usize,
    /// The tensor of the run when it has begun, after the third round, and at the end.
    tensors: Vec<TaskTensor>,
    /// What was taken from the agent that left.
    taken_back: usize,
}

struct Host {
    engine: Engine,
    now: Time,
    /// What the agents have been given and not begun.
    given: Vec<Effect>,
    lives: BTreeMap<AgentId, Incarnation>,
}

impl Host {
    fn say(&mut self, command: Command) -> Result<Accepted, Box<dyn Error>> {
        let mut out = Outbox::default();
        let accepted = self.engine.handle(self.now, command, &mut out)?;
        self.given.extend(out.effects().iter().cloned());
        Ok(accepted)
    }

    fn join(&mut self, agent: AgentSpec) -> Result<(), Box<dyn Error>> {
        let id = agent.id;
        if let Accepted::Registered(life) = self.say(Command::register(agent))? {
            self.lives.insert(id, life);
        }
        Ok(())
    }

    /// All agents do what they have been given: one round, which takes a second. What they answer leads to the next.
    fn round(&mut self, leaves: Option<AgentId>) -> Result<Vec<(AgentId, String)>, Box<dyn Error>> {
        self.now = self.now + Duration::from_secs(1);
        let given = std::mem::take(&mut self.given);
        if let Some(agent) = leaves {
            self.lives.remove(&agent);
            self.say(AgentCommand::Deregister { agent }.into())?;
        }
        let mut done = Vec::new();
        for effect in given {
            let Effect::Dispatch { attempt, to, task, .. } = effect else { continue };
            if self.lives.get(&to.agent()) == Some(&to) {
                let answer = match work::perform(&task.kind, &task.payload) {
                    Ok(output) => Command::complete(to, attempt, output),
                    Err(failure) => Command::fail(to, attempt, failure),
                };
                self.say(answer)?;
                done.push((to.agent(), task.kind.to_string()));
            }
        }
        Ok(done)
    }
}

/// Has the team reach the goals; the leaver, if there is one, leaves in the third round with its work in hand.
fn run(team: &[AgentSpec], about: &About, leaver: Option<&str>) -> Result<Done, Box<dyn Error>> {
    let engine = Engine::new(Config::default().with_strategy(BestMatch::default()));
    let mut host = Host { engine, now: Time::ZERO, given: Vec::new(), lives: BTreeMap::new() };
    for agent in team {
        host.join(agent.clone())?;
    }
    let definition = workflow()?;
    let ask = Ask::new("three goals").with_name("three goals").with_about(Payload::of(about)?);
    host.say(Command::define(definition.clone()))?;
    host.say(Command::start(ask.run(RunId::new(1))))?;
    let who = |name: &str| team.iter().find(|agent| agent.name.as_deref() == Some(name)).map(|agent| agent.id);
    let tensor = |host: &Host| {
        TaskTensor::of_run(&host.engine, RunId::new(1), &|_, _| NodeEstimate::once(Duration::from_secs(1)))
    };
    let mut tensors = vec![tensor(&host)?];
    let (mut rounds, mut taken_back): (Vec<Vec<(AgentId, String)>>, usize) = (Vec::new(), 0);
    while host.engine.run(RunId::new(1)).is_some_and(|run| run.outcome().is_none()) {
        if host.given.is_empty() {
            // What was taken back is given out again after a pause.
            host.now = host.engine.next_wakeup().ok_or("there is no work left")?;
            host.say(Command::Tick)?;
            continue;
        }
        let leaves = leaver.filter(|_| rounds.len() == 2).and_then(who);
        let before = host.given.len();
        let done = host.round(leaves)?;
        taken_back += before - done.len();
        rounds.push(done);
        if rounds.len() == 3 {
            tensors.push(tensor(&host)?);
        }
    }
    tensors.push(tensor(&host)?);
    let run = host.engine.run(RunId::new(1)).ok_or("the run is known")?;
    match run.outcome() {
        Some(RunOutcome::Succeeded { output }) => {
            Ok(Done { rounds, output: output.clone(), nodes: definition.nodes.len(), tensors, taken_back })
        }
        other => Err(format!("the run ended as {other:?}").into()),
    }
}

impl Done {
    /// How even the work is, from a share of one over the team to 1 (Jain's index).
    fn balance(&self, team: &[AgentSpec]) -> f64 {
        let loads =
            team.iter().map(|agent| self.rounds.iter().flatten().filter(|(by, _)| *by == agent.id).count() as f64);
        let loads: Vec<f64> = loads.collect();
        loads.iter().sum::<f64>().powi(2) / (loads.len() as f64 * loads.iter().map(|load| load * load).sum::<f64>())
    }

    fn table(&self, team: &[AgentSpec], leaver: Option<&str>) -> String {
        let name = |id: AgentId| {
            team.iter().find(|agent| agent.id == id).and_then(|agent| agent.name.clone()).unwrap_or_else(|| "?".into())
        };
        let mut text = leaver
            .map_or_else(|| "All agents stay.\n".to_owned(), |who| format!("The {who} leaves in the third round.\n"));
        for (number, round) in (1..).zip(&self.rounds) {
            let parts: Vec<String> = round.iter().map(|(by, kind)| format!("{kind} ({})", name(*by))).collect();
            text += &format!("  round {number}: {}\n", parts.join(", "));
        }
        for (tensor, when) in self.tensors.iter().zip(["at the beginning", "after the third round", "at the end"]) {
            text += &shown(tensor, when, &name);
        }
        let done: usize = self.rounds.iter().map(Vec::len).sum();
        let model = self.output.value().pointer("/implementation").map(ToString::to_string).unwrap_or_default();
        text += &format!(
            "  {done} of {} done ({} %), {} reassigned, balance {:.2}\n  model {model}\n",
            self.nodes,
            100 * done / self.nodes,
            self.taken_back,
            self.balance(team)
        );
        text
    }
}

/// A tensor as a table: each task on its level, and how likely each agent does it.
fn shown(tensor: &TaskTensor, when: &str, name: &dyn Fn(AgentId) -> Name) -> String {
    let agents: Vec<String> = tensor.agents().iter().map(|agent| name(*agent).to_string()).collect();
    let mut text = format!("  tensor {when}: {:?}\n    level, {}\n", tensor.values().dim(), agents.join(", "));
    for (row, task) in tensor.tasks().iter().enumerate() {
        let level = tensor.level_of(*task).unwrap_or(0);
        let likely: Vec<String> = tensor.level(level).row(row).iter().map(|value| format!("{value:.2}")).collect();
        text += &format!("    {level}  {}\n", likely.join("  "));
    }
    text
}
