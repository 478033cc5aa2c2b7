//! Durable hosts: journals that fail for a while, that others hold, that are damaged, and programs that end at any time.

use super::world::{World, ms};
use counterpoint::host::future::{Blocking, FutureHost};
use counterpoint::host::thread::ThreadHost;
use counterpoint::host::{Durable, HostError};
use counterpoint::journal::{AppendError, Archive, Epoch, Journal, JournalError, MemoryJournal, Takeover};
use counterpoint::testing::{Executor, VirtualClock};
use counterpoint::workflow::{AsyncSteps, Attempt, Flow, StepSpec, Steps, Workflow};
use counterpoint::{AgentId, AgentSpec, Config, Engine, Entry, RestoreError, RunId, Seq};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const DOUBLE: StepSpec<u64, u64> = StepSpec::new("double");
const PATIENT: Durable = Durable::new().snapshot_every(7).patience(Duration::from_secs(20));

fn flow() -> Flow<u64, u64> {
    let flow = Workflow::<u64, u64>::named("quadruple");
    let twice = flow.step(DOUBLE, flow.step(DOUBLE, flow.input()));
    flow.output(twice).unwrap()
}

/// How often each piece of work was done, by its idempotency key.
type Effects = Arc<Mutex<BTreeMap<String, u32>>>;

fn double(effects: &Effects, number: u64, attempt: &Attempt) -> u64 {
    *effects.lock().unwrap().entry(attempt.idempotency_key().unwrap().to_string()).or_default() += 1;
    number * 2
}

fn blocking(effects: &Effects) -> Steps {
    let effects = Arc::clone(effects);
    Steps::new().with_fn(DOUBLE, move |number, attempt: &Attempt| Ok(double(&effects, number, attempt)))
}

fn futures(effects: &Effects) -> AsyncSteps {
    let effects = Arc::clone(effects);
    AsyncSteps::new().with_fn(DOUBLE, move |number, attempt| {
        let doubled = double(&effects, number, &attempt);
        async move { Ok(doubled) }
    })
}

fn agent() -> AgentSpec {
    AgentSpec::new(AgentId::new(1)).with_capacity(2)
}

/// Opens a host in virtual time.
fn opened(journal: impl Journal + 'static, durable: Durable) -> Result<World, HostError> {
    let clock = VirtualClock::default();
    let executor = Executor::new(clock.clone());
    let runtime = executor.clone();
    let away = move |work: Blocking| runtime.spawn(async move { work() });
    let opens = FutureHost::durable(Config::default(), journal, clock.clone(), durable, away);
    let (host, driver) = executor.block_on(opens)?;
    Ok(World::around(clock, executor, host, driver))
}

/// A journal whose appends fail three times of four: nothing, all, or a part of the entries is stored.
#[derive(Clone, Default)]
struct Shaky {
    within: MemoryJournal,
    appends: Arc<AtomicU32>,
    reclaimed: Arc<AtomicU32>,
}

impl Journal for Shaky {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        self.within.take_over()
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        match self.appends.fetch_add(1, Ordering::Relaxed) % 4 {
            0 => Err(AppendError::Refused("the line is broken".into())),
            1 => {
                self.within.append(epoch, after, entries)?;
                Err(AppendError::Unknown)
            }
            2 => {
                self.within.append(epoch, after, &entries[..entries.len() / 2])?;
                Err(AppendError::Unknown)
            }
            _ => self.within.append(epoch, after, entries),
        }
    }

    fn reclaim(&mut self, epoch: Epoch) -> Result<Option<Takeover>, AppendError> {
        if self.reclaimed.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
            return Err(AppendError::Refused("the line is still broken".into()));
        }
        self.within.reclaim(epoch)
    }

    fn archive(&mut self) -> Option<Box<dyn Archive>> {
        self.within.archive()
    }
}

impl Shaky {
    /// Everything is stored once.
    fn check(&self, effects: &Effects) {
        assert!(self.reclaimed.load(Ordering::Relaxed) > 10);
        assert_eq!(effects.lock().unwrap().len(), 20);
        assert!(effects.lock().unwrap().values().all(|times| *times == 1), "{effects:?}");
        let taken = self.within.clone().take_over().unwrap();
        assert!(taken.snapshot.is_some(), "snapshots are taken after the journal was taken over again");
        let snapshot = counterpoint::engine::EngineSnapshot::from_bytes(&taken.snapshot.unwrap()).unwrap();
        let engine = Engine::restore(Config::default(), Some(&snapshot), &taken.tail).unwrap();
        engine.check().unwrap();
        assert!((1..=10).all(|run| engine.run(RunId::new(run)).unwrap().outcome().is_some()));
    }
}

#[test]
fn threads_continue_when_their_journal_does() {
    let (journal, effects) = (Shaky::default(), Effects::default());
    let host = ThreadHost::durable(Config::default(), journal.clone(), PATIENT).unwrap();
    host.add_agent(agent(), blocking(&effects)).unwrap();
    for run in 1..=10 {
        assert_eq!(host.run(&flow(), RunId::new(run), &run).unwrap().wait(), Ok(run * 4));
    }
    host.shut_down(ms(10_000)).unwrap();
    journal.check(&effects);
}

#[test]
fn futures_continue_when_their_journal_does() {
    let (journal, effects) = (Shaky::default(), Effects::default());
    let world = opened(journal.clone(), PATIENT).unwrap();
    world.run(world.host.add_agent(agent(), futures(&effects))).unwrap();
    for run in 1..=10 {
        let ended = world.run(async { world.host.run(&flow(), RunId::new(run), &run).await.unwrap().await });
        assert_eq!(ended, Ok(run * 4));
    }
    world.run(world.host.shut_down(ms(10_000))).unwrap();
    journal.check(&effects);
}

/// A journal that can be taken over after some attempts, or that fails with each append; then another writer may have come.
#[derive(Clone, Default)]
struct Lost {
    within: MemoryJournal,
    held: u32,
    damaged: bool,
    /// The number of appends that succeed.
    left: u32,
    stolen: bool,
}

impl Journal for Lost {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        if self.damaged {
            return Err(RestoreError::Damaged { seq: Seq::new(7) }.into());
        }
        if self.held > 0 {
            self.held -= 1;
            return Err(JournalError::held("another host works"));
        }
        self.within.take_over()
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        if self.left == 0 {
            if self.stolen {
                let _other = self.within.clone().take_over().unwrap();
            }
            return Err(AppendError::Unknown);
        }
        self.left -= 1;
        self.within.append(epoch, after, entries)
    }

    fn reclaim(&mut self, epoch: Epoch) -> Result<Option<Takeover>, AppendError> {
        if self.stolen { self.within.reclaim(epoch) } else { Ok(None) }
    }
}

#[test]
fn a_host_waits_for_a_journal_that_another_one_holds() {
    let held = Lost { held: 3, left: u32::MAX, ..Lost::default() };
    let host = ThreadHost::durable(Config::default(), held.clone(), PATIENT).unwrap();
    host.shut_down(ms(1_000)).unwrap();
    drop(opened(held.clone(), PATIENT).unwrap());
    for ended in [
        ThreadHost::durable(Config::default(), held.clone(), PATIENT.patience(Duration::ZERO)).map(drop),
        opened(Lost { held: u32::MAX, ..held }, PATIENT).map(drop),
    ] {
        let Err(HostError::Journal(error)) = ended else { panic!("{ended:?}") };
        assert!(error.is_held() && error.broken().is_none(), "{error}");
    }
}

#[test]
fn a_host_does_not_wait_for_a_damaged_journal() {
    let forever = PATIENT.patience(Duration::MAX);
    let damaged = || Lost { damaged: true, ..Lost::default() };
    for ended in
        [ThreadHost::durable(Config::default(), damaged(), forever).map(drop), opened(damaged(), forever).map(drop)]
    {
        let Err(HostError::Journal(error)) = ended else { panic!("{ended:?}") };
        assert_eq!((error.is_held(), error.broken()), (false, Some(&RestoreError::Damaged { seq: Seq::new(7) })));
    }
}

#[test]
fn a_host_ends_when_another_one_has_taken_over() {
    let stolen = || Lost { stolen: true, left: 1, ..Lost::default() };
    let host = ThreadHost::durable(Config::default(), stolen(), PATIENT).unwrap();
    assert!(host.add_agent(agent(), blocking(&Effects::default())).is_err());
    let ended = host.shut_down(ms(0));
    assert!(matches!(ended, Err(HostError::Append { error: AppendError::Fenced, .. })), "{ended:?}");
    let world = opened(stolen(), PATIENT).unwrap();
    assert!(world.run(world.host.add_agent(agent(), futures(&Effects::default()))).is_err());
    let ended = world.ended_with();
    assert!(matches!(ended, Some(Err(HostError::Append { error: AppendError::Fenced, .. }))), "{ended:?}");
}

/// The program: it starts its run again, which is the one that is there.
fn program(host: &ThreadHost, effects: &Effects) -> Option<u64> {
    host.add_agent(agent(), blocking(effects)).ok()?;
    host.run(&flow(), RunId::from_key("the run"), &3).ok()?.wait().ok()
}

async fn async_program(host: &FutureHost, effects: &Effects) -> Option<u64> {
    host.add_agent(agent(), futures(effects)).await.ok()?;
    host.run(&flow(), RunId::from_key("the run"), &3).await.ok()?.await.ok()
}

/// The journal fails for good after each number of appends, and the program is started again with what is durable.
#[test]
fn the_same_program_started_again_continues_where_it_ended() {
    for left in 0.. {
        let (within, effects) = (MemoryJournal::default(), Effects::default());
        let first = Lost { within: within.clone(), left, ..Lost::default() };
        let host = ThreadHost::durable(Config::default(), first, PATIENT.patience(Duration::ZERO)).unwrap();
        let ended = program(&host, &effects);
        drop(host);
        let host = ThreadHost::durable(Config::default(), within, PATIENT).unwrap();
        assert_eq!(program(&host, &effects), Some(12), "after {left} appends");
        assert_eq!(effects.lock().unwrap().len(), 2, "after {left} appends");
        if ended == Some(12) {
            assert!(left > 3);
            break;
        }
    }
    for left in 0.. {
        let (within, effects) = (MemoryJournal::default(), Effects::default());
        let first = Lost { within: within.clone(), left, ..Lost::default() };
        let world = opened(first, PATIENT.patience(Duration::ZERO)).unwrap();
        let ended = world.run(async_program(&world.host, &effects));
        drop(world);
        let world = opened(within, PATIENT).unwrap();
        assert_eq!(world.run(async_program(&world.host, &effects)), Some(12), "after {left} appends");
        assert_eq!(effects.lock().unwrap().len(), 2, "after {left} appends");
        if ended == Some(12) {
            assert!(left > 3);
            break;
        }
    }
}
