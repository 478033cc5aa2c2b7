//! The gate in front of the engine, tested as somebody would who wants to get past it.

use crate::kit::ms;
use counterpoint::access::Token;
use counterpoint::access::{
    AccessError, Action, AuditTrail, Decision, DenialReason, Gate, IdKey, Policy, Principal, Role, Unauthenticated,
};
use counterpoint::message::DeadFilter;
use counterpoint::message::rejected::{Conflict, Stale, Unknown};
use counterpoint::protocol::{Body, Message, MessageId, WireLimits};
use counterpoint::scheduler::TaskStatus;
use counterpoint::task::{Jitter, Scope};
use counterpoint::{
    Accepted, AgentCommand, AgentId, AgentSpec, AttemptId, Command, Config, ControlCommand, Engine, Failure,
    Incarnation, Outbox, Payload, Policy as Tries, Rejected, Retry, RunCommand, RunId, RunSpec, ScheduleCommand,
    TaskCommand, TaskId, TaskSpec, Time,
};

/// Tokens are names here, and one of them has expired.
fn verify(token: &Token, _: Time) -> Result<Principal, Unauthenticated> {
    let who = Principal::new(token.reveal());
    Ok(match token.reveal() {
        "first" => who.with_agent(AgentId::new(1)),
        "second" => who.with_agent(AgentId::new(2)),
        "north" => who.with_role(Role::Submitter).with_tenant("north"),
        "south" => who.with_role(Role::Submitter).with_role(Role::Operator).with_tenant("south"),
        "everywhere" => who.with_role(Role::Submitter),
        "boss" => who.with_role(Role::Operator).with_role(Role::Other("lead".into())),
        "auditor" => who.with_role(Role::Auditor),
        "owner" => who.with_role(Role::Owner),
        "nobody" => who,
        "old" => return Err(Unauthenticated::Expired { at: Time::from_secs(1) }),
        _ => return Err(Unauthenticated::Unknown),
    })
}

#[derive(Debug, PartialEq)]
enum No {
    Gate(AccessError),
    Engine(Rejected),
}

struct House {
    gate: Gate,
    engine: Engine,
    trail: AuditTrail,
    now: Time,
}

impl House {
    fn new() -> Self {
        let gate = Gate::new(Policy::standard(), verify);
        Self { gate, engine: Engine::new(Config::default()), trail: AuditTrail::default(), now: Time::ZERO }
    }

    /// Two agents at work for two tenants: each of the first two tasks with one of them, and a third that waits.
    fn at_work() -> (Self, Incarnation, Incarnation) {
        let mut house = Self::new();
        let mut join = |who: &str, id| match house.say(who, Command::register(AgentSpec::new(AgentId::new(id)))) {
            Ok(Accepted::Registered(by)) => by,
            other => panic!("{other:?}"),
        };
        let (first, second) = (join("first", 1), join("second", 2));
        house.say("north", Command::submit(task(1, "north"))).unwrap();
        house.say("south", Command::submit(task(2, "south"))).unwrap();
        house.say("south", Command::submit(task(3, "south"))).unwrap();
        (house, first, second)
    }

    fn state(&self) -> String {
        serde_json::to_string(&self.engine.snapshot()).unwrap()
    }

    /// What comes of a command under a token. Whatever is refused changes no byte, and all is in the trail.
    fn say(&mut self, token: &str, command: impl Into<Command>) -> Result<Accepted, No> {
        let command = command.into();
        let before = (self.state(), self.engine.last_seq());
        let kept = self.trail.decisions().count();
        let admitted = self.gate.admit(self.now, Some(&Token::new(token)), command, &self.engine);
        let verdict = match admitted.granted {
            Err(refused) => Err(No::Gate(refused)),
            Ok(command) => {
                let mut out = Outbox::default();
                self.engine.handle(self.now, command, &mut out).map_err(No::Engine)
            }
        };
        if verdict.is_err() {
            assert_eq!(self.state(), before.0, "what was refused changed something");
        }
        self.trail.push(admitted.decision.with_events(before.1, self.engine.last_seq()));
        assert_eq!(self.trail.decisions().count(), kept + 1);
        self.engine.check().unwrap();
        verdict
    }

    fn denied(&mut self, token: &str, command: impl Into<Command>) -> DenialReason {
        match self.say(token, command) {
            Err(No::Gate(AccessError::Forbidden { principal, reason })) => {
                assert_eq!(&*principal, token);
                reason
            }
            other => panic!("{token} is not denied: {other:?}"),
        }
    }

    fn running(&self, id: u64) -> (AttemptId, Incarnation) {
        let tenant = if id == 1 { "north" } else { "south" };
        self.engine.task(task_of(tenant, id)).unwrap().running().unwrap()
    }
}

/// The engine's id of the task that principals of a tenant call by this number.
fn task_of(tenant: &str, number: u64) -> TaskId {
    IdKey::default().task(&tenant.into(), TaskId::new(number))
}

fn task(id: u64, tenant: &str) -> TaskSpec {
    let retry = Retry::exponential(2, ms(1), ms(1)).with_jitter(Jitter::None);
    TaskSpec::needing(TaskId::new(id), "work", counterpoint::Needs::nothing())
        .with_tenant(tenant)
        .with_policy(Tries::default().with_retry(retry))
}

fn complete(by: Incarnation, attempt: AttemptId) -> Command {
    Command::complete(by, attempt, Payload::of("mine").unwrap())
}

#[test]
fn an_agent_acts_only_for_itself() {
    let (mut house, first, second) = House::at_work();
    let ((one, by), (two, _)) = (house.running(1), house.running(2));
    assert_eq!(by, first);
    // Another's attempt: in one's own name, and in theirs.
    assert_eq!(house.denied("first", complete(first, two)), DenialReason::ForeignAttempt(two));
    assert_eq!(house.denied("first", complete(second, two)), DenialReason::ForeignAgent(second.agent()));
    assert_eq!(
        house.denied("first", Command::fail(first, two, Failure::permanent("x"))),
        DenialReason::ForeignAttempt(two)
    );
    assert_eq!(
        house.denied("first", AgentCommand::Start { by: first, attempt: two }),
        DenialReason::ForeignAttempt(two)
    );
    assert_eq!(
        house.denied("first", AgentCommand::Yield { by: first, attempt: two }),
        DenialReason::ForeignAttempt(two)
    );
    // Forged signs of life keep a dead agent's work from others, or take it away.
    assert_eq!(
        house.denied("first", AgentCommand::Heartbeat { by: second }),
        DenialReason::ForeignAgent(second.agent())
    );
    assert_eq!(
        house.denied("first", AgentCommand::Poll { by: second, most: 9 }),
        DenialReason::ForeignAgent(second.agent())
    );
    let imposter = AgentSpec::new(AgentId::new(2)).with_capacity(99);
    assert_eq!(house.denied("first", Command::register(imposter.clone())), DenialReason::ForeignAgent(AgentId::new(2)));
    let update = AgentCommand::Update { by: first, spec: imposter };
    assert_eq!(house.denied("first", update), DenialReason::ForeignAgent(AgentId::new(2)));
    let dismiss = AgentCommand::Deregister { agent: second.agent() };
    assert_eq!(house.denied("first", dismiss), DenialReason::NotGranted(Action::Deregister));
    // What is theirs, they may.
    house.say("second", complete(second, two)).unwrap();
    house.say("first", complete(first, one)).unwrap();
    house.say("first", AgentCommand::Drain { agent: first.agent() }).unwrap();
}

#[test]
fn stale_attempts_and_replayed_messages_do_nothing() {
    let (mut house, first, _) = House::at_work();
    let (stale, _) = house.running(1);
    house.say("first", Command::fail(first, stale, Failure::transient("again"))).unwrap();
    house.now = Time::from_millis(10);
    house.say("boss", Command::Tick).unwrap();
    // The attempt is over: its answer, sent before or after the next has begun, counts for nothing.
    assert_eq!(house.say("first", complete(first, stale)), Err(No::Engine(Rejected::Stale(Stale::Attempt(stale)))));
    let life = house.say("first", Command::register(AgentSpec::new(AgentId::new(1))));
    assert!(matches!(life, Ok(Accepted::Registered(_))), "{life:?}");
    // A message of the life before, word for word.
    let beat = AgentCommand::Heartbeat { by: first };
    assert_eq!(house.say("first", beat), Err(No::Engine(Rejected::Stale(Stale::Incarnation(first)))));
    let forged = Incarnation::new(AgentId::new(1), first.number() + 1_000);
    let refused = house.say("first", AgentCommand::Heartbeat { by: forged });
    assert!(matches!(refused, Err(No::Engine(Rejected::Stale(Stale::Incarnation(_))))), "{refused:?}");
    // Whoever listens at the wire and says it again: submits are known by their id, completions by their attempt.
    let before = house.state();
    assert_eq!(house.say("north", Command::submit(task(1, "north"))), Ok(Accepted::Repeated));
    assert_eq!(house.state(), before);
    let (attempt, by) = house.running(2);
    let word = complete(by, attempt);
    house.say("second", word.clone()).unwrap();
    let before = house.state();
    let again = house.say("second", word);
    assert!(matches!(again, Err(No::Engine(_)) | Ok(Accepted::Repeated)), "{again:?}");
    assert_eq!(house.state(), before);
}

#[test]
fn tenants_cannot_access_each_other() {
    let (mut house, ..) = House::at_work();
    let beyond = DenialReason::ForeignTenant;
    let cancel = |id| TaskCommand::Cancel { task: TaskId::new(id), reason: "mine now".into() };
    assert_eq!(house.denied("north", Command::submit(task(9, "south"))), beyond);
    assert_eq!(house.denied("north", cancel(3)), beyond);
    // A task that does not exist is answered alike: nothing is found out by asking.
    assert_eq!(house.denied("north", cancel(4_711)), beyond);
    let waits = task(9, "north").with_after([TaskId::new(2)]);
    assert_eq!(house.denied("north", Command::submit(waits)), beyond);
    let mixed = Command::submit_all([task(9, "north"), task(10, "south")]);
    assert_eq!(house.denied("north", mixed), beyond);
    let all = || DeadFilter::default();
    let replay = |filter| TaskCommand::ReplayAll { filter, first: TaskId::new(100), tier: None };
    assert_eq!(house.denied("south", replay(all())), beyond);
    assert_eq!(house.denied("south", replay(all().with_tenant("north"))), beyond);
    let discard = TaskCommand::DiscardAll { filter: all(), reason: "gone".into() };
    assert_eq!(house.denied("south", discard), beyond);
    let discard = TaskCommand::Discard { dead: TaskId::new(1), reason: "gone".into() };
    assert_eq!(house.denied("south", discard), beyond);
    // An operator of one tenant pauses that, and neither another nor what all share.
    assert_eq!(house.denied("south", Command::pause(Scope::Tenant("north".into()), "x")), beyond);
    assert_eq!(house.denied("south", Command::pause(Scope::Kind("work".into()), "x")), beyond);
    assert_eq!(house.denied("south", AgentCommand::Deregister { agent: AgentId::new(1) }), beyond);
    assert_eq!(house.denied("south", Command::start(RunSpec::new(RunId::new(1), "flow").with_tenant("north"))), beyond);
    // Without a stated tenant, a task is of the only one that its principal has.
    house.say("north", Command::submit(TaskSpec::new(TaskId::new(12), "work"))).unwrap();
    assert_eq!(house.engine.task(task_of("north", 12)).unwrap().spec().tenant.as_deref(), Some("north"));
    // Within their own they may.
    house.say("south", ControlCommand::Pause { scope: Scope::Tenant("south".into()), reason: "x".into() }).unwrap();
    house.say("south", cancel(3)).unwrap();
    house
        .say("north", Command::submit_all([task(9, "north"), task(10, "north").with_after([TaskId::new(9)])]))
        .unwrap();
    house.say("everywhere", Command::submit(task(11, "south"))).unwrap();
    assert_eq!(house.say("south", replay(all().with_tenant("south"))), Ok(Accepted::Count(0)));
    assert_eq!(house.engine.task(task_of("south", 3)).unwrap().status(), TaskStatus::Cancelled);
}

/// A run of one tenant, and one within it, and what those of another tenant can do with them.
#[test]
fn tenants_cannot_access_runs_of_each_other() {
    use crate::flow::{flow, step};
    use counterpoint::definition::{Action as Do, Body, Node};
    let mut inner = flow([step("work")]);
    inner.name = "inner".into();
    let outer = flow([Node::new("in", Do::Do(Body::Flow(std::sync::Arc::new(inner))))]);
    let (mut house, ..) = House::at_work();
    house.say("boss", Command::define(outer)).unwrap();
    let beyond = DenialReason::ForeignTenant;
    let start = |id, tenant: &str| Command::start(RunSpec::new(RunId::new(id), "flow").with_tenant(tenant));
    assert_eq!(house.denied("north", start(1, "south")), beyond);
    house.say("north", Command::start(RunSpec::new(RunId::new(1), "flow"))).unwrap();
    assert_eq!(house.say("north", start(1, "north")), Ok(Accepted::Repeated));
    house.say("boss", Command::start(RunSpec::new(RunId::new(2), "flow"))).unwrap();
    // What the run asks for is its tenant's, and so is the run within it.
    let within = RunId::new((1 << 63) | 1);
    let tenant = |run| house.engine.run(run).unwrap().spec().tenant.clone();
    assert_eq!(tenant(within).as_deref(), Some("north"));
    let counted = |name: &str| house.engine.tenants().find(|tenant| **tenant.name() == *name).unwrap().unfinished();
    assert_eq!((counted("north"), counted("south")), (2, 2));

    let signal = |run| RunCommand::Signal { run, signal: "go".into(), payload: Payload::NULL };
    let (node, reason) = (|| counterpoint::Name::from("in"), || counterpoint::Name::from("mine now"));
    for run in [RunId::new(1), within, RunId::new(2), RunId::new(4_711)] {
        assert_eq!(house.denied("south", signal(run)), beyond, "{run}");
        // An operator of one tenant operates no run of another, of nobody, or that is not known: the answer is the same.
        for command in [
            RunCommand::Cancel { run, reason: reason() },
            RunCommand::Abort { run, reason: reason() },
            RunCommand::Pause { run, reason: reason() },
            RunCommand::Resume { run },
            RunCommand::Prioritise { run, tier: counterpoint::Tier::High, reason: reason() },
            RunCommand::Retry { run, node: None, reason: reason() },
            RunCommand::Close { run, node: node() },
            RunCommand::Add { run, node: node(), items: vec![Payload::NULL] },
            RunCommand::Migrate { run, migration: counterpoint::message::Migration::to_version(2), reason: reason() },
            RunCommand::Remedy { run, node: node(), remedy: counterpoint::message::CompensationRemedy::Retry },
            RunCommand::Operate {
                run,
                node: node(),
                remedy: counterpoint::message::NodeRemedy::Skip { reason: reason() },
            },
        ] {
            assert_eq!(house.denied("south", command), beyond, "{run}");
        }
    }
    assert_eq!(
        house.denied("south", RunCommand::Retire { workflow: "flow".into(), version: 0, reason: reason() }),
        beyond
    );
    // Theirs they may.
    house.say("north", signal(RunId::new(1))).unwrap();
    house.say("south", start(3, "south")).unwrap();
    house.say("south", RunCommand::Cancel { run: RunId::new(3), reason: reason() }).unwrap();
}

#[test]
fn confined_callers_read_only_their_tenants() {
    let verify = |token: &Token, _: Time| {
        let who = Principal::new(token.reveal()).with_role(Role::Auditor);
        Ok(if token.reveal() == "all" { who } else { who.with_tenant(token.reveal()) })
    };
    let gate = Gate::new(Policy::standard(), verify);
    let (mut house, ..) = House::at_work();
    house.say("boss", Command::define(crate::flow::flow([crate::flow::step("work")]))).unwrap();
    house.say("north", Command::start(RunSpec::new(RunId::new(1), "flow").with_tenant("north"))).unwrap();
    let engine = &house.engine;
    let run = |who: &str, id| gate.admit_run(Time::ZERO, Some(&Token::new(who)), RunId::new(id), engine).decision;
    let read = |who: &str, id| gate.admit_task(Time::ZERO, Some(&Token::new(who)), TaskId::new(id), engine).decision;
    assert!(run("north", 1).check().is_ok() && run("all", 1).check().is_ok() && run("all", 2).check().is_ok());
    assert!(run("south", 1).check().is_err() && run("north", 2).check().is_err());
    assert!(
        read("south", 2).check().is_ok() && read("north", 2).check().is_err() && read("north", 99).check().is_err()
    );
    assert_eq!(run("south", 1).to_string(), "0s south: read run r1: denied: south may not access other tenants");
    assert!(gate.admit_reading(Time::ZERO, Some(&Token::new("north")), "the journal").granted.is_err());
    let filter = counterpoint::engine::RunFilter::default();
    assert_eq!(engine.find_runs(&filter.clone().with_tenant("south"), None, 10).runs.len(), 0);
    assert_eq!(engine.find_runs(&filter.with_tenant("north"), None, 10).runs.len(), 1);
}

/// A key that one tenant's run has is free for another's, so nobody learns of it.
#[test]
fn unique_keys_are_scoped_by_tenant() {
    let mut house = House::new();
    house.say("boss", Command::define(crate::flow::flow([crate::flow::step("work")]))).unwrap();
    let start = |id, tenant: &str| {
        Command::start(RunSpec::new(RunId::new(id), "flow").with_tenant(tenant).with_exclusive_key("order-17"))
    };
    house.say("everywhere", start(1, "north")).unwrap();
    house.say("everywhere", start(2, "south")).unwrap();
    let taken = house.say("everywhere", start(3, "north"));
    assert!(
        matches!(taken, Err(No::Engine(Rejected::Conflict(Conflict::ExclusiveKey { run, .. }))) if run == RunId::new(1)),
        "{taken:?}"
    );
}

/// One command of every sort, none of which anybody may by default.
fn one_of_each() -> Vec<Command> {
    let (agent, run, task_id, reason) = (AgentId::new(1), RunId::new(1), TaskId::new(1), || "why".into());
    let by = Incarnation::new(agent, 1);
    let attempt = AttemptId::new(task_id, 1);
    let node = || "node".into();
    vec![
        Command::register(AgentSpec::new(agent)),
        AgentCommand::Update { by, spec: AgentSpec::new(agent) }.into(),
        AgentCommand::Heartbeat { by }.into(),
        AgentCommand::Drain { agent }.into(),
        AgentCommand::Deregister { agent }.into(),
        complete(by, attempt),
        AgentCommand::Poll { by, most: 1 }.into(),
        AgentCommand::Start { by, attempt }.into(),
        AgentCommand::Yield { by, attempt }.into(),
        Command::fail(by, attempt, Failure::permanent("no")),
        Command::submit(task(1, "north")),
        Command::submit_all([task(1, "north")]),
        TaskCommand::Cancel { task: task_id, reason: reason() }.into(),
        TaskCommand::Replay { dead: task_id, fresh: TaskId::new(2) }.into(),
        TaskCommand::ReplayAll { filter: DeadFilter::default(), first: task_id, tier: None }.into(),
        TaskCommand::DiscardAll { filter: DeadFilter::default(), reason: reason() }.into(),
        TaskCommand::Discard { dead: task_id, reason: reason() }.into(),
        Command::define(crate::flow::flow([crate::flow::step("only")])),
        Command::start(RunSpec::new(run, "flow")),
        RunCommand::Signal { run, signal: "go".into(), payload: Payload::NULL }.into(),
        RunCommand::Update { run, variable: "v".into(), value: Payload::NULL }.into(),
        ScheduleCommand::Pause { schedule: "nightly".into(), note: reason() }.into(),
        RunCommand::Pause { run, reason: reason() }.into(),
        RunCommand::Resume { run }.into(),
        RunCommand::Close { run, node: node() }.into(),
        RunCommand::Cancel { run, reason: reason() }.into(),
        RunCommand::Decide {
            run,
            node: node(),
            by: "boss".into(),
            roles: vec![],
            option: "yes".into(),
            note: Payload::NULL,
        }
        .into(),
        RunCommand::Delegate { run, node: node(), by: "boss".into(), roles: vec![], to: "ada".into() }.into(),
        Command::pause(Scope::Kind("work".into()), "x"),
        Command::resume(Scope::Kind("work".into())),
        Command::Tick,
    ]
}

#[test]
fn everything_is_denied_by_default_and_roles_grant_their_permissions() {
    let engine = Engine::new(Config::default());
    let nothing = Gate::new(Policy::default(), verify);
    let standard = Gate::new(Policy::standard(), verify);
    let mut allowed: std::collections::BTreeMap<&str, std::collections::BTreeSet<Action>> = Default::default();
    for command in one_of_each() {
        for who in ["first", "north", "everywhere", "boss", "auditor", "nobody"] {
            let token = Token::new(who);
            let denied = nothing.admit(Time::ZERO, Some(&token), command.clone(), &engine).decision.check();
            // An agent that leaves by itself is no exception: its role is granted nothing either.
            assert!(
                matches!(denied, Err(AccessError::Forbidden { reason: DenialReason::NotGranted(_), .. })),
                "{who}: {command:?}"
            );
            if standard.admit(Time::ZERO, Some(&token), command.clone(), &engine).granted.is_ok() {
                allowed.entry(who).or_default().insert(Action::of(&command));
            }
        }
    }
    let of = |actions: &[Action]| actions.iter().copied().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(allowed["first"], of(&[Action::Register, Action::Report, Action::Deregister]));
    assert_eq!(allowed["north"], of(&[Action::Submit, Action::Start]), "run and task are not known");
    assert_eq!(allowed["everywhere"], of(&[Action::Submit, Action::Cancel, Action::Start, Action::Signal]));
    let boss: Vec<Action> = Action::ALL
        .iter()
        .copied()
        .filter(|action| !matches!(action, Action::Register | Action::Report | Action::Read))
        .collect();
    assert_eq!(allowed["boss"], of(&boss));
    assert!(!allowed.contains_key("auditor") && !allowed.contains_key("nobody"));
    let read = |who: &str| standard.admit_reading(Time::ZERO, Some(&Token::new(who)), "the trail").granted;
    assert!(read("auditor").is_ok() && read("boss").is_ok());
    assert!(read("first").is_err() && read("everywhere").is_err() && read("south").is_err());
}

#[test]
fn decisions_are_made_in_the_callers_own_name_and_roles() {
    let mut house = House::new();
    let decide = |by: &str, role: &str| RunCommand::Decide {
        run: RunId::new(1),
        node: "approve".into(),
        by: by.into(),
        roles: vec![role.into()],
        option: "yes".into(),
        note: Payload::NULL,
    };
    assert_eq!(house.denied("boss", decide("ada", "lead")), DenialReason::ForeignName("ada".into()));
    assert_eq!(house.denied("boss", decide("boss", "chief")), DenialReason::ForeignRole("chief".into()));
    assert!(matches!(house.say("boss", decide("boss", "lead")), Err(No::Engine(Rejected::Unknown(Unknown::Run(_))))));
    // An owner decides in every role, in its own name, and has no other permission.
    assert!(matches!(
        house.say("owner", decide("owner", "chief")),
        Err(No::Engine(Rejected::Unknown(Unknown::Run(_))))
    ));
    assert_eq!(house.denied("owner", decide("ada", "chief")), DenialReason::ForeignName("ada".into()));
    let pause = RunCommand::Pause { run: RunId::new(1), reason: "x".into() };
    assert_eq!(house.denied("owner", pause), DenialReason::NotGranted(Action::ManageRuns));
}

#[test]
fn unidentified_callers_are_denied_with_a_reason_and_recorded() {
    let house = House::new();
    let decide = |token: Option<&str>| {
        let token = token.map(Token::new);
        house.gate.admit(Time::from_secs(2), token.as_ref(), Command::Tick, &house.engine).decision
    };
    let at = Time::from_secs(1);
    for (token, why) in [
        (None, Unauthenticated::Missing),
        (Some("guess"), Unauthenticated::Unknown),
        (Some("old"), Unauthenticated::Expired { at }),
    ] {
        let decision = decide(token);
        assert_eq!(decision.check(), Err(AccessError::Unauthenticated(why)));
        assert_eq!((decision.principal, decision.at), (None, Time::from_secs(2)));
    }
    // A token is shown nowhere.
    let decision = decide(Some("guess"));
    let shown = format!("{decision:?} {decision} {}", serde_json::to_string(&decision).unwrap());
    assert!(!shown.contains("guess"), "{shown}");
}

#[test]
fn the_trail_refers_to_events_and_is_exported() {
    let (mut house, first, _) = House::at_work();
    let (attempt, _) = house.running(1);
    house.say("first", complete(first, attempt)).unwrap();
    let last = house.engine.last_seq();
    assert_eq!(house.trail.principal_of(last).map(|name| &**name), Some("first"));
    house.denied("north", TaskCommand::Cancel { task: TaskId::new(3), reason: "=cmd,\"x\"\r\nnext".into() });
    let lines = house.trail.to_json_lines();
    let read: Vec<Decision> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, house.trail.decisions().cloned().collect::<Vec<_>>());
    assert!(read.iter().filter(|decision| decision.error.is_none()).all(|decision| decision.events.is_some()));
    let table = house.trail.to_csv();
    let rows = rows(&table);
    assert_eq!(rows.len(), read.len() + 1, "and the header");
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{rows:?}");
    let denied = rows.last().unwrap();
    assert_eq!(
        (&*denied[1], &*denied[2], &*denied[4]),
        ("north", "cancel tasks", "north may not access other tenants")
    );
    assert!(denied[3].starts_with("cancel t3: =cmd"), "{}", &denied[3]);
    let mut short = AuditTrail::new(2);
    read.into_iter().for_each(|decision| short.push(decision));
    assert_eq!(short.decisions().count(), 2);
}

/// The cells of comma-separated values as RFC 4180 defines them.
fn rows(table: &str) -> Vec<Vec<String>> {
    let (mut rows, mut quoted) = (vec![vec![String::new()]], false);
    let mut rest = table.chars().peekable();
    while let Some(letter) = rest.next() {
        let row = rows.last_mut().unwrap();
        match letter {
            '"' if quoted && rest.peek() == Some(&'"') => row.last_mut().unwrap().extend(rest.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\r' if !quoted => {}
            '\n' if !quoted => rows.push(vec![String::new()]),
            other => row.last_mut().unwrap().push(other),
        }
    }
    assert_eq!(rows.pop(), Some(vec![String::new()]), "the last row ends, too");
    rows
}

/// A name that a spreadsheet would take for a formula.
#[test]
fn cells_are_protected_from_formula_injection() {
    let gate = Gate::new(Policy::default(), |_: &Token, _: Time| Ok(Principal::new("=1+1")));
    let mut trail = AuditTrail::default();
    let engine = Engine::new(Config::default());
    trail.push(gate.admit(Time::ZERO, Some(&Token::new("x")), Command::Tick, &engine).decision);
    assert!(trail.to_csv().contains(",'=1+1,"), "{}", trail.to_csv());
}

/// A message brings its token with it, and both come to the gate.
#[test]
fn messages_carry_tokens() {
    let (mut house, first, second) = House::at_work();
    let beat =
        |by| Message::new(MessageId::new("m-1").unwrap(), Body::Heartbeat { by }).with_token(Token::new("first"));
    let text = beat(first).encode(&WireLimits::default()).unwrap();
    assert_eq!(text, r#"{"v":1,"id":"m-1","token":"first","body":{"heartbeat":{"by":{"agent":"1","number":"1"}}}}"#);
    let mut hear = |text: &str| {
        let message = Message::decode(text.as_bytes(), &WireLimits::default()).unwrap();
        let token = message.token.clone().unwrap();
        house.say(token.reveal(), message.into_command().unwrap())
    };
    hear(&text).unwrap();
    let forged = hear(&beat(second).encode(&WireLimits::default()).unwrap());
    assert!(matches!(forged, Err(No::Gate(AccessError::Forbidden { reason: DenialReason::ForeignAgent(_), .. }))));
}

/// Policies are data.
#[test]
fn policies_round_trip_through_serde() {
    let text = r#"[{"role":"submitter","may":["submit"]},{"role":{"other":"approver"},"may":["decide","read"]}]"#;
    let policy: Policy = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&policy).unwrap(), text);
    let approver = Principal::new("ada").with_role(Role::Other("approver".into()));
    assert_eq!(policy.grants(&approver, Action::Decide), Ok(()));
    assert_eq!(policy.grants(&approver, Action::Submit), Err(DenialReason::NotGranted(Action::Submit)));
    assert!(serde_json::from_str::<Policy>(r#"[{"role":"submitter","may":["everything"]}]"#).is_err());
    assert!(serde_json::from_str::<Policy>(r#"[{"role":"submitter","may":[],"unless":1}]"#).is_err());
}
