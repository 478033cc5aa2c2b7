//! A progress bar on the terminal.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use counterpoint::host::RunError;
use counterpoint::host::thread::RunHandle;
use counterpoint::observe::RunProgress;
use serde::de::DeserializeOwned;

use crate::RUN;
use crate::records::Records;
use crate::words::count;

/// How long a picture of the bar lasts.
const FRAME: Duration = Duration::from_millis(60);
/// How wide the bar is, in characters.
const WIDTH: u64 = 36;

/// Waits for the run and draws its progress meanwhile. Draws nothing if standard error is not a terminal.
pub fn until_over<O: DeserializeOwned>(mut run: RunHandle<O>, records: &Records) -> Result<O, RunError> {
    let shown = stderr().is_terminal();
    loop {
        match run.wait_for(FRAME) {
            Ok(result) => {
                if shown {
                    draw("");
                }
                return result;
            }
            Err(later) => run = later,
        }
        if shown {
            let books = records.read();
            if let Some(progress) = books.progress.run(RUN) {
                draw(&line(&progress, books.metrics.snapshot().all.counts.retries));
            }
        }
    }
}

/// Replaces the last line of the terminal. A terminal that takes no text is not worth an error.
fn draw(line: &str) {
    let mut terminal = stderr().lock();
    let _ = write!(terminal, "\r\x1b[2K{line}");
    let _ = terminal.flush();
}

/// The bar, the share that is done, and what the run waits for.
fn line(progress: &RunProgress, retries: u64) -> String {
    let (done, all) = pieces(progress);
    let share = |of: u64| (done * of).checked_div(all).unwrap_or(0).min(of);
    let bar: String = (0..WIDTH).map(|at| if at < share(WIDTH) { '━' } else { '─' }).collect();
    format!("{bar} {:>3} %  {}", share(100), message(progress, retries))
}

/// How many pieces of work there are, and how many are done: the portions, and the nodes around them. As long as nobody
/// knows how many portions there are, nothing is done.
fn pieces(progress: &RunProgress) -> (u64, u64) {
    let nodes = &progress.nodes;
    let done = if nodes.items == 0 { 0 } else { u64::from(nodes.over) + nodes.items_over };
    (done, u64::from(nodes.total) + nodes.items)
}

/// What the run waits for now, in a few words.
fn message(progress: &RunProgress, retries: u64) -> String {
    let mut names: Vec<&str> = progress.waits.iter().map(|wait| wait.node.as_str()).collect();
    names.dedup();
    let mut text = names.join(", ");
    if progress.nodes.items > progress.nodes.items_over {
        text.push_str(&format!(": {} of {} portions", progress.nodes.items_over, progress.nodes.items));
    }
    if retries > 0 {
        let again = if retries == 1 { "retry".to_owned() } else { count(retries, "retrie") };
        text.push_str(&format!(", {again}"));
    }
    text
}
