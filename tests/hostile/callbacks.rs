//! Callbacks that panic or call the host: the host continues for all others, and the caller is told which callback failed.

use crate::kit::Host;
use counterpoint::definition::{Action, Condition, Definition, Expr, Link, Node, Reducer, Variable};
use counterpoint::host::thread::ThreadHost;
use counterpoint::host::{HostError, RunError};
use counterpoint::journal::EventFilter;
use counterpoint::message::rejected::WrongState;
use counterpoint::message::{ControlEvent, RunPhase};
use counterpoint::routing::{Candidates, Custom, Estimator, Rerouting, RoutingStrategy};
use counterpoint::scheduler::{Callback, TaskStatus};
use counterpoint::workflow::Attempt;
use counterpoint::{
    AgentId, AgentSpec, Command, Config, Entry, Event, Payload, Random, Rejected, RunCommand, RunId, RunSpec, TaskId,
    TaskOutcome, TaskSpec,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const RUN: RunId = RunId::new(1);

fn agent(id: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(id)).with_skill("work", 1).with_capacity(100)
}

fn task(id: u64) -> TaskSpec {
    TaskSpec::new(TaskId::new(id), "work")
}

fn callbacks(host: &Host) -> Vec<Callback> {
    host.engine.quarantined().into_iter().map(|one| one.callback).collect()
}

static CALLS: AtomicU32 = AtomicU32::new(0);

fn panicking_picker() -> Config {
    Config::default().with_strategy_for(
        "work",
        Custom::new("mine", |_, _, _| {
            CALLS.fetch_add(1, Ordering::SeqCst);
            panic!("no agent is good enough")
        }),
    )
}

#[test]
fn a_strategy_that_panics_is_replaced() {
    let mut host = Host::new(panicking_picker);
    host.send(Command::register(agent(1))).unwrap();
    for id in 1..=3 {
        host.send(Command::submit(task(id))).unwrap();
    }
    assert!((1..=3).all(|id| host.engine.task(TaskId::new(id)).unwrap().status() == TaskStatus::Running));
    assert_eq!(CALLS.load(Ordering::SeqCst), 1, "a strategy that panicked is not called again");
    let [quarantined] = &host.engine.quarantined()[..] else { panic!("{:?}", host.engine.quarantined()) };
    assert_eq!(quarantined.to_string(), "the routing strategy for work panicked: no agent is good enough");
    let rerouted = |entry: &Entry| match &entry.event {
        Event::Control(ControlEvent::Rerouted { kind, to, reason }) => Some((kind.clone(), to.clone(), reason.clone())),
        _ => None,
    };
    let rerouted: Vec<_> = host.journal.iter().filter_map(rerouted).collect();
    let reason = "the strategy panicked: no agent is good enough";
    assert_eq!(rerouted, [(Some("work".into()), "least loaded".into(), reason.into())]);
    host.restart();
}

/// Panics in the method with this number.
#[derive(Debug)]
struct Fragile(u8);

impl Fragile {
    fn at(&self, method: u8) {
        assert_ne!(self.0, method, "method {method} failed");
    }
}

impl RoutingStrategy for Fragile {
    fn name(&self) -> &str {
        self.at(0);
        "fragile"
    }

    fn pick(&mut self, _: &TaskSpec, among: &Candidates<'_>, _: &mut Random) -> Option<AgentId> {
        self.at(1);
        among.iter().next().map(|agent| agent.id())
    }

    fn observe(&mut self, _: &Entry) {
        self.at(2);
    }

    fn rerouted(&mut self) -> Option<Rerouting> {
        self.at(3);
        None
    }

    fn explain(&self) -> Option<String> {
        self.at(4);
        None
    }
}

impl Estimator for Fragile {
    fn name(&self) -> &str {
        "fragile"
    }

    fn estimate(&self, _: &TaskSpec) -> Option<Duration> {
        self.at(5);
        Some(PATIENCE)
    }

    fn observe(&mut self, _: &Entry) {
        self.at(6);
    }
}

#[test]
fn every_method_of_a_strategy_and_of_an_estimator_may_panic() {
    for method in 0..=6 {
        let config = move || Config::default().with_strategy(Fragile(method)).with_estimator(Fragile(method));
        let (mut engine, mut out) = (counterpoint::Engine::new(config()), counterpoint::Outbox::default());
        let now = counterpoint::Time::from_secs(1);
        engine.handle(now, Command::register(agent(1)), &mut out).unwrap();
        engine.handle(now, Command::submit(task(1).with_estimate(Duration::from_secs(7))), &mut out).unwrap();
        assert_eq!(engine.task(TaskId::new(1)).unwrap().status(), TaskStatus::Running);
        for (_, strategy) in engine.strategies() {
            let _ = (strategy.name().to_owned(), strategy.explain());
        }
        let expected = if method >= 5 { Callback::Estimator } else { Callback::Strategy(None) };
        let listed: Vec<Callback> = engine.quarantined().into_iter().map(|one| one.callback).collect();
        assert_eq!(listed, [expected], "method {method}");
        let restored = counterpoint::Engine::restore(config(), None, out.entries()).unwrap();
        assert_eq!(restored.snapshot(), engine.snapshot());
    }
}

fn step(name: &str) -> Node {
    Node::new(name, Action::task("work")).with_input(Expr::Input)
}

/// The first node succeeds if the predicate holds for its output.
fn conditional() -> Definition {
    let first = step("first").with_postcondition(Condition::predicate("good", Expr::Item));
    Definition::new("flow").with_node(first).with_node(step("second").with_link(Link::success("first")))
}

fn panicking_predicate() -> Config {
    Config::default().with_predicate("good", |_| panic!("cannot judge"))
}

fn sound_predicate() -> Config {
    Config::default().with_predicate("good", |_| true)
}

/// Completes all attempts that the last call dispatched.
fn complete(host: &mut Host) {
    for effect in std::mem::take(&mut host.effects) {
        if let counterpoint::Effect::Dispatch { attempt, to, .. } = effect {
            host.send(Command::complete(to, attempt, Payload::new("done".into()))).unwrap();
        }
    }
}

#[test]
fn a_predicate_that_panics_decides_nothing() {
    let mut host = Host::new(panicking_predicate);
    host.send(Command::register(agent(1))).unwrap();
    host.send(Command::define(conditional())).unwrap();
    let plain = Definition::new("plain").with_node(step("only"));
    host.send(Command::define(plain)).unwrap();
    host.send(Command::start(RunSpec::new(RUN, "flow"))).unwrap();
    complete(&mut host);
    let run = host.engine.run(RUN).unwrap();
    assert_eq!(run.phase(), RunPhase::Running, "no decision was recorded");
    assert_eq!(run.waits_for()[0], "function `good`, which is not registered or has panicked");
    assert_eq!(callbacks(&host), [Callback::Predicate("good".into())]);
    // Other runs continue.
    host.send(Command::start(RunSpec::new(RunId::new(2), "plain"))).unwrap();
    complete(&mut host);
    assert_eq!(host.engine.run(RunId::new(2)).unwrap().phase(), RunPhase::Finished);
    // The next host has a predicate that answers.
    host.restart_with(sound_predicate);
    complete(&mut host);
    assert_eq!(host.engine.run(RUN).unwrap().phase(), RunPhase::Finished);
    assert_eq!(callbacks(&host), []);
}

fn panicking_reducer() -> Config {
    Config::default().with_reducer("both", |_, _| panic!("cannot combine"))
}

fn sound_reducer() -> Config {
    Config::default().with_reducer("both", |_, written| written.clone())
}

#[test]
fn a_reducer_that_panics_combines_nothing() {
    let definition = Definition::new("flow")
        .with_node(step("first").writing("v", ""))
        .with_node(step("second").with_link(Link::success("first")).with_input(Expr::variable("v")))
        .with_variable(Variable::new("v", Reducer::Custom("both".into())));
    let mut host = Host::new(panicking_reducer);
    host.send(Command::register(agent(1))).unwrap();
    host.send(Command::define(definition)).unwrap();
    host.send(Command::start(RunSpec::new(RUN, "flow"))).unwrap();
    complete(&mut host);
    assert_eq!(host.engine.run(RUN).unwrap().phase(), RunPhase::Running);
    assert_eq!(callbacks(&host), [Callback::Reducer("both".into())]);
    host.restart_with(sound_reducer);
    let counterpoint::Effect::Dispatch { task, .. } = &host.effects[0] else { panic!("{:?}", host.effects) };
    assert_eq!(task.payload, Payload::new("done".into()));
    complete(&mut host);
    assert_eq!(host.engine.run(RUN).unwrap().phase(), RunPhase::Finished);
}

#[test]
fn an_update_that_cannot_be_judged_is_rejected_as_such() {
    let judged = Condition::predicate("good", Expr::Item);
    let definition = Definition::new("flow")
        .with_node(step("first"))
        .with_variable(Variable::new("v", Reducer::Replace).with_updates(judged));
    let mut host = Host::new(panicking_predicate);
    host.send(Command::define(definition)).unwrap();
    host.send(Command::start(RunSpec::new(RUN, "flow"))).unwrap();
    let update = RunCommand::Update { run: RUN, variable: "v".into(), value: Payload::NULL };
    let rejected = Rejected::State(WrongState::FunctionPanicked { run: RUN, function: "good".into() });
    assert_eq!(host.send(update.clone()), Err(rejected.clone()));
    assert_eq!(host.send(update), Err(rejected));
}

fn threads(config: Config) -> Arc<ThreadHost> {
    let host = ThreadHost::start(config).unwrap();
    host.add_custom_agent(agent(1).with_capacity(2), |_: &TaskSpec, _: &Attempt| Ok(Payload::NULL)).unwrap();
    Arc::new(host)
}

fn works(host: &ThreadHost, id: u64) {
    let outcome = host.submit(task(id)).unwrap().wait_for(PATIENCE).unwrap();
    assert_eq!(outcome, TaskOutcome::Succeeded(Payload::NULL));
}

#[test]
fn a_closure_that_panics_gets_its_panic_and_the_host_continues() {
    let host = threads(Config::default());
    let panicked = host.inspect(|engine| -> u64 { panic!("at {}", engine.last_seq().get()) });
    assert_eq!(panicked, Err(HostError::Panicked("at 2".into())));
    let bomb = host.inspect(|_| -> u64 { std::panic::panic_any(Bomb) });
    assert_eq!(bomb, Err(HostError::Panicked("no message".into())));
    works(&host, 1);
    host.shut_down(PATIENCE).unwrap();
}

/// A value of which the destructor panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a bomb was dropped");
    }
}

#[test]
fn a_watcher_that_panics_is_removed_and_the_others_see_everything() {
    let host = threads(Config::default());
    let (send, seen) = mpsc::channel();
    let first = send.clone();
    host.watch(move |entry| first.send((1, entry.seq)).unwrap()).unwrap();
    let calls = Arc::new(AtomicU32::new(0));
    let (counted, bomb) = (Arc::clone(&calls), Bomb);
    host.watch(move |_| {
        let _captured = &bomb;
        counted.fetch_add(1, Ordering::SeqCst);
        panic!("cannot watch")
    })
    .unwrap();
    host.watch(move |entry| send.send((3, entry.seq)).unwrap()).unwrap();
    works(&host, 1);
    works(&host, 2);
    let quarantined = host.quarantined().unwrap();
    assert_eq!(quarantined.iter().map(ToString::to_string).collect::<Vec<_>>(), ["watcher 2 panicked: cannot watch"]);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    host.shut_down(PATIENCE).unwrap();
    let seen: Vec<_> = seen.iter().collect();
    let of = |watcher| seen.iter().filter(|(by, _)| *by == watcher).map(|(_, seq)| *seq).collect::<Vec<_>>();
    assert!(of(1).len() >= 6 && of(1) == of(3), "{seen:?}");
}

#[test]
fn a_host_lists_the_callbacks_of_its_engine() {
    let panics = Custom::new("mine", |_: &TaskSpec, _: &Candidates<'_>, _: &mut Random| panic!("never"));
    let host = threads(Config::default().with_strategy(panics));
    works(&host, 1);
    let listed: Vec<_> = host.quarantined().unwrap().into_iter().map(|one| one.callback).collect();
    assert_eq!(listed, [Callback::Strategy(None)]);
}

/// Runs a function in a closure that reads the engine, and returns its result. It would wait for ever if the function did.
fn inside<T: Send + 'static>(host: &Arc<ThreadHost>, call: impl FnOnce(&ThreadHost) -> T + Send + 'static) -> T {
    let within = Arc::clone(host);
    host.inspect(move |_| call(&within)).unwrap()
}

#[test]
fn a_call_from_a_callback_gets_an_error_instead_of_waiting_for_ever() {
    let host = threads(Config::default());
    assert_eq!(inside(&host, |host| host.command(Command::Tick)), Err(HostError::Reentrant));
    assert_eq!(inside(&host, |host| host.submit(task(9)).map(|handle| handle.id())), Err(HostError::Reentrant));
    assert_eq!(inside(&host, |host| host.inspect(|_| 1)), Err(HostError::Reentrant));
    assert_eq!(inside(&host, |host| host.shut_down(PATIENCE)), Err(HostError::Reentrant));
    // What a caller waits for after a call.
    let open = TaskSpec::new(TaskId::new(8), "nobody can");
    let handle = host.submit(open).unwrap();
    assert_eq!(inside(&host, move |_| handle.wait()), Err(HostError::Reentrant));
    let handle = host.submit(TaskSpec::new(TaskId::new(8), "nobody can")).unwrap();
    assert!(inside(&host, move |_| handle.wait_for(PATIENCE).is_err()));
    host.define(Definition::new("flow").with_node(Node::new("only", Action::task("nobody can")))).unwrap();
    let run = host.start_run::<u64>(RunSpec::new(RUN, "flow")).unwrap();
    assert_eq!(inside(&host, move |_| run.wait()), Err(RunError::Reentrant));
    let mut events = host.events(EventFilter::all(), 10).unwrap();
    assert_eq!(inside(&host, move |_| events.next()), None);
    works(&host, 1);
}

#[test]
fn a_call_from_a_watcher_or_a_predicate_gets_an_error() {
    let slot: Arc<Mutex<Option<Arc<ThreadHost>>>> = Arc::default();
    let (send, results) = mpsc::channel();
    let (of_predicate, in_predicate) = (send.clone(), Arc::clone(&slot));
    let config = Config::default().with_predicate("good", move |_| {
        let host = in_predicate.lock().unwrap().clone();
        of_predicate.send(host.map(|host| host.command(Command::Tick))).unwrap();
        true
    });
    let host = threads(config);
    *slot.lock().unwrap() = Some(Arc::clone(&host));
    host.define(conditional()).unwrap();
    host.start_run::<Payload>(RunSpec::new(RUN, "flow")).unwrap().wait_for(PATIENCE).unwrap().unwrap();
    let watching = Arc::clone(&slot);
    host.watch(move |_| {
        let host = watching.lock().unwrap().clone();
        send.send(host.map(|host| host.command(Command::Tick))).unwrap();
    })
    .unwrap();
    works(&host, 1);
    slot.lock().unwrap().take();
    host.shut_down(PATIENCE).unwrap();
    drop(host);
    let results: Vec<_> = results.iter().collect();
    assert!(results.len() >= 4 && results.iter().flatten().all(|result| *result == Err(HostError::Reentrant)));
}

#[test]
fn a_callback_may_drop_the_host() {
    let host = ThreadHost::start(Config::default()).unwrap();
    let (slot, (send, dropped)) = (Arc::new(Mutex::new(None)), mpsc::channel());
    let within = Arc::clone(&slot);
    host.watch(move |_| {
        let host: Option<ThreadHost> = within.lock().unwrap().take();
        drop(host);
        let _ = send.send(());
    })
    .unwrap();
    let mut own = slot.lock().unwrap();
    let submitted = own.insert(host).submit(task(1));
    assert_eq!(submitted.map(|handle| handle.id()), Ok(TaskId::new(1)));
    drop(own);
    // The watcher drops the host; then the thread of the host ends, and with it the watcher.
    assert_eq!(dropped.recv_timeout(PATIENCE), Ok(()));
    assert_eq!(dropped.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
}
