//! Pictures, compared with files that are rewritten when `UPDATE_GOLDEN=1` is set. To look at the large ones, see
//! `CARGO_TARGET_TMPDIR`.

use super::script::{fleet, order, small, turned_back};
use counterpoint::RunId;
use counterpoint::definition::{Action, Case, Condition, Definition, Expr, Join, Link, Node, Pick, SavePoint, Work};
use counterpoint::journal::Projection;
use counterpoint::message::NodeStatus;
use counterpoint::observe::{Names, Picture, Progress, SvgOptions, Timeline};
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
    let svg = drawn(&small(), "An order & its <parcel>");
    assert_eq!(charts::faults(&svg, 1), [""; 0]);
    check("timeline.svg", &svg);
    let empty = Timeline::default().to_svg(&SvgOptions::default());
    assert!(empty.contains(">No attempts<"), "{empty}");
}

#[test]
fn pictures_of_a_definition() {
    let order = order();
    check("order.mmd", &Picture::of(&order).to_mermaid());
    check("order.dot", &Picture::of(&order).to_dot());
    check("order.svg", &Picture::of(&order).to_svg());
    assert_eq!(charts::faults(&Picture::of(&order).to_svg(), 0), [""; 0]);
}

#[test]
fn a_picture_of_nothing_states_it() {
    let nothing = Definition::new("nothing");
    let picture = Picture::of(&nothing);
    assert!(picture.to_svg().contains(">The workflow has no nodes.<"));
    assert!(picture.to_dot().contains("The workflow has no nodes."));
    assert!(picture.to_mermaid().contains("The workflow has no nodes#46;"));
}

#[test]
fn pictures_of_a_run() {
    let mut progress = Progress::default();
    progress.replay(&turned_back().entries);
    let picture = progress.picture(RunId::new(1)).unwrap();
    check("run.mmd", &picture.to_mermaid());
    check("run.dot", &picture.to_dot());
    check("run.svg", &picture.to_svg());
    assert_eq!(charts::faults(&picture.to_svg(), 0), [""; 0]);
    // In each format the status is a text, too.
    assert!(
        picture.to_mermaid().contains("#91;compensation failed#93;")
            && picture.to_dot().contains("[compensation failed]")
    );
}

/// A bit of everything: ways past several layers, frames within frames, cases, save-points, every status.
#[test]
fn a_picture_with_everything() {
    let task = |name: &str| Node::new(name, Action::task(name));
    let inner = Definition::new("fitting")
        .with_node(task("measure").with_undo(Work::new("forget")))
        .with_node(task("cut").with_link(Link::success("measure")))
        .with_node(task("sew").with_link(Link::success("cut")).with_link(Link::success("measure")));
    let outer = Definition::new("atelier")
        .with_node(task("sketch"))
        .with_node(Node::new("fitting", Action::flow(inner)).with_link(Link::success("sketch")));
    let below = |bound: i64| Condition::less(Expr::Item, Expr::value(bound));
    let cases = vec![Case::new("small", below(5)), Case::new("rather large", below(50))];
    let choose = Action::Choose { pick: Pick::First, cases, otherwise: Some("much too large".into()) };
    let flow = Definition::new("tailor")
        .with_version(3)
        .with_node(task("ask").as_save_point(SavePoint::retries(2).or_alternative("by letter")))
        .with_node(Node::new("how large?", choose).with_link(Link::success("ask")))
        .with_node(Node::new("atelier", Action::flow(outer)).with_link(Link::case("how large?", "small")))
        .with_node(task("send on").with_link(Link::case("how large?", "rather large")).with_query(Work::new("sent?")))
        .with_node(task("say no").with_link(Link::case("how large?", "much too large")))
        .with_node(task("write").with_link(Link::case("ask", "by letter")))
        .with_node(task("complain").with_link(Link::failure("send on")))
        .with_node(
            task("pay")
                .with_link(Link::success("atelier"))
                .with_link(Link::success("send on"))
                .with_join(Join::Any)
                .as_pivot(),
        )
        .with_node(
            task("archive")
                .with_link(Link::always("pay"))
                .with_link(Link::success("ask"))
                .with_link(Link::success("say no"))
                .with_join(Join::Any),
        );
    let statuses = [
        NodeStatus::Succeeded,
        NodeStatus::Succeeded,
        NodeStatus::Compensating,
        NodeStatus::Skipped,
        NodeStatus::Cancelled,
        NodeStatus::Waiting,
        NodeStatus::Failed,
        NodeStatus::Running,
        NodeStatus::Abandoned,
    ];
    let picture =
        (0..).zip(statuses).fold(Picture::of(&flow), |picture, (at, status)| picture.with_status(&[at], status));
    let picture = picture
        .with_status(&[2, 1, 0], NodeStatus::Compensated)
        .with_status(&[2, 1, 2], NodeStatus::CompensationFailed);
    check("tailor.svg", &picture.to_svg());
    assert_eq!(charts::faults(&picture.to_svg(), 0), [""; 0]);
}

#[test]
fn a_journal_in_words() {
    let mut names = Names::default();
    let lines: Vec<String> = turned_back()
        .entries
        .iter()
        .map(|entry| {
            names.apply(entry);
            format!("{} {}\n", entry.at, names.describe(entry))
        })
        .collect();
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
    check("hostile.svg", &Picture::of(&flow).to_svg());
}

#[test]
fn pictures_are_bounded() {
    let order = order();
    let few = Picture::of(&order).with_nodes(3);
    assert!(few.to_mermaid().contains("and 6 more") && few.to_dot().contains("and 6 more"));
    assert!(few.to_svg().contains("and 6 more"));
    // Every node linked after all before it: what is drawn stays bounded.
    let all: Vec<Link> = (0..400).map(|at| Link::success(at.to_string())).collect();
    let dense = (0..400).fold(Definition::new("dense"), |flow, at| {
        let mut node = Node::new(at.to_string(), Action::Pass);
        node.after = all[..at].to_vec();
        flow.with_node(node)
    });
    let svg = Picture::of(&dense).to_svg();
    assert!(svg.len() < 2_000_000, "{} bytes", svg.len());
}
