//! The code that applies events computes with checked numbers: a sum that saturates cannot be subtracted from again, and
//! the engine would refuse its own journal.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders and files that apply events and hold the state.
const APPLYING: &[&str] = &[
    "src/base/structure",
    "src/engine",
    "src/saga",
    "src/scheduler/apply",
    "src/scheduler/index",
    "src/scheduler/queue",
    "src/scheduler/tasks",
    "src/task/usage.rs",
    "src/workflow/machine",
];

/// The uses of saturating and wrapping arithmetic there, by file: how many, and why each is sound. A use is sound if its
/// result is not added to or subtracted from later, or if the operands cannot reach the end of the number.
const SOUND: &[(&str, usize, &str)] = &[
    ("src/base/structure/anomalies.rs", 1, "counts anomalies for a report, only upwards"),
    ("src/base/structure/bits.rs", 1, "clears the lowest bit of a word"),
    ("src/base/structure/idmap.rs", 1, "a hash, which is computed modulo 2^64"),
    ("src/base/structure/random.rs", 1, "selects a stream of random numbers by a hash"),
    ("src/base/structure/table.rs", 2, "a clock of uses, only compared; 2^64 uses are out of reach"),
    ("src/base/structure/wheel.rs", 1, "the place of a timer and one; 2^32 places are out of reach"),
    (
        "src/engine/accounts.rs",
        4,
        "free amounts and reservations are computed from sums and not added up; sums are `Sum`",
    ),
    ("src/engine/active.rs", 1, "the bytes with those of one more run are compared with a limit"),
    ("src/engine/commands.rs", 2, "the number of items is compared with a limit, and an error names a size"),
    ("src/engine/drive.rs", 9, "the surplus of retained runs, sizes of batches, and units of work"),
    (
        "src/engine/family.rs",
        5,
        "depths, counts of runs that only grow and are compared with limits, a time, and the size of a family, in which each \
         removed member was counted",
    ),
    ("src/engine/runs.rs", 2, "the depth of a recursion, which is limited, and units of work"),
    ("src/engine/recent.rs", 1, "the size of a buffer from the configuration"),
    (
        "src/engine/schedules/commands.rs",
        8,
        "numbers of requested times, compared with a limit; units of work; the time before another, from zero on",
    ),
    ("src/engine/schedules/decide.rs", 6, "units of work, and times before others, from zero on"),
    ("src/engine/schedules/state.rs", 4, "counts of occasions, only upwards; one is compared with a limit"),
    ("src/engine/schedules/view.rs", 1, "the occasions that are left within a limit"),
    ("src/saga/compensation.rs", 3, "each count is one of members by state, and `change` has checked the state"),
    ("src/saga/state.rs", 3, "each count is one of steps by state, and the transition has checked the state"),
    (
        "src/scheduler/index/classes.rs",
        3,
        "a version of a list, which is compared for equality; the waiting tasks that are not urgent, read from counts",
    ),
    (
        "src/scheduler/index/fleet.rs",
        1,
        "an agent may be assigned more than it polled for in a replay, which has no polls",
    ),
    ("src/scheduler/index/member.rs", 5, "free slots and amounts are computed from the state and not added up"),
    ("src/scheduler/index/pools.rs", 1, "the free amount of a resource is compared with a need"),
    (
        "src/scheduler/queue/deferral.rs",
        9,
        "counts of submits and deferrals, only upwards and compared; the work and the number of queued tasks, whose sums of 2^64 \
         durations are out of reach; products that are compared with them, and a position in the order",
    ),
    ("src/scheduler/queue/discipline.rs", 1, "a position in the order: a time from a duration and a setting"),
    ("src/scheduler/queue/fair.rs", 1, "a tag stops at zero if the weight of its tenant has changed since the charge"),
    ("src/scheduler/queue/lanes/search.rs", 1, "the rest of a bound on a search"),
    ("src/scheduler/queue/lanes/sub_queue.rs", 1, "the rest of a bound on a search"),
    ("src/scheduler/index/unroutable.rs", 1, "the numbers of groups, which only grow; 2^64 groups are out of reach"),
    (
        "src/scheduler/tasks/mod.rs",
        2,
        "the start of the tail of a list; failures by rule of retries, which are only compared with bounds",
    ),
    (
        "src/scheduler/tasks/heartbeats.rs",
        1,
        "the bytes of a payload and of details, whose sum is the same whenever it is counted",
    ),
    ("src/scheduler/tasks/task.rs", 2, "read from counts that are checked when they change"),
    (
        "src/task/usage.rs",
        6,
        "reports, and the rest of a reservation, which is computed from the state and not added up",
    ),
    ("src/workflow/machine/decide/back.rs", 1, "units of work, which are only compared with a bound"),
    ("src/workflow/machine/decide/end.rs", 1, "units of work, which are only compared with a bound"),
    ("src/workflow/machine/decide/guard.rs", 1, "numbers of instances, compared with the length of their list"),
    ("src/workflow/machine/decide/retry.rs", 2, "numbers of failed child runs, compared with the retries of a node"),
    (
        "src/workflow/machine/graph/bound.rs",
        1,
        "the number of attempts at a node as a whole, which an expression reads",
    ),
    (
        "src/workflow/machine/graph/mod.rs",
        4,
        "each count is one of nodes by state: what is subtracted was counted before",
    ),
    ("src/workflow/machine/node/aside.rs", 2, "numbers of failed child runs, only upwards; each has an instance"),
    (
        "src/workflow/machine/node/calls.rs",
        4,
        "calls with effects, repetitions and uses of save-points, only upwards; each call has an instance, each use a retry",
    ),
    (
        "src/workflow/machine/node/function.rs",
        6,
        "numbers of turns and of calls, only upwards and limited, and the number after one; a sum that is compared with a limit",
    ),
    (
        "src/workflow/machine/node/instances.rs",
        7,
        "each count is one of instances by state, or of their attempts: what is subtracted was counted before",
    ),
    (
        "src/workflow/machine/node/links.rs",
        9,
        "counts of decided links, only upwards, and differences of them that are compared",
    ),
    ("src/workflow/machine/node/map.rs", 1, "the number of items, computed from two lists whose lengths are limited"),
    ("src/workflow/machine/node/parts.rs", 3, "indexes of parts, whose number is limited, and the depth of one"),
    ("src/workflow/machine/node/race.rs", 1, "the level of an escalation, only upwards and limited by the definition"),
    ("src/workflow/machine/node/repeat.rs", 1, "the number of the last round, for the place of a failure"),
    (
        "src/workflow/machine/node/states.rs",
        2,
        "counts entered states, only upwards, and is compared with a limit; the number of the last one, for the place of a failure",
    ),
    (
        "src/workflow/machine/node/transitions.rs",
        5,
        "counts refusals and rollbacks, only upwards, and is compared with limits; counts repetitions and executions of a function, only upwards",
    ),
    ("src/workflow/machine/node/work.rs", 1, "the number of items without a result"),
    ("src/workflow/machine/values.rs", 1, "the number of the next attempt, which an expression reads"),
    ("src/workflow/machine/variables.rs", 2, "the size of a value is compared with a limit"),
];

/// The lines of a source file before its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
}

fn sources(at: &Path, found: &mut Vec<PathBuf>) {
    if at.is_dir() {
        let mut inner: Vec<PathBuf> = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()).collect();
        inner.sort();
        inner.iter().for_each(|path| sources(path, found));
    } else if at.extension().is_some_and(|end| end == "rs") && at.file_name().is_some_and(|name| name != "tests.rs") {
        found.push(at.to_owned());
    }
}

#[test]
fn saturating_arithmetic_is_accounted_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    APPLYING.iter().for_each(|folder| sources(&root.join(folder), &mut files));
    assert!(files.len() > 50, "the folders were found");
    let mut faults = Vec::new();
    for file in files {
        let text = code(&file);
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
        let uses: usize =
            lines.map(|line| line.matches("saturating_").count() + line.matches("wrapping_").count()).sum();
        let name = file.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
        let known = SOUND.iter().find(|(path, ..)| *path == name).map_or(0, |(_, count, _)| *count);
        if uses > known {
            faults.push(format!(
                "{name} has {uses} uses of saturating or wrapping arithmetic, {known} are accounted for"
            ));
        }
    }
    for (path, count, reason) in SOUND {
        if !root.join(path).exists() || *count == 0 || reason.len() < 20 {
            faults.push(format!("{path} is listed without a use or without a reason"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
