//! A host on a journal, which crashes at each of its operations on files, in every way that a file system allows.

use super::fake::{Dice, FakeDisk, Fault};
use super::{entries, journal, lines, stream};
use counterpoint::Seq;
use counterpoint::journal::sealed::Stream;
use counterpoint::journal::{AppendError, Epoch, Journal as _, Takeover};

/// What a host was promised.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ledger {
    /// The last entry that is durable.
    pub(super) kept: u64,
    /// The last entry that was appended, perhaps without success.
    pub(super) tried: u64,
    pub(super) epoch: Epoch,
    pub(super) refused: u64,
}

impl Ledger {
    /// What a take-over returns has to be all that was promised, and nothing that was not written.
    pub(super) fn compare(&mut self, taken: &Takeover, context: &str) {
        let at: u64 = taken.snapshot.as_ref().map_or(0, |state| String::from_utf8_lossy(state).parse().unwrap());
        let last = at + taken.tail.len() as u64;
        assert_eq!(taken.tail, entries(at + 1..=last), "{context}");
        assert!(self.kept <= last && last <= self.tried, "{context}: {last} entries, {self:?}");
        assert!(taken.epoch > self.epoch, "{context}: {:?} after {:?}", taken.epoch, self.epoch);
        // The host continues from there, so it is a promise from now on.
        (self.kept, self.tried, self.epoch) = (last, last, taken.epoch);
    }
}

/// Takes over and appends; takes snapshots; begins segments; ends, and does it again. Returns at the first error that a
/// host does not survive.
pub(super) fn host(disk: &FakeDisk, stream: &Stream, ledger: &mut Ledger, context: &str) -> Result<(), String> {
    for round in 0..2 {
        let mut journal = journal(disk, stream);
        let taken = journal.take_over().map_err(|error| error.to_string())?;
        ledger.compare(&taken, context);
        for step in 0..7_u64 {
            let count = 1 + (step + round) % 3;
            let new = entries(ledger.kept + 1..=ledger.kept + count);
            ledger.tried = ledger.kept + count;
            match journal.append(ledger.epoch, Seq::new(ledger.kept), &new) {
                Ok(()) => ledger.kept += count,
                // Nothing was stored: the same may be asked for again.
                Err(AppendError::Refused(_)) => {
                    ledger.refused += 1;
                    ledger.tried = ledger.kept;
                    continue;
                }
                Err(AppendError::Unknown) => {
                    let again = journal.append(ledger.epoch, Seq::new(ledger.kept), &new);
                    assert_eq!(again, Err(AppendError::Unknown), "{context}");
                    let taken = journal.take_over().map_err(|error| error.to_string())?;
                    ledger.compare(&taken, context);
                }
                Err(other) => panic!("{context}: {other}"),
            }
            if step % 3 == round {
                let state = ledger.kept.to_string();
                let _ = journal.keep_snapshot(ledger.epoch, Seq::new(ledger.kept), state.as_bytes());
            }
        }
    }
    Ok(())
}

#[test]
fn a_crash_at_any_operation_loses_nothing() {
    for stream in [stream(), lines()] {
        let calm = FakeDisk::default();
        host(&calm, &stream, &mut Ledger::default(), "calm").unwrap();
        let steps = calm.steps();
        assert!(steps > 100, "{steps}");
        println!("{steps} operations");
        for step in 0..steps {
            for seed in 0..6 {
                let context = format!("crash at step {step} of {steps}, seed {seed}");
                let (disk, mut ledger, mut dice) = (FakeDisk::default(), Ledger::default(), Dice(seed));
                disk.fail_at(step, Fault::Crash);
                let _ = host(&disk, &stream, &mut ledger, &context);
                disk.crash(&mut dice);
                // Once more, during the recovery.
                disk.fail_at(dice.below(30) as usize, Fault::Crash);
                let _ = host(&disk, &stream, &mut ledger, &context);
                disk.crash(&mut dice);
                host(&disk, &stream, &mut ledger, &context).unwrap_or_else(|error| panic!("{context}: {error}"));
            }
        }
    }
}

/// The process ends at each operation and the system lives: everything that was written is there.
#[test]
fn a_kill_at_any_operation_loses_nothing() {
    for step in 0..200 {
        let (disk, mut ledger) = (FakeDisk::default(), Ledger::default());
        let context = format!("kill at step {step}");
        disk.fail_at(step, Fault::Crash);
        let _ = host(&disk, &stream(), &mut ledger, &context);
        disk.kill();
        host(&disk, &stream(), &mut ledger, &context).unwrap_or_else(|error| panic!("{context}: {error}"));
    }
}
