//! One table out of criterion's reports: `table DIRECTORY...`, a directory for each round. The median of the rounds' medians.
//!
//! The last column says how many times as long as Counterpoint's plain row a row takes: more than 1 is slower than it.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Group, size and row, as they are to be printed, with the medians of all rounds in nanoseconds.
type Rows = BTreeMap<(String, u64, String), Vec<f64>>;

/// The rows that others are compared with; where there is none of them, Counterpoint's fastest.
const PLAIN: [&str; 2] = ["counterpoint", "counterpoint least loaded"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rows = Rows::new();
    for directory in std::env::args().skip(1) {
        gather(Path::new(&directory), &mut rows)?;
    }
    println!("| | N | ns, median | times Counterpoint's |\n|---|---|---|---|");
    let mut group: Vec<(&str, f64)> = Vec::new();
    let mut last = None;
    for ((name, size, row), medians) in &rows {
        if last != Some((name, size)) {
            print(last, &mut group);
            last = Some((name, size));
        }
        group.push((row, middle(medians)));
    }
    print(last, &mut group);
    Ok(())
}

/// All rows of one group and size: Counterpoint's first, each by time.
fn print(of: Option<(&String, &u64)>, group: &mut Vec<(&str, f64)>) {
    let Some((name, size)) = of else { return };
    group.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (ours, peers): (Vec<_>, Vec<_>) = group.drain(..).partition(|(row, _)| row.starts_with("counterpoint"));
    let plain = ours.iter().find(|(row, _)| PLAIN.contains(row)).or_else(|| ours.first()).map(|(_, ns)| *ns);
    for (row, ns) in ours.into_iter().chain(peers) {
        let ratio = plain.map_or(String::new(), |plain| format!("{:.2}", ns / plain));
        println!("| {name}: {row} | {size} | {} | {ratio} |", figures(ns));
    }
}

/// Three figures are all that such a measurement is good for.
fn figures(ns: f64) -> String {
    if ns < 100.0 { format!("{ns:.1}") } else { format!("{ns:.0}") }
}

fn middle(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Reads what stands below `new/` at any depth.
fn gather(directory: &Path, rows: &mut Rows) -> Result<(), Box<dyn std::error::Error>> {
    let inner: Vec<PathBuf> =
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    for path in inner.iter().filter(|path| path.is_dir()) {
        if path.ends_with("new") {
            let (about, times) = (read(&path.join("benchmark.json"))?, read(&path.join("estimates.json"))?);
            let word = |key: &str| about[key].as_str().unwrap_or_default().to_owned();
            let size = word("value_str").parse().unwrap_or(0);
            let each = about["throughput"]["Elements"].as_f64().unwrap_or(1.0);
            let median = times["median"]["point_estimate"].as_f64().ok_or("no median")?;
            rows.entry((word("group_id"), size, word("function_id"))).or_default().push(median / each);
        } else {
            gather(path, rows)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Value, Box<dyn std::error::Error>> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}
