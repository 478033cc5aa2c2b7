//! The guards of the scheduler, one by one, each with a test that fails when it is switched off; and all of them at once
//! under random commands.

mod agents;
mod all_at_once;
mod ladder;
mod scaling;
mod service;
mod storm;

pub use all_at_once::guarded;

use crate::kit::{Host, agent_id};
use counterpoint::message::{AgentEvent, ControlEvent};
use counterpoint::task::Guard;
use counterpoint::{Event, Time};

/// What a guard has said about an agent, in order: the attempts that it may hold, and until when.
fn said(host: &Host, guard: Guard, agent: u64) -> Vec<(Option<u32>, Option<Time>)> {
    let told = |event: &Event| match event {
        Event::Agent { agent: by, event: AgentEvent::Throttled { guard: of, slots, until, .. } }
            if *of == guard && by.agent() == agent_id(agent) =>
        {
            Some((*slots, *until))
        }
        _ => None,
    };
    host.journal.iter().filter_map(|entry| told(&entry.event)).collect()
}

fn controls(host: &Host) -> Vec<ControlEvent> {
    let told = |event: &Event| if let Event::Control(event) = event { Some(event.clone()) } else { None };
    host.journal.iter().filter_map(|entry| told(&entry.event)).collect()
}
