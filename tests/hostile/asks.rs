//! Commands with extreme content, drawn, and an engine that is asked them one after the other and is checked after each. Also
//! the fuzz target `commands` draws them.

use crate::draw::{agent, failure, mostly_sound, name, payload, run, task, usage};
use counterpoint::engine::EngineSnapshot;
use counterpoint::journal::Epoch;
use counterpoint::journal::sealed::{Head, Stream};
use counterpoint::message::{CompensationRemedy, DeadFilter, Migration, NodeRemedy, ResetPoint};
use counterpoint::routing::FirstCapable;
use counterpoint::task::{Scope, Usage};
use counterpoint::{
    Accepted, AgentCommand, AgentId, AttemptId, Command, Config, ControlCommand, Effect, Engine, Entry, Failure,
    Incarnation, Name, Outbox, Payload, Rejected, RunCommand, RunId, Seq, TaskCommand, TaskId, Tier, Time,
};
use proptest::prelude::*;
use proptest::sample::select;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A format in which a host may store entries and snapshots.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    Json,
    MessagePack,
    /// Snapshots in their own form, entries in sealed records.
    Packed,
}

impl Format {
    pub const ALL: &[Self] = &[Self::Json, Self::MessagePack, Self::Packed];

    pub fn snapshot(self, snapshot: &EngineSnapshot) -> EngineSnapshot {
        let Self::Packed = self else { return self.through(snapshot) };
        let bytes = snapshot.to_bytes().expect("it can be written");
        let back = EngineSnapshot::from_bytes(&bytes).expect("what was written can be read");
        assert!(back.to_bytes().as_ref() == Ok(&bytes), "it is written in another way");
        back
    }

    pub fn entries(self, entries: &[Entry]) -> Vec<Entry> {
        let Self::Packed = self else { return self.through(&entries.to_vec()) };
        let mut head = Head::START;
        head.seq = Seq::new(entries.first().map_or(0, |entry| entry.seq.get() - 1));
        let stream = Stream::new("repeats");
        let sealed = |entries: &[Entry]| {
            let (mut sealer, mut bytes) = stream.begin(head);
            for some in entries.chunks(3) {
                sealer.seal(Epoch::new(1), some, &mut bytes).expect("it can be written");
            }
            bytes
        };
        let bytes = sealed(entries);
        let read = stream.read(&bytes, Some(head));
        assert_eq!(read.fault, None, "what was written can be read");
        assert!(sealed(&read.entries) == bytes, "it is written in another way");
        read.entries
    }

    pub fn through<T: Serialize + DeserializeOwned>(self, data: &T) -> T {
        match self {
            Self::Json => {
                let bytes = serde_json::to_vec(data).expect("it can be written");
                serde_json::from_slice(&bytes).expect("what was written can be read")
            }
            Self::MessagePack | Self::Packed => {
                let mut bytes = Vec::new();
                data.serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_struct_map())
                    .expect("it can be written");
                rmp_serde::from_slice(&bytes).expect("what was written can be read")
            }
        }
    }
}

pub fn config() -> Config {
    // Ties are not broken by a history that no journal records.
    Config::default().with_strategy(FirstCapable::default()).with_shared("licence", u64::MAX)
}

/// A command, or one that is completed from the state of the engine.
#[derive(Debug, Clone)]
pub enum Ask {
    Say(Command),
    /// The end of one of the attempts that were dispatched.
    Finish {
        which: usize,
        answer: Result<Payload, Failure>,
        usage: Usage,
    },
    Start {
        which: usize,
    },
    Yield {
        which: usize,
    },
    Heartbeat {
        which: usize,
    },
    Wait(Duration),
}

fn spec_commands() -> BoxedStrategy<Command> {
    prop_oneof![
        4 => task(1..8).prop_map(Command::submit),
        1 => prop::collection::vec(task(1..12), 1..4).prop_map(Command::submit_all),
        4 => mostly_sound().prop_map(Command::define),
        4 => run(1..4).prop_map(Command::start),
    ]
    .boxed()
}

fn task_commands() -> BoxedStrategy<Command> {
    let id = || (1_u64..9).prop_map(TaskId::new);
    let tier = select(Tier::ALL.to_vec());
    prop_oneof![
        (id(), name()).prop_map(|(task, reason)| TaskCommand::Cancel { task, reason }),
        (prop::collection::vec(id(), 0..4), tier, name()).prop_map(|(tasks, tier, reason)| TaskCommand::Prioritise {
            tasks,
            tier,
            reason
        }),
        (id(), (20_u64..30).prop_map(TaskId::new)).prop_map(|(dead, fresh)| TaskCommand::Replay { dead, fresh }),
        (30_u64..40).prop_map(|first| TaskCommand::ReplayAll {
            filter: DeadFilter::default(),
            first: TaskId::new(first),
            tier: None
        }),
        (id(), name()).prop_map(|(dead, reason)| TaskCommand::Discard { dead, reason }),
        name().prop_map(|reason| TaskCommand::DiscardAll { filter: DeadFilter::default().with_most(1), reason }),
    ]
    .prop_map(Command::from)
    .boxed()
}

fn agent_commands() -> BoxedStrategy<Command> {
    let scope = prop_oneof![
        name().prop_map(Scope::Tenant),
        name().prop_map(Scope::Kind),
        (1_u64..4).prop_map(|id| Scope::Agent(AgentId::new(id))),
    ];
    let by = (1_u64..4, 1_u64..6).prop_map(|(agent, number)| Incarnation::new(AgentId::new(agent), number));
    prop_oneof![
        4 => agent(1..4).prop_map(Command::register),
        2 => (by, agent(1..4)).prop_map(|(by, spec)| AgentCommand::Update { by, spec }.into()),
        1 => (1_u64..4).prop_map(|id| AgentCommand::Drain { agent: AgentId::new(id) }.into()),
        1 => (1_u64..4).prop_map(|id| AgentCommand::Deregister { agent: AgentId::new(id) }.into()),
        1 => (scope.clone(), name()).prop_map(|(scope, reason)| ControlCommand::Pause { scope, reason }.into()),
        1 => scope.prop_map(|scope| ControlCommand::Resume { scope }.into()),
    ]
    .boxed()
}

fn run_commands() -> BoxedStrategy<Command> {
    let id = || (1_u64..4).prop_map(RunId::new);
    let node = || select(["n0", "n1", "n2", "none"].map(Name::from).to_vec());
    let flow = || select(["a", "b", "c"].map(Name::from).to_vec());
    let reason = || prop_oneof![4 => Just(Name::from("because")), 1 => name()];
    let said = prop_oneof![
        (id(), prop_oneof![Just(Name::from("go")), name()], payload())
            .prop_map(|(run, signal, payload)| RunCommand::Signal { run, signal, payload }),
        (id(), payload()).prop_map(|(run, value)| RunCommand::Update { run, variable: "v".into(), value }),
        (id(), reason()).prop_map(|(run, reason)| RunCommand::Pause { run, reason }),
        id().prop_map(|run| RunCommand::Resume { run }),
        (id(), select(Tier::ALL.to_vec()), reason()).prop_map(|(run, tier, reason)| RunCommand::Prioritise {
            run,
            tier,
            reason
        }),
    ];
    let definitions = prop_oneof![
        (flow(), 0_u32..3, reason()).prop_map(|(workflow, version, reason)| RunCommand::SetDefault {
            workflow,
            version: Some(version),
            reason
        }),
        (flow(), 0_u32..3, reason()).prop_map(|(workflow, version, reason)| RunCommand::Retire {
            workflow,
            version,
            reason
        }),
        (id(), mostly_sound(), reason()).prop_map(|(run, own, reason)| RunCommand::Migrate {
            run,
            migration: Migration::to_own(own),
            reason
        }),
        (id(), 0_u32..3, reason()).prop_map(|(run, version, reason)| RunCommand::Migrate {
            run,
            migration: Migration::to_version(version),
            reason
        }),
    ];
    let remedies = prop_oneof![
        (id(), reason()).prop_map(|(run, reason)| RunCommand::Retry { run, node: None, reason }),
        (id(), any::<bool>(), reason()).prop_map(|(run, undo, reason)| RunCommand::Reset {
            run,
            to: ResetPoint::Start,
            undo,
            reason
        }),
        (id(), node(), payload(), reason()).prop_map(|(run, node, output, reason)| RunCommand::Operate {
            run,
            node,
            remedy: NodeRemedy::Complete { output, reason }
        }),
        (id(), node(), reason()).prop_map(|(run, node, reason)| RunCommand::Remedy {
            run,
            node,
            remedy: CompensationRemedy::Abandon { reason }
        }),
    ];
    let work = prop_oneof![
        (id(), node(), prop::collection::vec(payload(), 0..3)).prop_map(|(run, node, items)| RunCommand::Add {
            run,
            node,
            items
        }),
        (id(), node()).prop_map(|(run, node)| RunCommand::Close { run, node }),
        (id(), node(), select(vec!["chief", "board"]), payload()).prop_map(|(run, node, role, note)| {
            RunCommand::Decide { run, node, by: "ann".into(), roles: vec![role.into()], option: "yes".into(), note }
        }),
        (id(), node()).prop_map(|(run, node)| RunCommand::Delegate {
            run,
            node,
            by: "ann".into(),
            roles: vec!["chief".into(), "chief".into()],
            to: "bob".into()
        }),
    ];
    let ends = prop_oneof![
        (id(), reason()).prop_map(|(run, reason)| RunCommand::Cancel { run, reason }),
        (id(), reason()).prop_map(|(run, reason)| RunCommand::Abort { run, reason }),
    ];
    prop_oneof![3 => said, 3 => definitions, 2 => remedies, 3 => work, 1 => ends].prop_map(Command::from).boxed()
}

pub fn asks() -> BoxedStrategy<Ask> {
    let which = any::<usize>;
    let answer = prop_oneof![2 => payload().prop_map(Ok), 1 => failure().prop_map(Err)];
    prop_oneof![
        8 => spec_commands().prop_map(Ask::Say),
        3 => task_commands().prop_map(Ask::Say),
        4 => agent_commands().prop_map(Ask::Say),
        8 => run_commands().prop_map(Ask::Say),
        6 => (which(), answer, usage()).prop_map(|(which, answer, usage)| Ask::Finish { which, answer, usage }),
        1 => which().prop_map(|which| Ask::Start { which }),
        1 => which().prop_map(|which| Ask::Yield { which }),
        1 => which().prop_map(|which| Ask::Heartbeat { which }),
        1 => select(vec![Duration::from_millis(1), Duration::from_secs(40)]).prop_map(Ask::Wait),
        1 => Just(Ask::Say(Command::Tick)),
    ]
    .boxed()
}

/// An engine that is used as it is, and the record of what was asked.
pub struct World {
    pub engine: Engine,
    pub now: Time,
    pub journal: Vec<Entry>,
    pub history: Vec<(Command, Result<Accepted, Rejected>)>,
    pub dispatched: Vec<(Incarnation, AttemptId)>,
}

impl World {
    pub fn new() -> Self {
        let engine = Engine::new(config());
        let (journal, history, dispatched) = (Vec::new(), Vec::new(), Vec::new());
        Self { engine, now: Time::from_secs(1), journal, history, dispatched }
    }

    pub fn ask(&mut self, ask: Ask) -> Result<(), TestCaseError> {
        let one = |which: usize| self.dispatched.get(which % self.dispatched.len().max(1)).copied();
        let command = match ask {
            Ask::Say(command) => command,
            Ask::Wait(span) => {
                self.now = self.now + span;
                Command::Tick
            }
            Ask::Heartbeat { which } => match one(which) {
                Some((by, _)) => AgentCommand::Heartbeat { by }.into(),
                None => return Ok(()),
            },
            Ask::Start { which } => match one(which) {
                Some((by, attempt)) => AgentCommand::Start { by, attempt }.into(),
                None => return Ok(()),
            },
            Ask::Yield { which } => match one(which) {
                Some((by, attempt)) => AgentCommand::Yield { by, attempt }.into(),
                None => return Ok(()),
            },
            Ask::Finish { which, answer, usage } => match (one(which), answer) {
                (Some((by, attempt)), Ok(output)) => Command::complete(by, attempt, output).using(usage),
                (Some((by, attempt)), Err(failure)) => Command::fail(by, attempt, failure).using(usage),
                (None, _) => return Ok(()),
            },
        };
        let mut out = Outbox::default();
        let answer = self.engine.handle(self.now, command.clone(), &mut out);
        self.journal.extend_from_slice(out.entries());
        for effect in out.effects() {
            if let Effect::Dispatch { to, attempt, .. } = effect {
                self.dispatched.push((*to, *attempt));
            }
        }
        prop_assert_eq!(self.engine.check(), Ok(()), "after {:?}", &command);
        for format in Format::ALL {
            let snapshot = self.engine.snapshot();
            prop_assert_eq!(&format.snapshot(&snapshot), &snapshot, "{:?} after {:?}", format, &command);
            let entries = out.entries().to_vec();
            prop_assert_eq!(&format.entries(&entries), &entries, "{:?}", format);
        }
        self.history.push((command, answer));
        Ok(())
    }

    /// Every agent sends a message, because a restart renews all leases.
    pub fn renew(&mut self) {
        let agents: Vec<Incarnation> = self.engine.snapshot().scheduler.agents.iter().map(|agent| agent.by).collect();
        for by in agents {
            let mut out = Outbox::default();
            let _unless_lost = self.engine.handle(self.now, AgentCommand::Heartbeat { by }.into(), &mut out);
            self.journal.extend_from_slice(out.entries());
        }
    }

    pub fn restored(&self, format: Format, from_snapshot: bool) -> Engine {
        let snapshot = from_snapshot.then(|| format.snapshot(&self.engine.snapshot()));
        let entries: Vec<Entry> = if from_snapshot { Vec::new() } else { format.entries(&self.journal) };
        let mut engine =
            Engine::restore(config(), snapshot.as_ref(), &entries).expect("an engine reads its own journal");
        engine.resume(self.now, &mut Outbox::default());
        engine
    }
}
