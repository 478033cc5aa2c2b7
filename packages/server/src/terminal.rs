//! Lines, a status line and questions at the terminal. Everything but results goes to standard error.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::mpsc;

static STATUS: Mutex<String> = Mutex::new(String::new());
static QUIET: OnceLock<bool> = OnceLock::new();
/// The number of questions that are being asked.
static HELD: AtomicU32 = AtomicU32::new(0);

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
    let text = clean(text);
    let status = shown();
    let mut out = std::io::stderr().lock();
    let clear = if status.is_empty() { "" } else { "\r\u{1b}[K" };
    let _ = write!(out, "{clear}{text}\n{status}");
    let _ = out.flush();
}

/// A text without control characters, which outputs and names may have, except those of colours.
fn clean(text: &str) -> String {
    let mut rest = text.chars();
    let mut found = String::new();
    while let Some(letter) = rest.next() {
        let is_colour = || {
            let sequence = rest.as_str().strip_prefix('[')?;
            let (digits, _) = sequence.split_once('m')?;
            digits.chars().all(|digit| digit.is_ascii_digit()).then_some(())
        };
        let allowed = !letter.is_control() || letter == '\n' || (letter == '\u{1b}' && is_colour().is_some());
        found.push(if allowed { letter } else { ' ' });
    }
    found
}

/// Removes the status line until the value is dropped: a person types an answer.
pub(crate) fn hold_status() -> HeldStatus {
    status("");
    HELD.fetch_add(1, Ordering::AcqRel);
    HeldStatus
}

/// See [`hold_status`].
#[derive(Debug)]
pub(crate) struct HeldStatus;

impl Drop for HeldStatus {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Replaces the status line; an empty one removes it. Only a terminal has one.
pub(crate) fn status(text: &str) {
    if !is_seen() || QUIET.get().is_some() || HELD.load(Ordering::Acquire) > 0 {
        return;
    }
    let mut status = shown();
    if *status == text {
        return;
    }
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

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m\n"), "\u{1b}[31mred\u{1b}[0m\n");
        assert_eq!(clean("a\u{1b}[2Jb\u{7}\rc\u{1b}"), "a [2Jb  c ");
    }
}
