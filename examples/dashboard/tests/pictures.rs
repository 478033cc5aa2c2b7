//! The dashboard as text: live and recorded, at several moments of one tape.

use counterpoint::journal::Projection as _;
use counterpoint::testing::{Rehearsal, Reply, Script};
use counterpoint::{AgentId, AgentSpec, Config, Entry, Failure, Policy, Retry, TaskId, TaskSpec, Tier};
use counterpoint_dashboard::{Board, Tape, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use std::process::Command;
use std::time::Duration;

/// Twelve tasks for two agents; the second one falls silent.
fn scene() -> Vec<Entry> {
    let mut rehearsal = Rehearsal::new(Config::default);
    let busy = Reply::fail(Failure::transient("busy")).after(Duration::from_secs(1));
    let script = Script::new().on("work", [busy, Reply::ok(&()).after(Duration::from_secs(2))]);
    rehearsal.join(AgentSpec::new(AgentId::new(1)).with_name("north").with_capacity(2), script.clone());
    let south = AgentSpec::new(AgentId::new(2)).with_name("south").with_lease(Duration::from_secs(5));
    rehearsal.join(south, script);
    for id in 1..=12 {
        let retry = Retry::exponential(5, Duration::from_millis(100), Duration::from_millis(100));
        let policy = Policy::default().with_retry(retry);
        let tier = if id % 3 == 0 { Tier::Critical } else { Tier::Normal };
        rehearsal.submit(TaskSpec::new(TaskId::new(id), "work").with_tier(tier).with_policy(policy));
    }
    rehearsal.run_for(Duration::from_secs(4));
    rehearsal.silence(AgentId::new(2));
    rehearsal.run();
    rehearsal.recording().entries().to_vec()
}

fn picture(board: &Board, tape: Option<&Tape>) -> String {
    let mut terminal = Terminal::new(TestBackend::new(110, 36)).unwrap();
    terminal.draw(|frame| draw(frame, board, tape, board.at)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn a_tape_is_wound_to_any_time() {
    let entries = scene();
    let mut tape = Tape::new(entries.clone());
    let end = picture(tape.board(), Some(&tape));
    assert!(end.contains("12 done") && end.contains("south") && end.contains("lost"), "{end}");
    assert!(end.contains(&format!("event {0} of {0}", entries.len())), "{end}");

    tape.wind_to_share(0.0);
    let start = picture(tape.board(), Some(&tape));
    assert!(start.contains("0 done") && start.contains("■■") && start.contains("critical"), "{start}");
    tape.wind_to(0);
    assert!(picture(tape.board(), Some(&tape)).contains("event 0 of"));
    tape.step(-1);
    assert_eq!(tape.place(), 0);

    // Wound forth and back, it shows at every moment what a fold up to there shows.
    let mut fold = Board::default();
    for (place, entry) in (1..).zip(&entries) {
        fold.apply(entry);
        tape.wind_to(entries.len());
        tape.wind_to(place);
        assert_eq!(picture(tape.board(), None), picture(&fold, None), "after {place} events");
    }
}

/// The columns and rows of the cells with this colour that are not in the panel of concerns, which is below the queues.
fn coloured(board: &Board, colour: Color) -> Vec<(u16, u16, String)> {
    let mut terminal = Terminal::new(TestBackend::new(110, 36)).unwrap();
    terminal.draw(|frame| draw(frame, board, None, board.at)).unwrap();
    let text = terminal.backend().to_string();
    let rows = ["Attention", "Events"].map(|title| text.lines().position(|line| line.contains(title)).unwrap());
    let buffer = terminal.backend().buffer();
    let area = *buffer.area();
    let cells = area.rows().flat_map(|row| row.columns()).filter(|at| buffer[(at.x, at.y)].fg == colour);
    let inside = |at: &ratatui::layout::Rect| (rows[0]..rows[1]).contains(&usize::from(at.y)) && at.x < 42;
    cells.filter(|at| !inside(at)).map(|at| (at.x, at.y, buffer[(at.x, at.y)].symbol().to_owned())).collect()
}

#[test]
fn a_full_agent_is_not_red_and_what_is_red_is_a_concern() {
    let mut board = Board::default();
    let (mut full, mut calm, mut red) = (0, 0, 0);
    for entry in scene() {
        board.apply(&entry);
        let text = picture(&board, None);
        let cells = coloured(&board, Color::Red);
        assert!(cells.iter().all(|(_, _, symbol)| symbol != "■"), "{text}");
        full += usize::from(text.contains("2/2"));
        red += usize::from(!cells.is_empty());
        let quiet = text.contains("nothing needs attention") || text.contains("no agents yet");
        calm += usize::from(quiet);
        assert!(!quiet || cells.is_empty(), "{cells:?} {text}");
    }
    assert!(full > 0 && calm > 0 && red > 0, "{full} {calm} {red}");
}

#[test]
fn an_agent_that_fails_is_named() {
    let mut rehearsal = Rehearsal::new(Config::default);
    let busy = Reply::fail(Failure::transient("busy")).after(Duration::from_secs(1));
    let script = Script::new().on("work", [busy.clone(), busy.clone(), busy, Reply::ok(&())]);
    rehearsal.join(AgentSpec::new(AgentId::new(1)).with_name("west").with_capacity(20), script);
    let retry = Retry::exponential(5, Duration::from_millis(100), Duration::from_millis(100));
    for id in 1..=12 {
        rehearsal
            .submit(TaskSpec::new(TaskId::new(id), "work").with_policy(Policy::default().with_retry(retry.clone())));
    }
    rehearsal.run();
    let mut board = Board::default();
    board.replay(rehearsal.recording().entries());
    let text = picture(&board, None);
    assert!(text.contains("west: 75 % of its attempts fail"), "{text}");
    assert!(text.contains("75 % errors fails"), "{text}");
}

#[test]
fn in_eighty_columns_nothing_that_matters_is_cut_off() {
    let mut terminal = Terminal::new(TestBackend::new(80, 30)).unwrap();
    let mut tape = Tape::new(scene());
    tape.wind_to_share(0.2);
    terminal.draw(|frame| draw(frame, tape.board(), Some(&tape), tape.board().at)).unwrap();
    let busy = terminal.backend().to_string();
    for whole in ["% in time", "100 % errors ok", "tasks/s", "2/2", "1/1", "Attention", "space plays"] {
        assert!(busy.contains(whole), "no {whole:?} in\n{busy}");
    }
    tape.wind_to_share(1.0);
    terminal.draw(|frame| draw(frame, tape.board(), Some(&tape), tape.board().at)).unwrap();
    let end = terminal.backend().to_string();
    assert!(end.contains("12 done") && end.contains("lost"), "{end}");
}

#[test]
fn a_small_terminal_and_an_empty_board_do_no_harm() {
    for (width, height) in [(1, 1), (20, 5), (40, 12), (300, 80)] {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let tape = Tape::new(scene());
        terminal.draw(|frame| draw(frame, tape.board(), Some(&tape), tape.board().at)).unwrap();
        let empty = Tape::new(Vec::new());
        terminal.draw(|frame| draw(frame, empty.board(), Some(&empty), empty.board().at)).unwrap();
    }
}

#[test]
fn the_program_records_and_shows_what_it_recorded() {
    let file = std::env::temp_dir().join(format!("counterpoint-dashboard-{}.jsonl", std::process::id()));
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_counterpoint-dashboard")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let path = file.to_str().unwrap();
    let live = run(&["demo", "--text", "--seconds", "2", "--record", path]);
    assert!(live.contains("Counterpoint, live") && live.contains("north") && live.contains("article"), "{live}");
    let half = run(&[path, "--text", "--at", "0.5"]);
    assert!(half.contains("Counterpoint, recorded") && half.contains("●"), "{half}");
    std::fs::remove_file(&file).unwrap();
    let unknown = Command::new(env!("CARGO_BIN_EXE_counterpoint-dashboard")).arg("--what").output().unwrap();
    assert!(!unknown.status.success());
}
