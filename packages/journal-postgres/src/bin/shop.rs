//! A process for crash tests: a small shop whose orders are workflows, on a journal in PostgreSQL, with its side
//! effects as rows of the same database.
//!
//! `shop CONNECTION NAME` reads the numbers of orders from its input, one per line, and writes to its output: `open`,
//! `taken` for an order, `ended` with the reason when its journal failed. The inserts of its steps have no "if not
//! exists".

use counterpoint::host::Durable;
use counterpoint::host::thread::ThreadHost;
use counterpoint::language::Document;
use counterpoint::message::TaskEvent;
use counterpoint::workflow::Attempt;
use counterpoint::{AgentId, AgentSpec, Config, Entry, Event, Failure, Limits, Payload, RunId, RunSpec, TaskSpec};
use counterpoint_journal_postgres::PostgresJournal;
use postgres::Transaction;
use serde_json::json;
use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// An order is reserved, then charged; it is released if it cannot be charged. Attempts that are lost with their
/// process count, so frequent kills need many attempts.
const ORDER: &str = r#"{"name": "order", "tasks": [
    {"id": "reserve", "inputs": "${inputs}", "retry": {"attempts": 1000, "delay": "1ms"},
     "compensate": {"type": "reserve.undo", "retry": {"attempts": 1000, "delay": "1ms"}}},
    {"id": "charge", "inputs": "${inputs}", "depends_on": ["reserve"], "retry": {"attempts": 1000, "delay": "1ms"}}
]}"#;

/// The longest time for the last orders.
const PATIENCE: Duration = Duration::from_secs(60);

/// Performs a step: it returns the row to be written instead of writing it, so it can be repeated at will.
fn work(task: &TaskSpec, attempt: &Attempt) -> Result<Payload, Failure> {
    std::thread::sleep(Duration::from_millis(1));
    // One attempt in four fails; a retry may succeed.
    if attempt.task().get().wrapping_mul(31).wrapping_add(u64::from(attempt.number())) % 4 == 0 {
        return Err(Failure::transient("try again"));
    }
    let asked = task.payload.value();
    let (deed, order) = match &*task.kind {
        "reserve.undo" => ("release", &asked["input"]),
        "charge" if asked.as_u64().is_some_and(|order| order % 5 == 0) => {
            return Err(Failure::permanent("card declined"));
        }
        kind => (kind, asked),
    };
    Ok(Payload::new(json!({"row": {"deed": deed, "order": order}})))
}

/// Writes the row of a step, together with the event of its success.
fn rows(transaction: &mut Transaction<'_>, entry: &Entry) -> Result<(), postgres::Error> {
    let Event::Task { event: TaskEvent::Succeeded { output, .. }, .. } = &entry.event else { return Ok(()) };
    let Some(row) = output.value().get("row") else { return Ok(()) };
    let (deed, order) = (row["deed"].as_str().unwrap_or_default(), row["order"].as_i64().unwrap_or_default());
    transaction.execute("insert into deeds values ($1, $2)", &[&order, &deed])?;
    let change: i64 = match deed {
        "reserve" => -1,
        "release" => 1,
        _ => 0,
    };
    transaction.execute("update stock set items = items + $1", &[&change])?;
    Ok(())
}

fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    // The reader may have gone: this process is then about to be killed.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn work_off(connection: &str, stream: &str) -> Result<ExitCode, Box<dyn Error>> {
    let journal =
        PostgresJournal::new(connection.parse()?, stream).with_rows(rows).with_patience(Duration::from_secs(2));
    let failure = journal.failure();
    let host = ThreadHost::durable(Config::default(), journal, Durable::new().snapshot_every(200).patience(PATIENCE))?;
    let (tell_line, lines) = channel();
    std::thread::spawn(move || {
        std::io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| tell_line.send(line))
    });
    let take = || -> Result<(), Box<dyn Error>> {
        let order = serde_json::from_str::<Document>(ORDER)?.compile(&Limits::default())?;
        host.define(order)?;
        for agent in 1..=2 {
            let spec = ["reserve", "reserve.undo", "charge"].into_iter();
            let spec = spec.fold(AgentSpec::new(AgentId::new(agent)), |spec, kind| spec.with_skill(kind, 1));
            host.add_custom_agent(spec.with_capacity(2), work)?;
        }
        tell("open");
        loop {
            match lines.recv_timeout(Duration::from_millis(20)) {
                Ok(line) => {
                    let order: u64 = line.trim().parse()?;
                    let run = RunSpec::new(RunId::new(order), "order").with_input(Payload::of(&order)?);
                    // The handle is dropped: the outcome is in the journal.
                    let _handle = host.start_run::<Payload>(run)?;
                    tell(&format!("taken {order}"));
                }
                Err(RecvTimeoutError::Timeout) => host.inspect(|_| ())?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // The input has ended: finish the runs under way.
        let began = Instant::now();
        loop {
            let left =
                host.inspect(|engine| engine.runs().find(|run| run.outcome().is_none()).map(|run| format!("{run:?}")))?;
            match left {
                None => return Ok(()),
                Some(run) if began.elapsed() > PATIENCE => return Err(format!("{run} is not done").into()),
                Some(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    };
    let done = take();
    if let Some(why) = failure.why() {
        tell(&format!("ended {why}"));
        return Ok(ExitCode::from(3));
    }
    done?;
    host.shut_down(Duration::from_secs(10))?;
    Ok(ExitCode::SUCCESS)
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (connection, stream) =
        (words.next().ok_or("missing argument: database")?, words.next().ok_or("missing argument: stream")?);
    work_off(&connection, &stream)
}
