//! The journal on a real server, beside the one in memory.

mod common;

use common::{Dice, Server};
use counterpoint::journal::{AppendError, Epoch, Journal, MemoryJournal};
use counterpoint::message::AgentEvent;
use counterpoint::{AgentId, Entry, Incarnation, Seq, Time};
use counterpoint_journal_postgres::{PostgresJournal, PostgresStreams, StreamAppend};
use std::time::{Duration, Instant};

fn fact(seq: u64) -> Entry {
    let event = AgentEvent::Lost.of(Incarnation::new(AgentId::new(1), 1));
    Entry { seq: Seq::new(seq), at: Time::from_secs(seq), event }
}

fn facts(first: u64, count: u64) -> Vec<Entry> {
    (first..first + count).map(fact).collect()
}

fn journal(server: &Server, stream: &str) -> PostgresJournal {
    PostgresJournal::new(server.connection().parse().unwrap(), stream)
}

/// The journal in memory says what is right. Three writers each, who take over, append at the right and at wrong places, with
/// their own and with old epochs, and keep snapshots, over either hand.
#[test]
fn it_answers_as_the_journal_in_memory_does() {
    let server = Server::start("oracle");
    for seed in 1..=6 {
        let stream = format!("stream {seed}");
        let (mut dice, memory) = (Dice(seed), MemoryJournal::default());
        let mut writers: Vec<_> =
            (0..3).map(|_| (memory.clone(), journal(&server, &stream), Epoch::default())).collect();
        let mut archives: Vec<Option<Box<dyn counterpoint::journal::Archive>>> = vec![None, None, None];
        let mut last = 0;
        for step in 0..80 {
            let who = dice.below(3) as usize;
            let (right, ours, epoch) = &mut writers[who];
            if *epoch == Epoch::default() || dice.below(8) == 0 {
                let (right, ours) = (right.take_over().unwrap(), ours.take_over().unwrap());
                assert_eq!(ours, right, "seed {seed}, step {step}");
                *epoch = ours.epoch;
                archives[who] = writers[who].1.archive();
                continue;
            }
            let place = if dice.below(5) == 0 { dice.below(last + 3) } else { last };
            if dice.below(4) == 0 {
                let state = format!("state {step}").into_bytes();
                let right = Journal::keep_snapshot(right, *epoch, Seq::new(place), &state);
                let ours = match &mut archives[who] {
                    Some(archive) if dice.below(2) == 0 => archive.keep_snapshot(*epoch, Seq::new(place), state),
                    _ => ours.keep_snapshot(*epoch, Seq::new(place), &state),
                };
                assert_eq!(ours, right, "seed {seed}, step {step}");
                continue;
            }
            let mut entries = facts(place + 1, dice.below(4));
            if dice.below(10) == 0 && entries.len() > 1 {
                entries.remove(0);
            }
            let right = right.append(*epoch, Seq::new(place), &entries);
            let ours = ours.append(*epoch, Seq::new(place), &entries);
            assert_eq!(ours, right, "seed {seed}, step {step}");
            if ours.is_ok() {
                last = entries.last().map_or(last, |entry| entry.seq.get());
            }
        }
        assert!(last > 10, "seed {seed} appended next to nothing");
    }
}

#[test]
fn rows_are_stored_with_their_events_or_not_at_all() {
    let server = Server::start("rows");
    let mut client = server.client();
    client.batch_execute("create table seen (seq bigint not null, check (seq <> 5))").unwrap();
    let with_rows = || {
        journal(&server, "rows").with_rows(|transaction, entry| {
            let seq = entry.seq.get() as i64;
            transaction.execute("insert into seen values ($1)", &[&seq]).map(|_| ())
        })
    };
    let mut seen = move || -> Vec<i64> {
        client.query("select seq from seen order by seq", &[]).unwrap().iter().map(|row| row.get(0)).collect()
    };
    let (mut old, mut new) = (with_rows(), with_rows());
    let epoch = old.take_over().unwrap().epoch;
    assert_eq!(old.append(epoch, Seq::ZERO, &facts(1, 2)), Ok(()));
    assert_eq!(seen(), [1, 2]);
    let taken = new.take_over().unwrap();
    assert_eq!(taken.tail, facts(1, 2));
    // Who is fenced writes no rows.
    assert_eq!(old.append(epoch, Seq::new(2), &facts(3, 1)), Err(AppendError::Fenced));
    assert_eq!(old.failure().why(), Some(AppendError::Fenced));
    assert_eq!(seen(), [1, 2]);
    assert_eq!(new.append(taken.epoch, Seq::new(2), &facts(3, 2)), Ok(()));
    // A row that the database refuses refuses the facts, and those before it in the same append with their rows.
    let refused = new.append(taken.epoch, Seq::new(4), &facts(5, 2));
    assert!(matches!(&refused, Err(AppendError::Refused(why)) if why.contains("check")), "{refused:?}");
    assert_eq!(seen(), [1, 2, 3, 4]);
    assert_eq!(new.take_over().unwrap().tail, facts(1, 4));
}

#[test]
fn what_a_killed_server_has_stored_is_unknown() {
    let mut server = Server::start("died");
    let mut journal = journal(&server, "died");
    let epoch = journal.take_over().unwrap().epoch;
    assert_eq!(journal.append(epoch, Seq::ZERO, &facts(1, 3)), Ok(()));
    server.kill();
    // The process that serves this connection finds out a moment later; until then it keeps what it is given.
    let mut last = 3;
    let error = loop {
        match journal.append(epoch, Seq::new(last), &facts(last + 1, 1)) {
            Ok(()) => last += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, AppendError::Unknown);
    assert!(journal.take_over().is_err(), "there is no server");
    server.start_again();
    let taken = journal.take_over().unwrap();
    assert!(taken.epoch > epoch);
    let kept = taken.tail.len() as u64;
    assert_eq!(taken.tail, facts(1, kept));
    assert!(
        kept == last || kept == last + 1,
        "what was confirmed is there, and of the rest one at the most: {kept}, {last}"
    );
}

#[test]
fn a_writer_that_stands_still_does_not_block_a_take_over() {
    let server = Server::start("still");
    let mut old = journal(&server, "still").with_patience(Duration::from_millis(300)).with_rows(|_, _| {
        std::thread::sleep(Duration::from_secs(3));
        Ok(())
    });
    let epoch = old.take_over().unwrap().epoch;
    let still = std::thread::spawn(move || old.append(epoch, Seq::ZERO, &facts(1, 1)));
    std::thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    let mut new = journal(&server, "still");
    let taken = new.take_over().unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "it had to wait for {:?}", began.elapsed());
    assert_eq!((taken.tail.len(), new.append(taken.epoch, Seq::ZERO, &facts(1, 1))), (0, Ok(())));
    assert!(still.join().unwrap().is_err());
}

/// A stream of this name with so many entries, and a snapshot if there is a number for it.
fn written(server: &Server, stream: &str, count: u64, snapshot: Option<u64>) -> PostgresJournal {
    let mut journal = journal(server, stream);
    let epoch = journal.take_over().unwrap().epoch;
    for seq in 1..=count {
        journal.append(epoch, Seq::new(seq - 1), &facts(seq, 1)).unwrap();
    }
    if let Some(at) = snapshot {
        journal.keep_snapshot(epoch, Seq::new(at), b"state").unwrap();
    }
    journal
}

#[test]
fn entries_before_a_snapshot_are_retained_for_readers() {
    let server = Server::start("history");
    let long = || journal(&server, "long").with_history(3);
    drop(written(&server, "long", 9, None));
    let mut first = long();
    let taken = first.take_over().unwrap();
    assert_eq!((taken.tail, taken.history), (facts(1, 9), Vec::new()), "there is no snapshot");
    first.archive().unwrap().keep_snapshot(taken.epoch, Seq::new(5), b"five".to_vec()).unwrap();
    let taken = long().take_over().unwrap();
    assert_eq!((taken.tail, taken.history), (facts(6, 4), facts(3, 3)));
    // What is damaged there ends the history, and nothing else.
    let damage = "update counterpoint_journal set event = 'x' where stream = 'long' and seq = 4";
    server.client().execute(damage, &[]).unwrap();
    let taken = long().take_over().unwrap();
    assert_eq!((taken.tail, taken.history), (facts(6, 4), facts(5, 1)));
    let mut other = journal(&server, "long");
    let taken = other.take_over().unwrap();
    assert!(taken.history.is_empty());
    other.keep_snapshot(taken.epoch, Seq::new(9), b"nine").unwrap();
    assert!(long().take_over().unwrap().history.is_empty(), "a writer that retains none removes them");
}

/// Each statement damages a stream of four entries, some of them one with a snapshot at 2.
#[test]
fn damage_is_an_error() {
    let server = Server::start("damage");
    let mut client = server.client();
    let journal = "counterpoint_journal where stream = $1 and seq";
    let cases: &[(&str, Option<u64>, &str)] = &[
        ("delete from {journal} = 4", None, "ends at entry #3, but once reached entry #4"),
        ("delete from {journal} = 2", None, "expected entry #2, found #3"),
        ("delete from {journal} > 0", None, "ends at entry #0, but once reached entry #4"),
        ("update counterpoint_journal set event = '{}' where stream = $1 and seq = 4", None, "entry #4 is damaged"),
        (
            "update counterpoint_journal set event = event || ' ' where stream = $1 and seq = 1",
            None,
            "entry #1 is damaged",
        ),
        ("update counterpoint_journal set epoch = 0 where stream = $1 and seq = 2", None, "entry #2 is damaged"),
        // The last entry and the head, together.
        (
            "with head as (update counterpoint_head set last_seq = 3 where stream = $1) delete from {journal} = 4",
            None,
            "counterpoint_head is not that of the last entry",
        ),
        (
            "with head as (delete from counterpoint_head where stream = $1) delete from {journal} = 4",
            None,
            "counterpoint_head is missing",
        ),
        (
            "with head as (delete from counterpoint_head where stream = $1) delete from {journal} > 0",
            None,
            "counterpoint_head is missing",
        ),
        ("delete from counterpoint_head where stream = $1", None, "counterpoint_head is missing"),
        ("update counterpoint_head set last_seq = 3 where stream = $1", None, "is not that of the last entry"),
        ("update counterpoint_head set epoch = 0 where stream = $1", None, "entry #1 continues another history"),
        ("update counterpoint_head set epoch = 1 where stream = $1", Some(2), "older than the last take-over"),
        ("update counterpoint_head set snapshot_at = 1 where stream = $1", None, "the snapshot at 1 is missing"),
        ("delete from counterpoint_snapshot where stream = $1", Some(2), "the snapshot at 2 is missing"),
        ("update counterpoint_snapshot set state = 'other' where stream = $1", Some(2), "the snapshot at 2 is damaged"),
        ("update counterpoint_snapshot set hash = sum where stream = $1", Some(2), "entry #3 is damaged"),
        ("update counterpoint_head set snapshot_at = 0 where stream = $1", Some(2), "expected entry #1, found #3"),
        ("delete from counterpoint_takeover where stream = $1", Some(2), ""),
    ];
    for (number, (statement, snapshot, expected)) in cases.iter().enumerate() {
        let stream = format!("stream {number}");
        let mut damaged = written(&server, &stream, 4, *snapshot);
        // The last take-over knows of the entries.
        if snapshot.is_some() {
            damaged.take_over().unwrap();
        }
        client.execute(&statement.replace("{journal}", journal), &[&stream]).unwrap();
        match damaged.take_over() {
            Ok(taken) => {
                assert_eq!(*expected, "", "{statement} was not detected");
                assert_eq!(taken.tail.last(), Some(&fact(4)), "{statement}");
            }
            Err(error) => {
                assert!(!expected.is_empty() && error.to_string().contains(expected), "{statement}: {error}");
                assert!(error.broken().is_some(), "{statement}: {error}");
            }
        }
    }
}

/// An earlier state of all tables but the last one, as after a partial recovery from a backup.
#[test]
fn a_state_before_the_last_take_over_is_an_error() {
    let server = Server::start("backup");
    let mut client = server.client();
    let mut old = written(&server, "backup", 2, None);
    client
        .batch_execute(
            "create table a as select * from counterpoint_head; create table b as select * from counterpoint_journal",
        )
        .unwrap();
    let epoch = old.take_over().unwrap().epoch;
    old.append(epoch, Seq::new(2), &facts(3, 2)).unwrap();
    old.take_over().unwrap();
    client
        .batch_execute(
            "truncate counterpoint_head; insert into counterpoint_head select * from a;
             truncate counterpoint_journal; insert into counterpoint_journal select * from b",
        )
        .unwrap();
    let error = old.take_over().unwrap_err();
    let (ends, expected) = (Seq::new(2), Seq::new(4));
    assert_eq!(error.broken(), Some(&counterpoint::RestoreError::Truncated { ends, expected }), "{error}");
}

/// The database is set back, and another writer has taken over in the same epoch as the one from before, and has appended as many
/// entries: the writer from before is fenced, with one stream and with several.
#[test]
fn a_writer_from_before_a_backup_is_fenced() {
    let server = Server::start("before");
    let mut client = server.client();
    let mut one = [(); 2].map(|()| journal(&server, "one"));
    let mut several = [(); 2].map(|()| PostgresStreams::new(server.connection().parse().unwrap()));
    let other = |seq: u64| Entry { at: Time::from_secs(1_000), ..fact(seq) };
    // All in epoch 1; then the first ones take over again, in epoch 2.
    one[0].take_over().unwrap();
    several[0].take_over("several").unwrap();
    client.batch_execute("create table a as select * from counterpoint_head").unwrap();
    let epoch = Epoch::new(2);
    assert_eq!(one[0].take_over().unwrap().epoch, epoch);
    assert_eq!(several[0].take_over("several").unwrap().0.epoch, epoch);
    let first = |after: u64, entries: &[Entry], one: &mut PostgresJournal, several: &mut PostgresStreams| {
        let append = StreamAppend::new("several", epoch, Seq::new(after), entries);
        [one.append(epoch, Seq::new(after), entries), several.append_all(&[append]).remove(0)]
    };
    let [ones, others] = &mut one;
    let [many, more] = &mut several;
    assert_eq!(first(0, &facts(1, 2), ones, many), [Ok(()), Ok(())]);
    client
        .batch_execute(
            "truncate counterpoint_head, counterpoint_journal, counterpoint_takeover;
             insert into counterpoint_head select * from a",
        )
        .unwrap();
    assert_eq!(others.take_over().unwrap().epoch, epoch);
    assert_eq!(more.take_over("several").unwrap().0.epoch, epoch);
    assert_eq!(first(0, &[other(1), other(2)], others, more), [Ok(()), Ok(())]);
    let fenced = || [Err(AppendError::Fenced), Err(AppendError::Fenced)];
    assert_eq!(first(2, &facts(3, 1), ones, many), fenced());
    // That nothing was stored is no confirmation of being the writer either.
    assert_eq!(first(2, &[], ones, many), fenced());
    assert_eq!(first(2, &[other(3)], others, more), [Ok(()), Ok(())]);
    assert_eq!(others.take_over().unwrap().tail.len(), 3);
    assert_eq!(more.take_over("several").unwrap().0.tail.len(), 3);
}

/// A client that stands still within a transaction of its own blocks nothing for longer than the patience, and a client
/// that only waits for a lock gives up.
#[test]
fn a_lock_is_not_awaited_forever() {
    let server = Server::start("lock");
    let mut stuck = server.client();
    drop(written(&server, "lock", 1, None));
    let mut transaction = stuck.transaction().unwrap();
    transaction.execute("select from counterpoint_head where stream = 'lock' for update", &[]).unwrap();
    let mut waiting = journal(&server, "lock").with_patience(Duration::from_millis(200));
    let error = waiting.take_over().unwrap_err().to_string();
    assert!(error.contains("lock timeout"), "{error}");
    transaction.rollback().unwrap();
    waiting.take_over().unwrap();
}

#[test]
fn a_writer_reclaims_its_journal_until_another_takes_over() {
    let server = Server::start("reclaimed");
    let mut first = journal(&server, "reclaimed");
    let epoch = first.take_over().unwrap().epoch;
    assert_eq!(first.append(epoch, Seq::ZERO, &facts(1, 3)), Ok(()));
    let again = first.reclaim(epoch).unwrap().unwrap();
    assert!(again.epoch > epoch);
    assert_eq!(again.tail, facts(1, 3));
    // An append that the server has not finished yet fails, because it has the old epoch.
    assert_eq!(first.append(epoch, Seq::new(3), &facts(4, 1)), Err(AppendError::Fenced));
    assert_eq!(first.append(again.epoch, Seq::new(3), &facts(4, 1)), Ok(()));
    let mut second = journal(&server, "reclaimed");
    let other = second.take_over().unwrap();
    assert_eq!(other.tail, facts(1, 4));
    assert_eq!(first.reclaim(again.epoch).unwrap_err(), AppendError::Fenced);
    assert_eq!(second.append(other.epoch, Seq::new(4), &facts(5, 1)), Ok(()), "the other writer is not disturbed");
}

#[test]
fn a_durable_host_continues_when_the_server_is_started_again() {
    use counterpoint::host::Durable;
    use counterpoint::host::thread::ThreadHost;
    use counterpoint::workflow::{Attempt, Steps};
    use counterpoint::{AgentSpec, Config, Payload, TaskId, TaskOutcome, TaskSpec};
    let mut server = Server::start("continues");
    let durable = Durable::new().patience(Duration::from_secs(60));
    let host = ThreadHost::durable(Config::default(), journal(&server, "continues"), durable).unwrap();
    let steps = Steps::new().with_fn("double", |number: u64, _: &Attempt| Ok(number * 2));
    host.add_agent(AgentSpec::new(AgentId::new(1)), steps).unwrap();
    let task = |number: u64| TaskSpec::new(TaskId::new(number), "double").with_payload(Payload::of(&number).unwrap());
    let is_done = |outcome: TaskOutcome, number: u64| matches!(outcome, TaskOutcome::Succeeded(output) if output == Payload::of(&(number * 2)).unwrap());
    assert!(is_done(host.submit(task(1)).unwrap().wait().unwrap(), 1));
    for number in 2..5 {
        server.kill();
        let waits = std::thread::scope(|scope| {
            let waits = scope.spawn(|| host.submit(task(number)).unwrap().wait().unwrap());
            std::thread::sleep(Duration::from_millis(100));
            server.start_again();
            waits.join().unwrap()
        });
        assert!(is_done(waits, number), "the host has continued after restart {number}");
    }
    host.shut_down(Duration::from_secs(30)).unwrap();
    let mut reader = journal(&server, "continues");
    let taken = reader.take_over().unwrap();
    assert!(taken.tail.windows(2).all(|pair| pair[0].seq.next() == pair[1].seq), "no entry is missing or twice");
}
