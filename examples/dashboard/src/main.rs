//! A dashboard for the terminal.
//!
//! ```sh
//! cargo run --release -p counterpoint-dashboard -- demo                        # a live host; q quits
//! cargo run --release -p counterpoint-dashboard -- demo --record demo.jsonl    # the same, and records its journal
//! cargo run --release -p counterpoint-dashboard -- demo.jsonl                  # a recorded journal, with a time slider
//! cargo run --release -p counterpoint-dashboard -- demo.jsonl --text --at 0.5  # one picture as text, half-way through
//! ```

mod demo;

use counterpoint::Config;
use counterpoint::journal::Projection as _;
use counterpoint::resilience::breaker;
use counterpoint::testing::Recording;
use counterpoint_dashboard::{Board, Tape, draw};
use demo::Demo;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind};
use ratatui::{DefaultTerminal, Terminal};
use std::error::Error;
use std::fs;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const HELP: &str = "dashboard demo [--record FILE] [--seconds N] [--text]\ndashboard FILE [--text] [--at SHARE]";
/// How often the picture is drawn anew.
const FRAME: Duration = Duration::from_millis(100);
/// How long a tape takes that plays by itself.
const PLAY: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Arguments {
    source: String,
    record: Option<String>,
    seconds: Option<f64>,
    at: Option<f64>,
    text: bool,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut read = Arguments::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value\n{HELP}"));
        match word.as_str() {
            "--record" => read.record = Some(value()?),
            "--seconds" => read.seconds = Some(value()?.parse()?),
            "--at" => read.at = Some(value()?.parse()?),
            "--text" => read.text = true,
            _ if word.starts_with('-') => return Err(format!("unknown option {word}\n{HELP}").into()),
            _ => read.source = word,
        }
    }
    if read.source.is_empty() { Err(HELP.into()) } else { Ok(read) }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    if arguments.source == "demo" { live(&arguments) } else { recorded(&arguments) }
}

fn recorded(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let recording = Recording::from_json_lines(&fs::read_to_string(&arguments.source)?)?;
    let mut tape = Tape::new(recording.entries().to_vec());
    if let Some(share) = arguments.at {
        tape.wind_to_share(share);
    }
    if arguments.text {
        return print(tape.board(), Some(&tape));
    }
    let mut terminal = ratatui::init();
    let ended = wind(&mut terminal, &mut tape);
    ratatui::restore();
    ended
}

/// Winds the tape as the keys say.
fn wind(terminal: &mut DefaultTerminal, tape: &mut Tape) -> Result<(), Box<dyn Error>> {
    let mut plays = false;
    let mut last = Instant::now();
    loop {
        terminal.draw(|frame| draw(frame, tape.board(), Some(tape), tape.board().at))?;
        let passed = std::mem::replace(&mut last, Instant::now()).elapsed();
        if plays {
            tape.wind_to_share(tape.share() + passed.as_secs_f64() / PLAY.as_secs_f64());
            plays = tape.place() < tape.len();
        }
        match key()? {
            Some(KeyCode::Char('q') | KeyCode::Esc) => return Ok(()),
            Some(KeyCode::Char(' ')) => plays = !plays,
            Some(KeyCode::Left) => tape.step(-1),
            Some(KeyCode::Right) => tape.step(1),
            Some(KeyCode::PageUp) => tape.wind_to_share(tape.share() - 0.05),
            Some(KeyCode::PageDown) => tape.wind_to_share(tape.share() + 0.05),
            Some(KeyCode::Home) => tape.wind_to(0),
            Some(KeyCode::End) => tape.wind_to(tape.len()),
            _ => {}
        }
    }
}

/// A key that was pressed within a frame's time.
fn key() -> Result<Option<KeyCode>, Box<dyn Error>> {
    if !event::poll(FRAME)? {
        return Ok(None);
    }
    match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => Ok(Some(key.code)),
        _ => Ok(None),
    }
}

fn live(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let demo = Demo::start(Config::default().with_breaker(breaker::Rules::new(breaker::Config::default())?))?;
    // Facts come on the host's thread and are folded on this one.
    let (tell, facts) = mpsc::channel();
    demo.host.watch(move |entry| drop(tell.send(entry.clone())))?;
    // Events before somebody looked is in the journal.
    let mut board = Board::default();
    board.replay(&demo.journal.entries());
    let until = arguments.seconds.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
    let mut terminal = (!arguments.text).then(ratatui::init);
    let mut quits = false;
    while !quits && until.is_none_or(|until| Instant::now() < until) {
        for entry in facts.try_iter().filter(|entry| entry.seq > board.seq).collect::<Vec<_>>() {
            board.apply(&entry);
        }
        match &mut terminal {
            Some(terminal) => {
                terminal.draw(|frame| draw(frame, &board, None, demo.host.now()))?;
                quits = matches!(key()?, Some(KeyCode::Char('q') | KeyCode::Esc));
            }
            None => std::thread::sleep(FRAME),
        }
    }
    if terminal.take().is_some() {
        ratatui::restore();
    } else {
        print(&board, None)?;
    }
    let journal = demo.journal.clone();
    demo.end();
    if let Some(path) = &arguments.record {
        fs::write(path, Recording::of(journal.entries()).to_json_lines())?;
        println!("{} events are in {path}", journal.len());
    }
    Ok(())
}

/// One picture as text.
fn print(board: &Board, tape: Option<&Tape>) -> Result<(), Box<dyn Error>> {
    let mut terminal = Terminal::new(TestBackend::new(110, 36))?;
    terminal.draw(|frame| draw(frame, board, tape, board.at))?;
    for line in terminal.backend().to_string().lines() {
        println!("{}", line.trim_matches('"'));
    }
    Ok(())
}
