//! Tests of the whole program, from the command line to the files.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::answer;
use crate::testing::Folder;

const REPORT: [&str; 5] = ["survey.html", "survey.md", "timeline.svg", "workflow.dot", "workflow.mmd"];

/// A small project with something of everything.
fn project(label: &str) -> Folder {
    let folder = Folder::new(label);
    for number in 0..40 {
        let text = format!("//! Part {number}.\nuse crate::part00;\nfn f{number}() {{\n    // TODO: more\n}}\n");
        folder.write(&format!("code/src/part{number:02}.rs"), text.as_bytes());
    }
    folder.write("code/README.md", b"# A project\n");
    folder.write("code/wide.txt", &[0xff, 0xfe, b'a', 0]);
    folder.write("code/logo.png", b"png");
    folder
}

/// Surveys the project into a folder beside it.
fn survey(folder: &Folder, out: &str, options: &[&str]) -> (u8, String, PathBuf) {
    let out = folder.path().join("out").join(out);
    let mut words = vec![folder.path().join("code").into(), OsString::from("--out"), out.clone().into()];
    words.extend(options.iter().map(OsString::from));
    let (code, text) = answer(words);
    (code, text, out)
}

fn names_in(folder: &Path) -> Vec<String> {
    let list = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = list.map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn line<'a>(text: &'a str, title: &str) -> &'a str {
    text.lines().find(|line| line.trim_start().starts_with(title)).unwrap()
}

#[test]
fn a_report_is_delivered() {
    let folder = project("whole");
    let (code, text, out) = survey(&folder, "report", &[]);
    assert_eq!(code, 0, "{text}");
    assert!(line(&text, "read").contains("41 files"), "{text}");
    assert!(line(&text, "unread").contains("1 UTF-16 text"), "{text}");
    assert!(line(&text, "skipped").contains("1 binary"), "{text}");
    assert!(line(&text, "attempts").contains("all successful"), "{text}");
    assert_eq!(names_in(&out), REPORT);
    let page = fs::read_to_string(out.join("survey.html")).unwrap();
    assert!(page.contains("Ada") && page.contains("<svg"));
    let timeline = fs::read_to_string(out.join("timeline.svg")).unwrap();
    assert!(timeline.contains("settle"), "a separate file shows the whole timeline");
}

#[test]
fn failures_on_the_way_change_nothing_in_the_report() {
    let folder = project("fail");
    let (_, _, calm) = survey(&folder, "calm", &[]);
    for seed in ["1", "2", "3"] {
        let (code, text, out) = survey(&folder, "rough", &["--fail", "0.2", "--seed", seed, "--workers", "3"]);
        assert_eq!(code, 0, "{text}");
        assert!(line(&text, "attempts").contains("failed and were retried"), "{text}");
        let read = |folder: &Path| fs::read_to_string(folder.join("survey.md")).unwrap();
        assert!(read(&out) == read(&calm), "seed {seed}");
        assert_eq!(names_in(&out), REPORT);
    }
}

#[test]
fn a_delivery_that_fails_leaves_nothing() {
    let folder = project("undo");
    for options in [&["--fail-delivery"][..], &["--fail-delivery", "--fail", "0.2"]] {
        let (code, text, _) = survey(&folder, "deep/down", options);
        assert_eq!(code, 1);
        assert!(text.contains("proofread") && text.contains("no report remains"), "{text}");
        assert!(!folder.path().join("out").exists());
    }
}

#[test]
fn a_delivery_that_fails_leaves_the_report_of_last_time() {
    let folder = project("again");
    let (code, _, out) = survey(&folder, "report", &[]);
    assert_eq!(code, 0);
    let before = fs::read_to_string(out.join("survey.html")).unwrap();
    folder.write("code/src/new.rs", b"fn new() {}\n");
    let (code, _, _) = survey(&folder, "report", &["--fail-delivery"]);
    assert_eq!(code, 1);
    assert_eq!(names_in(&out), REPORT);
    assert_eq!(fs::read_to_string(out.join("survey.html")).unwrap(), before);
}

#[test]
fn work_that_always_fails_ends() {
    let folder = project("never");
    let (code, text, _) = survey(&folder, "report", &["--fail", "1"]);
    assert_eq!(code, 1);
    assert!(text.contains("step walk failed for good"), "{text}");
    assert!(!folder.path().join("out").exists());
}

#[test]
fn an_empty_directory_has_a_report_too() {
    let folder = Folder::new("empty");
    fs::create_dir(folder.path().join("code")).unwrap();
    let (code, text, out) = survey(&folder, "report", &[]);
    assert_eq!(code, 0, "{text}");
    assert!(line(&text, "read").contains("0 files"), "{text}");
    assert_eq!(names_in(&out), REPORT);
}

#[test]
fn what_cannot_be_surveyed_is_listed() {
    let folder = project("wrong");
    let file = folder.path().join("code/README.md");
    let (code, text) = answer([file.into()]);
    assert_eq!((code, text.ends_with("is not a directory")), (1, true));
    let (code, text) = answer([folder.path().join("nowhere").into()]);
    assert_eq!((code, text.contains("cannot be surveyed")), (1, true));
    let (code, text) = answer(["--workers".into(), "many".into()]);
    assert_eq!(code, 2);
    assert!(text.ends_with("Try `survey --help`."));
}
