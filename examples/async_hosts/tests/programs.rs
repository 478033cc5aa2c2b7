//! The programs print what they promise, whichever runtime polls them.

use std::process::Command;

fn lines_of(program: &str, arguments: &[&str]) -> Vec<String> {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

const ISSUES: [&str; 4] = [
    r#"  r1: 12 articles, the last is Some("ARTICLE 12 OF ISSUE 1")"#,
    r#"  r2: 12 articles, the last is Some("ARTICLE 12 OF ISSUE 2")"#,
    r#"  r3: 12 articles, the last is Some("ARTICLE 12 OF ISSUE 3")"#,
    "  progress was reported: true",
];

#[test]
fn on_tokio() {
    let lines = lines_of(env!("CARGO_BIN_EXE_on_tokio"), &[]);
    assert_eq!((&lines[1..5], &lines[6..]), (&ISSUES.map(String::from)[..], &ISSUES.map(String::from)[..]));
}

#[test]
fn on_smol() {
    assert_eq!(lines_of(env!("CARGO_BIN_EXE_on_smol"), &[])[1..], ISSUES);
}

#[test]
fn on_tower() {
    // The call that hangs is ended by the layer around it and tried again.
    let expected = [r#""hello" -> "HELLO""#, r#""are you there" -> "ARE YOU THERE""#, "calls of the service: 3"];
    assert_eq!(lines_of(env!("CARGO_BIN_EXE_on_tower"), &[]), expected);
}

#[test]
fn many_at_once() {
    // The program itself checks that every task completes once.
    let lines = lines_of(env!("CARGO_BIN_EXE_ten_thousand"), &["600", "200"]);
    assert_eq!(lines.iter().filter(|line| line.starts_with("| `")).count(), 3, "{lines:?}");
}
