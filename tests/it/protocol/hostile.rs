//! Bytes of any kind, and messages bent out of shape.

use super::examples::{examples, task};
use counterpoint::protocol::{Body, Malformed, Message, MessageId, Verdict, WireLimits};
use counterpoint::{
    AgentCommand, AgentId, AgentSpec, AttemptId, Command, Failure, Incarnation, Payload, TaskCommand, TaskId, TaskSpec,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn decode(text: &str) -> Result<Message, Malformed> {
    Message::decode(text.as_bytes(), &WireLimits::default())
}

#[test]
fn faults_have_different_errors() {
    let beat = |v: u8| format!(r#"{{"v":{v},"id":"x","body":{{"heartbeat":{{"by":{{"agent":"7","number":"1"}}}}}}}}"#);
    assert!(decode(&beat(1)).is_ok());
    assert_eq!(decode(&beat(2)), Err(Malformed::Version { found: 2 }));
    // Another version is told before anything else of it is looked at.
    assert_eq!(decode(r#"{"v":9,"news":true}"#), Err(Malformed::Version { found: 9 }));
    assert!(matches!(decode(r#"{"id":"x"}"#), Err(Malformed::Shape { .. })));
    assert!(matches!(decode(r#"{"v":1,"v":1,"id":"x"}"#), Err(Malformed::Shape { .. })));
    assert!(matches!(decode("{\"v\":1,\n"), Err(Malformed::Syntax { line: 2, .. })));
    assert!(matches!(decode(""), Err(Malformed::Syntax { .. })));
    assert!(matches!(decode(&beat(1).replace('x', "")), Err(Malformed::Shape { .. })));
    for number in ["\"07\"", "\"+7\"", "\"\"", "-7", "7.0", "\"18446744073709551616\"", "null"] {
        let bad = beat(1).replace("\"7\"", number);
        assert!(matches!(decode(&bad), Err(Malformed::Shape { .. })), "{bad}");
    }
    assert_eq!(decode(&beat(1).replace("\"7\"", "7")), decode(&beat(1)));
    let trailing = format!("{} {{}}", beat(1));
    assert!(matches!(decode(&trailing), Err(Malformed::Syntax { .. })));
}

#[test]
fn bounds_come_first() {
    let limits = WireLimits::default();
    let deep = "[".repeat(1_000_000);
    assert_eq!(Message::decode(deep.as_bytes(), &limits), Err(Malformed::TooDeep { limit: 70 }));
    assert_eq!(
        Message::decode(deep.as_bytes(), &limits.with_bytes(9)),
        Err(Malformed::TooLarge { bytes: 1_000_000, limit: 9 })
    );
    // Whatever the host allows, the parser's stack is safe.
    let generous = limits.with_depth(u32::MAX);
    assert_eq!(Message::decode(deep.as_bytes(), &generous), Err(Malformed::TooDeep { limit: 120 }));
    let mut value = json!(1);
    for _ in 0..5_000 {
        value = Value::Array(vec![value]);
    }
    let (by, attempt) = (Incarnation::new(AgentId::new(7), 1), AttemptId::new(TaskId::new(1), 1));
    let verdict = Verdict::Succeeded { output: Payload::new(value), usage: counterpoint::task::Usage::default() };
    let message = Message::new(MessageId::new("x").unwrap(), Body::Result { by, attempt, verdict });
    assert_eq!(message.encode(&generous), Err(Malformed::TooDeep { limit: 120 }));
}

#[test]
fn commands_and_back() {
    let (by, attempt) = (Incarnation::new(AgentId::new(u64::MAX), 1 << 60), AttemptId::new(TaskId::new(1 << 62), 1));
    let commands = [
        Command::submit(task()),
        Command::submit(TaskSpec::new(TaskId::new(1), "plain")),
        Command::register(AgentSpec::new(AgentId::new(1)).with_name("x")),
        AgentCommand::Update { by, spec: AgentSpec::new(by.agent()) }.into(),
        AgentCommand::Heartbeat { by }.into(),
        Command::complete(by, attempt, Payload::new(json!([1]))),
        Command::fail(by, attempt, Failure::unknown("lost")),
        TaskCommand::Cancel { task: TaskId::new(5), reason: "no".into() }.into(),
    ];
    for command in commands {
        let body = Body::try_from(&command).unwrap();
        assert_eq!(body.into_command().as_ref(), Ok(&command));
    }
    assert!(Body::try_from(&Command::Tick).is_err());
    let owned: TaskSpec =
        serde_json::from_value(json!({"id": 1, "kind": "x", "needs": {}, "owner": {"run": 1, "node": 0, "item": 0}}))
            .unwrap();
    assert!(Body::try_from(&Command::submit(owned)).is_err(), "steps of runs are the engine's");
}

proptest! {
    #![proptest_config(crate::property(256))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Message::decode(&bytes, &WireLimits::default());
    }

    /// An example with a stretch of it replaced: an error that says where, or a message that is written and read again.
    #[test]
    fn no_bent_message_panics(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), long in 0..9_usize, put in "[\\[\\]{}\",:0-9a-z\\\\]{0,9}") {
        let all = examples();
        let mut text = serde_json::to_string(&which.get(&all).1).unwrap();
        let from = at.index(text.len());
        let to = (from + long).min(text.len());
        text.replace_range(from..to, &put);
        if let Ok(message) = decode(&text) {
            let again = message.encode(&WireLimits::default()).unwrap();
            prop_assert_eq!(decode(&again), Ok(message.clone()));
            let _ = message.into_command();
        }
    }
}
