//! Draws runs and the commands that concern them.

use super::{Draw, ms};
use crate::base::id::RunId;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{Budget, Definition};
use crate::message::command::{Command, RunCommand};
use crate::message::run::{CompensationRemedy, Migration, NodeRemedy, ResetPoint, RunSpec};
use crate::sim::storm::flows;
use serde_json::json;

impl Draw {
    pub(super) fn run(&mut self, number: u64) -> Command {
        let name = flows::NAMES.get(self.index(flows::NAMES.len())).copied().unwrap_or("order");
        let name = if self.is_strange() { flows::SPELLING } else { name };
        let items: Vec<u64> = (0..self.below(4)).collect();
        let mut run = RunSpec::new(RunId::new(number), name).with_input(Payload::new(json!({ "items": items })));
        if self.one_in(3) {
            run = run.with_tenant(self.tenant());
        }
        if self.one_in(6) {
            run = run.with_tier(self.tier());
        }
        if self.one_in(10) {
            let key = if self.one_in(2) { "key" } else { "other key" };
            run = if self.one_in(2) { run.with_exclusive_key(key) } else { run.with_business_key(key) };
        }
        if self.one_in(12) {
            run = run.with_budget(self.budget());
        }
        if self.extreme && self.one_in(4) {
            run = self.stretched_run(run);
        }
        if number.is_multiple_of(5) {
            run = run.with_key(format!("key {number}"));
        }
        self.runs.push(run.clone());
        Command::start(run)
    }

    fn budget(&mut self) -> Budget {
        let budget = Budget::default();
        match self.below(4) {
            0 => budget.with_attempts(self.between(0, 12)),
            1 => budget.with_time(ms(self.between(0, 60_000))),
            2 => budget.with_cost(self.between(0, 100)),
            _ => budget.with_attempts(self.between(3, 30)).with_tokens(self.between(0, 100)),
        }
    }

    fn stretched_run(&mut self, mut run: RunSpec) -> RunSpec {
        match self.below(8) {
            0 => run.version = Some(u32::MAX),
            1 => run.version = Some(0),
            2 => run.id = RunId::new(self.number()),
            3 => run.tenant = Some(self.name().into()),
            4 => run.business_key = Some(self.name().into()),
            5 => run.budget = Some(Budget::default().with_attempts(self.number()).with_time(self.longest())),
            6 => run.budget = Some(Budget::default().with_cost(self.number()).with_tokens(self.number())),
            _ => run.input = self.payload(),
        }
        run
    }

    /// The same run again, or another one under its id.
    pub(super) fn run_again(&mut self) -> Command {
        let which = self.index(self.runs.len().max(1));
        let Some(run) = self.runs.get(which).cloned() else { return Command::Tick };
        Command::start(match self.below(8) {
            0 => run.with_tier(self.tier()),
            1 => run.with_budget(self.budget()),
            2 => run.with_tenant("t1"),
            3 => run.with_input(Payload::new(json!("another"))),
            4 => run.with_version(u32::from(self.one_in(2))),
            5 if self.extreme => run.with_version(u32::MAX),
            // A key that collides with that of the first start.
            6 if run.key().is_some() => run.with_key("another"),
            _ => run,
        })
    }

    /// A run that was drawn before, more often one of the last.
    pub(super) fn some_run(&mut self) -> Option<RunId> {
        if self.one_in(25) {
            return Some(RunId::new(9_999));
        }
        let which = if self.one_in(2) { self.runs.len().saturating_sub(1) } else { self.index(self.runs.len().max(1)) };
        self.runs.get(which).map(|run| run.id)
    }

    /// Definitions: repeated, new versions, defaults, retired versions.
    pub(super) fn catalogue(&mut self) -> Command {
        let flow = self.some_flow();
        let (workflow, version) = (flow.name.clone(), u32::from(self.one_in(2)));
        match self.below(8) {
            0 => RunCommand::Define(flow.into()),
            6 | 7 => RunCommand::Define(flows::tuned(&flow, self.attempts()).into()),
            1 => RunCommand::Define(flows::next(&flow).into()),
            2 => RunCommand::Define(flows::next(&flow).with_output(crate::definition::Expr::Input).into()),
            3 => RunCommand::Retire { workflow, version, reason: "old".into() },
            4 => RunCommand::SetDefault { workflow, version: Some(version), reason: "new".into() },
            _ => RunCommand::SetDefault { workflow, version: None, reason: "new".into() },
        }
        .into()
    }

    /// A number of attempts, mostly a usual one; the extreme ones are valid, too.
    fn attempts(&mut self) -> u32 {
        match self.below(6) {
            0 => 0,
            1 => u32::MAX,
            few => u32::try_from(few).unwrap_or(3),
        }
    }

    fn some_flow(&mut self) -> Definition {
        let flows = flows::all();
        let which = self.index(flows.len());
        flows.get(which).cloned().unwrap_or_else(|| Definition::new("unknown"))
    }

    /// Commands of operators about a run. What they name mostly exists.
    pub(super) fn manage(&mut self) -> Command {
        let Some(run) = self.some_run() else { return Command::Tick };
        let workflow = self.runs.iter().find(|known| known.id == run).map(|known| known.workflow.clone());
        let flow = flows::all().into_iter().find(|flow| Some(&flow.name) == workflow.as_ref());
        let flow = flow.unwrap_or_else(|| self.some_flow());
        let which = self.index(flow.nodes.len().max(1));
        let node = flow.nodes.get(which).map_or_else(|| Name::from("no node"), |node| node.name.clone());
        let reason = Name::from("inspection");
        match self.below(22) {
            0 => RunCommand::Pause { run, reason },
            1 => RunCommand::Resume { run },
            2..7 => RunCommand::Signal { run, signal: flows::GO.into(), payload: Payload::new(json!(self.below(9))) },
            7..10 => RunCommand::Update { run, variable: flows::VOTES.into(), value: self.vote() },
            10 => RunCommand::Prioritise { run, tier: self.tier(), reason },
            11 => RunCommand::Retry { run, node: self.one_in(2).then_some(node), reason },
            12 => RunCommand::Reset { run, to: self.point(node), undo: self.one_in(2), reason },
            13 => RunCommand::Migrate { run, migration: self.migration(&flow), reason },
            14 => RunCommand::Operate { run, node, remedy: self.node_remedy(reason) },
            15 => {
                RunCommand::Add { run, node, items: (0..self.below(3)).map(|item| Payload::new(json!(item))).collect() }
            }
            16 => RunCommand::Close { run, node },
            17 => {
                let by = Name::from(if self.one_in(2) { "ada" } else { "grace" });
                let option = Name::from(if self.one_in(2) { "grant" } else { "deny" });
                RunCommand::Decide { run, node, by, roles: self.roles(), option, note: Payload::NULL }
            }
            18 => RunCommand::Delegate { run, node, by: "ada".into(), roles: self.roles(), to: "grace".into() },
            19 => RunCommand::Remedy { run, node, remedy: self.remedy(reason) },
            20 => RunCommand::Abort { run, reason },
            _ => RunCommand::Cancel { run, reason },
        }
        .into()
    }

    fn vote(&mut self) -> Payload {
        if self.extreme && self.one_in(6) { self.payload() } else { Payload::new(json!(self.below(100))) }
    }

    fn roles(&mut self) -> Vec<Name> {
        let role = if self.one_in(3) { "chief" } else { "clerk" };
        if self.one_in(8) { Vec::new() } else { vec![role.into()] }
    }

    fn point(&mut self, node: Name) -> ResetPoint {
        match self.below(4) {
            0 => ResetPoint::Start,
            1 => ResetPoint::After(vec![node]),
            2 => ResetPoint::Call(flows::call_of(node, self.index(4))),
            _ => ResetPoint::Before(vec![node]),
        }
    }

    fn migration(&mut self, flow: &Definition) -> Migration {
        match self.below(5) {
            0 => Migration::to_version(0),
            1 => Migration::to_own(flows::next(flow)),
            2 => Migration::to_own(flow.clone()).without("no node"),
            _ => Migration::to_version(1),
        }
    }

    fn node_remedy(&mut self, reason: Name) -> NodeRemedy {
        match self.below(3) {
            0 => NodeRemedy::Complete { output: Payload::new(json!({ "did": "by hand" })), reason },
            1 => NodeRemedy::Fail { reason },
            _ => NodeRemedy::Skip { reason },
        }
    }

    fn remedy(&mut self, reason: Name) -> CompensationRemedy {
        match self.below(3) {
            0 => CompensationRemedy::Retry,
            1 => CompensationRemedy::Declare { reason },
            _ => CompensationRemedy::Abandon { reason },
        }
    }
}
