//! Lines, a status line and questions at the terminal. Everything but results goes to standard error.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::mpsc;

static STATUS: Mutex<String> = Mutex::new(String::new());
static QUIET: OnceLock<bool> = OnceLock::new();

/// The lines of standard input.
pub(crate) type Lines = Arc<tokio::sync::Mutex<mpsc::Receiver<String>>>;

/// Lets [`say`] print nothing.
pub(crate) fn quiet() {
    let _ = QUIET.set(true);
}

/// Whether a person sees what is printed and can answer.
pub(crate) fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && is_seen()
}

/// Whether standard error is a terminal.
pub(crate) fn is_seen() -> bool {
    std::io::stderr().is_terminal()
}

fn colours() -> bool {
    is_seen() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A text in a colour of the terminal, if it has colours.
pub(crate) fn coloured(code: u8, text: &str) -> String {
    if colours() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn shown() -> MutexGuard<'static, String> {
    STATUS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints a line above the status line.
pub(crate) fn say(text: &str) {
    if QUIET.get().is_some() {
        return;
    }
    // Control characters of outputs and names do not reach the terminal, except those of colours.
    let allowed = |letter: char| !letter.is_control() || letter == '\n' || letter == '\u{1b}';
    let text: String = text.chars().map(|letter| if allowed(letter) { letter } else { ' ' }).collect();
    let status = shown();
    let mut out = std::io::stderr().lock();
    let clear = if status.is_empty() { "" } else { "\r\u{1b}[K" };
    let _ = write!(out, "{clear}{text}\n{status}");
    let _ = out.flush();
}

/// Replaces the status line; an empty one removes it. Only a terminal has one.
pub(crate) fn status(text: &str) {
    if !is_seen() || QUIET.get().is_some() {
        return;
    }
    let mut status = shown();
    *status = text.chars().take(110).filter(|letter| !letter.is_control()).collect();
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "\r\u{1b}[K{status}");
    let _ = out.flush();
}

/// The lines of standard input, read by a thread of their own: a read cannot be given up.
pub(crate) fn lines() -> &'static Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES.get_or_init(|| {
        let (send, receive) = mpsc::channel(16);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { return };
                if send.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Arc::new(tokio::sync::Mutex::new(receive))
    })
}
