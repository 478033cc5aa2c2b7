//! Agents that poll for fewer attempts than they have slots.

use crate::kit::Host;
use counterpoint::scheduler::TaskStatus;
use counterpoint::{Accepted, AgentCommand, AgentId, AgentSpec, Command, Config, TaskId, TaskSpec};

/// Reserved slots are part of the capacity: an agent with free slots that polls for one attempt gets an ordinary task.
#[test]
fn a_poll_for_one_attempt_is_not_reserved() {
    let mut host = Host::new(Config::default);
    let spec = AgentSpec::new(AgentId::new(1)).with_skill("work", 1).with_capacity(2).with_reserved(1).with_polls();
    let Ok(Accepted::Registered(by)) = host.send(Command::register(spec)) else { panic!("the agent is registered") };
    for number in [1, 2] {
        host.send(Command::submit(TaskSpec::new(TaskId::new(number), "work"))).unwrap();
    }
    let status = |host: &Host, number| host.engine.task(TaskId::new(number)).unwrap().status();
    assert_eq!(status(&host, 1), TaskStatus::Queued);
    host.send(AgentCommand::Poll { by, most: 1 }).unwrap();
    assert_eq!(status(&host, 1), TaskStatus::Running);
    // The other slot is reserved.
    host.send(AgentCommand::Poll { by, most: 1 }).unwrap();
    assert_eq!(status(&host, 2), TaskStatus::Queued);
}
