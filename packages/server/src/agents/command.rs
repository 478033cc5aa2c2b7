//! Performs a task by a command of the operating system.

use super::plan::{Command, Exit, Program, Stdin, Stdout};
use super::process::{self, Group, tail};
use super::template::Subject;
use super::{Surroundings, cache, failure};
use crate::guard::signal_group;
use counterpoint::host::future::Assignment;
use counterpoint::{Failure, FailureKind, Payload};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long output is awaited from processes that have left the group of an ended command.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

/// A command with the values of a task.
struct Prepared {
    program: Vec<OsString>,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    input: Vec<u8>,
    run: String,
}

/// What ended a command before it ended itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    Cancelled,
    TimeLimit,
    Output,
}

/// Performs an attempt.
pub(crate) async fn perform(
    plan: &Command,
    subject: &Subject<'_>,
    around: &Arc<Surroundings>,
    assignment: &Assignment,
) -> Result<Payload, Failure> {
    let prepared = prepare(plan, subject)?;
    let mut slot = None;
    if let Some(cached) = &plan.cache {
        let work = cache::Work {
            folder: &prepared.folder,
            program: &prepared.program,
            environment: &prepared.environment,
            stdin: &prepared.input,
            reading: (plan.stdout, plan.clean),
        };
        let found = cache::Slot::of(cached, subject, &work, &around.cache)?;
        if let Some(output) = found.result() {
            return Ok(Payload::new(output));
        }
        slot = Some(found);
    }
    let output = run(plan, prepared, around, assignment).await?;
    if let Some(slot) = slot {
        slot.keep(output.value());
    }
    Ok(output)
}

fn prepare(plan: &Command, subject: &Subject<'_>) -> Result<Prepared, Failure> {
    let bad = |what: &str| {
        let what = what.to_owned();
        move |text: String| failure(Failure::permanent(format!("{what}: {text}")), "template")
    };
    let folder = match &plan.folder {
        Some(folder) => subject.folder.join(folder.render(subject).map_err(bad("folder"))?),
        None => subject.folder.to_owned(),
    };
    let mut environment = Vec::new();
    for (name, value) in &plan.environment {
        environment.push((name.clone(), value.render(subject).map_err(bad(&format!("environment.{name}")))?));
    }
    let program = match &plan.program {
        Program::Shell(text) => vec!["/bin/sh".into(), "-c".into(), text.into()],
        Program::Arguments(arguments) => {
            let mut words = Vec::new();
            for argument in arguments {
                words.extend(argument.render_all(subject).map_err(bad("command"))?.into_iter().map(OsString::from));
            }
            let Some(first) = words.first_mut() else {
                return Err(failure(Failure::permanent("command: the list of its words is empty"), "template"));
            };
            let Some(found) = find_program(&first.to_string_lossy(), &folder) else {
                let shown = arguments.first().map(|name| name.shown(subject)).unwrap_or_default();
                return Err(failure(Failure::permanent(format!("there is no program `{shown}`")), "no-program"));
            };
            *first = found.into_os_string();
            words
        }
    };
    if program.iter().any(|word| word.as_encoded_bytes().contains(&0)) {
        return Err(failure(Failure::permanent("command: a word contains a zero byte"), "template"));
    }
    let input = match &plan.stdin {
        Stdin::Nothing => Vec::new(),
        Stdin::Json => format!("{}\n", subject.input).into_bytes(),
        Stdin::Text => match subject.input {
            Value::String(text) => text.clone().into_bytes(),
            other => format!("{other}\n").into_bytes(),
        },
        Stdin::Template(template) => template.render(subject).map_err(bad("stdin"))?.into_bytes(),
    };
    if !folder.is_dir() {
        let shown = plan.folder.as_ref().map(|folder| folder.shown(subject)).unwrap_or_default();
        let shown = subject.folder.join(shown);
        return Err(failure(Failure::permanent(format!("there is no folder {}", shown.display())), "no-folder"));
    }
    Ok(Prepared { program, folder, environment, input, run: subject.run.to_owned() })
}

/// Finds a program as a shell would. A name with a slash is relative to the folder.
pub(crate) fn find_program(name: &str, folder: &Path) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    if name.contains('/') {
        return Some(folder.join(name)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|place| place.join(name)).find(|path| path.is_file())
}

async fn run(
    plan: &Command,
    prepared: Prepared,
    around: &Arc<Surroundings>,
    assignment: &Assignment,
) -> Result<Payload, Failure> {
    let unstarted = |error: std::io::Error| {
        failure(Failure::transient(format!("the command was not started: {error}")), "not-started")
    };
    let (mut child, group) = start(plan, &prepared, around, assignment).map_err(unstarted)?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(failure(Failure::transient("the command has no pipes"), "not-started"));
    };
    let id = group.id;
    // What was read so far is at hand even if reading is given up.
    let (output, errors) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let reading = async {
        let within = async {
            let within = read(stdout, &output, plan.most_output).await;
            if !within {
                signal_group(id, Signal::KILL);
            }
            within
        };
        tokio::join!(within, tail(stderr, &errors), feed(stdin, prepared.input)).0
    };
    let (mut reading, mut limits) = (std::pin::pin!(reading), std::pin::pin!(limits(plan, assignment)));
    let (mut within, mut cut, mut end_at) = (None, None, None);
    // The command ends when its first process ends. Its output is also read while it is asked to end: a command that waits
    // for room in a pipe could not end.
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            done = &mut reading, if within.is_none() => within = Some(done),
            why = &mut limits, if cut.is_none() => {
                cut = Some(why);
                signal_group(group.id, Signal::TERM);
                end_at = Some(Instant::now() + plan.grace);
            }
            () = reached(end_at), if end_at.is_some() => {
                end_at = None;
                signal_group(group.id, Signal::KILL);
            }
        }
    };
    // Processes that the command has left behind do not survive it.
    signal_group(group.id, Signal::KILL);
    let within = match within {
        Some(within) => within,
        None => timeout(LEFT_BEHIND, reading).await.unwrap_or(true),
    };
    let (output, errors) = (taken(&output), taken(&errors));
    drop(group);
    if around.guard.is_stopping() {
        // This process was asked to end, and has ended the command. That is no failure of the task.
        std::future::pending::<()>().await;
    }
    let status = status.map_err(|error| Failure::unknown(format!("the end of the command is unknown: {error}")))?;
    let cut = if within { cut } else { Some(Cut::Output) };
    conclude(plan, status, cut, &output, &errors)
}

/// Starts the command.
fn start(
    plan: &Command,
    prepared: &Prepared,
    around: &Surroundings,
    assignment: &Assignment,
) -> std::io::Result<(Child, Group)> {
    let key = assignment.attempt.idempotency_key().map(|key| key.to_string()).unwrap_or_default();
    let mut environment = vec![
        ("COUNTERPOINT_IDEMPOTENCY_KEY".to_owned(), key),
        ("COUNTERPOINT_ATTEMPT".to_owned(), assignment.attempt.number().to_string()),
        ("COUNTERPOINT_KIND".to_owned(), assignment.task.kind.to_string()),
        ("COUNTERPOINT_RUN".to_owned(), prepared.run.clone()),
    ];
    environment.extend(prepared.environment.iter().cloned());
    let program = process::Program {
        words: &prepared.program,
        folder: &prepared.folder,
        environment: &environment,
        clean: plan.clean,
    };
    process::start(&program, &around.guard)
}

/// Lets the command begin, and writes its input. A command need not read it.
async fn feed(mut stdin: ChildStdin, input: Vec<u8>) {
    if stdin.write_all(b"g").await.is_ok() {
        let _ = stdin.write_all(&input).await;
        let _ = stdin.shutdown().await;
    }
}

/// Reads up to a limit; returns whether that was all.
async fn read(mut from: impl AsyncRead + Unpin, into: &Mutex<Vec<u8>>, limit: usize) -> bool {
    let mut piece = vec![0; 16 << 10];
    while let Ok(size @ 1..) = from.read(&mut piece).await {
        let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
        into.extend_from_slice(piece.get(..size).unwrap_or_default());
        if into.len() > limit {
            return false;
        }
    }
    true
}

fn taken(from: &Mutex<Vec<u8>>) -> Vec<u8> {
    std::mem::take(&mut *from.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Completes when the command must end.
async fn limits(plan: &Command, assignment: &Assignment) -> Cut {
    let limit = async {
        match plan.timeout {
            Some(limit) => sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = assignment.attempt.cancelled() => Cut::Cancelled,
        () = limit => Cut::TimeLimit,
    }
}

/// Completes at an instant, if there is one.
async fn reached(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn conclude(
    plan: &Command,
    status: ExitStatus,
    cut: Option<Cut>,
    output: &[u8],
    errors: &[u8],
) -> Result<Payload, Failure> {
    let said = String::from_utf8_lossy(errors);
    let said = said.trim_end();
    let last = said
        .lines()
        .last()
        .map_or_else(String::new, |line| format!(": {}", line.chars().take(200).collect::<String>()));
    let details = |failure: Failure| failure.with_details(Payload::new(json!({ "stderr": said })));
    match cut {
        Some(Cut::Output) => {
            let text = format!("the command printed more than {} bytes and was ended", plan.most_output);
            return Err(details(failure(Failure::permanent(text), "output-too-long")));
        }
        Some(Cut::Cancelled) => {
            return Err(details(failure(
                Failure::unknown("the command was ended: its task was cancelled"),
                "cancelled",
            )));
        }
        Some(Cut::TimeLimit) => {
            let limit = humantime::format_duration(plan.timeout.unwrap_or_default());
            let text = format!("the command was ended after its time limit of {limit}{last}");
            return Err(details(failure(Failure::unknown(text), "time-limit")));
        }
        None => {}
    }
    match status.code() {
        Some(0) => parse(plan.stdout, output),
        Some(code) => Err(details(of_exit(plan, code, &last))),
        None => {
            let number = status.signal().unwrap_or_default();
            Err(details(failure(Failure::unknown(format!("the command was ended by signal {number}{last}")), "signal")))
        }
    }
}

/// The failure of an exit code: of the file, or by the conventions of `sysexits.h` and of shells.
fn of_exit(plan: &Command, code: i32, last: &str) -> Failure {
    let text = format!("the command ended with exit code {code}{last}");
    let word = format!("exit-{code}");
    if let Some(exit) = plan.exits.get(&code).or(plan.other_exits.as_ref()) {
        return of_kind(exit, text, &word);
    }
    match code {
        64..=66 | 77 | 78 | 126 | 127 => failure(Failure::permanent(text), &word),
        _ => failure(Failure::transient(text), &word),
    }
}

pub(crate) fn of_kind(exit: &Exit, text: String, word: &str) -> Failure {
    let word = exit.code.as_deref().unwrap_or(word);
    let made = match exit.kind {
        FailureKind::Permanent => Failure::permanent(text),
        FailureKind::Overloaded => Failure::overloaded(text, exit.retry_after.unwrap_or(Duration::from_secs(1))),
        FailureKind::Unknown => Failure::unknown(text),
        _ => Failure::transient(text),
    };
    failure(made, word)
}

/// The output of a task from what was printed or answered.
pub(crate) fn parse(how: Stdout, output: &[u8]) -> Result<Payload, Failure> {
    let text = || {
        std::str::from_utf8(output).map_err(|error| {
            failure(Failure::permanent(format!("the output is not text in UTF-8: {error}")), "invalid-output")
        })
    };
    match how {
        Stdout::Nothing => Ok(Payload::NULL),
        Stdout::Text => Ok(Payload::new(Value::from(text()?.trim_end_matches(['\n', '\r'])))),
        Stdout::Lines => Ok(Payload::new(text()?.lines().map(Value::from).collect())),
        Stdout::Json => {
            let parsed = serde_json::from_slice::<Value>(output);
            parsed.map(Payload::new).map_err(|error| {
                let shown: String = String::from_utf8_lossy(output).chars().take(80).collect();
                let text = format!("the output is not JSON: {error}; it begins with {shown:?}");
                failure(Failure::permanent(text), "invalid-output")
            })
        }
    }
}
