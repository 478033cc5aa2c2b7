//! Asks the person at the terminal.

use super::failure;
use super::plan::Ask;
use super::template::Subject;
use counterpoint::host::future::Assignment;
use counterpoint::{Failure, Payload};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::Mutex;

/// One question is asked at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// Performs an attempt: asks until there is a valid answer.
pub(crate) async fn perform(plan: &Ask, subject: &Subject<'_>, assignment: &Assignment) -> Result<Payload, Failure> {
    let question = plan.question.render(subject);
    let question = question.map_err(|text| failure(Failure::permanent(format!("ask: {text}")), "template"))?;
    tokio::select! {
        answer = ask(&question, &plan.answers) => match answer {
            Some(answer) => Ok(Payload::new(Value::from(answer))),
            None => Err(failure(Failure::permanent("nobody answers at the terminal"), "no-answer")),
        },
        _ = assignment.attempt.cancelled() => Err(failure(Failure::permanent("the question was withdrawn"), "cancelled")),
    }
}

/// The answer to a question; none when the input has ended.
pub(crate) async fn ask(question: &str, answers: &[String]) -> Option<String> {
    let _turn = TURN.lock().await;
    let choice = if answers.is_empty() { String::new() } else { format!(" [{}]", answers.join("/")) };
    let reader = Arc::clone(crate::terminal::lines());
    let mut reader = reader.lock().await;
    let _held = crate::terminal::hold_status();
    loop {
        crate::terminal::say(&format!("? {question}{choice}"));
        let line = reader.recv().await?;
        let line = line.trim();
        if answers.is_empty() && !line.is_empty() {
            return Some(line.to_owned());
        }
        let mut fitting = answers.iter().filter(|answer| answer.starts_with(line));
        if let (false, Some(answer), None) = (line.is_empty(), fitting.next(), fitting.next()) {
            return Some(answer.clone());
        }
        if let Some(answer) = answers.iter().find(|answer| answer.as_str() == line) {
            return Some(answer.clone());
        }
    }
}
