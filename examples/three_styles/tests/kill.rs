//! The program is killed ten times at random in each of its forms: the result and the effects outside are the same as without.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime};
use three_styles::outside::Outside;

struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts the program, and waits until it performs the run.
    fn start(style: &str, folder: &Path, title: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_three-styles"))
            .args([style, folder.to_str().unwrap(), title])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut process = Self { output: BufReader::new(child.stdout.take().unwrap()), child };
        assert_eq!(process.line(), "begun");
        process
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Ends it with SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("three-styles-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The last line of the program after this many kills, and the number of effects outside by kind.
fn after_kills(style: &str, kills: u32, title: &str) -> (String, BTreeMap<String, usize>) {
    let folder = Folder::new(&format!("{style}-{title}"));
    let mut random = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
    println!("{style}: the seed is {random}");
    for _ in 0..kills {
        let process = Process::start(style, &folder.0, title);
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        std::thread::sleep(Duration::from_millis(u64::from(random >> 16) % 250));
        process.kill();
    }
    let mut process = Process::start(style, &folder.0, title);
    let last = process.line();
    assert!(process.child.wait().unwrap().success());
    let mut kinds = BTreeMap::new();
    for effect in Outside::folder(&folder.0.join("effects")).effects().unwrap().into_values() {
        *kinds.entry(effect.split(':').next().unwrap().to_owned()).or_default() += 1;
    }
    (last, kinds)
}

fn published(style: &str) {
    let (last, effects) = after_kills(style, 10, "atlas");
    assert_eq!(last, "published https://pages.example/atlas-in-32-pages");
    let expected = [("notify", 1), ("ocr", 32), ("publish", 1), ("summarise", 1)];
    assert_eq!(effects, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
}

fn withdrawn(style: &str) {
    let (last, effects) = after_kills(style, 3, "unreachable");
    assert!(last.starts_with("failed: ") && last.contains("no reader can be reached"), "{last}");
    let expected = [("ocr", 32), ("publish", 1), ("publish.undo", 1), ("summarise", 1)];
    assert_eq!(effects, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
}

#[test]
fn as_data() {
    published("data");
    withdrawn("data");
}

#[test]
fn with_the_builder() {
    published("builder");
    withdrawn("builder");
}

#[test]
fn as_a_durable_function() {
    published("function");
    withdrawn("function");
}
