//! A bar on the terminal while the work goes on.

use std::time::Duration;

use counterpoint::host::thread::{RunError, RunHandle};
use counterpoint::insight::RunProgress;
use indicatif::{ProgressBar, ProgressStyle};
use serde::de::DeserializeOwned;

use crate::RUN;
use crate::records::Records;
use crate::words::count;

/// How long a picture of the bar lasts.
const FRAME: Duration = Duration::from_millis(60);
const STYLE: &str = "{spinner:.cyan} {bar:36.cyan/black.bright} {percent:>3} %  {msg}";

/// Waits for the run, and shows how far it is for as long. Shows nothing where nobody looks: if standard error is not a
/// terminal, the bar is hidden.
pub fn until_over<O: DeserializeOwned>(mut run: RunHandle<O>, records: &Records) -> Result<O, RunError> {
    let bar = ProgressBar::new(0);
    // A style that cannot be read is not worth an error.
    let style = ProgressStyle::with_template(STYLE).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("━╸━"));
    loop {
        match run.wait_for(FRAME) {
            Ok(result) => {
                bar.finish_and_clear();
                return result;
            }
            Err(later) => run = later,
        }
        let books = records.read();
        if let Some(progress) = books.progress.run(RUN) {
            let (done, all) = pieces(&progress);
            bar.set_length(all);
            bar.set_position(done);
            bar.set_message(message(&progress, books.metrics.snapshot().all.counts.retries));
        }
    }
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
