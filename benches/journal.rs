//! What journals and snapshots cost: reading a million facts back, from memory and from sealed bytes; their size; a snapshot of ten
//! thousand active runs and a hundred thousand waiting tasks, and how long the engine stops for it, without a follower and
//! with one; and memory over ten million tasks.
//!
//! `cargo bench -p benches --bench journal`; `-- restore`, `-- sizes`, `-- snapshot` or `-- memory` for one of
//! them.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that goes wrong is to stop; what it finds it tells"
)]

use counterpoint::definition::{Action, Definition, Node};
use counterpoint::engine::{EngineSnapshot, Follower};
use counterpoint::journal::Epoch;
use counterpoint::journal::sealed::{Encoding, Head, Key, Stream};
use counterpoint::{
    AgentId, AgentSpec, Command, Config, Effect, Engine, Entry, Limits, Outbox, Payload, RunId, RunSpec, TaskId,
    TaskSpec, Time,
};
use cpu_time::ThreadTime;
use std::time::Duration;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    if runs("restore") {
        restore();
    }
    if runs("sizes") {
        sizes();
    }
    if runs("snapshot") {
        snapshot();
    }
    if runs("memory") {
        memory();
    }
}

/// The best of a few, in processor time, as other programs are on the machine, too.
fn best(of: u32, mut what: impl FnMut()) -> Duration {
    let time = |_| {
        let start = ThreadTime::now();
        what();
        start.elapsed()
    };
    (0..of).map(time).min().unwrap()
}

fn config() -> Config {
    Config::default().with_limits(Limits::default().with_finished_tasks(10_000)).with_story(0)
}

/// A day of one engine: agents that do what they are given at once, and facts for whoever takes them.
struct Day {
    engine: Engine,
    out: Outbox,
    serial: u64,
    now: Time,
}

impl Day {
    fn new(agents: u64) -> Self {
        let mut day = Self { engine: Engine::new(config()), out: Outbox::default(), serial: 0, now: Time::ZERO };
        for agent in 1..=agents {
            day.say(Command::register(AgentSpec::new(AgentId::new(agent)).with_skill("work", 1).with_capacity(4)));
        }
        day
    }

    fn say(&mut self, command: Command) {
        self.now = self.now + Duration::from_micros(3);
        self.engine.handle(self.now, command, &mut self.out).unwrap();
    }

    /// A task comes and is done.
    fn task(&mut self, payload: &Payload) {
        self.serial += 1;
        let task = TaskSpec::new(TaskId::new(self.serial), "work").with_payload(payload.clone());
        self.say(Command::submit(task));
        let mut effects = Vec::new();
        self.out.drain_effects(&mut effects);
        for effect in effects {
            if let Effect::Dispatch { attempt, to, .. } = effect {
                self.say(Command::complete(to, attempt, payload.clone()));
            }
        }
    }
}

fn restore() {
    const FACTS: usize = 1_000_000;
    let mut day = Day::new(20);
    let mut journal: Vec<Entry> = Vec::new();
    let payload = Payload::of(&("order", 4_711, "a few words of payload")).unwrap();
    while journal.len() < FACTS {
        day.task(&payload);
        day.out.drain_entries(&mut journal);
    }
    journal.truncate(FACTS);
    let per = |time: Duration| time.as_nanos() / FACTS as u128;
    let fold = best(3, || drop(Engine::restore(config(), None, &journal).unwrap()));
    println!("restore, {FACTS} facts of the lives of tasks:");
    println!("  fold                      {:>6} ms, {:>4} ns a fact", fold.as_millis(), per(fold));
    for (name, encoding, key) in [
        ("compact", Encoding::Compact, None),
        ("compact, keyed", Encoding::Compact, Some(Key::new([7; 32]))),
        ("lines of JSON", Encoding::Lines, None),
    ] {
        let stream = Stream::new("bench").with_encoding(encoding);
        let stream = key.map_or_else(|| stream.clone(), |key| stream.clone().with_key(key));
        let mut bytes = Vec::new();
        let seal = best(1, || {
            let (mut sealer, header) = stream.begin(Head::START);
            bytes = header;
            for some in journal.chunks(32) {
                sealer.seal(Epoch::new(1), some, &mut bytes).unwrap();
            }
        });
        let unseal = best(3, || drop(stream.read(&bytes, None)));
        // As a host would: a segment of entries at a time.
        let all = best(3, || {
            let mut follower = Follower::new(&config());
            for record in stream.open(&bytes, None).unwrap() {
                for entry in &record.unwrap() {
                    follower.follow(entry).unwrap();
                }
            }
        });
        println!(
            "  {name:<16} {:>4} MB: seal {:>5} ms, read {:>5} ms, read and fold {:>5} ms",
            bytes.len() >> 20,
            seal.as_millis(),
            unseal.as_millis(),
            all.as_millis()
        );
    }
}

/// The bytes of an event at rest, by the number of events of an append.
fn sizes() {
    const FACTS: usize = 96_000;
    println!("bytes of an event in sealed records of 1, 8 and 32 events:");
    let some = Payload::of(&("order", 4_711, "a few words of payload")).unwrap();
    for (name, payload) in [("without payload", Payload::NULL), ("with payload", some)] {
        let mut day = Day::new(20);
        let mut journal: Vec<Entry> = Vec::new();
        while journal.len() < FACTS {
            day.task(&payload);
            day.out.drain_entries(&mut journal);
        }
        for encoding in [Encoding::Compact, Encoding::Lines] {
            let stream = Stream::new("bench").with_encoding(encoding);
            let sizes = [1, 8, 32].map(|at_once| {
                let (mut sealer, mut bytes) = stream.begin(Head::START);
                for some in journal.chunks(at_once) {
                    sealer.seal(Epoch::new(1), some, &mut bytes).unwrap();
                }
                bytes.len() as f64 / journal.len() as f64
            });
            let [one, eight, many] = sizes.map(|size| format!("{size:.1}"));
            println!("  {name}, {encoding:?}: {one}, {eight}, {many}");
        }
    }
}

/// Ten thousand active runs that wait, and a hundred thousand tasks that wait.
fn busy() -> (Day, Vec<Entry>) {
    let mut day = Day::new(1);
    let wait = Node::new("wait", Action::Wait { signal: Some("go".into()), timer: Some(Duration::from_secs(86_400)) });
    let step = Node::new("done", Action::task("other"));
    day.say(Command::define(Definition::new("flow").with_node(wait).with_node(step)));
    for run in 1..=10_000 {
        let input = Payload::of(&("order", run)).unwrap();
        day.say(Command::start(RunSpec::new(RunId::new(run), "flow").with_input(input)));
    }
    let payload = Payload::of(&("order", 4_711, "a few words of payload")).unwrap();
    for task in 0..90_000 {
        let task = TaskSpec::new(TaskId::new(1_000_000 + task), "other").with_payload(payload.clone());
        day.say(Command::submit(task));
    }
    let mut facts = Vec::new();
    day.out.drain_entries(&mut facts);
    (day, facts)
}

fn snapshot() {
    let (mut day, facts) = busy();
    println!("snapshot of 10,000 active runs and {} waiting tasks:", day.engine.queued().iter().sum::<usize>());
    let data = best(5, || drop(day.engine.snapshot()));
    let state = day.engine.snapshot();
    let mut text = Vec::new();
    let write = best(3, || text = serde_json::to_vec(&state).unwrap());
    println!("  as data {} ms, to {} MB of JSON {} ms", data.as_millis(), text.len() >> 20, write.as_millis());
    let mut bytes = Vec::new();
    let write = best(3, || bytes = state.to_bytes().unwrap());
    println!("  to {} KB of its binary form {} ms", bytes.len() >> 10, write.as_millis());
    assert_eq!(EngineSnapshot::from_bytes(&bytes).unwrap(), state);
    let unpack = best(3, || drop(EngineSnapshot::from_bytes(&bytes).unwrap()));
    let parse = best(3, || drop(serde_json::from_slice::<EngineSnapshot>(&text).unwrap()));
    let read: EngineSnapshot = serde_json::from_slice(&text).unwrap();
    let build = best(3, || drop(Engine::restore(config(), Some(&read), []).unwrap()));
    println!(
        "  back: from JSON {} ms, from the binary form {} ms, to an engine {} ms",
        parse.as_millis(),
        unpack.as_millis(),
        build.as_millis()
    );
    drop((read, state));

    let mut follower = Follower::new(&config());
    for fact in &facts {
        follower.follow(fact).unwrap();
    }
    assert_eq!(follower.snapshot(), day.engine.snapshot());
    // Calls to the engine while the follower's thread serialises again and again, and while nobody does.
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut pauses = |name: &str| {
        let payload = Payload::NULL;
        let mut longest = Vec::new();
        for _ in 0..20_000 {
            let start = ThreadTime::now();
            day.task(&payload);
            day.out.clear();
            longest.push(start.elapsed());
        }
        longest.sort_unstable();
        let worst = longest.last().copied().unwrap_or_default();
        let common = longest.get(longest.len() * 999 / 1_000).copied().unwrap_or_default();
        println!(
            "  the life of a task, {name}: 99.9 % within {} us, all within {} us",
            common.as_micros(),
            worst.as_micros()
        );
    };
    pauses("nobody takes snapshots");
    std::thread::scope(|scope| {
        let (stop, follower) = (&stop, follower);
        let taken = scope.spawn(move || {
            let mut taken = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                drop(serde_json::to_vec(&follower.snapshot()).unwrap());
                taken += 1;
            }
            taken
        });
        pauses("a follower takes them");
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        println!("  ({} snapshots meanwhile)", taken.join().unwrap());
    });
}

/// Resident memory, where the system tells it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn memory() {
    const TASKS: u64 = 10_000_000;
    let mut day = Day::new(20);
    let mut follower = Follower::new(&config());
    let payload = Payload::of(&("order", 4_711)).unwrap();
    let mut facts = Vec::new();
    println!("memory over {TASKS} tasks, an engine and its follower, with 10,000 finished tasks remembered:");
    let (start, mut at) = (ThreadTime::now(), Vec::new());
    for done in 1..=TASKS {
        day.task(&payload);
        day.out.drain_entries(&mut facts);
        if facts.len() > 10_000 {
            facts.drain(..).for_each(|fact| follower.follow(&fact).unwrap());
        }
        if done % (TASKS / 10) == 0 {
            let Some(kib) = resident() else { return println!("  this system does not tell") };
            print!("  {} MB", kib >> 10);
            at.push(kib);
        }
    }
    let (first, last) = (at.first().copied().unwrap_or(0), at.last().copied().unwrap_or(0));
    println!(
        "\n  {} known tasks at the end; from the first tenth to the last: {first} to {last} KiB; {} s of processor time",
        day.engine.snapshot().scheduler.tasks.len(),
        start.elapsed().as_secs()
    );
    assert!(last < first + first / 10, "memory grows");
}
