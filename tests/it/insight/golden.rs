//! Pictures, compared with files that are rewritten when `UPDATE_GOLDEN=1` is set. To look at the large ones, see
//! `CARGO_TARGET_TMPDIR`.

use super::script::{fleet, order, small, turned_back};
use counterpoint::RunId;
use counterpoint::definition::{Action, Definition, Link, Node, Work};
use counterpoint::insight::{Picture, Progress, Projection, SvgOptions, Timeline, describe};
use std::path::Path;

pub(super) fn check(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, got).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(wanted == got, "{name} has changed: look at it, then run again with UPDATE_GOLDEN=1");
}

fn drawn(script: &super::script::Script, title: &str) -> String {
    let mut timeline = Timeline::default();
    timeline.replay(&script.entries);
    timeline.to_svg(&SvgOptions::default().with_title(title))
}

#[test]
fn small_timeline() {
    check("timeline.svg", &drawn(&small(), "An order & its <parcel>"));
}

#[test]
fn pictures_of_a_definition() {
    let order = order();
    check("order.mmd", &Picture::of(&order).to_mermaid());
    check("order.dot", &Picture::of(&order).to_dot());
}

#[test]
fn pictures_of_a_run() {
    let mut progress = Progress::default();
    progress.replay(&turned_back().entries);
    let picture = progress.picture(RunId::new(1)).unwrap();
    check("run.mmd", &picture.to_mermaid());
    check("run.dot", &picture.to_dot());
}

#[test]
fn a_journal_in_words() {
    let lines: Vec<String> =
        turned_back().entries.iter().map(|entry| format!("{} {}\n", entry.at, describe(entry))).collect();
    assert!(lines.iter().all(|line| line.lines().count() == 1));
    check("story.txt", &lines.concat());
}

#[test]
fn size_is_bounded() {
    for (agents, attempts, at_once) in
        [(5, 40, 1), (12, 5_000, 4), (300, 20_000, 2), (1, 3_000, 40), (40, 950, 1), (48, 10_000, 2)]
    {
        let script = fleet(agents, attempts, at_once);
        let svg = drawn(&script, &format!("{agents} agents, {attempts} tasks"));
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("timeline-{agents}-{attempts}.svg"));
        std::fs::write(file, &svg).unwrap();
        assert!(svg.len() < 300_000, "{agents} agents, {attempts} tasks: {} bytes", svg.len());
    }
}

/// Names that end quotes, comments, entities or blocks in one language or the other. Their pictures are kept, for a look
/// with the languages' own tools.
#[test]
fn hostile_names() {
    let names = [
        "end",
        "\"]",
        "a\\",
        "<script>alert(1)</script>",
        "%% no",
        "`**b**`",
        "#quot;",
        "- list",
        "style x:#a;",
        "1. one",
        "$$x$$",
    ];
    let names = [
        names.as_slice(),
        &["subgraph", "&lt;", "\u{202e}rtl", "\u{0}", "{{x}}", "graph TD;", "fa:fa-car", "||x||", ""],
    ]
    .concat();
    let flow = names.iter().fold(Definition::new("\\\"];"), |flow, name| {
        let link = Link::case(flow.nodes.last().map_or("", |node| node.name.as_str()), *name);
        let inner = Definition::new(*name).with_node(Node::new(*name, Action::task(*name)));
        flow.with_node(Node::new(*name, Action::flow(inner)).with_link(link).with_undo(Work::new(*name)))
    });
    check("hostile.mmd", &Picture::of(&flow).to_mermaid());
    check("hostile.dot", &Picture::of(&flow).to_dot());
}

#[test]
fn pictures_are_bounded() {
    let order = order();
    let few = Picture::of(&order).with_nodes(3);
    assert!(few.to_mermaid().contains("and 6 more") && few.to_dot().contains("and 6 more"));
}
