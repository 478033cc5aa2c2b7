//! What attempts report while they are under way, on both hosts: heartbeats with details, progress, partial output.

use super::world::{World, agent, ms, task};
use counterpoint::host::future::{Assignment, Timer};
use counterpoint::host::thread::ThreadHost;
use counterpoint::host::{Report, ReportContent, Reported, Reports};
use counterpoint::journal::MemoryJournal;
use counterpoint::task::{Progress, ProgressError, codes};
use counterpoint::workflow::{Attempt, ReportError, Step, Steps, Workflow};
use counterpoint::{
    AgentId, AgentSpec, Config, Failure, Limits, Payload, Policy, Retry, RunId, TaskId, TaskOutcome, TaskSpec,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn share(report: &Report) -> Option<f64> {
    match &report.content {
        ReportContent::Progress(progress) => Some(progress.share()),
        _ => None,
    }
}

fn chunk(report: &Report) -> Option<(u64, String)> {
    match &report.content {
        ReportContent::Chunk { number, chunk } => Some((*number, chunk.to().unwrap())),
        _ => None,
    }
}

/// The first attempt copies up to page 3 and fails; the next one goes on from there.
fn copy(attempt: &Attempt) -> Result<Payload, Failure> {
    let from: Option<u32> = attempt.last_details().to().unwrap();
    for page in from.unwrap_or(0) + 1..=5 {
        attempt.heartbeat(&page)?;
        if page == 3 && attempt.number() == 1 {
            return Err(Failure::transient("the network is down"));
        }
    }
    Payload::of(&(attempt.number(), from)).map_err(|error| Failure::permanent(error.to_string()))
}

fn retried(id: u64) -> TaskSpec {
    task(id).with_policy(Policy::default().with_retry(Retry::exponential(3, ms(1), ms(1))))
}

#[test]
fn under_futures_the_next_attempt_has_the_last_details() {
    let world = World::new();
    world.join(agent(1), |assignment: Assignment| async move { copy(&assignment.attempt) });
    let outcome = world.ended(retried(1));
    assert_eq!(outcome, Ok(TaskOutcome::Succeeded(Payload::of(&(2, 3)).unwrap())));
}

#[test]
fn under_threads_the_next_attempt_has_the_last_details() {
    let host = ThreadHost::start(Config::default()).unwrap();
    host.add_custom_agent(agent(1), |_: &TaskSpec, attempt: &Attempt| copy(attempt)).unwrap();
    let outcome = host.submit(retried(1)).unwrap().wait();
    assert_eq!(outcome, Ok(TaskOutcome::Succeeded(Payload::of(&(2, 3)).unwrap())));
}

#[test]
fn details_survive_the_host() {
    let journal = MemoryJournal::default();
    let (sent, told) = std::sync::mpsc::channel();
    let host = ThreadHost::open(Config::default(), journal.clone()).unwrap();
    let stuck = move |_: &TaskSpec, attempt: &Attempt| -> Result<Payload, Failure> {
        attempt.heartbeat(&"page 7")?;
        let _ = sent.send(());
        while !attempt.is_cancelled() {
            std::thread::yield_now();
        }
        Err(Failure::unknown("stopped"))
    };
    host.add_custom_agent(agent(1), stuck).unwrap();
    let _handle = host.submit(retried(1)).unwrap();
    told.recv().unwrap();
    while host.inspect(|engine| engine.task(TaskId::new(1)).unwrap().details().is_null()).unwrap() {
        std::thread::yield_now();
    }
    drop(host);
    let host = ThreadHost::open(Config::default(), journal).unwrap();
    let told = |_: &TaskSpec, attempt: &Attempt| Ok(attempt.last_details().clone());
    host.add_custom_agent(agent(2), told).unwrap();
    let outcome = host.submit(retried(1)).unwrap().wait();
    assert_eq!(outcome, Ok(TaskOutcome::Succeeded(Payload::of("page 7").unwrap())));
}

#[test]
fn under_futures_a_silent_attempt_is_lost_and_one_that_reports_is_not() {
    let world = World::new();
    let clock = world.clock.clone();
    world.join(agent(1).with_capacity(4), move |assignment: Assignment| {
        let clock = clock.clone();
        async move {
            for _ in 0..10 {
                clock.sleep(ms(600)).await;
                if assignment.task.id == TaskId::new(1) {
                    assignment.attempt.heartbeat(&())?;
                }
                if assignment.task.id == TaskId::new(2) {
                    assignment.attempt.progress(0.5, "half")?;
                }
            }
            Ok(Payload::NULL)
        }
    });
    let policy = Policy::default().with_retry(Retry::never()).with_heartbeat_timeout(SECOND);
    for id in [1, 2] {
        assert_eq!(world.ended(task(id).with_policy(policy.clone())), Ok(TaskOutcome::Succeeded(Payload::NULL)));
    }
    match world.ended(task(3).with_policy(policy)) {
        Ok(TaskOutcome::DeadLettered(failure)) => {
            assert_eq!(failure.code.unwrap().as_str(), codes::HEARTBEAT_TIMEOUT);
        }
        other => panic!("{other:?}"),
    }
}

struct Translate;

impl Step for Translate {
    const KIND: &'static str = "translate";
    type Input = u32;
    type Output = u32;
    fn run(&self, pages: u32, attempt: &Attempt) -> Result<u32, Failure> {
        for page in 1..=pages {
            attempt.progress(f64::from(page) / f64::from(pages), format!("page {page} of {pages}"))?;
            attempt.emit(&format!("text of page {page}"))?;
        }
        Ok(pages)
    }
}

fn read(reports: &Reports) -> (Vec<f64>, Vec<(u64, String)>) {
    let all: Vec<Report> = std::iter::from_fn(|| reports.wait()).collect();
    (all.iter().filter_map(share).collect(), all.iter().filter_map(chunk).collect())
}

#[test]
fn the_subscriber_of_a_run_gets_progress_and_output_and_a_late_one_the_last() {
    let flow = Workflow::<u32, u32>::named("book");
    let book = flow.output(flow.step(Translate, flow.input())).unwrap();
    let host = ThreadHost::start(Config::default()).unwrap();
    host.define(Arc::clone(book.definition())).unwrap();
    let handle = host.start_run::<u32>(book.run(RunId::new(1), &4).unwrap()).unwrap();
    let early = host.reports(RunId::new(1)).unwrap();
    assert_eq!(early.take(), None);
    host.add_agent(AgentSpec::new(AgentId::new(1)), Steps::new().with(Translate)).unwrap();
    assert_eq!(handle.wait(), Ok(4));
    let (shares, chunks) = read(&early);
    assert_eq!(shares.last(), Some(&1.0));
    assert!(shares.is_sorted());
    let texts: Vec<(u64, String)> = (0..4).map(|number| (number, format!("text of page {}", number + 1))).collect();
    assert_eq!(chunks, texts);
    let late = host.reports(RunId::new(1)).unwrap();
    assert_eq!(read(&late), (vec![1.0], vec![texts[3].clone()]));
    assert_eq!(host.reports(RunId::new(2)).unwrap_err().to_string(), "no run r2 is known");
}

#[test]
fn a_subscriber_that_does_not_read_costs_a_bounded_amount_and_sees_the_gap() {
    let world = World::new();
    world.join(agent(1), |assignment: Assignment| async move {
        for number in 0..10_000_u32 {
            assignment.attempt.progress(f64::from(number) / 10_000.0, "")?;
            assignment.attempt.emit(&number)?;
        }
        assignment.attempt.emit(&"the end")?;
        Ok(Payload::NULL)
    });
    let handle = world.run(world.host.submit(task(1).with_needs(counterpoint::Needs::nothing()))).unwrap();
    let reports = world.run(world.host.task_reports(TaskId::new(1))).unwrap();
    assert_eq!(world.run(handle), Ok(TaskOutcome::Succeeded(Payload::NULL)));
    let all: Vec<Report> = std::iter::from_fn(|| reports.wait()).collect();
    assert!(all.len() <= 256, "{}", all.len());
    let ReportContent::Chunk { number, chunk } = &all.last().unwrap().content else { panic!("{all:?}") };
    assert_eq!((*number, chunk), (10_000, &Payload::of("the end").unwrap()));
    assert!(all.iter().filter_map(share).count() <= 1);
    world.run(world.host.shut_down(SECOND)).unwrap();
}

#[test]
fn bad_reports_get_typed_answers() {
    let limits = Limits::default().with(|limits| limits.sizes.details_bytes = 8).with_payload_bytes(100);
    let world = World::open(Config::default().with_limits(limits), MemoryJournal::default());
    let kept: Arc<Mutex<Option<Attempt>>> = Arc::default();
    let keep = Arc::clone(&kept);
    world.join(agent(1), move |assignment: Assignment| {
        let keep = Arc::clone(&keep);
        async move {
            let attempt = assignment.attempt;
            let large = ReportError::TooLarge { what: "details_bytes", size: 12, limit: 8 };
            assert_eq!(attempt.heartbeat(&"0123456789"), Err(large));
            assert!(matches!(attempt.emit(&"x".repeat(200)), Err(ReportError::TooLarge { what: "payload_bytes", .. })));
            assert!(matches!(
                attempt.heartbeat(&std::collections::BTreeMap::from([((1, 2), 3)])),
                Err(ReportError::Payload(_))
            ));
            for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
                let error = attempt.progress(share, "").unwrap_err();
                assert!(matches!(error, ReportError::Progress(ProgressError::Share(_))), "{error}");
            }
            *keep.lock().unwrap() = Some(attempt);
            Ok(Payload::NULL)
        }
    });
    assert_eq!(world.ended(task(1)), Ok(TaskOutcome::Succeeded(Payload::NULL)));
    let attempt = kept.lock().unwrap().take().unwrap();
    for ended in [attempt.heartbeat(&1), attempt.progress(0.5, ""), attempt.emit(&1)] {
        assert_eq!(ended, Err(ReportError::Ended(attempt.id())));
    }
    let by = counterpoint::Incarnation::new(AgentId::new(1), 1);
    let progress = Reported::Progress(Progress::new(0.5, "").unwrap());
    let stale = world.run(world.host.report(by, attempt.id(), progress)).unwrap_err();
    assert_eq!(stale.to_string(), format!("attempt {} is not the current attempt of its task", attempt.id()));
}
