//! The statements that no test can miss, each with the reason: `explained.txt`.

use crate::plant::{Failed, Planted};
use std::collections::BTreeMap;
use std::path::Path;

/// The reasons, by the key of the statement.
pub fn read() -> Failed<BTreeMap<String, String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("explained.txt");
    let mut reasons = BTreeMap::new();
    let mut keys = vec![];
    for line in std::fs::read_to_string(path)?.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if let Some(reason) = line.strip_prefix("    ") {
            reasons.extend(keys.drain(..).map(|key| (key, reason.to_owned())));
        } else {
            keys.push(line.to_owned());
        }
    }
    if keys.is_empty() { Ok(reasons) } else { Err(format!("explained.txt: no reason for {keys:?}").into()) }
}

/// What names a statement as long as it is not changed: lines move.
pub fn key(planted: &Planted) -> String {
    let text: String = planted.mutant.text.chars().take(100).collect();
    format!("{} {} {text}", planted.file.display(), planted.mutant.function)
}
