//! Instructions and allocations of a unit of work, counted by valgrind: they do not depend on other programs of the machine.
//!
//! ```text
//! cargo bench -p benches --bench instructions              # the table of all rows; needs valgrind
//! cargo bench -p benches --bench instructions -- step      # the rows with this text in their name
//! ```
//!
//! A figure is the difference of two runs of this program, of which the second performs more units. Setting up and tearing
//! down are in both. The figures of tasks include the generator of the load.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench that goes wrong is to stop; it starts itself under valgrind and prints what it finds"
)]

mod load;
#[path = "load/workflows.rs"]
mod workflows;

use counterpoint::Payload;
use counterpoint::definition::Definition;
use load::{Load, config, guarded};
use std::process::Command;
use workflows::{Host, map, saga, stages};

/// What a row performs.
#[derive(Clone, Copy)]
enum Unit {
    /// Tasks: submit, assign, complete, with so many others waiting.
    Task { waiting: u64, guarded: bool },
    /// Runs of a workflow, each of so many steps.
    Run { definition: fn() -> Definition, steps: u64 },
}

struct Row {
    name: &'static str,
    unit: Unit,
    /// The units of the shorter and of the longer run.
    lengths: [u64; 2],
}

const ROWS: &[Row] = &[
    Row { name: "task", unit: Unit::Task { waiting: 1_000, guarded: false }, lengths: [4_000, 14_000] },
    Row { name: "task with guards", unit: Unit::Task { waiting: 1_000, guarded: true }, lengths: [4_000, 14_000] },
    Row { name: "step of a saga of 100", unit: Unit::Run { definition: forward, steps: 100 }, lengths: [20, 70] },
    Row { name: "step and its compensation", unit: Unit::Run { definition: and_back, steps: 100 }, lengths: [20, 70] },
    Row { name: "step of 25 stages of four", unit: Unit::Run { definition: staged, steps: 100 }, lengths: [20, 70] },
    Row { name: "item of a map of 1,000", unit: Unit::Run { definition: mapped, steps: 1_000 }, lengths: [2, 7] },
];

fn forward() -> Definition {
    saga(100, false)
}

fn and_back() -> Definition {
    saga(100, true)
}

fn staged() -> Definition {
    stages(25)
}

fn mapped() -> Definition {
    map(None)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [flag, name, length] = arguments.as_slice()
        && flag == "--perform"
    {
        let row = ROWS.iter().find(|row| row.name == name).unwrap();
        perform(row.unit, length.parse().unwrap());
        return;
    }
    println!("| unit | instructions | allocations | bytes allocated |\n|---|---|---|---|");
    for row in ROWS.iter().filter(|row| arguments.iter().all(|part| row.name.contains(part.as_str()))) {
        let [first, second] = row.lengths.map(|length| Counts::of(row.name, length));
        let units = (row.lengths[1] - row.lengths[0]) * row.unit.size();
        let each = |first: u64, second: u64| (second - first) as f64 / units as f64;
        let (instructions, blocks) = (each(first.instructions, second.instructions), each(first.blocks, second.blocks));
        println!("| {} | {instructions:.0} | {blocks:.1} | {:.0} |", row.name, each(first.bytes, second.bytes));
    }
}

impl Unit {
    /// The units of which one performance consists.
    const fn size(self) -> u64 {
        match self {
            Self::Task { .. } => 1,
            Self::Run { steps, .. } => steps,
        }
    }
}

fn perform(unit: Unit, length: u64) {
    match unit {
        Unit::Task { waiting, guarded: with_guards } => {
            let mut load = Load::new(if with_guards { guarded() } else { config() }, waiting, false);
            for _ in 0..length {
                load.round();
            }
        }
        Unit::Run { definition, steps } => {
            let definition = definition();
            let input = Payload::of(&vec![1; usize::try_from(steps).unwrap()]).unwrap();
            let mut host = Host::new(&definition);
            for id in 1..=length {
                host.start(id, &definition.name, &input);
                host.finish();
            }
        }
    }
}

/// What a whole run of this program took.
#[derive(Default)]
struct Counts {
    instructions: u64,
    blocks: u64,
    bytes: u64,
}

impl Counts {
    fn of(name: &str, length: u64) -> Self {
        let mut counts = Self::default();
        for line in valgrind("callgrind", "--callgrind-out-file=/dev/null", name, length).lines() {
            if let Some((_, count)) = line.split_once("Collected :") {
                counts.instructions = number(count.split_whitespace().next().unwrap_or_default());
            }
        }
        for line in valgrind("dhat", "--dhat-out-file=/dev/null", name, length).lines() {
            // "Total:     1,234 bytes in 56 blocks"
            if let Some((bytes, blocks)) = line.split_once("Total:").and_then(|(_, rest)| rest.split_once("bytes in")) {
                (counts.bytes, counts.blocks) = (number(bytes), number(blocks));
            }
        }
        counts
    }
}

fn valgrind(tool: &str, option: &str, name: &str, length: u64) -> String {
    let program = std::env::current_exe().unwrap();
    let output = Command::new("valgrind")
        .args([&format!("--tool={tool}"), option])
        .arg(program)
        .args(["--perform", name, &length.to_string()])
        .output();
    let output = output.unwrap_or_else(|error| panic!("valgrind cannot be started: {error}"));
    assert!(output.status.success(), "valgrind failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn number(text: &str) -> u64 {
    text.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
}
