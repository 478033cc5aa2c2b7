//! What the program writes can be read by a machine, and has every span under its name.

use serde_json::Value;
use std::process::Command;

#[test]
fn every_span_is_written_when_it_ends() {
    let output = Command::new(env!("CARGO_BIN_EXE_counterpoint-traced")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let closed = |name: &str| -> Vec<&Value> {
        let of = lines.iter().filter(|line| line["fields"]["message"] == "close" && line["span"]["name"] == name);
        of.map(|line| &line["span"]).collect()
    };
    let run = closed("run");
    assert_eq!((run.len(), closed("node").len(), closed("task").len()), (1, 2, 4), "{text}");
    assert_eq!(run[0]["gen_ai.operation.name"], "invoke_workflow");
    assert_eq!(run[0]["traceparent"], "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let attempts = closed("attempt");
    assert_eq!(attempts.len(), 5, "one was tried twice");
    assert!(attempts.iter().all(|span| span["gen_ai.operation.name"] == "invoke_agent"));
    assert_eq!(attempts.iter().filter(|span| span["error.type"] == "transient").count(), 1);
    assert_eq!(attempts.iter().filter(|span| span["gen_ai.agent.name"] == "reader").count(), 3);
    let warned = lines.iter().filter(|line| line["level"] == "WARN");
    assert!(warned.count() == 1 && text.contains("the index is being rebuilt"));
}
