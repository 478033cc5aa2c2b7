//! The house has floors: a module uses only what is below it. And only hosts know clocks, threads, files and the network.

use std::fs;
use std::path::{Path, PathBuf};

/// Every module of `src/` with its floor. A module uses only modules of lower floors.
const FLOORS: &[(u32, &[&str])] = &[
    (10, &["base"]),
    (20, &["task"]),
    (21, &["definition", "schedule"]),
    (22, &["message"]),
    (29, &["coordination"]),
    (30, &["dag", "planning", "resilience", "routing"]),
    (31, &["saga", "team"]),
    (32, &["workflow"]),
    (33, &["interop", "language"]),
    (34, &["decompose"]),
    (39, &["journal"]),
    (40, &["access", "observe", "protocol"]),
    (41, &["scheduler"]),
    (42, &["engine"]),
    (43, &["planning/live"]),
    (44, &["cluster"]),
    (50, &["host"]),
    (60, &["sim", "testing"]),
    (70, &["guide"]),
];

/// What only hosts may name; the runner of closures in `dag` starts threads, and says so.
const OUTSIDE: &[&str] =
    &["Instant", "SystemTime", "std::thread", "std::net", "std::fs", "HashSet", "std::collections::HashMap"];

#[test]
fn no_module_looks_up_or_sideways() {
    let faults: Vec<String> = sources().into_iter().flat_map(|source| source.upward_uses()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn only_hosts_know_the_outside() {
    let faults: Vec<String> = sources().into_iter().flat_map(|source| source.outside_words()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_and_modules_are_accounted_for() {
    let known: Vec<&str> = FLOORS.iter().flat_map(|(_, modules)| *modules).copied().collect();
    for source in sources() {
        assert!(known.contains(&source.module.as_str()), "{} stands on no floor", source.module);
        let lines = source.code.lines().count();
        assert!(lines <= 600, "{} has {lines} lines: is it still one room?", source.path.display());
    }
}

/// The folders and files of the scheduler, from the bottom up. Each imports only what is below it, or its own.
const SCHEDULER: &[&[&str]] = &[
    &["ix", "inconsistent", "log"],
    &["timers"],
    &["tasks", "index", "standing", "reroutings"],
    &["queue"],
    &["preemption"],
    &["apply", "snapshot"],
    &["guards", "unguarded", "effects", "config"],
];

/// Components do not know what composes them, and the state does not know what decides.
#[test]
fn the_scheduler_is_built_from_the_bottom_up() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scheduler");
    let floor = |name: &str| SCHEDULER.iter().position(|names| names.contains(&name)).unwrap_or(SCHEDULER.len());
    let mut faults = Vec::new();
    for path in rust_files(&root) {
        let below = path.strip_prefix(&root).unwrap();
        let own = below.components().next().unwrap().as_os_str().to_string_lossy().replace(".rs", "");
        let text = fs::read_to_string(&path).unwrap();
        for used in text.split("crate::scheduler::").skip(1) {
            let used = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            let doc = own == "config" || own == "snapshot" || used.chars().next().is_none_or(char::is_uppercase);
            if !doc && used != own && floor(used) > floor(&own) {
                faults.push(format!("{} uses {used}", below.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_test_can_fail() {
    let planted = |module: &str, code: &str| Source {
        path: PathBuf::from("planted.rs"),
        module: module.to_owned(),
        code: code.to_owned(),
    };
    assert_eq!(planted("routing", "use crate::engine::Engine;").upward_uses().len(), 1);
    assert_eq!(planted("routing", "use crate::resilience::breaker;").upward_uses().len(), 1);
    assert_eq!(planted("message", "use crate::task::AgentSpec;").upward_uses().len(), 0);
    assert_eq!(planted("task", "use crate::message::Command;").upward_uses().len(), 1);
    assert_eq!(planted("scheduler", "let now = std::time::Instant::now();").outside_words().len(), 1);
}

struct Source {
    path: PathBuf,
    module: String,
    /// Without comments.
    code: String,
}

impl Source {
    fn upward_uses(&self) -> Vec<String> {
        let here = floor(&self.module);
        let named = self.code.split("crate::").skip(1);
        let used = named.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default());
        used.filter(|module| *module != self.module)
            .filter_map(|module| Some((module, floor_of(module)?)))
            .filter(|(_, there)| *there >= here)
            .map(|(module, _)| format!("{} ({}) uses crate::{module}", self.path.display(), self.module))
            .collect()
    }

    fn outside_words(&self) -> Vec<String> {
        // The search for the most expensive expression prints times.
        let outside = ["runner", "expensive.rs"];
        let is_outside = self.path.components().any(|part| outside.iter().any(|name| part.as_os_str() == *name));
        let allowed = floor(&self.module) >= 50 || is_outside;
        let words = OUTSIDE.iter().filter(|word| !allowed && self.code.contains(*word));
        words.map(|word| format!("{} names {word}", self.path.display())).collect()
    }
}

fn floor(module: &str) -> u32 {
    floor_of(module).unwrap_or(0)
}

fn floor_of(module: &str) -> Option<u32> {
    FLOORS.iter().find(|(_, modules)| modules.contains(&module)).map(|(floor, _)| *floor)
}

/// The files of `src/` but for `lib.rs`, which only lists the modules.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let paths = rust_files(&root).into_iter().filter(|path| *path != root.join("lib.rs"));
    let sources: Vec<Source> = paths.map(|path| source(&root, path)).collect();
    assert!(sources.len() > 50, "the sources were found");
    sources
}

fn source(root: &Path, path: PathBuf) -> Source {
    let below = path.strip_prefix(root).expect("it lies in src");
    let first = below.components().next().expect("it has a name").as_os_str().to_string_lossy();
    let text = fs::read_to_string(&path).expect("a source can be read");
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    // The bridge between plans and an engine stands above both.
    let module = if below.starts_with("planning/live") { "planning/live" } else { first.trim_end_matches(".rs") };
    Source { module: module.to_owned(), path, code }
}

/// A table that names a test which is gone would be worse than none.
#[test]
fn the_tests_that_the_documents_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    for folder in ["src", "tests", "examples"] {
        for path in rust_files(&root.join(folder)) {
            code.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    let mut named = 0;
    for file in fs::read_dir(root.join("docs")).unwrap() {
        let path = file.unwrap().path();
        let text = if path.is_file() { fs::read_to_string(path).unwrap() } else { String::new() };
        let mut of_tests = false;
        for row in text.lines() {
            let last = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
            // A table that names tests says so in the head of its last column.
            of_tests = row.starts_with('|') && (of_tests || last.trim() == "test");
            if !of_tests {
                continue;
            }
            for test in last.split('`').skip(1).step_by(2) {
                named += 1;
                assert!(code.contains(&format!("fn {test}(")), "no test is called {test}");
            }
        }
    }
    assert!(named > 50, "{named} tests are named: is the table still there?");
}

/// Every property is tried with the cases that every change is judged by, unless somebody asks for others.
#[test]
fn properties_take_their_cases_from_one_seed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let settings = fs::read_to_string(root.join(".cargo/config.toml")).unwrap();
    let seed = format!("PROPTEST_RNG_SEED = \"{}\"", crate::FOR_EVERY_CHANGE);
    assert!(settings.lines().any(|line| line == seed), "not {seed} in\n{settings}");
    let mut properties = 0;
    for path in rust_files(&root.join("tests/it")) {
        let text = fs::read_to_string(&path).unwrap();
        for block in text.split("proptest! {\n").skip(1) {
            properties += 1;
            let first = block.trim_start().lines().next().unwrap_or_default();
            let told = first.contains("proptest_config") && (first.contains("property(") || first.contains("(cases("));
            assert!(told, "{}: a property with cases of its own: {first}", path.display());
        }
    }
    assert!(properties > 20, "{properties} properties were found");
}

pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
    files
}
