//! The progress of runs, and the first of several runs to end, on the host on threads.

use counterpoint::host::thread::{RunHandle, ThreadHost};
use counterpoint::host::{HostError, RunError};
use counterpoint::message::RunPhase;
use counterpoint::workflow::{Flow, StepSpec, Steps, Workflow};
use counterpoint::{AgentId, AgentSpec, Config, Failure, Payload, RunCommand, RunId};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PASS: StepSpec<u64, u64> = StepSpec::new("pass");
const WAIT: StepSpec<u64, u64> = StepSpec::new("wait");
const PATIENCE: Duration = Duration::from_secs(30);

/// Two steps: `pass`, and `wait`, which ends when something is sent for it.
fn world() -> (Arc<ThreadHost>, Flow<u64, u64>, Sender<()>) {
    let flow = Workflow::<u64, u64>::named("pass and wait");
    let passed = flow.step(PASS, flow.input());
    let flow = flow.output(flow.step(WAIT, passed)).unwrap();
    let (send, go) = channel();
    let go = Mutex::new(go);
    let steps = Steps::new().with_fn(PASS, |number, _| Ok(number)).with_fn(WAIT, move |number, _| {
        go.lock().unwrap().recv_timeout(PATIENCE).map_err(|_| Failure::permanent("nothing was sent"))?;
        Ok(number)
    });
    let host = ThreadHost::start(Config::default()).unwrap();
    host.add_agent(AgentSpec::new(AgentId::new(1)).with_capacity(2), steps).unwrap();
    (Arc::new(host), flow, send)
}

#[test]
fn the_progress_of_a_run_ends_with_the_run() {
    let (host, flow, send) = world();
    let run = host.run(&flow, RunId::new(1), &3).unwrap();
    let mut progress = host.progress(run.id()).unwrap();
    let half = progress.by_ref().find(|now| now.share >= 0.5).unwrap();
    assert_eq!((half.share, half.phase), (0.5, RunPhase::Running));
    // Nothing changes until the step goes on.
    assert_eq!(progress.next_within(Duration::from_millis(50)).filter(|now| now.share > 0.5), None);
    send.send(()).unwrap();
    let last = progress.last().unwrap();
    assert_eq!((last.share, last.phase), (1.0, RunPhase::Finished));
    assert_eq!(run.wait().unwrap(), 3);
    // A late subscription has the last progress, and one of an unknown run nothing.
    assert_eq!(host.progress(RunId::new(1)).unwrap().collect::<Vec<_>>(), [last]);
    assert_eq!(host.progress(RunId::new(9)).unwrap().next(), None);
}

#[test]
fn a_slow_reader_of_progress_has_the_newest_value_and_the_end_of_the_host_ends_it() {
    let (host, flow, _send) = world();
    let _run = host.run(&flow, RunId::new(1), &3).unwrap();
    let slow = host.progress(RunId::new(1)).unwrap();
    drop(host.progress(RunId::new(1)).unwrap());
    let mut quick = host.progress(RunId::new(1)).unwrap();
    assert!(quick.any(|now| now.share >= 0.5));
    let newest = slow.next_within(PATIENCE).unwrap();
    assert_eq!(newest.share, 0.5);
    host.command(RunCommand::Cancel { run: RunId::new(1), reason: "enough".into() }).unwrap();
    // Reads to the end: of the run, or of the host.
    drop(host);
    assert!(slow.count() <= 1);
}

#[test]
fn in_a_callback_neither_progress_nor_wait_any_waits() {
    let (host, flow, send) = world();
    let run = host.run(&flow, RunId::new(1), &3).unwrap();
    let progress = Mutex::new(Some((host.progress(RunId::new(1)).unwrap(), vec![run])));
    let own = Arc::clone(&host);
    let seen = host.inspect(move |_| {
        let (mut progress, mut runs) = progress.lock().unwrap().take().unwrap();
        while progress.next().is_some() {}
        let asked = own.progress(RunId::new(1)).map(|_| ());
        (asked, RunHandle::wait_any(&mut runs), progress.next_within(PATIENCE))
    });
    let (asked, waited, late) = seen.unwrap();
    assert_eq!((asked, late), (Err(HostError::Reentrant), None));
    assert!(matches!(waited, Some((run, Err(RunError::Reentrant))) if run == RunId::new(1)));
    send.send(()).unwrap();
    assert_eq!(host.attach::<u64>(RunId::new(1)).unwrap().wait().unwrap(), 3);
}

#[test]
fn the_first_of_several_runs_to_end_is_taken_out_of_the_list() {
    let host = ThreadHost::start(Config::default()).unwrap();
    let flow = Workflow::<(), u64>::named("held");
    let flow = flow.output(flow.wait_signal::<u64>("go")).unwrap();
    let start = |id| host.run(&flow, RunId::new(id), &()).unwrap();
    let mut runs: Vec<_> = (1..=3).map(start).collect();
    for id in [2, 3, 1] {
        host.signal(RunId::new(id), "go", Payload::of(&id).unwrap()).unwrap();
        let (ended, output) = RunHandle::wait_any(&mut runs).unwrap();
        assert_eq!((ended, output.unwrap()), (RunId::new(id), id));
    }
    assert!(RunHandle::wait_any(&mut runs).is_none());

    // The end of the host ends every wait.
    let mut runs = vec![start(4)];
    drop(host);
    assert!(matches!(RunHandle::wait_any(&mut runs), Some((_, Err(RunError::HostEnded)))));
    assert!(runs.is_empty());
}
