//! Clocks that jump: no reading freezes the time of an engine, ends leases or fires timers that are not due.

use crate::kit::Host;
use counterpoint::message::rejected::WrongState;
use counterpoint::message::{AgentEvent, ControlEvent, TaskEvent};
use counterpoint::scheduler::TaskStatus;
use counterpoint::sim::{AgentModel, Arrivals, Distribution, Fault, Faults, Job, Rules, Simulation};
use counterpoint::{
    Accepted, AgentCommand, AgentId, AgentSpec, Command, Config, ControlCommand, Engine, Entry, Event, Incarnation,
    Limits, Policy, Random, Rejected, TaskCommand, TaskId, TaskSpec, Time,
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const YEARS: Duration = Duration::from_secs(50 * 365 * 86_400);
const TODAY: Time = Time::from_secs(1_800_000_000);

fn host() -> Host {
    let mut host = Host::new(Config::default);
    host.now = TODAY;
    host
}

fn only_by_operator() -> Config {
    Config::default().with_limits(Limits::default().with_clock_confirmed_after(None))
}

fn join(host: &mut Host) -> Incarnation {
    let spec = AgentSpec::new(AgentId::new(1)).with_skill("work", 1).with_lease(SECOND * 10);
    let Ok(Accepted::Registered(by)) = host.send(Command::register(spec)) else { panic!("the agent is registered") };
    by
}

/// The control events, without the reports of tasks that have no agent.
fn controls(host: &Host) -> Vec<ControlEvent> {
    let control = |entry: &Entry| match &entry.event {
        Event::Control(ControlEvent::Unroutable(_) | ControlEvent::Routable { .. }) => None,
        Event::Control(event) => Some(event.clone()),
        _ => None,
    };
    host.journal.iter().filter_map(control).collect()
}

fn was_lost(host: &Host) -> bool {
    host.journal.iter().any(|entry| matches!(entry.event, Event::Agent { event: AgentEvent::Lost, .. }))
}

#[test]
fn one_reading_far_in_the_future_has_no_consequences() {
    let mut host = host();
    let by = join(&mut host);
    host.now = TODAY + YEARS;
    host.send(Command::Tick).unwrap();
    host.now = TODAY + SECOND;
    host.send(AgentCommand::Heartbeat { by }).unwrap();
    assert!(!was_lost(&host), "a lease ended by a wrong reading");
    let task = TaskSpec::new(TaskId::new(1), "other").with_deadline(TODAY + SECOND * 5);
    host.send(Command::submit(task)).unwrap();
    assert!(host.journal.iter().all(|entry| entry.at <= TODAY + SECOND), "the wrong time is in the journal");
    assert_eq!(
        controls(&host),
        [ControlEvent::ClockJumped { from: TODAY, to: TODAY + YEARS }, ControlEvent::ClockReturned]
    );
    // The clock was not frozen: the deadline passes, and so does the lease.
    host.now = TODAY + SECOND * 12;
    host.send(Command::Tick).unwrap();
    assert_eq!(host.engine.task(TaskId::new(1)).unwrap().status(), TaskStatus::Expired);
    assert!(was_lost(&host));
}

/// The reading by which the clock returns precedes the heartbeat that comes with it.
#[test]
fn a_clock_that_returns_ends_no_lease() {
    let mut host = host();
    let by = join(&mut host);
    host.now = TODAY + YEARS;
    host.send(AgentCommand::Heartbeat { by }).unwrap();
    host.now = TODAY + SECOND * 60;
    host.send(AgentCommand::Heartbeat { by }).unwrap();
    assert_eq!(controls(&host).last(), Some(&ControlEvent::ClockReturned));
    assert!(!was_lost(&host), "the lease ended with the reading");
    host.now = host.now + SECOND * 10;
    host.send(Command::Tick).unwrap();
    assert!(was_lost(&host));
}

#[test]
fn time_limits_last_as_long_as_they_should_after_a_jump() {
    for to in [TODAY + YEARS, Time::from_secs(1_000), TODAY + DAY + SECOND] {
        let mut host = host();
        let by = join(&mut host);
        let timeout = Policy::default().with_attempt_timeout(SECOND * 4);
        host.send(Command::submit(TaskSpec::new(TaskId::new(1), "work").with_policy(timeout))).unwrap();
        host.now = to;
        host.send(AgentCommand::Heartbeat { by }).unwrap();
        assert_eq!(host.engine.now(), TODAY);
        let wakeup = host.engine.next_wakeup().unwrap();
        assert!(wakeup > to && wakeup <= to + SECOND * 4, "{wakeup}");
        host.now = to + SECOND * 3;
        host.send(AgentCommand::Heartbeat { by }).unwrap();
        assert_eq!(host.engine.task(TaskId::new(1)).unwrap().status(), TaskStatus::Running);
        host.now = to + SECOND * 4;
        host.send(Command::Tick).unwrap();
        let failed = |entry: &Entry| matches!(entry.event, Event::Task { event: TaskEvent::AttemptFailed { .. }, .. });
        assert_eq!(host.journal.iter().find(|entry| failed(entry)).unwrap().at, TODAY + SECOND * 4);
        assert!(!was_lost(&host));
        host.now = to + SECOND * 13;
        host.send(Command::Tick).unwrap();
        assert!(was_lost(&host));
    }
}

#[test]
fn an_operator_confirms_the_new_time() {
    let mut host = Host::new(only_by_operator);
    host.now = TODAY;
    join(&mut host);
    let confirm = |time| ControlCommand::ConfirmClock { time, reason: "the host was suspended".into() };
    let no_jump = |time, now| Err(Rejected::State(WrongState::NoClockJump { time, now }));
    assert_eq!(host.send(confirm(TODAY)), no_jump(TODAY, TODAY));
    host.now = TODAY + DAY * 30;
    // Only the time that the operator has seen is confirmed.
    assert_eq!(host.send(confirm(TODAY + YEARS)), no_jump(TODAY + YEARS, TODAY));
    host.now = host.now + SECOND;
    assert_eq!(host.send(confirm(TODAY + DAY * 30)), Ok(Accepted::Done));
    let confirmed = ControlEvent::ClockConfirmed {
        from: TODAY + SECOND,
        to: host.now,
        reason: Some("the host was suspended".into()),
    };
    assert_eq!(controls(&host).last(), Some(&confirmed));
    assert_eq!((host.engine.now(), host.engine.standing().clock), (host.now, None));
    host.now = host.now + SECOND * 9;
    host.send(Command::Tick).unwrap();
    assert!(!was_lost(&host), "the leases were renewed");
    host.now = host.now + SECOND;
    host.send(Command::Tick).unwrap();
    assert!(was_lost(&host));
}

#[test]
fn an_operator_cannot_send_the_engine_back_in_time() {
    let mut host = host();
    join(&mut host);
    host.now = Time::from_secs(5);
    let confirm = ControlCommand::ConfirmClock { time: host.now, reason: "correct".into() };
    let refused = Rejected::State(WrongState::NoClockJump { time: host.now, now: TODAY });
    assert_eq!(host.send(confirm), Err(refused));
}

#[test]
fn a_host_that_calls_at_each_wakeup_confirms_a_jump_within_the_configured_time() {
    for before in [None, Some(TaskSpec::new(TaskId::new(1), "any").with_deadline(TODAY + YEARS * 2))] {
        let mut host = host();
        host.send(Command::Tick).unwrap();
        before.map(|task| host.send(Command::submit(task)).unwrap());
        // The host slept for a month, and nothing but the engine asks it to call.
        let woken = TODAY + DAY * 30;
        host.now = woken;
        host.send(Command::Tick).unwrap();
        for _ in 0..2 {
            assert_ne!(host.engine.now(), host.now);
            host.now = host.engine.next_wakeup().unwrap();
            host.send(Command::Tick).unwrap();
        }
        assert_eq!((host.now, host.engine.now()), (woken + SECOND * 600, woken + SECOND * 600));
        let [ControlEvent::ClockJumped { .. }, ControlEvent::ClockConfirmed { reason: None, .. }] = controls(&host)[..]
        else {
            panic!("{:?}", controls(&host));
        };
    }
}

#[test]
fn a_host_that_calls_at_each_wakeup_does_not_jump() {
    let mut host = host();
    let task = TaskSpec::new(TaskId::new(1), "any").with_deadline(TODAY + DAY * 30);
    host.send(Command::submit(task)).unwrap();
    let mut calls = 0;
    while let Some(at) = host.engine.next_wakeup() {
        host.now = at;
        host.send(Command::Tick).unwrap();
        calls += 1;
    }
    // The task may begin at its deadline, and expires at the next instant.
    assert_eq!((host.now, controls(&host)), (TODAY + DAY * 30 + Duration::from_nanos(1), Vec::new()));
    assert!((60..100).contains(&calls), "{calls}");
    assert_eq!(host.engine.task(TaskId::new(1)).unwrap().status(), TaskStatus::Expired);
}

#[test]
fn a_host_that_was_down_for_days_needs_no_operator() {
    let mut host = host();
    join(&mut host);
    host.now = TODAY + DAY * 20;
    host.restart();
    assert_eq!((host.engine.now(), controls(&host)), (host.now, Vec::new()));
    assert!(!was_lost(&host));
}

#[test]
fn a_restart_does_not_confirm_a_jump() {
    let mut host = Host::new(only_by_operator);
    host.now = TODAY;
    join(&mut host);
    let wrong = TODAY + YEARS;
    host.now = wrong;
    host.send(Command::Tick).unwrap();
    host.now = wrong + SECOND;
    host.restart();
    assert_eq!(host.engine.now(), TODAY);
    assert!(host.engine.standing().clock.is_some());
    host.now = TODAY + SECOND * 5;
    host.restart();
    assert_eq!((host.engine.now(), host.engine.standing().clock), (host.now, None));
    assert_eq!(controls(&host).last(), Some(&ControlEvent::ClockReturned));
    assert!(host.journal.iter().all(|entry| entry.at <= host.now));
}

#[test]
fn without_a_bound_every_reading_is_followed() {
    let mut host = Host::new(|| Config::default().with_limits(Limits::default().with_max_clock_step(None)));
    host.now = TODAY;
    join(&mut host);
    host.now = TODAY + YEARS;
    host.send(Command::Tick).unwrap();
    assert_eq!((host.engine.now(), controls(&host)), (host.now, Vec::new()));
    assert!(was_lost(&host));
}

#[test]
fn a_clock_at_the_end_of_time_causes_no_endless_calls() {
    let mut host = host();
    join(&mut host);
    host.now = Time::MAX;
    let mut calls = 0;
    while host.engine.next_wakeup().is_some_and(|at| at <= host.now) && calls < 10 {
        host.send(Command::Tick).unwrap();
        calls += 1;
    }
    assert!(calls < 10, "the engine asks for calls that cannot help");
    assert!(!was_lost(&host));
}

/// The time of an engine, by the rules of the documentation, in seconds.
#[derive(Default)]
struct Model {
    now: i64,
    /// The first and the latest reading after a jump, and their number.
    jump: Option<(i64, i64, u32)>,
    any: bool,
}

const STEP: i64 = 100;
const AGREES: i64 = 30;

fn drawn_config() -> Config {
    let limits = Limits::default().with_max_clock_step(Some(Duration::from_secs(STEP as u64)));
    Config::default().with_limits(limits.with_clock_confirmed_after(Some(Duration::from_secs(AGREES as u64))))
}

impl Model {
    fn read(&mut self, reading: i64) {
        let follows = std::mem::take(&mut self.any) || (reading - self.now).abs() <= STEP;
        self.jump = match self.jump {
            _ if follows => {
                self.now = self.now.max(reading);
                None
            }
            Some((first, latest, count)) if (reading - latest).abs() <= STEP => {
                self.now += (reading - latest).max(0);
                let latest = latest.max(reading);
                if count >= 2 && latest - first >= AGREES && first > self.now - (latest - first) {
                    self.now = latest;
                    None
                } else {
                    Some((first, latest, count + 1))
                }
            }
            _ => Some((reading, reading, 1)),
        };
    }
}

/// Readings that advance, repeat, go back, jump and return, with restarts between them: the engine has the time of the
/// model, and its journal leads to the same state.
#[test]
fn the_time_is_that_of_the_model() {
    let mut jumps = 0;
    for seed in 0..100 {
        let mut random = Random::new(seed, 0);
        let mut host = Host::new(drawn_config);
        let (mut model, mut reading) = (Model { any: true, ..Model::default() }, 1_000_i64);
        for call in 0..60 {
            let by = i64::try_from(random.below(40)).unwrap();
            reading = match random.below(12) {
                0..8 => reading + by,
                8 => reading,
                9 => (reading - by).max(0),
                10 => reading + by * 1_000_000,
                _ => model.now.max(1),
            };
            host.now = Time::from_secs(reading.unsigned_abs());
            let before = host.engine.now();
            if random.below(15) == 0 {
                let before_restart = host.journal.last().map(|entry| entry.at);
                host.restart();
                // No event records that time has passed since the last entry.
                let last = before_restart.map_or(0, |at: Time| at.since(Time::ZERO).as_secs());
                model = Model { now: i64::try_from(last).unwrap(), any: model.jump.is_none(), jump: None };
            } else {
                let task = TaskSpec::new(TaskId::new(call + 1), "any");
                let cancel = TaskCommand::Cancel { task: TaskId::new(call), reason: "over".into() };
                let command = if random.below(2) == 0 { Command::submit(task) } else { cancel.into() };
                let _either = host.send(command);
                assert!(host.engine.now() >= before, "time went back");
            }
            model.read(reading);
            jumps += u32::from(model.jump.is_some());
            assert_eq!(host.engine.now(), Time::from_secs(model.now.unsigned_abs()), "seed {seed}, call {call}");
            assert_eq!(host.engine.standing().clock.is_some(), model.jump.is_some(), "seed {seed}, call {call}");
        }
        let held = Engine::restore(drawn_config(), None, &host.journal).unwrap();
        assert_eq!(held.snapshot(), host.engine.snapshot());
    }
    assert!(jumps > 500, "{jumps} calls while the clock was not followed");
}

/// Clocks that are wrong by years for up to an hour, beside jumps by hours and crashes: the rules of the simulation hold, and
/// all work ends.
#[test]
fn a_simulated_host_with_a_wrong_clock_loses_nothing() {
    let (mut jumped, mut confirmed, mut returned) = (0, 0, 0);
    for seed in 0..16 {
        let policy = Policy::default().with_attempt_timeout(SECOND * 20);
        let task = move |n| TaskSpec::new(TaskId::new(n), "work").with_policy(policy.clone());
        let jobs = Arrivals::poisson(seed, 0.03).unwrap().take(40).zip(1..);
        let faults =
            [(Fault::ClockAstray, 30), (Fault::ClockForward, 8), (Fault::ClockBack, 8), (Fault::CrashAfter, 15)];
        let faults = faults.into_iter().fold(Faults::none(), |faults, (fault, rate)| faults.with(fault, rate));
        let report = Simulation::new(seed)
            .with_agents((1..=2).map(|id| {
                AgentModel::new(AgentSpec::new(AgentId::new(id)).with_skill("work", 1).with_lease(SECOND * 30))
            }))
            .with_service("work", Distribution::constant(SECOND * 3))
            .with_reminders(SECOND * 10)
            .with_verification(40)
            .with_jobs(jobs.map(move |(at, n)| Job::task(at, task(n))))
            .with_faults(faults.until(Time::from_secs(3_000)))
            .with_oracle(Rules::default().with_cancel_grace(SECOND * 30))
            .must_end_by(Time::from_secs(40_000))
            .run()
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        for entry in &report.journal {
            match &entry.event {
                Event::Control(ControlEvent::ClockJumped { .. }) => jumped += 1,
                Event::Control(ControlEvent::ClockConfirmed { .. }) => confirmed += 1,
                Event::Control(ControlEvent::ClockReturned) => returned += 1,
                _ => {}
            }
        }
    }
    assert!(jumped > 40 && confirmed > 5 && returned > 10, "{jumped} {confirmed} {returned}");
}

/// A month between two jobs is no jump of the clock: the simulated host calls its engine meanwhile.
#[test]
fn a_long_rest_of_a_simulated_host_is_no_jump() {
    let job =
        |n: u64| Job::task(Time::ZERO + DAY * 30 * u32::try_from(n).unwrap(), TaskSpec::new(TaskId::new(n), "work"));
    let report = Simulation::new(1)
        .with_agent(AgentModel::new(AgentSpec::new(AgentId::new(1)).with_skill("work", 1)))
        .with_jobs((1..=3).map(job))
        .run()
        .unwrap();
    assert!(report.settled);
    assert!(!report.journal.iter().any(|entry| matches!(entry.event, Event::Control(_))));
}

/// The same beside all other faults, with agents that crash and are lost.
#[test]
fn a_wrong_clock_beside_all_other_faults_loses_nothing() {
    for seed in 0..16 {
        let policy = Policy::default().with_attempt_timeout(SECOND * 20);
        let task = move |n| TaskSpec::new(TaskId::new(n), "work").with_policy(policy.clone());
        let faults = Fault::ALL.iter().fold(Faults::none(), |faults, fault| faults.with(*fault, 20));
        let report = Simulation::new(seed)
            .with_agents((1..=3).map(|id| {
                AgentModel::new(AgentSpec::new(AgentId::new(id)).with_skill("work", 1).with_lease(SECOND * 8))
            }))
            .with_service("work", Distribution::constant(SECOND * 2))
            .with_reminders(SECOND * 5)
            .with_verification(32)
            .with_jobs((1..=20).map(move |n| Job::task(Time::from_secs(n * 3), task(n))).collect::<Vec<_>>())
            .with_faults(faults.until(Time::from_secs(60)))
            .with_oracle(Rules::default().with_cancel_grace(SECOND * 30))
            .must_end_by(Time::from_secs(40_000))
            .run()
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(report.settled);
    }
}
