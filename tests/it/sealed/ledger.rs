//! Ledgers: who commanded what, so that nobody can change it afterwards.

use super::key;
use counterpoint::access::Token;
use counterpoint::access::{Decision, Gate, Policy, Principal, Role, Unauthenticated};
use counterpoint::journal::sealed::{Key, Ledger, LedgerFault, Mark, Stream};
use counterpoint::observe::{AuditLine, Names};
use counterpoint::{Command, Config, Engine, Limits, Outbox, TaskId, TaskSpec, Time};
use serde_json::{Value, json};

fn stream() -> Stream {
    Stream::new("audit").with_key(key())
}

fn written(stream: &Stream, count: u64) -> (Ledger, Vec<u8>) {
    let (mut ledger, mut bytes) = (Ledger::new(stream), Vec::new());
    for number in 1..=count {
        ledger.write(&json!({ "who": "ada", "what": number }), &mut bytes).unwrap();
    }
    (ledger, bytes)
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

#[test]
fn every_bit_of_a_ledger_counts() {
    for stream in [stream(), Stream::new("audit")] {
        let (ledger, bytes) = written(&stream, 3);
        assert_eq!(Ledger::verify(&stream, &bytes), Ok(ledger.mark()));
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut other = bytes.clone();
                other[place] ^= 1 << bit;
                let fault = Ledger::verify(&stream, &other).unwrap_err();
                let line = bytes[..place].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
                let found = matches!(
                    fault,
                    LedgerFault::Damaged { record } | LedgerFault::Torn { record } if record == line
                );
                assert!(found, "bit {bit} of byte {place}: {fault:?}");
            }
        }
    }
}

#[test]
fn omitted_inserted_moved_and_foreign_records_are_detected() {
    let stream = stream();
    let (_, bytes) = written(&stream, 4);
    let all = lines(&bytes);
    let verify = |lines: &[&[u8]]| Ledger::verify(&stream, &lines.concat());
    assert_eq!(verify(&[all[0], all[2], all[3]]), Err(LedgerFault::NotNext { record: 2, found: 3 }));
    assert_eq!(verify(&[all[1], all[2]]), Err(LedgerFault::NotNext { record: 1, found: 2 }));
    assert_eq!(verify(&[all[0], all[1], all[1]]), Err(LedgerFault::NotNext { record: 3, found: 2 }));
    assert_eq!(verify(&[all[1], all[0]]), Err(LedgerFault::NotNext { record: 1, found: 2 }));
    // A record of its own number from a ledger that took another way.
    let (mut other, mut elsewhere) = (Ledger::new(&stream), Vec::new());
    other.write(&"something else", &mut elsewhere).unwrap();
    other.write(&"and more", &mut elsewhere).unwrap();
    let foreign = lines(&elsewhere)[1];
    assert_eq!(verify(&[all[0], foreign]), Err(LedgerFault::NotNext { record: 2, found: 2 }));
    // Another stream, another key, no key.
    for other in
        [Stream::new("else").with_key(key()), Stream::new("audit").with_key(Key::new([1; 32])), Stream::new("audit")]
    {
        assert_eq!(Ledger::verify(&other, &bytes), Err(LedgerFault::Damaged { record: 1 }));
    }
}

#[test]
fn a_truncated_ledger_does_not_contain_its_mark() {
    let stream = stream();
    let (ledger, bytes) = written(&stream, 3);
    let two: usize = lines(&bytes)[..2].iter().map(|line| line.len()).sum();
    assert_eq!(Ledger::verify(&stream, &bytes[..two]).map(|mark| mark.records), Ok(2));
    let through = |bytes: &[u8], mark| Ledger::verify_through(&stream, bytes, mark);
    assert_eq!(through(&bytes[..two], ledger.mark()), Err(LedgerFault::NotThrough { record: 3 }));
    let mark = through(&bytes[..two], Mark::START).unwrap();
    assert_eq!(through(&bytes, mark), Ok(ledger.mark()));
    // One who holds the key and writes it anew is found out, too.
    let (mut anew, mut other) = (Ledger::new(&stream), Vec::new());
    (0..3).for_each(|_| anew.write(&json!({ "who": "nobody" }), &mut other).unwrap());
    assert_eq!(through(&other, mark), Err(LedgerFault::NotThrough { record: 2 }));
    // A record that a crash left half written is told from one that was changed.
    for cut in two + 1..bytes.len() {
        assert_eq!(Ledger::verify(&stream, &bytes[..cut]), Err(LedgerFault::Torn { record: 3 }), "cut at {cut}");
    }
    // After it was cut off, the ledger goes on.
    let mut kept = bytes[..two].to_vec();
    Ledger::continuing(&stream, mark).write(&json!({ "who": "ada", "what": 3 }), &mut kept).unwrap();
    assert_eq!(kept, bytes);
}

#[test]
fn unwritable_records_write_nothing() {
    let stream = stream().with_limits(&Limits::default().with_record_bytes(20));
    let (mut ledger, mut bytes) = (Ledger::new(&stream), Vec::new());
    let fault = ledger.write(&"x".repeat(19), &mut bytes).unwrap_err();
    assert!(matches!(&fault, LedgerFault::Unwritable { record: 1, .. }), "{fault}");
    assert_eq!((bytes.len(), ledger.mark()), (0, Mark::START));
    ledger.write(&"x".repeat(18), &mut bytes).unwrap();
    assert_eq!(Ledger::read::<String>(&stream, &bytes), Ok(vec!["x".repeat(18)]));
    assert!(matches!(Ledger::read::<u64>(&stream, &bytes), Err(LedgerFault::Unreadable { record: 1, .. })));
}

/// Who, what, when, why, and what came of it, of one command that was let through and one that was not.
#[test]
fn a_ledger_of_decisions_can_be_exported_and_verified() {
    let verifier = |token: &Token, _: Time| match token.reveal() {
        "ada" => Ok(Principal::new("ada").with_role(Role::Submitter).with_tenant("north")),
        _ => Err(Unauthenticated::Unknown),
    };
    let gate = Gate::new(Policy::standard(), verifier);
    let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
    let stream = stream();
    let (mut ledger, mut bytes) = (Ledger::new(&stream), Vec::new());
    let tasks = ["north", "south"].map(|tenant| TaskSpec::new(TaskId::new(1), "count").with_tenant(tenant));
    for (at, task) in (5..).map(Time::from_secs).zip(tasks) {
        let command = Command::submit(task);
        let admitted = gate.admit(at, Some(&Token::new("ada")), command, &engine);
        let mut decision = admitted.decision;
        if let Ok(command) = admitted.granted {
            let before = engine.last_seq();
            engine.handle(at, command, &mut out).unwrap();
            decision = decision.with_events(before, engine.last_seq());
        }
        ledger.write(&decision, &mut bytes).unwrap();
    }
    let decisions: Vec<Decision> = Ledger::read(&stream, &bytes).unwrap();
    let told: Vec<String> = decisions.iter().map(ToString::to_string).collect();
    let task = gate.id_key().task(&"north".into(), TaskId::new(1));
    let wanted =
        [format!("5s ada: submit {task}"), "6s ada: submit t1: denied: ada may not access other tenants".into()];
    assert_eq!(told, wanted);
    // The facts of it, in a ledger of their own.
    let (first, last) = decisions[0].events.unwrap();
    let facts = Stream::new("facts").with_key(key());
    let (mut ledger, mut exported) = (Ledger::new(&facts), Vec::new());
    for entry in out.entries().iter().filter(|entry| first <= entry.seq && entry.seq <= last) {
        ledger.write(&AuditLine::of(entry, &Names::default()), &mut exported).unwrap();
    }
    let lines: Vec<AuditLine> = Ledger::read(&facts, &exported).unwrap();
    assert_eq!(lines, [AuditLine::of(&out.entries()[0], &Names::default())]);
    // Whoever has no more than a reader of JSON can read it, too.
    let plain: Value = serde_json::from_slice(exported.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!(plain["record"]["actor"], "host");
}
