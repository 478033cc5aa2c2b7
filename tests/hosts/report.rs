//! The report of a run: the same page for the same facts, whole in a browser, and no way out of it for hostile names.

use counterpoint::journal::Projection;
use counterpoint::observe::Report;
use counterpoint::testing::{Rehearsal, Reply, Script};
use counterpoint::workflow::{Attempt, Done, Step, Undo, Workflow};
use counterpoint::{AgentId, AgentSpec, Config, Failure, Policy, Retry, RunId};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

fn patient() -> Policy {
    Policy::default().with_retry(Retry::exponential(3, Duration::from_secs(2), Duration::from_secs(2)))
}

macro_rules! step {
    ($name:ident, $kind:literal, $input:ty, $output:ty) => {
        struct $name;

        impl Step for $name {
            const KIND: &'static str = $kind;
            type Input = $input;
            type Output = $output;

            fn run(&self, _: $input, _: &Attempt) -> Result<$output, Failure> {
                Err(Failure::permanent("scripted"))
            }

            fn policy(&self) -> Policy {
                patient()
            }
        }
    };
}

step!(Find, "find", String, Vec<String>);
step!(Read, "read", String, u32);
step!(Sum, "sum", Vec<u32>, u32);
step!(Send, "send", u32, String);

impl Undo for Find {
    fn undo(&self, _: Done<String, Vec<String>>, _: &Attempt) -> Result<(), Failure> {
        Ok(())
    }
}

/// Three files are read by two agents, one after a failure; then the sum is sent, or the run is undone.
fn scene(sent: Reply) -> Rehearsal {
    let flow = Workflow::<String, String>::named("letters <script>alert(1)</script>");
    let found = flow.step(Find, flow.input()).undoable();
    let read = flow.map(Read, found);
    let sum = flow.step(Sum, read);
    let flow = flow.output(flow.step(Send, sum)).unwrap();
    let reads = |task: &counterpoint::TaskSpec, number: u32| match (task.payload.to::<String>().as_deref(), number) {
        (Ok("b"), 1) => {
            Reply::fail(Failure::transient("the page & <b>its</b> \"margin\"")).after(Duration::from_secs(3))
        }
        _ => Reply::ok(&7).after(Duration::from_secs(5)),
    };
    let mut rehearsal = Rehearsal::new(Config::default);
    let script = Script::new()
        .on("find", [Reply::ok(&["a", "b", "c"]).after(Duration::from_secs(1))])
        .on("find.undo", [Reply::ok(&()).after(Duration::from_secs(1))]);
    let librarian = AgentSpec::new(AgentId::new(1)).with_name("librarian");
    rehearsal.join(librarian, script.on_fn("read", reads));
    let clerk = Script::new().on_fn("read", reads).on("sum", [Reply::ok(&21).after(Duration::from_secs(2))]);
    rehearsal.join(AgentSpec::new(AgentId::new(2)).with_name("clerk"), clerk.on("send", [sent]));
    rehearsal.start(Arc::clone(flow.definition()), flow.run(RunId::new(1), &"letters".to_owned()).unwrap());
    rehearsal
}

fn page_of(rehearsal: &Rehearsal) -> String {
    let mut report = Report::of(RunId::new(1));
    report.replay(rehearsal.recording().entries());
    report.to_html().expect("the run is known")
}

fn finished() -> String {
    let mut rehearsal = scene(Reply::ok("sent").after(Duration::from_secs(1)));
    rehearsal.run();
    rehearsal.recording().assert_run_succeeded(RunId::new(1));
    page_of(&rehearsal)
}

#[test]
fn the_page_is_the_golden_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/report.html");
    let page = finished();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let golden = fs::read_to_string(&path).expect("UPDATE_GOLDEN=1 writes it");
    assert!(page == golden, "the page differs from {}: look at it and UPDATE_GOLDEN=1", path.display());
}

#[test]
fn nothing_hostile_gets_through_and_nothing_is_loaded() {
    let page = finished();
    for mark in ["<script", "<b>its", "http:", "https:", "src=", "@import", "onload"] {
        let found = page.match_indices(mark).map(|(at, _)| &page[at.saturating_sub(60)..at]).next();
        // The name space of SVG is no address that anything is loaded from.
        assert!(found.is_none_or(|before| mark == "http:" && before.contains("xmlns")), "{mark} after {found:?}");
    }
    assert!(page.split("url(").skip(1).all(|rest| rest.starts_with('#')), "only what is in the page");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.contains("librarian") && page.contains("the page &amp; &lt;b&gt;its&lt;/b&gt;"));
}

#[test]
fn the_report_of_an_active_run_lists_what_it_waits_for() {
    let mut rehearsal = scene(Reply::hang());
    rehearsal.run_for(Duration::from_secs(3));
    let page = page_of(&rehearsal);
    assert!(page.contains("The run is running.") && page.contains("What it waits for"), "{page}");
    assert!(Report::of(RunId::new(2)).to_html().is_none(), "nothing is known of it");
}

#[test]
fn the_report_of_a_compensated_run_states_it() {
    let mut rehearsal = scene(Reply::fail(Failure::permanent("no stamps")));
    rehearsal.run();
    let page = page_of(&rehearsal);
    assert!(page.contains("The run compensated") && page.contains("no stamps") && page.contains("find, compensation"));
}

/// A browser on this machine, if there is one.
fn browser() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&folders).flat_map(|folder| names.map(|name| folder.join(name))).find(|path| path.is_file())
}

#[test]
fn a_browser_shows_the_page_whole() {
    let Some(browser) = browser() else {
        println!("no browser here: the page is not looked at");
        return;
    };
    let folder = std::env::temp_dir().join(format!("counterpoint-report-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (page, picture) = (folder.join("report.html"), folder.join("report.png"));
    let html = finished();
    assert!(!html.contains("<script"), "a browser would wait for it");
    fs::write(&page, &html).unwrap();
    let look = |what: &str| {
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let address = format!("file://{}", page.display());
        let common = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1200,2400"];
        let seen = Command::new(&browser).args(common).args([&profile, what, &address]).output().unwrap();
        String::from_utf8_lossy(&seen.stdout).into_owned()
    };
    let seen = look("--dump-dom");
    // What the browser made of it has every row, and the end of the page stands where it belongs.
    assert_eq!(seen.matches("<tr>").count(), html.matches("<tr>").count());
    assert_eq!(seen.matches("<section>").count(), 4);
    assert!(seen.contains("</section>\n<footer>") && seen.contains("</svg>"), "{seen}");
    look(&format!("--screenshot={}", picture.display()));
    let bytes = fs::metadata(&picture).map_or(0, |data| data.len());
    assert!(bytes > 20_000, "a picture of {bytes} bytes shows no report");
    let keep = std::env::var_os("KEEP_PICTURES").map(PathBuf::from);
    if let Some(keep) = keep {
        fs::copy(&picture, keep.join("report.png")).unwrap();
    }
    fs::remove_dir_all(&folder).unwrap();
}
