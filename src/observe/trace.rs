//! Timelines for browser trace viewers.

use super::timeline::{Bar, BarResult, Mark, MarkKind, TimelineData};
use crate::base::id::AgentId;
use crate::base::time::Time;
use core::fmt::Write as _;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

impl TimelineData {
    /// The timeline in the Trace Event Format of Perfetto and `chrome://tracing`: each agent is a process, each of its
    /// slots a thread, each attempt a slice with its task, kind, step and result. Times have nanosecond precision.
    ///
    /// ```
    /// use counterpoint::journal::Projection;
    /// use counterpoint::observe::Timeline;
    /// use counterpoint::{AgentId, Entry, Incarnation, Payload, Seq, TaskId, Time};
    /// use counterpoint::task::AttemptNumber;
    /// use counterpoint::message::TaskEvent;
    ///
    /// let (attempt, agent) = (AttemptNumber::FIRST, Incarnation::new(AgentId::new(3), 1));
    /// let mut timeline = Timeline::default();
    /// for (at, event) in [
    ///     (12, TaskEvent::Assigned { attempt, to: agent }),
    ///     (62, TaskEvent::Succeeded { attempt, by: agent, output: Payload::NULL }),
    /// ] {
    ///     timeline.apply(&Entry { seq: Seq::new(1), at: Time::from_millis(at), event: event.of(TaskId::new(7)) });
    /// }
    /// let trace: serde_json::Value = serde_json::from_str(&timeline.data().to_chrome_trace())?;
    /// let slice = trace["traceEvents"].as_array().unwrap().iter().find(|event| event["ph"] == "X").unwrap();
    /// assert_eq!((slice["ts"].as_f64(), slice["dur"].as_f64()), (Some(12_000.0), Some(50_000.0)));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn to_chrome_trace(&self) -> String {
        let processes = self.processes();
        let mut out = String::from("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
        let mut first = true;
        let mut put = |fields: Value, times: &[(&str, u64)]| {
            let lead = if core::mem::take(&mut first) { "\n" } else { ",\n" };
            let mut text = fields.to_string();
            text.pop();
            for (name, nanos) in times {
                // Microseconds with a fraction, digit by digit: a float would lose precision.
                let _ = write!(text, ",\"{name}\":{}.{:03}", nanos / 1_000, nanos % 1_000);
            }
            let _ = write!(out, "{lead}{text}}}");
        };
        for (agent, pid) in &processes {
            let name = self.agents.get(agent).map_or_else(|| agent.to_string(), |name| format!("{agent} {name}"));
            put(json!({"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": name}}), &[]);
        }
        let mut places: BTreeMap<AgentId, Vec<Time>> = BTreeMap::new();
        for bar in &self.bars {
            let end = bar.end.unwrap_or_else(|| self.until.max(bar.start));
            let tid = place(places.entry(bar.agent).or_default(), bar.start, end);
            let pid = processes.get(&bar.agent);
            let slice = json!({
                "ph": "X", "name": title(bar), "cat": bar.kind, "pid": pid, "tid": tid, "args": arguments(bar),
            });
            put(slice, &[("ts", bar.start.as_nanos()), ("dur", end.as_nanos().saturating_sub(bar.start.as_nanos()))]);
        }
        for mark in &self.marks {
            let instant = json!({"ph": "i", "s": "p", "name": what(mark), "pid": processes.get(&mark.agent), "tid": 0});
            put(instant, &[("ts", mark.at.as_nanos())]);
        }
        out.push_str("\n]}\n");
        out
    }

    /// Small numbers for agents in the order of their ids, because viewers read 32 bits.
    fn processes(&self) -> BTreeMap<AgentId, u32> {
        let named = self.agents.keys().copied();
        let seen = self.bars.iter().map(|bar| bar.agent).chain(self.marks.iter().map(|mark| mark.agent));
        let mut processes: BTreeMap<AgentId, u32> = named.chain(seen).map(|agent| (agent, 0)).collect();
        for (number, pid) in (1..).zip(processes.values_mut()) {
            *pid = number;
        }
        processes
    }
}

/// The first slot that is free from `start` on; slices of one thread must not overlap.
fn place(busy_until: &mut Vec<Time>, start: Time, end: Time) -> usize {
    if let Some((at, until)) = busy_until.iter_mut().enumerate().find(|(_, until)| **until <= start) {
        *until = end;
        return at.saturating_add(1);
    }
    busy_until.push(end);
    busy_until.len()
}

fn title(bar: &Bar) -> String {
    bar.step.as_ref().map_or_else(|| bar.kind.to_string(), ToString::to_string)
}

fn arguments(bar: &Bar) -> Value {
    let mut fields = Map::new();
    let mut insert = |name: &str, value: String| fields.insert(name.to_owned(), Value::String(value));
    insert("task", bar.task.to_string());
    insert("attempt", bar.attempt.to_string());
    insert("result", if bar.result == BarResult::Open { "under way".to_owned() } else { bar.result.to_string() });
    if let Some(note) = &bar.note {
        insert("note", note.to_string());
    }
    if let Some(step) = &bar.step {
        insert("run", step.run.to_string());
        if let Some(workflow) = &step.workflow {
            insert("workflow", workflow.to_string());
        }
    }
    Value::Object(fields)
}

fn what(mark: &Mark) -> String {
    match mark.what {
        MarkKind::Joined => "joined".to_owned(),
        MarkKind::Left => "left".to_owned(),
        MarkKind::Lost => "lost".to_owned(),
        MarkKind::Retry { task, attempt, .. } => format!("{task}.{attempt} is retried"),
    }
}
