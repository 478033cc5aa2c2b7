//! Hosts identify their journals, and hand each attempt its idempotency key.

use super::world::{World, agent, task};
use counterpoint::host::HostError;
use counterpoint::host::future::Assignment;
use counterpoint::journal::MemoryJournal;
use counterpoint::message::rejected::Conflict;
use counterpoint::task::{IdempotencyKey, Identity, JournalId, codes};
use counterpoint::workflow::Attempt;
use counterpoint::{AttemptId, Config, Failure, Payload, Rejected, TaskId, TaskOutcome, TaskSpec};
use std::sync::{Arc, Mutex};

type Seen = Arc<Mutex<Vec<IdempotencyKey>>>;

/// Opens a future host over the journal, lets it do the task, and returns the keys of the attempts. `fails` attempts fail.
fn keys(config: Config, journal: &MemoryJournal, spec: TaskSpec, fails: u32) -> Vec<IdempotencyKey> {
    let world = World::open(config, journal.clone());
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    world.join(agent(1), move |assignment: Assignment| {
        let noted = Arc::clone(&noted);
        async move {
            noted.lock().unwrap().push(assignment.attempt.idempotency_key()?);
            match assignment.attempt.number() <= fails {
                true => Err(Failure::transient("not yet")),
                false => Ok(Payload::NULL),
            }
        }
    });
    assert_eq!(world.ended(spec), Ok(TaskOutcome::Succeeded(Payload::NULL)));
    seen.lock().unwrap().clone()
}

#[test]
fn every_journal_is_identified_and_attempts_share_a_key() {
    let (one, two) = (MemoryJournal::default(), MemoryJournal::default());
    let first = keys(Config::default(), &one, task(1), 2);
    assert_eq!(first.len(), 3);
    assert!(first.iter().all(|key| *key == first[0]), "{first:?}");
    let second = keys(Config::default(), &two, task(1), 0);
    assert_ne!(first[0], second[0], "the same task of another journal");
    // The next host over the journal finds its identity: other work, the same journal.
    let later = keys(Config::default(), &one, task(2), 0);
    let identities = one.entries().iter().filter(|entry| is_identity(entry)).count();
    assert_eq!(identities, 1);
    assert_ne!(later[0], first[0]);
}

fn is_identity(entry: &counterpoint::Entry) -> bool {
    use counterpoint::Event;
    use counterpoint::message::ControlEvent;
    matches!(&entry.event, Event::Control(ControlEvent::Identified { .. }))
}

#[test]
fn a_configured_identity_is_recorded_and_another_one_is_refused() {
    let (name, other) = (JournalId::from_name("shard 1"), JournalId::from_name("shard 2"));
    let journal = MemoryJournal::default();
    let config = || Config::default().with_journal(name).with_environment("live");
    let seen = keys(config(), &journal, task(1), 0);
    let identity = Identity::new(name).with_environment("live");
    assert_eq!(seen, [identity.key_of(&task(1))]);
    let copy = MemoryJournal::with_entries(journal.entries());
    let staging = keys(Config::default().with_environment("staging"), &copy, task(2), 0);
    assert_ne!(staging, [identity.key_of(&task(2))], "a copy in another environment");
    let world = World::new();
    let opened = world.run(counterpoint::host::future::FutureHost::open(
        Config::default().with_journal(other),
        journal,
        counterpoint::testing::VirtualClock::default(),
    ));
    let refused = Rejected::Conflict(Conflict::Journal { known: name, given: other });
    assert_eq!(opened.err(), Some(HostError::Rejected(refused)));
}

#[cfg(feature = "threads")]
#[test]
fn the_thread_host_hands_out_the_same_keys() {
    use counterpoint::host::thread::ThreadHost;
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let name = JournalId::from_name("threads");
    let host = ThreadHost::start(Config::default().with_journal(name)).unwrap();
    host.add_custom_agent(agent(1), move |_: &TaskSpec, attempt: &Attempt| -> Result<Payload, Failure> {
        noted.lock().unwrap().push(attempt.idempotency_key()?);
        if attempt.number() == 1 { Err(Failure::transient("not yet")) } else { Ok(Payload::NULL) }
    })
    .unwrap();
    let patience = std::time::Duration::from_secs(30);
    let handle = host.submit(task(1)).unwrap();
    assert_eq!(handle.wait_for(patience).unwrap(), TaskOutcome::Succeeded(Payload::NULL));
    let key = Identity::new(name).key_of(&task(1));
    assert_eq!(*seen.lock().unwrap(), [key, key]);
    host.shut_down(patience).unwrap();
}

#[test]
fn an_attempt_without_a_key_is_an_error() {
    let id = AttemptId::new(TaskId::new(7), 1);
    let attempt = Attempt::new(id, "charge");
    let error = attempt.idempotency_key().unwrap_err();
    assert_eq!(error.to_string(), "attempt t7-1 has no idempotency key: the journal of its engine is not identified");
    let failure = Failure::from(error);
    assert_eq!(failure.code, Some(codes::NO_KEY.into()));
    let key = IdempotencyKey::new(7);
    assert_eq!(attempt.with_key(key).idempotency_key(), Ok(key));
}
