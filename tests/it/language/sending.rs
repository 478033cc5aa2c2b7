//! Tasks that send signals.

use super::{compiled, wrong};
use counterpoint::definition::{Action, Expr, Link, Node, Receivers, SendSignal};

#[test]
fn a_task_sends_a_signal_to_each_kind_of_receivers() {
    let flow = compiled(
        "
name: flow
tasks:
  - {id: own, send: {signal: go}, inputs: {n: 1}}
  - {id: up, send: {signal: go, to: parent}}
  - {id: root, send: {signal: go, to: root}}
  - {id: all, send: {signal: go, workflow: watch}}
  - {id: key, depends_on: all, send: {signal: go, workflow: watch, key: '${item.key}'}, inputs: '${inputs}'}
",
    );
    let key = Receivers::Key { workflow: "watch".into(), key: Expr::Item.at("/key") };
    let node = |name: &str, to: Receivers| Node::new(name, Action::Send(SendSignal::new("go", to)));
    let expected = [
        node("own", Receivers::Run).with_input(Expr::Object([("n".into(), Expr::value(1))].into())),
        node("up", Receivers::Parent),
        node("root", Receivers::Root),
        node("all", Receivers::All { workflow: "watch".into() }),
        node("key", key).with_link(Link::success("all")).with_input(Expr::Input),
    ];
    for (node, expected) in flow.nodes.iter().zip(expected) {
        assert_eq!(node.action, expected.action, "{}", node.name);
        assert_eq!(node.after, expected.after);
    }
}

#[test]
fn wrong_receivers_are_refused() {
    let errors = wrong(
        "
name: flow
tasks:
  - {id: a, send: {to: run}}
  - {id: b, send: {signal: go, to: all}}
  - {id: c, send: {signal: go, to: run, workflow: other}}
  - {id: d, send: {signal: go, key: x}}
  - {id: e, send: go}
  - {id: f, send: {signal: go}, wait: {timer: 1s}}
",
    );
    assert_eq!(
        errors,
        [
            "tasks[0].send: `signal` is missing",
            "tasks[1].send.to: unknown keyword `all`",
            "tasks[2].send: `to` and `workflow` exclude each other",
            "tasks[3].send: `workflow` is missing",
            "tasks[4].send: expected an object, found a string",
            "tasks[5]: `wait` and `send` exclude each other",
        ]
    );
}

#[test]
fn a_task_undoes_others() {
    let flow = compiled(
        r#"
name: trip
tasks:
  - {id: seat, compensate: true}
  - {id: some, undo: seat, depends_on: seat}
  - {id: more, undo: [seat, some], depends_on: some}
  - {id: all, undo: all, depends_on: more}
  - {id: one, undo: [all], depends_on: all}
"#,
    );
    let of = |name: &str| match &flow.node(name).unwrap().action {
        Action::Compensate { of } => of.iter().map(|name| name.to_string()).collect::<Vec<String>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!((of("some"), of("more")), (vec!["seat".to_owned()], vec!["seat".to_owned(), "some".to_owned()]));
    assert_eq!((of("all"), of("one")), (Vec::new(), vec!["all".to_owned()]));
    let lines = wrong("{name: x, tasks: [{id: a}, {id: b, undo: aa}, {id: c, undo: 3, type: t}]}");
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0], "tasks[1].undo: unknown task `aa`, did you mean `a`?");
}
