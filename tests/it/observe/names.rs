//! No text for people has an id without the name of its subject.

use super::script;
use crate::flow::{RUN, World, flow, json, step, undoable, work};
use counterpoint::definition::{Action, Body, Definition, Expr, Link, Map, Node};
use counterpoint::journal::Projection;
use counterpoint::message::AgentEvent;
use counterpoint::observe::{Alerts, Audit, Names, Progress, Report, Story, SvgOptions, Timeline};
use counterpoint::task::Scope;
use counterpoint::testing::Recording;
use counterpoint::{AgentId, AgentSpec, Command, Entry, Event, Failure, Payload, RunCommand, RunSpec, TaskSpec};
use std::sync::Arc;

/// The ids of agents, tasks, attempts and runs in a text that do not follow a name: `name (id)`.
fn nameless(text: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut found = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        if is_part(c) {
            continue;
        }
        let word = &text[start..at];
        let before = &text[..start];
        if is_id(word) && !(before.ends_with(" (") && before.len() > 2 && text[at..].starts_with(')')) {
            found.push(word);
        }
        start = at + c.len_utf8();
    }
    found
}

fn is_id(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = word.strip_prefix(['a', 't', 'r']) else { return false };
    let number = number.strip_prefix('_').unwrap_or(number);
    number.split_once('-').map_or_else(|| digits(number), |(one, two)| digits(one) && digits(two))
}

#[test]
fn the_search_finds_ids_without_names() {
    assert_eq!(nameless("t7-1 assigned to Ada (a3-1), for r_5 node x"), ["t7-1", "r_5"]);
    assert!(nameless("charge (t7-1) assigned to Ada (a3-1) at t0s, a-b, t1x, r, (order (r_5))").is_empty());
    assert_eq!(nameless("(r1)"), ["r1"], "parentheses alone are no name");
}

/// A run with everything that has a text, and tasks beside it.
fn journal() -> Vec<Entry> {
    let inner =
        Definition::new("pack").with_node(undoable("wrap")).with_node(step("label").with_link(Link::success("wrap")));
    let each = Map::over(Expr::Input, Body::Task(work("each")));
    let nodes = [
        undoable("reserve"),
        Node::new("items", Action::Map(each)),
        Node::new("scope", Action::flow(inner)).with_link(Link::success("reserve")),
        step("ship").with_link(Link::success("scope")),
    ];
    let mut definition = flow(nodes);
    definition.name = "order".into();
    let mut world = World::new();
    let ada = AgentSpec::new(AgentId::new(1)).with_name("Ada").with_capacity(1_000);
    world.say(Command::register(ada)).unwrap();
    world.say(Command::define(definition)).unwrap();
    let run = RunSpec::new(RUN, "order").with_input(json(vec![1, 2]));
    world.say(Command::start(run)).unwrap();
    let parcel = TaskSpec::keyed("parcel-9", "send").with_needs(counterpoint::Needs::nothing());
    let after = TaskSpec::keyed("parcel-10", "send").with_after([parcel.id]);
    world.say(Command::submit_all([parcel, after])).unwrap();
    let signal = RunCommand::Signal { run: RUN, signal: "hurry".into(), payload: Payload::NULL };
    world.say(signal.into()).unwrap();
    world.say(Command::pause(Scope::Agent(AgentId::new(1)), "lunch")).unwrap();
    world.say(Command::resume(Scope::Agent(AgentId::new(1)))).unwrap();
    let busy = RunCommand::Prioritise { run: RUN, tier: counterpoint::Tier::High, reason: "the boss".into() };
    world.say(busy.into()).unwrap();
    let attempt = world.attempt("reserve");
    world.answer(attempt, Err(Failure::transient("no stock"))).unwrap();
    world.sleep();
    world.done("reserve", 1).done("each", 1).done("each", 2).done("send", 0);
    world.done("wrap", 1).done("label", 1).failed("ship");
    world.done("undo wrap", 0).done("undo reserve", 0);
    world.journal
}

/// The journal of the golden files and that of a run; agents without a name are given one.
fn journals() -> [Vec<Entry>; 2] {
    let named = |entries: Vec<Entry>| {
        entries.into_iter().map(|mut entry| {
            if let Event::Agent { agent, event: AgentEvent::Registered { spec } | AgentEvent::Updated { spec } } =
                &mut entry.event
                && spec.name.is_none()
            {
                let name = format!("agent number {}", agent.agent().get());
                *spec = Arc::new(AgentSpec::clone(spec).with_name(name)).as_ref().clone().into();
            }
            entry
        })
    };
    [named(journal()).collect(), named(script::turned_back().entries).collect()]
}

#[test]
fn every_event_is_described_with_names() {
    for entries in journals() {
        let mut names = Names::default();
        for entry in &entries {
            names.apply(entry);
            let text = names.describe(entry);
            assert_eq!(nameless(&text), Vec::<&str>::new(), "{text}");
        }
    }
}

#[test]
fn projections_and_the_engine_name_what_they_show() {
    for entries in journals() {
        let (mut story, mut audit, mut alerts) = (Story::default(), Audit::default(), Alerts::default());
        let (mut progress, mut timeline, mut report) = (Progress::default(), Timeline::default(), Report::of(RUN));
        for entry in &entries {
            for projection in [&mut story as &mut dyn Projection, &mut audit, &mut alerts] {
                projection.apply(entry);
            }
            for projection in [&mut progress as &mut dyn Projection, &mut timeline, &mut report] {
                projection.apply(entry);
            }
        }
        let mut texts: Vec<String> = Vec::new();
        for subject in story.subjects().collect::<Vec<_>>() {
            texts.extend(story.of(subject).map(|line| line.text.to_string()));
        }
        texts.extend(audit.lines().map(|line| line.action.to_string()));
        texts.extend(
            progress
                .runs()
                .map(|run| progress.run(run).unwrap())
                .map(|run| run.to_string().split("; waits for").next().unwrap().to_owned()),
        );
        texts.extend(Recording::of(entries.clone()).lines());
        let svg = timeline.to_svg(&SvgOptions::default());
        texts.extend(svg.split("<title>").skip(1).map(|title| title.split("</title>").next().unwrap().to_owned()));
        let page = report.to_html().into_iter().flat_map(|page| {
            let cells =
                page.split("<td class=\"words\">").skip(1).map(|cell| cell.split("</td>").next().unwrap().to_owned());
            cells.collect::<Vec<_>>()
        });
        texts.extend(page);
        assert!(texts.len() > 50, "{}", texts.len());
        for text in texts {
            assert_eq!(nameless(&text), Vec::<&str>::new(), "{text}");
        }
    }
}

#[test]
fn an_engine_names_what_was_introduced_before_its_last_events() {
    let entries = journal();
    let engine = counterpoint::Engine::restore(crate::flow::timeless().with_story(5), None, &entries).unwrap();
    let lines = engine.story(RUN);
    assert!(!lines.is_empty());
    for line in lines {
        assert_eq!(nameless(&line.text), Vec::<&str>::new(), "{line}");
    }
    for entry in entries.iter().rev().take(20) {
        assert_eq!(nameless(&engine.describe(entry)), Vec::<&str>::new());
    }
}
