//! Mistakes in the types of steps, undos, functions and workflows do not compile, and the compiler names what to do.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What all programs begin with.
const BEFORE: &str = r#"
#![allow(unused)]
use counterpoint::host::future::FutureHost;
use counterpoint::workflow::{
    AsyncStep, AsyncSteps, AsyncUndo, Attempt, Ctx, Done, DurableFunctions, FunctionSpec, Step, StepSpec, Steps, Undo, UndoSpec,
    Workflow,
};
use counterpoint::Failure;

const OCR: StepSpec<Vec<u8>, String> = StepSpec::new("ocr");
const PUBLISH: UndoSpec<String, u64> = StepSpec::new("publish").undoable();
const DIGEST: FunctionSpec<Vec<u8>, u64> = FunctionSpec::new("digest");

struct Scan;
impl AsyncStep for Scan {
    const KIND: &'static str = "scan";
    type Input = Vec<u8>;
    type Output = String;
    async fn run(&self, page: Vec<u8>, _: Attempt) -> Result<String, Failure> {
        Ok(page.len().to_string())
    }
}

struct Count;
impl Step for Count {
    const KIND: &'static str = "count";
    type Input = String;
    type Output = u64;
    fn run(&self, text: String, _: &Attempt) -> Result<u64, Failure> {
        Ok(text.len() as u64)
    }
}

struct Other;
"#;

/// A program without a mistake, which needs all that the others need.
const SOUND: &str = r#"
async fn digest(ctx: Ctx, page: Vec<u8>) -> Result<u64, Failure> {
    let text = ctx.step("ocr", OCR, &page).await?;
    ctx.step("publish", PUBLISH, &text).undoable().await
}
async fn program(host: FutureHost) {
    let steps = AsyncSteps::new()
        .with(Scan)
        .with_steps(&Steps::new().with(Count))
        .with_fn(OCR, |page, _| async move { Ok(format!("{page:?}")) })
        .with_undo_fn(PUBLISH, |text, _| async move { Ok(text.len() as u64) }, |done: Done<String, u64>, _| async move { Ok(()) });
    let functions = DurableFunctions::new().with(DIGEST, digest);
    let flow = Workflow::<Vec<u8>, u64>::named("digest");
    let flow = flow.output(flow.step(PUBLISH, flow.step(Scan, flow.input())).undoable()).unwrap();
    let handle = host.run(&flow, "one", &vec![1]).await.unwrap();
    let number: u64 = handle.await.unwrap();
}
"#;

/// A mistake, the code of its error, and parts of the message.
const MISTAKES: &[(&str, &str, &str, &[&str])] = &[
    (
        "a function of another input",
        "E0631",
        r#"fn f() { AsyncSteps::new().with_fn(OCR, |page: u32, _| async move { Ok(page.to_string()) }); }"#,
        &["fn(Vec<u8>, counterpoint::workflow::Attempt) -> _", "fn(u32, _) -> _", "found signature defined here"],
    ),
    (
        "a function of another output",
        "E0271",
        r#"fn f() { AsyncSteps::new().with_fn(OCR, |page, _| async move { Ok(page.len()) }); }"#,
        &["expected `Result<String, Failure>`, found `Result<usize, _>`"],
    ),
    (
        "a blocking function among futures",
        "E0277",
        r#"fn f() { AsyncSteps::new().with_fn(OCR, |page, _| Ok(String::new())); }"#,
        &["is not a future"],
    ),
    (
        "an undo of another step",
        "E0631",
        r#"fn f() {
    AsyncSteps::new().with_undo_fn(
        PUBLISH,
        |text, _| async move { Ok(1) },
        |done: Done<u64, String>, _| async move { Ok(()) },
    );
}"#,
        &[
            "expected closure signature `fn(counterpoint::workflow::Done<std::string::String, u64>",
            "found closure signature `fn(counterpoint::workflow::Done<u64, std::string::String>",
        ],
    ),
    (
        "an undo with an output",
        "E0271",
        r#"fn f() {
    AsyncSteps::new().with_undo_fn(PUBLISH, |text, _| async move { Ok(1) }, |done, _| async move { Ok(done.input) });
}"#,
        &["expected `Result<(), Failure>`, found `Result<String, _>`"],
    ),
    (
        "a step without the undo that it specifies",
        "E0277",
        r#"fn f() { AsyncSteps::new().with_fn(PUBLISH, |text: String, _| async move { Ok(1_u64) }); }"#,
        &["is not the kind of a step that one function performs", "for an `UndoSpec` there is `with_undo_fn`"],
    ),
    (
        "a blocking step without the undo that it specifies",
        "E0277",
        r#"fn f() { Steps::new().with_fn(PUBLISH, |text: String, _: &Attempt| Ok::<u64, Failure>(1)); }"#,
        &["is not the kind of a step that one function performs", "for an `UndoSpec` there is `with_undo_fn`"],
    ),
    (
        "an undo of a step that specifies none",
        "E0308",
        r#"fn f() {
    AsyncSteps::new().with_undo_fn(OCR, |page, _| async move { Ok(String::new()) }, |done, _| async move { Ok(()) });
}"#,
        &["expected `UndoSpec<_, String>`, found `StepSpec<Vec<u8>, String>`"],
    ),
    (
        "a future among blocking steps",
        "E0277",
        r#"fn f() { Steps::new().with(Scan); }"#,
        &["`Scan` is not a step that a call performs", "an `AsyncStep` is added to `AsyncSteps`"],
    ),
    (
        "a blocking step among futures",
        "E0277",
        r#"fn f() { AsyncSteps::new().with(Count); }"#,
        &[
            "`Count` is not a step that a future performs",
            "a `Step` is added to `Steps`, and they by `AsyncSteps::with_steps`",
        ],
    ),
    (
        "a future without an undo",
        "E0277",
        r#"fn f() { AsyncSteps::new().with_undo(Scan); }"#,
        &["the step `Scan` cannot be undone by a future", "implement `counterpoint::workflow::AsyncUndo` for it"],
    ),
    (
        "a blocking step without an undo",
        "E0277",
        r#"fn f() { Steps::new().with_undo(Count); }"#,
        &["the step `Count` cannot be undone", "implement `counterpoint::workflow::Undo` for it"],
    ),
    (
        "a node that is no step",
        "E0277",
        r#"fn f() { let flow = Workflow::<String, u64>::named("a"); flow.step(Other, flow.input()); }"#,
        &[
            "`Other` is not a step of a workflow",
            "implement `counterpoint::workflow::Step` or `AsyncStep` for it, but not both; or use a `StepSpec`",
        ],
    ),
    (
        "a node that cannot be undone",
        "E0277",
        r#"fn f() { let flow = Workflow::<Vec<u8>, u64>::named("a"); let _ = flow.step(Scan, flow.input()).undoable(); }"#,
        &["cannot be undone", "`AsyncUndo`"],
    ),
    (
        "a node with another input",
        "E0277",
        r#"fn f() {
    let flow = Workflow::<Vec<u8>, u64>::named("a");
    let text = flow.step(Scan, flow.input());
    let _ = flow.step(Scan, text);
}"#,
        &["does not give a `Vec<u8>`", "this is not a source of a `Vec<u8>`"],
    ),
    (
        "a workflow with another output",
        "E0277",
        r#"fn f() { let flow = Workflow::<Vec<u8>, u64>::named("a"); let _ = flow.output(flow.step(Scan, flow.input())); }"#,
        &["does not give a `u64`"],
    ),
    (
        "a call with another input",
        "E0308",
        r#"async fn f(ctx: Ctx) { let _ = ctx.step("ocr", OCR, &7).await; }"#,
        &["expected `&Vec<u8>`, found `&{integer}`"],
    ),
    (
        "a call with another output",
        "E0308",
        r#"async fn f(ctx: Ctx) -> Result<u64, Failure> { ctx.step("ocr", OCR, &vec![1]).await }"#,
        &["expected `Result<u64, Failure>`, found `Result<String, Failure>`"],
    ),
    (
        "a call that cannot be undone",
        "E0277",
        r#"async fn f(ctx: Ctx) { let _ = ctx.step("ocr", OCR, &vec![1]).undoable().await; }"#,
        &["cannot be undone", "`StepSpec::new(..).undoable()`"],
    ),
    (
        "a call that is no step",
        "E0277",
        r#"async fn f(ctx: Ctx) { let _ = ctx.step("ocr", Other, &vec![1]).await; }"#,
        &["`Other` is not a step of a workflow"],
    ),
    (
        "retries of a save-point",
        "E0277",
        r#"async fn f(ctx: Ctx) { let _ = ctx.save_point("a").retry(counterpoint::Retry::never()).await; }"#,
        &["has retries, timeouts, needs and a tier"],
    ),
    (
        "a durable function of another input",
        "E0631",
        r#"async fn digest(ctx: Ctx, page: String) -> Result<u64, Failure> { Ok(1) }
fn f() { DurableFunctions::new().with(DIGEST, digest); }"#,
        &[
            "expected function signature `fn(Ctx, Vec<u8>) -> _`",
            "found function signature `fn(Ctx, std::string::String) -> _`",
        ],
    ),
    (
        "a durable function of another output",
        "E0271",
        r#"async fn digest(ctx: Ctx, page: Vec<u8>) -> Result<String, Failure> { Ok(String::new()) }
fn f() { DurableFunctions::new().with(DIGEST, digest); }"#,
        &["expected `Result<u64, Failure>`, found `Result<String, Failure>`"],
    ),
    (
        "a durable function that is not async",
        "E0277",
        r#"fn digest(ctx: Ctx, page: Vec<u8>) -> Result<u64, Failure> { Ok(1) }
fn f() { DurableFunctions::new().with(DIGEST, digest); }"#,
        &["is not a future"],
    ),
    (
        "a run with another input",
        "E0308",
        r#"async fn f(host: FutureHost) { let _ = host.run(&DIGEST.flow().unwrap(), "one", &"text".to_owned()).await; }"#,
        &["expected `&Vec<u8>`, found `&String`"],
    ),
    (
        "a run with another output",
        "E0308",
        r#"async fn f(host: FutureHost) -> String { host.run(&DIGEST.flow().unwrap(), "one", &vec![1]).await.unwrap().await.unwrap() }"#,
        &["expected `String`, found `u64`"],
    ),
];

/// The folder of the compiled dependencies of this test.
fn compiled() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// The compiled libraries of this crate, the latest first. Several sets of features may be there.
fn libraries() -> Vec<PathBuf> {
    let is_ours = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("libcounterpoint-") && name.ends_with(".rlib")
    };
    let files = std::fs::read_dir(compiled()).unwrap().map(|file| file.unwrap().path());
    let mut found: Vec<(_, PathBuf)> =
        files.filter(|path| is_ours(path)).map(|path| (path.metadata().unwrap().modified().unwrap(), path)).collect();
    found.sort();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

/// What the compiler reports about a function body; none if it compiles.
fn report(library: &Path, program: &str) -> Option<String> {
    let out = std::env::temp_dir();
    let mut child = Command::new("rustc")
        .args(["--edition=2024", "--crate-type=lib", "--crate-name=mistake", "--emit=metadata", "--color=never", "-"])
        .arg("-o")
        .arg(out.join(format!("mistake-{}.rmeta", std::process::id())))
        .arg("--extern")
        .arg(format!("counterpoint={}", library.display()))
        .arg("-L")
        .arg(format!("dependency={}", compiled().display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{BEFORE}{program}").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_mistake_in_a_type_does_not_compile_and_the_message_names_what_to_do() {
    let libraries = libraries();
    let library = libraries.iter().find(|library| report(library, SOUND).is_none());
    let library = library.unwrap_or_else(|| panic!("{:?}", libraries.first().map(|library| report(library, SOUND))));
    for (mistake, code, body, parts) in MISTAKES {
        let message = report(library, body).unwrap_or_else(|| panic!("{mistake} compiles"));
        assert!(message.contains(&format!("error[{code}]")), "{mistake} is another error:\n{message}");
        for part in *parts {
            assert!(message.contains(part), "{mistake}: the message lacks `{part}`:\n{message}");
        }
        assert_eq!(
            message.matches("\nerror").count() + usize::from(message.starts_with("error")),
            2,
            "{mistake}:\n{message}"
        );
    }
}
