//! The pages in a real browser: Chromium, driven by the scripts in `tests/browser`.
//!
//! They need Node.js, Chromium (or the variable `CHROMIUM`) and `npm ci` in `tests/browser`. Where these are missing, the tests
//! say so and do nothing, unless `COUNTERPOINT_BROWSER` is set, as continuous integration does. Pictures of all pages are kept
//! in the folder of the variable `COUNTERPOINT_PICTURES`.

mod common;

use common::Place;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the scripts, if all that they need is there.
fn tools() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let chromium = std::env::var_os("CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into());
    let found = Path::new(&chromium).exists() && folder.join("node_modules").exists();
    if found {
        return Some(folder);
    }
    assert!(std::env::var_os("COUNTERPOINT_BROWSER").is_none(), "no Chromium, or no `npm ci` in {}", folder.display());
    println!("skipped: there is no Chromium, or no `npm ci` in {}", folder.display());
    None
}

/// Runs a script with the address of a server.
fn drive(script: &str, place: &Place) {
    drive_at(script, place, "");
}

/// Runs a script with the address of a page of a server.
fn drive_at(script: &str, place: &Place, path: &str) {
    let Some(folder) = tools() else { return };
    let words = ["serve", "--data", "data", "--listen", "127.0.0.1:0", "--tokens", "tokens.json"];
    let mut running = place.start(words);
    let line = running.first_line();
    let address = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}"));
    let mut node = Command::new("node");
    node.arg(folder.join(script)).arg(format!("{address}{path}")).args(std::env::var_os("COUNTERPOINT_PICTURES"));
    let output = node.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    println!("{text}");
}

fn place() -> Place {
    let place = Place::new();
    let tokens = r#"[
        {"token": "t-ops", "name": "grace", "roles": ["operator", "submitter", {"other": "editor"}]},
        {"token": "t-7", "name": "worker 7", "roles": ["agent"], "agents": [7]}
    ]"#;
    place.write("tokens.json", tokens);
    place
}

#[test]
fn a_run_is_started_watched_approved_and_cancelled_in_a_browser() {
    drive("pages.mjs", &place());
}

/// What the README of the program asks of a newcomer, with kills; the times are printed.
#[test]
fn the_first_ten_minutes() {
    let Some(folder) = tools() else { return };
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut node = Command::new("node");
    node.arg(folder.join("first.mjs")).arg(env!("CARGO_BIN_EXE_counterpoint")).arg(examples);
    let output = node.args(std::env::var_os("COUNTERPOINT_PICTURES")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    println!("{text}");
}

/// The playground, if this program was built with it: at `/play`, and as a page of its own.
#[test]
fn a_file_is_played_in_a_browser() {
    let Some(module) = option_env!("COUNTERPOINT_PLAYGROUND") else {
        println!("skipped: built without COUNTERPOINT_PLAYGROUND");
        return;
    };
    drive_at("play.mjs", &place(), "/play");
    let page = Path::new(module).with_extension("html");
    let Some(folder) = tools() else { return };
    let output = Command::new("node").arg(folder.join("play.mjs")).arg(format!("file://{}", page.display())).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
