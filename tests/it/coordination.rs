//! A group decides within a workflow that an engine runs.

use counterpoint::coordination::consensus::Config as Voting;
use counterpoint::definition::{Definition, Expr, Work};
use counterpoint::workflow::{Attempt, Group, Steps};
use counterpoint::{
    AgentId, AgentSpec, Command, Config, Effect, Engine, Failure, Needs, Outbox, Payload, RunId, RunOutcome, RunSpec,
    Time,
};
use serde_json::{Value, json};

/// Runs a group of three reviewers, whose answers these are (none: the attempt fails for good), and what it decides.
fn decided(answers: [Option<Value>; 3]) -> Value {
    let names = ["ann", "ben", "eve"];
    let reviewer = |name: &str| Work::new("review").with_needs(Needs::nothing().and_label("name", name));
    let group =
        names.iter().fold(Group::new(Voting::default()), |group, name| group.with_voter(*name, reviewer(name), 1));
    let mut flow = Definition::new("paper");
    flow.nodes.extend(group.nodes("verdict", Expr::Input));
    let flow = flow.with_output(Expr::node("verdict"));

    let (mut engine, mut out) = (Engine::new(Config::default()), Outbox::default());
    for (id, name) in (1..).zip(names) {
        let agent = AgentSpec::new(AgentId::new(id)).with_label("name", name);
        engine.handle(Time::ZERO, Command::register(agent), &mut out).unwrap();
    }
    let counter = AgentSpec::new(AgentId::new(9)).with_skill("decide", 1);
    engine.handle(Time::ZERO, Command::register(counter), &mut out).unwrap();
    engine.handle(Time::ZERO, Command::define(flow), &mut out).unwrap();
    let run = RunSpec::new(RunId::new(1), "paper").with_input(Payload::new(json!("a paper")));
    engine.handle(Time::ZERO, Command::start(run), &mut out).unwrap();
    let steps = Steps::new().with(counterpoint::workflow::Decide::default());
    let mut open = out.effects().to_vec();
    out.clear();
    while let Some(effect) = open.pop() {
        let Effect::Dispatch { attempt, to, task, .. } = effect else { continue };
        let answer = if task.kind == "review" {
            assert_eq!(task.payload.value(), &json!("a paper"));
            let place = usize::try_from(to.agent().get()).unwrap() - 1;
            answers[place].clone().map(Payload::new).ok_or_else(|| Failure::permanent("no time"))
        } else {
            steps.perform(&task.kind, &task.payload, &Attempt::new(attempt, "decide"))
        };
        let word = match answer {
            Ok(output) => Command::complete(to, attempt, output),
            Err(failure) => Command::fail(to, attempt, failure),
        };
        engine.handle(Time::ZERO, word, &mut out).unwrap();
        open.extend(out.effects().to_vec());
        out.clear();
    }
    match engine.run(RunId::new(1)).unwrap().outcome() {
        Some(RunOutcome::Succeeded { output }) => output.value().clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_group_decides_and_its_dissent_is_kept() {
    let [yes, no] = [json!("accept"), json!("reject")];
    let all = decided([Some(yes.clone()), Some(yes.clone()), Some(yes.clone())]);
    assert_eq!(all["decision"], yes);
    let two = decided([Some(yes.clone()), Some(no.clone()), Some(yes.clone())]);
    assert_eq!((&two["decision"], &two["dissent"]), (&Value::Null, &json!({"ann": yes, "ben": no, "eve": yes})));
    let absent = decided([Some(yes.clone()), None, Some(yes)]);
    assert_eq!((&absent["decision"], &absent["absent"]), (&Value::Null, &json!(["ben"])), "two of three are not 67 %");
}
