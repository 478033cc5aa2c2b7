//! A process is killed again and again, at any moment, and its journal is compared with what it had told others.

use counterpoint::engine::EngineSnapshot;
use counterpoint::journal::Journal as _;
use counterpoint::journal::sealed::{Key, Stream};
use counterpoint::{Config, Engine, RunId, RunOutcome};
use counterpoint_journal_files::FileJournal;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// What the process has told, kept by somebody who outlives it.
#[derive(Default)]
struct Ledger {
    /// Every fact that was told to be durable.
    facts: BTreeMap<u64, String>,
    taken: BTreeSet<u64>,
    done: BTreeMap<u64, String>,
}

impl Ledger {
    fn hear(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (number, content) = rest.split_once(' ').unwrap_or((rest, ""));
        let number: u64 = number.parse().unwrap_or(0);
        match word {
            // The end of a line may be missing when its writer was killed within it.
            "event" if content.ends_with('}') => {
                if let Some(before) = self.facts.insert(number, content.to_owned()) {
                    assert_eq!(before, content, "fact {number} was durable, and is another one now");
                }
            }
            "taken" => {
                self.taken.insert(number);
            }
            "done" if matches!(content, "charged" | "compensated") => {
                let before = self.done.insert(number, content.to_owned());
                assert_eq!(before, None, "order {number} ends twice");
            }
            _ => {}
        }
    }
}

struct Worker {
    child: Child,
    lines: Receiver<String>,
}

impl Worker {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_worker"))
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.split(b'\n').map_while(Result::ok) {
                let _ = tell.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Self { child, lines }
    }

    /// Asks for these orders; one that has been killed meanwhile does not hear it.
    fn ask(&mut self, orders: &[u64]) {
        let text: String = orders.iter().map(|order| format!("{order}\n")).collect();
        let _ = self.child.stdin.as_mut().unwrap().write_all(text.as_bytes());
    }

    fn hear_until(&self, ledger: &mut Ledger, until: Instant) {
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            ledger.hear(&line);
        }
    }

    /// `kill -9`, and what it had said by then.
    fn kill(mut self, ledger: &mut Ledger) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().for_each(|line| ledger.hear(&line));
    }

    /// Lets it finish.
    fn finish(mut self, ledger: &mut Ledger) {
        drop(self.child.stdin.take());
        self.lines.iter().for_each(|line| ledger.hear(&line));
        assert!(self.child.wait().unwrap().success(), "it did not end well");
    }
}

fn journal(folder: &Path) -> FileJournal {
    let stream = Stream::new("orders").with_key(Key::new(*b"a key that is not in the sources"));
    FileJournal::new(folder.join("journal"), stream)
}

/// Numbers that depend on nothing but the seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The state that is in the files, and which facts they hold besides; each of them as it was told.
fn look(folder: &Path, ledger: &Ledger) -> Engine {
    let taken = journal(folder).take_over().unwrap();
    let snapshot: Option<EngineSnapshot> =
        taken.snapshot.as_deref().map(|state| EngineSnapshot::from_bytes(state).unwrap());
    let at = snapshot.as_ref().map_or(0, |snapshot| snapshot.scheduler.last.get());
    let tail: BTreeMap<u64, String> =
        taken.tail.iter().map(|entry| (entry.seq.get(), serde_json::to_string(entry).unwrap())).collect();
    for (number, fact) in ledger.facts.range(at + 1..) {
        assert_eq!(tail.get(number), Some(fact), "fact {number} was told to be durable");
    }
    let engine = Engine::restore(Config::default(), snapshot.as_ref(), &taken.tail).unwrap();
    engine.check().unwrap();
    engine
}

/// What the services have in their own books, for each order: the deeds, each with how many there are of it.
fn deeds(folder: &Path) -> BTreeMap<u64, BTreeMap<String, usize>> {
    let mut deeds: BTreeMap<u64, BTreeMap<String, usize>> = BTreeMap::new();
    for file in std::fs::read_dir(folder.join("world")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let [deed, order, _] = name.split(' ').collect::<Vec<_>>()[..] else { panic!("{name}") };
        *deeds.entry(order.parse().unwrap()).or_default().entry(deed.to_owned()).or_default() += 1;
    }
    deeds
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Journals in turn, until the time is over: a snapshot of one that grows for minutes takes longer than its interval.
#[test]
fn killed_again_and_again_it_loses_nothing_and_does_nothing_twice() {
    let (kills, until) =
        (number("COUNTERPOINT_KILLS", 10), Instant::now() + Duration::from_secs(number("COUNTERPOINT_SECONDS", 0)));
    for seed in 7.. {
        kill_again_and_again(kills, seed);
        if Instant::now() >= until {
            break;
        }
    }
}

fn kill_again_and_again(kills: u64, seed: u64) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("killed");
    let _ = std::fs::remove_dir_all(&folder);
    let (mut ledger, mut dice, mut asked) = (Ledger::default(), Dice(seed), 0);
    // On a slow day a worker is killed before it has heard much.
    let mut killed = 0;
    while killed < kills || asked <= 20 {
        let mut worker = Worker::start(&folder);
        // What was asked for and never confirmed is asked for again: the key is the same.
        let again: Vec<u64> = (1..=asked).filter(|order| !ledger.taken.contains(order)).collect();
        worker.ask(&again);
        let until = Instant::now() + Duration::from_millis(5 + dice.below(150));
        while Instant::now() < until {
            let fresh: Vec<u64> = (1..=dice.below(8)).map(|more| asked + more).collect();
            asked += fresh.len() as u64;
            worker.ask(&fresh);
            worker.hear_until(&mut ledger, Instant::now() + Duration::from_millis(dice.below(10)));
        }
        worker.kill(&mut ledger);
        killed += 1;
        if killed % 10 == 0 {
            look(&folder, &ledger);
        }
    }
    let mut worker = Worker::start(&folder);
    let again: Vec<u64> = (1..=asked).filter(|order| !ledger.taken.contains(order)).collect();
    worker.ask(&again);
    worker.finish(&mut ledger);

    let engine = look(&folder, &ledger);
    let deeds = deeds(&folder);
    for order in 1..=asked {
        assert!(ledger.taken.contains(&order), "order {order} was never accepted");
        let run = engine.run(RunId::new(order)).unwrap_or_else(|| panic!("order {order} is missing"));
        let charged = matches!(run.outcome(), Some(RunOutcome::Succeeded { .. }));
        assert_eq!(charged, order % 5 != 0, "order {order} ended differently from the services' records");
        // Told once, unless it was killed between writing the end down and telling it.
        let told = ledger.done.get(&order).map(String::as_str);
        assert!(
            told.is_none_or(|told| told == if charged { "charged" } else { "compensated" }),
            "order {order}: {told:?}"
        );
        let second = if charged { "charge" } else { "release" };
        let expected = BTreeMap::from([("reserve".to_owned(), 1), (second.to_owned(), 1)]);
        assert_eq!(deeds[&order], expected, "order {order}");
    }
    let segments = std::fs::read_dir(folder.join("journal")).unwrap().count();
    println!(
        "{killed} kills, {asked} orders, {} facts told, {} ends told, {segments} files",
        ledger.facts.len(),
        ledger.done.len()
    );
}
