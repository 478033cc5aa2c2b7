//! Counterpoint as a program: runs workflow files whose agents are commands, HTTP endpoints and people.

// No panic from any input.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod agents;
mod backup;
mod cli;
mod compaction;
mod control;
mod doctor;
mod document;
mod folder;
mod guard;
mod output;
mod plan;
mod rehearse;
mod run;
mod runs;
mod schedule;
mod serve;
mod session;
mod terminal;
mod traces;
mod trouble;
mod view;

use clap::{CommandFactory as _, Parser as _};
use cli::{Cli, Command};
use control::Operation;
use folder::Data;
use serde_json::json;
use std::process::ExitCode;
use trouble::Trouble;

/// The exit code of an error of this program.
const INTERNAL: u8 = 70;

fn main() -> ExitCode {
    // What this program starts itself as, before anything else is looked at.
    let mut words = std::env::args_os().skip(1);
    match words.next() {
        Some(word) if word == guard::STEP => return guard::step_main(words),
        Some(word) if word == guard::GUARD => {
            return words.next().map_or(ExitCode::FAILURE, |lock| guard::guard_main(lock.as_ref()));
        }
        Some(word) if word == compaction::SNAPSHOT => return compaction::snapshot_main(),
        _ => {}
    }
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("counterpoint: an error of this program: {panic}");
    }));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    if cli.quiet {
        terminal::quiet();
    }
    let (as_json, performed) = (cli.json, std::panic::catch_unwind(|| perform(cli)));
    let Ok(done) = performed else { return ExitCode::from(INTERNAL) };
    let Err(trouble) = done else { return ExitCode::SUCCESS };
    report(&trouble, as_json);
    ExitCode::from(trouble.code())
}

fn report(trouble: &Trouble, as_json: bool) {
    if !as_json {
        if !matches!(trouble, Trouble::RunFailed) {
            eprintln!("{} {trouble}", terminal::coloured(31, "counterpoint:"));
        }
        return;
    }
    let mistakes = if let Trouble::Mistakes { mistakes, .. } = trouble {
        let place = |at: Option<(u64, u64)>| at.map(|(line, column)| json!({"line": line, "column": column}));
        mistakes
            .iter()
            .map(|mistake| json!({"path": mistake.path, "at": place(mistake.at), "text": mistake.text}))
            .collect()
    } else {
        Vec::new()
    };
    if !matches!(trouble, Trouble::RunFailed) {
        output::line(
            &json!({"error": trouble.name(), "code": trouble.code(), "text": trouble.to_string(), "mistakes": mistakes}),
        );
    }
}

fn perform(cli: Cli) -> Result<(), Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Trouble::Broken(format!("the runtime: {error}")))?;
    let done = runtime.block_on(command(cli));
    // A thread that reads the terminal cannot be waited for.
    runtime.shutdown_background();
    done
}

async fn command(cli: Cli) -> Result<(), Trouble> {
    let (data, data_folder, json) = (Data::new(&cli.data), cli.data.clone(), cli.json);
    let operate = async |run: String, operation: Operation| runs::operate(data.known(&run)?, operation, json).await;
    match cli.command {
        Command::Run(args) => run::run(&args, &data, json).await,
        Command::Check { file } => plan::check_file(&file, json),
        Command::Draw { file, out } => plan::draw(&file, out.as_deref()),
        Command::Play { file, inputs, times, seed, timeline } => {
            plan::play(&file, &inputs, times, seed, timeline.as_deref(), json)
        }
        Command::Ls { workflow, state } => runs::list(&data, workflow.as_deref(), state.as_deref(), json),
        Command::Show { run, events, timeline, graph } => {
            runs::show(&data.known(&run)?, events, timeline.as_deref(), graph.as_deref(), json)
        }
        Command::Export { run, out } => runs::export(&data.known(&run)?, out.as_deref()),
        Command::Signal { run, signal, value } => {
            operate(run, Operation::Signal { signal, payload: runs::value(value.as_deref()) }).await
        }
        Command::Approve { run, node, option, by, role, note } => {
            let by = by.or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "operator".to_owned());
            let note = note.map_or(serde_json::Value::Null, serde_json::Value::from);
            operate(run, Operation::Decide { node, option, by, roles: role, note }).await
        }
        Command::Cancel { run, reason } => operate(run, Operation::Cancel { reason }).await,
        Command::Retry { run, node, reason } => operate(run, Operation::Retry { node, reason }).await,
        Command::Skip { run, node, reason } => operate(run, Operation::Skip { node, reason }).await,
        Command::Complete { run, node, output, reason } => {
            operate(run, Operation::Complete { node, output: runs::value(Some(&output)), reason }).await
        }
        Command::Serve(args) => serve::serve(&args, &data_folder, json).await,
        Command::Backup { to } => backup::backup(&data_folder, &to, json),
        Command::Restore { from } => backup::restore(&from, &data_folder, json),
        Command::Doctor { file } => doctor::doctor(&cli.data, file.as_deref(), json),
        Command::Completion { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "counterpoint", &mut text);
            output::raw(&String::from_utf8_lossy(&text));
            Ok(())
        }
    }
}
