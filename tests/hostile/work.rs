//! A call performs a bounded amount of work, whatever was asked: the rest is left to the next calls, which end it; and the work
//! as a whole grows no faster than the input.

use crate::kit::Host;
use counterpoint::definition::{
    Action, Body, Budget, Call, Case, Completion, Condition, Definition, Expr, Join, Link, Map, Node, Pick, Reducer,
    Remaining, Variable, Work,
};
use counterpoint::message::{Cause, LimitReached, NodeStatus, RunPhase};
use counterpoint::scheduler::TaskStage;
use counterpoint::{
    Accepted, AgentId, AgentSpec, AttemptId, Command, Config, Effect, Engine, Entry, Incarnation, Limits, Outbox,
    Payload, Rejected, RunCommand, RunId, RunOutcome, RunSpec, TaskCommand, TaskId, TaskSpec, Tier, Time,
};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;

const RUN: RunId = RunId::new(1);

/// The bound on the work of a call in these tests, and the work that a call may perform beyond it: that of its command, of one
/// evaluation and of one step.
const BOUND: u32 = 20_000;
const BEYOND: u64 = 12_000;

fn config() -> Config {
    let limits = Limits::default()
        .with_work_per_call(BOUND)
        .with(|limits| limits.runs.evaluation_units = 8_000)
        .with_payload_bytes(64_000)
        .with_map_items(1_000_000)
        .with_depth(100_000)
        .with_runs_within(1_000_000);
    Config::default().with_limits(limits)
}

/// An engine whose work is counted.
struct Counted {
    engine: Engine,
    now: Time,
    journal: Vec<Entry>,
    held: VecDeque<(Incarnation, AttemptId)>,
    /// The units of all calls, and of the greatest one.
    all: u64,
    most: u64,
    calls: u64,
    most_entries: usize,
}

impl Counted {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: Config) -> Self {
        let (engine, now) = (Engine::new(config), Time::ZERO);
        let (journal, held) = (Vec::new(), VecDeque::new());
        Self { engine, now, journal, held, all: 0, most: 0, calls: 0, most_entries: 0 }
    }

    fn send(&mut self, command: impl Into<Command>) -> Result<Accepted, Rejected> {
        let mut outbox = Outbox::default();
        let answer = self.engine.handle(self.now, command.into(), &mut outbox);
        self.take(&outbox);
        answer
    }

    fn take(&mut self, outbox: &Outbox) {
        self.all += self.engine.work();
        self.most = self.most.max(self.engine.work());
        self.calls += 1;
        self.most_entries = self.most_entries.max(outbox.entries().len());
        self.journal.extend_from_slice(outbox.entries());
        for effect in outbox.effects() {
            match effect {
                Effect::Dispatch { attempt, to, .. } | Effect::Cancel { attempt, from: to } => {
                    self.held.push_back((*to, *attempt));
                }
                _ => {}
            }
        }
    }

    /// Ticks while the engine has work left.
    fn tick(&mut self) {
        let mut calls = 0;
        while self.engine.next_wakeup().is_some_and(|at| at <= self.now) {
            self.send(Command::Tick).unwrap();
            calls += 1;
            assert!(calls < 100_000, "the engine asks for calls without an end");
        }
    }

    /// Ticks, and lets agents complete their attempts, until nothing is under way.
    fn work(&mut self) {
        self.tick();
        while let Some((by, attempt)) = self.held.pop_front() {
            if self.engine.task(attempt.task()).is_some_and(|task| !task.status().is_terminal()) {
                let _ = self.send(Command::complete(by, attempt, Payload::new(json!(1))));
            }
            self.tick();
        }
    }

    fn start(&mut self, flow: Definition, input: impl Into<Value>) {
        let name = flow.name.clone();
        self.send(Command::define(flow)).unwrap();
        self.send(Command::start(RunSpec::new(RUN, name).with_input(Payload::new(input.into())))).unwrap();
    }

    fn cancel(&mut self) {
        self.send(RunCommand::Cancel { run: RUN, reason: "enough".into() }).unwrap();
    }

    fn register(&mut self, number: u64, capacity: u32) {
        let agent = AgentSpec::new(AgentId::new(number)).with_skill("do", 1).with_skill("undo", 1);
        self.send(Command::register(agent.with_capacity(capacity))).unwrap();
    }

    fn outcome(&self) -> Option<RunOutcome> {
        self.engine.run(RUN)?.outcome().cloned()
    }

    fn finished(&self) -> bool {
        self.engine.run(RUN).is_some_and(|run| run.phase() == RunPhase::Finished)
    }
}

fn queued(engine: &Engine) -> usize {
    engine.queued().iter().sum()
}

fn unfinished(engine: &Engine) -> usize {
    let tasks = engine.snapshot().scheduler.tasks;
    tasks.iter().filter(|task| !matches!(task.stage, TaskStage::Ended { .. })).count()
}

/// Runs a case with `n` and with `2n`: every call is within the bound, the case ends, and the work at most doubles.
fn grows(n: u32, case: impl Fn(u32) -> Counted) -> Counted {
    let (one, two) = (case(n), case(2 * n));
    for made in [&one, &two] {
        assert_eq!(made.engine.check(), Ok(()));
        assert!(made.most <= u64::from(BOUND) + BEYOND, "a call of {} units", made.most);
        assert!(made.engine.next_wakeup().is_none_or(|at| at > made.now), "work is left");
    }
    assert!(two.all * 10 <= one.all * 22, "{} units with {n}, {} with twice as many", one.all, two.all);
    two
}

fn numbers(count: u32) -> Value {
    Value::Array((0..count).map(|number| json!(number % 10)).collect())
}

fn each() -> Map {
    Map::over(Expr::Input, Body::Task(Work::new("do")))
}

fn of_each(map: Map) -> Definition {
    Definition::new("each").with_node(Node::new("each", Action::Map(map)))
}

#[test]
fn a_map_is_begun_and_cancelled_in_parts() {
    let made = grows(2_000, |n| {
        let mut made = Counted::new();
        made.start(of_each(each()), numbers(n));
        made.tick();
        assert_eq!(queued(&made.engine), n as usize);
        made.cancel();
        made.tick();
        assert!(made.finished());
        made
    });
    assert!(made.calls > 10 && made.most_entries < 1_000, "{} calls", made.calls);
}

#[test]
fn a_map_under_way_is_cancelled_in_parts() {
    grows(1_000, |n| {
        let mut made = Counted::new();
        made.register(1, n);
        made.start(of_each(each()), numbers(n));
        made.tick();
        assert_eq!(made.held.len(), n as usize);
        made.cancel();
        made.work();
        assert!(made.finished());
        made
    });
}

#[test]
fn the_rest_of_a_map_is_cancelled_in_parts() {
    grows(2_000, |n| {
        let mut made = Counted::new();
        made.register(1, 1);
        made.start(of_each(each().with_completion(Completion::after(1).cancel_rest())), numbers(n));
        made.work();
        assert!(matches!(made.outcome(), Some(RunOutcome::Succeeded { .. })));
        made
    });
}

fn undone(body: Body, n: u32) -> Counted {
    let mut made = Counted::new();
    made.register(1, 60_000);
    let mut each = Node::new("each", Action::Map(Map::over(Expr::Input, body.clone())));
    if let Body::Task(_) = body {
        each = each.with_undo(Work::new("undo"));
    }
    let fail = Node::new("fail", Action::Fail("broken".into())).with_link(Link::success("each"));
    made.start(Definition::new("undo").with_node(each).with_node(fail), numbers(n));
    made.work();
    assert!(matches!(made.outcome(), Some(RunOutcome::Compensated { .. })), "{:?}", made.outcome());
    made
}

#[test]
fn a_map_is_compensated_in_parts() {
    grows(1_000, |n| undone(Body::Task(Work::new("do")), n));
}

#[test]
fn a_map_of_runs_is_compensated_in_parts() {
    let inner = Definition::new("inner").with_node(Node::new("do", Action::task("do")).with_undo(Work::new("undo")));
    grows(200, |n| undone(Body::Flow(inner.clone().into()), n));
}

/// After a restore the cursors of a map are where they were, and not at its beginning.
#[test]
fn a_restored_map_is_cancelled_in_as_much_work() {
    grows(1_000, |n| {
        let mut made = Counted::new();
        made.register(1, n / 2);
        made.start(of_each(each()), numbers(n));
        made.work();
        assert!(made.finished());
        let mut half = Counted::new();
        half.register(1, n / 2);
        half.start(of_each(each()), numbers(n));
        half.tick();
        for _ in 0..n / 2 {
            let (by, attempt) = half.held.pop_front().unwrap();
            half.send(Command::complete(by, attempt, Payload::NULL)).unwrap();
        }
        let snapshot = half.engine.snapshot();
        let text = serde_json::to_string(&snapshot).unwrap();
        let mut restored = Counted::new();
        restored.engine = Engine::restore(config(), Some(&serde_json::from_str(&text).unwrap()), []).unwrap();
        let mut outbox = Outbox::default();
        restored.engine.resume(restored.now, &mut outbox);
        restored.take(&outbox);
        restored.cancel();
        restored.work();
        assert!(restored.finished());
        restored
    });
}

#[test]
fn a_choice_is_evaluated_in_parts() {
    let list: Vec<Value> = (0..4_000).map(|number| json!(format!("{number:08}"))).collect();
    let made = grows(200, |n| {
        let case = |number: u32| Case::new(format!("c{number}"), Condition::In(Expr::value(number), Expr::Input));
        let choice =
            Action::Choose { pick: Pick::Every, cases: (0..n).map(case).collect(), otherwise: Some("none".into()) };
        let mut made = Counted::new();
        made.start(Definition::new("choice").with_node(Node::new("choice", choice)), list.clone());
        made.tick();
        assert!(matches!(made.outcome(), Some(RunOutcome::Succeeded { .. })));
        made
    });
    assert!(made.calls > 10, "{} calls", made.calls);
}

#[test]
fn an_evaluation_is_bounded() {
    let large = Value::Array((0..4_000).map(|number| json!(format!("{number:08}"))).collect());
    let nothing = || Expr::First(vec![Expr::List(vec![Expr::Input]).at("/5"), Expr::value(Value::Null)]);
    let copies = |n: usize| Expr::List(vec![nothing(); n]);
    let mut made = Counted::new();
    let node = Node::new("copies", Action::Pass).with_input(copies(100));
    made.start(Definition::new("copies").with_node(node), large);
    made.tick();
    let Some(RunOutcome::Failed { cause: Cause::Limit { node, limit, path, .. }, .. }) = made.outcome() else {
        panic!("{:?}", made.outcome())
    };
    assert_eq!((node.as_deref(), limit), (Some("copies"), LimitReached::Evaluation { max: 8_000 }));
    assert_eq!(path.iter().map(ToString::to_string).collect::<Vec<_>>(), ["copies/copies"]);
    assert!(made.most <= u64::from(BOUND) + BEYOND);
}

#[test]
fn a_pattern_is_bounded() {
    let pattern = format!("*{}b", "a".repeat(200));
    let matches = Condition::matches(Expr::Input, pattern);
    let choice =
        Action::Choose { pick: Pick::First, cases: vec![Case::new("yes", matches)], otherwise: Some("no".into()) };
    let mut made = Counted::new();
    made.start(Definition::new("match").with_node(Node::new("match", choice)), "a".repeat(20_000));
    made.tick();
    let node = made.engine.run(RUN).unwrap().node("match").map(|node| node.status());
    assert_eq!(node, Some(NodeStatus::Failed));
    assert!(made.most <= u64::from(BOUND) + BEYOND);
}

#[test]
fn large_variables_are_shared() {
    let large = Value::Array((0..4_000).map(|number| json!(format!("{number:08}"))).collect());
    let made = grows(50, |n| {
        let mut made = Counted::new();
        let mut flow = Definition::new("passes").with_variable(Variable::new("v", Reducer::Replace));
        let write = Node::new("write", Action::Pass).with_input(Expr::Input).writing("v", "");
        flow = flow.with_node(write);
        for number in 0..n {
            let node = Node::new(format!("n{number}"), Action::Pass).with_input(Expr::variable("v"));
            flow = flow.with_node(node.with_link(Link::success("write")));
        }
        made.start(flow, large.clone());
        made.tick();
        assert!(made.finished());
        made
    });
    assert!(made.all < 40_000, "no copies: {} units", made.all);
}

#[test]
fn combined_variables_are_evaluated_in_parts() {
    let items = Value::Array((0..1_000).map(|number| json!(number)).collect());
    grows(50, |n| {
        let mut made = Counted::new();
        let mut flow = Definition::new("passes").with_variable(Variable::new("v", Reducer::Append));
        flow = flow.with_node(Node::new("write", Action::Pass).with_input(Expr::Input).writing("v", ""));
        for number in 0..n {
            let node = Node::new(format!("n{number}"), Action::Pass).with_input(Expr::variable("v"));
            flow = flow.with_node(node.with_link(Link::success("write")));
        }
        made.start(flow, items.clone());
        made.tick();
        assert!(made.finished());
        made
    });
}

#[test]
fn dependents_are_cancelled_in_parts() {
    let made = grows(4_000, |n| {
        let (mut made, head) = (Counted::new(), TaskId::new(1));
        made.send(Command::submit(TaskSpec::new(head, "do"))).unwrap();
        for number in 0..u64::from(n) {
            made.send(Command::submit(TaskSpec::new(TaskId::new(number + 2), "do").with_after([head]))).unwrap();
        }
        made.send(TaskCommand::Cancel { task: head, reason: "enough".into() }).unwrap();
        assert!(unfinished(&made.engine) > 0, "the rest is left to the next call");
        made.tick();
        assert_eq!(unfinished(&made.engine), 0);
        made
    });
    assert!(made.most_entries < 1_000, "{} entries", made.most_entries);
}

/// A crash in the middle of what a call has left loses nothing: it follows from the state.
#[test]
fn what_is_left_survives_a_restart() {
    let head = TaskId::new(1);
    for with_snapshot in [false, true] {
        let mut made =
            Counted::with(config().with_limits(Limits::default().with_work_per_call(500).with_finished_tasks(3)));
        made.send(Command::submit(TaskSpec::new(head, "do"))).unwrap();
        for number in 0..300 {
            made.send(Command::submit(TaskSpec::new(TaskId::new(number + 2), "do").with_after([head]))).unwrap();
        }
        made.send(TaskCommand::Cancel { task: head, reason: "enough".into() }).unwrap();
        made.send(Command::Tick).unwrap();
        let snapshot = made.engine.snapshot();
        let snapshot = serde_json::from_str(&serde_json::to_string(&snapshot).unwrap()).unwrap();
        let config = config().with_limits(Limits::default().with_finished_tasks(3));
        let mut restored = if with_snapshot {
            Engine::restore(config, Some(&snapshot), []).unwrap()
        } else {
            Engine::restore(config, None, &made.journal).unwrap()
        };
        assert_eq!(restored.snapshot(), made.engine.snapshot());
        let mut outbox = Outbox::default();
        restored.resume(made.now, &mut outbox);
        assert_eq!(restored.check(), Ok(()));
        assert_eq!(unfinished(&restored), 0, "no dependent runs");
        assert!(!outbox.effects().iter().any(|effect| matches!(effect, Effect::Dispatch { .. })));
    }
}

#[test]
fn many_lost_agents_are_handled_in_parts() {
    grows(100, |n| {
        let mut made = Counted::new();
        for number in 1..=u64::from(n) {
            let agent = AgentSpec::new(AgentId::new(number)).with_skill("do", 1).with_capacity(10);
            made.send(Command::register(agent.with_lease(Duration::from_secs(10)))).unwrap();
        }
        for number in 1..=u64::from(n) * 10 {
            made.send(Command::submit(TaskSpec::new(TaskId::new(number), "do"))).unwrap();
        }
        made.all = 0;
        made.now = Time::from_secs(60);
        made.tick();
        assert_eq!(made.engine.agents().count(), 0);
        made
    });
}

#[test]
fn many_timers_of_one_instant_fire_in_parts() {
    grows(2_000, |n| {
        let mut made = Counted::new();
        for number in 1..=u64::from(n) {
            let task = TaskSpec::new(TaskId::new(number), "do").with_deadline(Time::from_secs(10));
            made.send(Command::submit(task)).unwrap();
        }
        // Tasks may begin at their deadline.
        made.now = Time::from_secs(11);
        made.tick();
        assert_eq!(unfinished(&made.engine), 0);
        made
    });
}

#[test]
fn an_agent_with_much_room_is_filled_in_parts() {
    grows(2_000, |n| {
        let mut made = Counted::new();
        for number in 1..=u64::from(n) {
            made.send(Command::submit(TaskSpec::new(TaskId::new(number), "do"))).unwrap();
        }
        made.register(1, n);
        made.tick();
        assert_eq!((made.held.len(), queued(&made.engine)), (n as usize, 0));
        made
    });
}

#[test]
fn recursion_is_linear_in_its_depth() {
    let made = grows(400, |n| {
        let mut made = Counted::new();
        let again = Action::Do(Body::Call(Call::of("again").to_depth(n)));
        made.start(Definition::new("again").with_node(Node::new("again", again)), Value::Null);
        made.tick();
        assert!(made.finished());
        made
    });
    assert_eq!(made.engine.runs().count(), 800);
}

fn bomb(limits: Limits) -> Counted {
    let again = || Action::Do(Body::Call(Call::of("bomb").to_depth(20)));
    let flow = Definition::new("bomb").with_node(Node::new("left", again())).with_node(Node::new("right", again()));
    let mut made = Counted::with(Config::default().with_limits(limits));
    made.start(flow, Value::Null);
    made.tick();
    made
}

#[test]
fn a_fork_bomb_ends_at_a_number_of_runs() {
    let made = bomb(Limits::default().with_runs_within(500));
    let runs = made.engine.runs().count();
    assert!(runs <= 501, "{runs} runs");
    let limited = made.engine.runs().any(|run| {
        let cause = run.outcome().and_then(|outcome| match outcome {
            RunOutcome::Failed { cause, .. } | RunOutcome::Compensated { cause } => Some(cause.clone()),
            _ => None,
        });
        matches!(cause, Some(Cause::Limit { limit: LimitReached::Runs { max: 500 }, .. }))
    });
    assert!(limited && made.finished());
    assert!(matches!(made.outcome(), Some(RunOutcome::Failed { .. })), "{:?}", made.outcome());
    assert_eq!(made.engine.check(), Ok(()));
}

#[test]
fn a_fork_bomb_is_bounded_by_default() {
    let made = bomb(Limits::default());
    assert!(made.finished() && made.engine.runs().count() <= 10_001);
}

#[test]
fn recursion_is_bounded_by_default() {
    let mut made = Counted::with(Config::default());
    let again = Action::Do(Body::Call(Call::of("again").to_depth(u32::MAX)));
    made.start(Definition::new("again").with_node(Node::new("again", again)), Value::Null);
    made.tick();
    assert_eq!(made.engine.runs().count(), 65, "a root and 64 levels below it");
    assert!(made.finished());
    let last = made.engine.runs().filter_map(|run| run.outcome().cloned()).any(|outcome| {
        matches!(outcome, RunOutcome::Failed { cause: Cause::Limit { limit: LimitReached::Depth { max: 64 }, .. }, .. })
    });
    assert!(last, "the run that would start another one fails with the limit");
}

#[test]
fn child_runs_begin_within_a_rate() {
    let inner = Definition::new("inner").with_node(Node::new("do", Action::task("do")));
    let mut made = Counted::with(
        Config::default().with_limits(Limits::default().with(|limits| limits.families.runs_per_second = 10)),
    );
    made.start(of_each(Map::over(Expr::Input, Body::Flow(inner.into()))), numbers(25));
    made.tick();
    for second in 1..=2 {
        assert_eq!((made.engine.runs().count(), made.engine.check()), (10 * second + 1, Ok(())));
        made.now = Time::from_secs(second as u64);
        made.tick();
    }
    assert_eq!(made.engine.runs().count(), 26);
}

/// The place of a run in its family follows from the journal and from a snapshot alike.
#[test]
fn the_bounds_on_runs_hold_after_a_restart() {
    fn config() -> Config {
        Config::default()
            .with_limits(Limits::default().with_runs_within(20).with(|limits| limits.families.runs_per_second = 8))
    }
    let inner = Definition::new("inner").with_node(Node::new("do", Action::task("do")));
    let mut host = Host::new(config);
    host.send(Command::define(of_each(Map::over(Expr::Input, Body::Flow(inner.into()))))).unwrap();
    host.send(Command::start(RunSpec::new(RUN, "each").with_input(Payload::new(numbers(50))))).unwrap();
    for second in 1..5 {
        host.restart();
        host.send(Command::Tick).unwrap();
        host.now = Time::from_secs(second);
        host.send(Command::Tick).unwrap();
    }
    assert_eq!(host.engine.runs().count(), 21);
    assert_eq!(host.engine.run(RUN).unwrap().phase(), RunPhase::Running, "the runs under way are awaited");
}

fn dense(n: u32) -> Definition {
    (0..n).fold(Definition::new("dense"), |flow, number| {
        let node = Node::new(format!("n{number}"), Action::Pass);
        flow.with_node((0..number).fold(node, |node, earlier| node.with_link(Link::success(format!("n{earlier}")))))
    })
}

fn refusal(flow: Definition, limits: Limits) -> String {
    let mut made = Counted::with(Config::default().with_limits(limits));
    made.send(Command::define(flow)).unwrap_err().to_string()
}

#[test]
fn definitions_are_bounded() {
    assert!(refusal(dense(200), Limits::default()).contains("more than 16384 links"), "dense");
    let deep = (0..100_000).map(|_| Condition::True).collect();
    let choice =
        Action::Choose { pick: Pick::First, cases: vec![Case::new("a", Condition::All(deep))], otherwise: None };
    let wide = Definition::new("wide").with_node(Node::new("a", choice));
    assert!(refusal(wide.clone(), Limits::default().with_steps(1_000)).contains("more than 1000 steps"));
    let joins = (0..1_000).fold(Definition::new("joins").with_node(Node::new("n0", Action::Pass)), |flow, number| {
        let node = Node::new(format!("n{}", number + 1), Action::Pass).with_link(Link::success(format!("n{number}")));
        flow.with_node(node.with_join(Join::Count { required: 1, remaining: Remaining::Ignore }))
    });
    assert!(refusal(joins, Limits::default()).contains("the analysis of its links"), "each join serves all before it");
    let exclusive = (0..400).fold(Definition::new("exclusive"), |flow, number| {
        flow.with_node(Node::new(format!("n{number}"), Action::Pass).with_mutex("one"))
    });
    assert!(refusal(exclusive, Limits::default()).contains("links"), "each excludes all others");
    let mut made = Counted::new();
    made.send(Command::define(dense(100))).unwrap();
}

#[test]
fn tenants_have_a_number_of_runs() {
    let mut made =
        Counted::with(Config::default().with_limits(Limits::default().with(|limits| limits.runs.tenant_runs = 2)));
    made.send(Command::define(Definition::new("do").with_node(Node::new("do", Action::task("do"))))).unwrap();
    let start = |number: u64, tenant: &str| Command::start(RunSpec::new(RunId::new(number), "do").with_tenant(tenant));
    made.send(start(1, "a")).unwrap();
    made.send(start(2, "a")).unwrap();
    assert!(made.send(start(3, "a")).unwrap_err().to_string().contains("tenant_runs"));
    made.send(start(4, "b")).unwrap();
    made.send(RunCommand::Cancel { run: RunId::new(1), reason: "enough".into() }).unwrap();
    made.tick();
    made.send(start(3, "a")).unwrap();
}

#[test]
fn work_that_is_left_is_continued_beside_other_commands() {
    let mut made = Counted::new();
    made.start(of_each(each()), numbers(5_000));
    made.tick();
    made.cancel();
    made.register(1, 10);
    for number in 0..200_u64 {
        made.send(Command::submit(TaskSpec::new(TaskId::new(number + 10), "do"))).unwrap();
        assert!(made.most <= u64::from(BOUND) + BEYOND);
    }
    made.work();
    assert!(made.finished());
    let budget = Budget::default().with_attempts(3);
    let flow = Definition::new("poor").with_budget(budget).with_node(Node::new("each", Action::Map(each())));
    made.send(Command::define(flow)).unwrap();
    let spec = RunSpec::new(RunId::new(2), "poor").with_input(Payload::new(numbers(1_000)));
    made.send(Command::start(spec)).unwrap();
    made.work();
    assert_eq!(made.engine.check(), Ok(()));
}

#[test]
fn a_run_changes_its_tier_in_parts() {
    grows(2_000, |n| {
        let mut made = Counted::new();
        made.start(of_each(each()), numbers(n));
        made.tick();
        made.all = 0;
        let (tier, reason) = (Tier::High, "urgent".into());
        made.send(RunCommand::Prioritise { run: RUN, tier, reason }).unwrap();
        made.tick();
        assert_eq!(made.engine.queued()[Tier::High as usize], n as usize);
        made
    });
}

#[test]
fn bulk_commands_are_bounded() {
    let mut made = Counted::with(Config::default().with_limits(Limits::default().with(|limits| limits.bulk = 3)));
    let tasks = |count: u64| (1..=count).map(|number| TaskSpec::new(TaskId::new(number), "do"));
    assert!(made.send(Command::submit_all(tasks(4))).unwrap_err().to_string().contains("bulk"));
    assert_eq!(made.send(Command::submit_all(tasks(3))), Ok(Accepted::Done));
}

#[test]
fn bytes_are_bounded() {
    let limits = Limits::default()
        .with(|limits| limits.tasks.bytes = 1_000)
        .with(|limits| limits.tasks.tenant_bytes = 300)
        .with(|limits| limits.runs.input_bytes = 500);
    let mut made = Counted::with(Config::default().with_limits(limits));
    let task = |number: u64, bytes: usize| {
        TaskSpec::new(TaskId::new(number), "do").with_payload(Payload::new(json!("x".repeat(bytes))))
    };
    let refused = |answer: Result<Accepted, Rejected>| answer.unwrap_err().to_string();
    made.send(Command::submit(task(1, 250).with_tenant("a"))).unwrap();
    assert!(refused(made.send(Command::submit(task(2, 250).with_tenant("a")))).contains("tenant_waiting_bytes"));
    made.send(Command::submit(task(3, 250).with_tenant("b"))).unwrap();
    let bulk = Command::submit_all([task(4, 200), task(5, 300)]);
    assert!(refused(made.send(bulk)).contains("waiting_bytes"));
    made.send(TaskCommand::Cancel { task: TaskId::new(1), reason: "enough".into() }).unwrap();
    made.send(Command::submit(task(2, 250).with_tenant("a"))).unwrap();
    made.send(Command::define(Definition::new("do").with_node(Node::new("do", Action::task("do"))))).unwrap();
    let start = |number: u64| {
        Command::start(RunSpec::new(RunId::new(number), "do").with_input(Payload::new(json!("x".repeat(300)))))
    };
    made.send(start(1)).unwrap();
    assert!(refused(made.send(start(2))).contains("input_bytes"));
    assert_eq!(made.engine.check(), Ok(()));
}
