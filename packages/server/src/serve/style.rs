//! The style of the pages. The rules of diagrams are a part of it, so that the pages need no styles of their own, which the
//! content security policy excludes.

use counterpoint::definition::{Action, Definition, Node};
use counterpoint::journal::Projection as _;
use counterpoint::observe::Progress;
use counterpoint::{Command, Config, Engine, Outbox, RunId, RunSpec, Time};
use std::sync::LazyLock;

/// A diagram without its style element.
pub(super) fn without_style(svg: &str) -> String {
    match parts(svg) {
        Some((before, _, after)) => format!("{before}{after}"),
        None => svg.to_owned(),
    }
}

/// What is before the style of a diagram, the style, and what is after it. The texts of a diagram are escaped.
fn parts(svg: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = svg.split_once("<style>")?;
    let (style, after) = rest.split_once("</style>")?;
    Some((before, style, after))
}

/// The rules of diagrams: all have the same.
fn of_diagrams() -> Option<String> {
    let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
    let run = RunId::new(1);
    let flow = Definition::new("sample").with_node(Node::new("step", Action::Pass));
    for command in [Command::define(flow), Command::start(RunSpec::new(run, "sample"))] {
        engine.handle(Time::ZERO, command, &mut out).ok()?;
    }
    let mut progress = Progress::default();
    out.entries().iter().for_each(|entry| progress.apply(entry));
    let svg = progress.picture(run)?.to_svg();
    Some(parts(&svg)?.1.to_owned())
}

/// The style sheet, made once.
pub(super) fn sheet() -> &'static str {
    static SHEET: LazyLock<String> =
        LazyLock::new(|| format!("{}\n{}", include_str!("page.css"), of_diagrams().unwrap_or_default()));
    &SHEET
}

#[cfg(test)]
mod tests {
    use super::{sheet, without_style};

    #[test]
    fn the_sheet_has_the_rules_of_diagrams_and_diagrams_have_none() {
        assert!(sheet().contains(".cpw .s-succeeded{") && sheet().contains(".cpw .bg{"), "{}", sheet());
        assert_eq!(without_style("<svg><style>a</style><rect/></svg>"), "<svg><rect/></svg>");
        assert_eq!(without_style("<svg/>"), "<svg/>");
    }
}
