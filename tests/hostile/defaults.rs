//! A command that is sent again after a restart is a repeat.

use crate::kit::Host;
use counterpoint::{Accepted, Command, Config, TaskId, TaskSpec};

#[test]
fn a_plain_submit_is_a_repeat_after_a_restart() {
    let mut host = Host::new(Config::default);
    let submit = Command::submit(TaskSpec::new(TaskId::from_key("a"), "kind"));
    assert!(host.send(submit.clone()).is_ok());
    host.restart();
    assert!(matches!(host.send(submit), Ok(Accepted::Repeated)));
}
