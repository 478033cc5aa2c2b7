//! Values that an adversary would choose for every field: zero, one, the largest number and its neighbours, just over each
//! limit, explicit defaults, empty and huge texts, deep values.

use counterpoint::definition::{
    Action, Body, Boundary, Budget, Call, Case, Completion, Condition, Decision, Definition, Delegate, Expr, Gather,
    Handler, Join, Link, Map, Node, On, OnFailure, OnLimit, Precondition, RaceOption, Reducer, Repeat, Rounds,
    SavePoint, SignalRule, State, States, Variable, WaitFor, Work,
};
use counterpoint::task::{Affinity, CodePattern, Exhausted, InDoubt, Jitter, RetryRule, TraceContext, Usage};
use counterpoint::workflow::validate;
use counterpoint::{
    AgentId, AgentSpec, Failure, FailureKind, Limits, Name, Needs, Payload, Policy, Retry, RunId, RunSpec, TaskId,
    TaskSpec, Tier, Time,
};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use std::time::Duration;

pub fn span() -> BoxedStrategy<Duration> {
    select(vec![
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_nanos(999_999_999),
        Duration::from_millis(100),
        Duration::from_secs(1),
        Duration::from_secs(30),
        Duration::from_nanos(u64::MAX - 1),
        Duration::from_nanos(u64::MAX),
        Duration::from_nanos(u64::MAX) + Duration::from_nanos(1),
        Duration::new(u64::MAX - 1, 0),
        Duration::MAX,
    ])
    .boxed()
}

pub fn count() -> BoxedStrategy<u32> {
    select(vec![0, 1, 2, 3, 8, 1_000, u32::MAX - 1, u32::MAX]).boxed()
}

pub fn amount() -> BoxedStrategy<u64> {
    select(vec![0, 1, 2, 1_000, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, u64::MAX / 2, u64::MAX - 1, u64::MAX]).boxed()
}

pub fn time() -> BoxedStrategy<Time> {
    select(vec![Time::ZERO, Time::from_nanos(1), Time::from_secs(1_000), Time::from_nanos(u64::MAX - 1), Time::MAX])
        .boxed()
}

/// Names, some of which are rejected: empty, or longer than 256 bytes.
pub fn name() -> BoxedStrategy<Name> {
    let texts = ["a", "b", "work", "a\"\\\n\u{0}", "é", "\u{1F600}", " "].map(Name::from).to_vec();
    let long = |bytes| Just(Name::from("x".repeat(bytes)));
    prop_oneof![12 => select(texts), 1 => Just(Name::from("")), 1 => long(256), 1 => long(257)].boxed()
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!(1), |value, _| Value::Array(vec![value]))
}

pub fn payload() -> BoxedStrategy<Payload> {
    let values = vec![
        Value::Null,
        json!(0),
        json!(-0.0),
        json!(0.1 + 0.2),
        json!(1.0),
        json!(f64::MAX),
        json!(f64::MIN_POSITIVE / 4_503_599_627_370_496.0),
        json!(2.225_073_858_507_201_4e-308),
        json!(9_007_199_254_740_993_u64),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(""),
        json!("\u{0}\u{7f}\u{2028}\u{1F600}\\\""),
        json!("x".repeat(10_000)),
        json!([]),
        json!([null, null]),
        json!({}),
        json!({"": null, "b": [1.5e300, -1], "a": {"a": {}}}),
        deep(64),
        deep(65),
    ];
    select(values.into_iter().map(Payload::new).collect::<Vec<_>>()).boxed()
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(of: impl Strategy<Value = T> + 'static) -> BoxedStrategy<Option<T>> {
    prop_oneof![2 => Just(None), 1 => of.prop_map(Some)].boxed()
}

fn retry() -> BoxedStrategy<Retry> {
    let jitter = select(vec![Jitter::Full, Jitter::Equal, Jitter::Decorrelated, Jitter::None]);
    let kinds =
        select(vec![FailureKind::Transient, FailureKind::Overloaded, FailureKind::Unknown, FailureKind::Permanent]);
    let codes = select(vec!["storm.*", "card.declined", "cp.*", "*", "", "no code", "cp.timeout.attempt"]);
    let factor = || prop_oneof![select(vec![0, 1_000, 2_000, u32::MAX]), any::<u32>()];
    let rule = ((maybe(kinds), maybe(codes)), (maybe(count()), maybe(span()), maybe(span()), maybe(factor())));
    let rule = rule.prop_map(|((kind, code), (attempts, base, cap, factor))| {
        let mut rule = RetryRule::default();
        rule.on.kinds.extend(kind);
        rule.on.codes.extend(code.map(CodePattern::from));
        rule.attempts = attempts.unwrap_or(rule.attempts);
        rule.base = base.unwrap_or(rule.base);
        rule.cap = cap.unwrap_or(rule.cap);
        rule.factor_permille = factor.unwrap_or(rule.factor_permille);
        rule
    });
    (
        (maybe(count()), maybe(span()), maybe(span()), maybe(jitter), any::<bool>(), maybe(count())),
        (proptest::collection::vec(rule, 0..3), maybe(factor())),
    )
        .prop_map(|((attempts, base, cap, jitter, insist, escalate), (rules, factor))| {
            let mut retry = Retry::default();
            retry.attempts = attempts.unwrap_or(retry.attempts);
            retry.base = base.unwrap_or(retry.base);
            retry.cap = cap.unwrap_or(retry.cap);
            retry.jitter = jitter.unwrap_or(retry.jitter);
            retry.in_doubt = if insist { InDoubt::Insist } else { InDoubt::Count };
            retry.escalate_after = escalate;
            retry.factor_permille = factor.unwrap_or(retry.factor_permille);
            retry.rules = rules;
            retry
        })
        .boxed()
}

/// Policies, some of which state defaults.
pub fn policy() -> BoxedStrategy<Policy> {
    let drawn = (maybe(retry()), maybe(span()), maybe(span()), maybe(span()), maybe(any::<bool>())).prop_map(
        |(retry, attempt, queue, total, fails)| {
            let mut policy = Policy::default();
            policy = retry.into_iter().fold(policy, Policy::with_retry);
            policy = attempt.into_iter().fold(policy, Policy::with_attempt_timeout);
            policy = queue.into_iter().fold(policy, Policy::with_queue_timeout);
            policy = total.into_iter().fold(policy, Policy::with_total_timeout);
            let ends = |fails| if fails { Exhausted::Fail } else { Exhausted::DeadLetter };
            fails.map(ends).into_iter().fold(policy, Policy::with_exhausted)
        },
    );
    prop_oneof![
        1 => Just(Policy::default()),
        1 => Just(Policy::default().with_retry(Retry::default())),
        1 => Just(Policy::default().with_exhausted(Exhausted::DeadLetter)),
        1 => Just(Policy::default().with_attempt_timeout(Duration::MAX)),
        4 => drawn,
    ]
    .boxed()
}

pub fn needs() -> BoxedStrategy<Needs> {
    let more = (maybe((name(), any::<u16>())), maybe((name(), name())), maybe(amount()), maybe(amount()));
    more.prop_map(|(skill, label, own, shared)| {
        let mut needs = Needs::nothing();
        needs = skill.into_iter().fold(needs, |needs, (name, level)| needs.and_skill(name, level));
        needs = label.into_iter().fold(needs, |needs, (name, value)| needs.and_label(name, value));
        needs = own.into_iter().fold(needs, |needs, amount| needs.and_amount("memory", amount));
        shared.into_iter().fold(needs, |needs, amount| needs.and_shared("licence", amount))
    })
    .boxed()
}

fn tier() -> BoxedStrategy<Tier> {
    select(Tier::ALL.to_vec()).boxed()
}

fn affinity() -> BoxedStrategy<Affinity> {
    (maybe(name()), maybe(0_u64..4), any::<bool>(), 0_usize..3)
        .prop_map(|(session, familiar, empty, twice)| {
            let mut affinity = Affinity::default();
            if empty {
                return affinity;
            }
            affinity.session = session;
            affinity.familiar = familiar.map(TaskId::new);
            affinity.with_not_agents(vec![AgentId::new(9); twice]).with_apart_from(vec![TaskId::new(1); twice])
        })
        .boxed()
}

fn trace() -> BoxedStrategy<TraceContext> {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace = TraceContext::new(parent).unwrap();
    select(vec![trace.clone(), trace.clone().with_state("").unwrap(), trace.with_state("a=b").unwrap()]).boxed()
}

/// Tasks with small ids and extreme content, most of which are accepted.
pub fn task(ids: core::ops::Range<u64>) -> BoxedStrategy<TaskSpec> {
    let wants = (maybe(needs()), maybe(affinity()), maybe(tier()), any::<bool>());
    let after = prop_oneof![5 => Just(Vec::new()), 1 => prop::collection::vec(1_u64..4, 0..3)];
    let deadline = prop_oneof![4 => Just(None), 1 => time().prop_map(Some)];
    let limits = (deadline, maybe(span()), policy(), after);
    let rest = (maybe(name()), maybe(payload()), maybe(name()), maybe(trace()));
    (ids, wants, limits, rest)
        .prop_map(|(id, wants, limits, (kind, payload, tenant, trace))| {
            let mut task = TaskSpec::new(TaskId::new(id), kind.unwrap_or_else(|| "work".into()));
            let (needs, affinity, tier, preemptible) = wants;
            task.needs = needs.unwrap_or_else(Needs::nothing);
            task = affinity.into_iter().fold(task, TaskSpec::with_affinity);
            (task.tier, task.preemptible, task.tenant) = (tier.unwrap_or_default(), preemptible, tenant);
            task.payload = payload.unwrap_or_default();
            let (deadline, estimate, policy, after) = limits;
            (task.deadline, task.estimate, task.policy) = (deadline, estimate, policy);
            task = task.with_after(after.into_iter().map(TaskId::new));
            trace.into_iter().fold(task, TaskSpec::with_trace)
        })
        .boxed()
}

/// Declarations of agents. They do not poll: a request for work is in no journal.
pub fn agent(ids: core::ops::Range<u64>) -> BoxedStrategy<AgentSpec> {
    let capacity = prop_oneof![6 => 1_u32..5, 1 => select(vec![0, 65_536, 65_537, u32::MAX])];
    let few = || prop_oneof![5 => Just(None), 1 => count().prop_map(Some)];
    let numbers = (capacity, few(), few(), few());
    let costs = (maybe(amount()), maybe(amount()), maybe(amount()), maybe(span()));
    let rest = (maybe(name()), maybe((name(), any::<u16>())), maybe((name(), name())), any::<bool>(), any::<i32>());
    (ids, numbers, costs, rest)
        .prop_map(|(id, numbers, costs, (name, skill, label, backup, priority))| {
            let mut agent = AgentSpec::new(AgentId::new(id)).with_skill("work", u16::MAX);
            let (capacity, reserved, prefetch, weight) = numbers;
            (agent.capacity, agent.reserved, agent.prefetch) = (capacity, reserved.unwrap_or(0), prefetch.unwrap_or(0));
            (agent.weight, agent.backup, agent.priority, agent.name) = (weight, backup, priority, name);
            (agent.cost_per_task, agent.cost_per_second) = (costs.0, costs.1);
            agent = costs.2.into_iter().fold(agent, |agent, amount| agent.with_amount("memory", amount));
            agent = skill.into_iter().fold(agent, |agent, (name, level)| agent.with_skill(name, level));
            let mut agent = label.into_iter().fold(agent, |agent, (name, value)| agent.with_label(name, value));
            agent.lease = costs.3;
            agent
        })
        .boxed()
}

pub fn usage() -> BoxedStrategy<Usage> {
    (amount(), amount()).prop_map(|(cost, tokens)| Usage::default().with_cost(cost).with_tokens(tokens)).boxed()
}

pub fn failure() -> BoxedStrategy<Failure> {
    let kinds = select(vec![Failure::transient(""), Failure::permanent("broken"), Failure::unknown("?")]);
    prop_oneof![3 => kinds, 1 => span().prop_map(|after| Failure::overloaded("busy", after))].boxed()
}

pub fn budget() -> BoxedStrategy<Budget> {
    (maybe(amount()), maybe(span()), maybe(amount()), maybe(amount()))
        .prop_map(|(attempts, time, cost, tokens)| {
            let mut budget = Budget::default();
            (budget.attempts, budget.time, budget.cost, budget.tokens) = (attempts, time, cost, tokens);
            budget
        })
        .boxed()
}

pub fn run(ids: core::ops::Range<u64>) -> BoxedStrategy<RunSpec> {
    let version = prop_oneof![4 => Just(None), 1 => (0_u32..3).prop_map(Some)];
    let which = (ids, select(vec!["a", "b", "c"]), version, maybe(payload()), maybe(tier()));
    let rest = (maybe(budget()), maybe(trace()), maybe(name()), maybe(name()), any::<bool>());
    (which, rest)
        .prop_map(|((id, workflow, version, input, tier), (budget, trace, key, tenant, exclusive))| {
            let mut run = RunSpec::new(RunId::new(id), workflow);
            (run.version, run.budget, run.business_key, run.tenant) = (version, budget, key, tenant);
            (run.input, run.tier) = (input.unwrap_or_default(), tier.unwrap_or_default());
            run.exclusive = exclusive;
            trace.into_iter().fold(run, RunSpec::with_trace)
        })
        .boxed()
}

fn work() -> BoxedStrategy<Work> {
    let estimate = prop_oneof![3 => Just(Usage::default()), 1 => usage()];
    (maybe(needs()), maybe(tier()), policy(), estimate)
        .prop_map(|(needs, tier, policy, estimate)| {
            let mut work = Work::new("work").with_needs(Needs::nothing());
            work.needs = needs.or(work.needs);
            (work.tier, work.policy, work.estimate) = (tier, policy, estimate);
            work
        })
        .boxed()
}

fn condition() -> BoxedStrategy<Condition> {
    let equal = (payload(), payload()).prop_map(|(a, b)| Condition::Equal(Expr::Const(a), Expr::Const(b)));
    let nested =
        (0_usize..66).prop_map(|depth| (0..depth).fold(Condition::True, |inner, _| Condition::All(vec![inner])));
    prop_oneof![
        2 => Just(Condition::True),
        1 => Just(Condition::Any(Vec::new())),
        2 => equal,
        1 => nested,
        1 => name().prop_map(|pattern| Condition::Matches(Expr::Input, pattern.as_str().into())),
    ]
    .boxed()
}

fn flow_body() -> BoxedStrategy<Body> {
    (work(), 0_usize..18)
        .prop_map(|(work, depth)| {
            let inner = Definition::new("inner").with_node(Node::new("n", Action::Do(Body::Task(work))));
            let nest = |flow: Definition, _| Definition::new("inner").with_node(Node::new("n", Action::flow(flow)));
            Body::Flow((1..depth).fold(inner, nest).into())
        })
        .boxed()
}

fn body() -> BoxedStrategy<Body> {
    // A workflow that calls itself without end is a topic of its own.
    let depths = prop_oneof![(Just("c"), 0_u32..3), (Just("none"), count())];
    let call = (maybe(count()), depths).prop_map(|(version, (workflow, depth))| {
        let mut call = Call::of(workflow).to_depth(depth);
        call.version = version;
        Body::Call(call)
    });
    prop_oneof![4 => work().prop_map(Body::Task), 1 => flow_body(), 1 => call].boxed()
}

fn action() -> BoxedStrategy<Action> {
    let list = || Expr::Const(Payload::new(json!([1, 2, 3])));
    let map = (body(), maybe(count()), count(), maybe(count()), maybe(condition()), any::<bool>()).prop_map(
        move |(body, most, tolerate, percent, until, open)| {
            let mut map = Map::over(list(), body);
            (map.max_concurrent, map.tolerate, map.tolerate_percent, map.open) = (most, tolerate, percent, open);
            map.completion = until.map(Completion::when);
            Action::Map(map)
        },
    );
    let rounds = prop_oneof![(body(), 0_u32..4), (work().prop_map(Body::Task), count())];
    let repeat = (rounds, condition(), maybe(condition())).prop_map(|((body, rounds), until, whilst)| {
        let mut repeat = Repeat::until(body, until, rounds);
        repeat.while_ = whilst;
        Action::Repeat(repeat)
    });
    let tolerance = select(vec![0.0, -0.0, 0.1, f64::MAX, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, -1.0]);
    let delegate = (work(), work(), (count(), count(), count(), count()), tolerance, any::<bool>()).prop_map(
        |(work, gather, (depth, fan_out, parts, rounds), tolerance, drops)| {
            let mut delegate = Delegate::new(work).to_depth(depth).with_fan_out(fan_out).with_max_parts(parts);
            delegate.on_limit = if drops { OnLimit::Drop } else { OnLimit::Stop };
            delegate.gather = Gather::Work(gather);
            Action::Delegate(delegate.in_rounds(Rounds::up_to(rounds).until_within(tolerance, 1)))
        },
    );
    let race = (span(), span(), condition()).prop_map(|(after, escalates, matching)| {
        let decision = Decision::by("chief", ["yes", "no"]).escalated(escalates, "board").escalated(escalates, "owner");
        Action::Race {
            options: vec![
                RaceOption::new("paid", WaitFor::signal("go").matching(matching)),
                RaceOption::new("late", WaitFor::After(after)),
                RaceOption::new("decided", decision.into()),
            ],
        }
    });
    let states = (work(), work(), count()).prop_map(|(work, undo, most)| {
        let first = State::new("one").doing(work).with_undo(undo).then("two").on_failure("one");
        Action::States(States::from("one", most).with(first).with(State::new("two")))
    });
    let choose = (condition(), any::<bool>()).prop_map(|(when, otherwise)| Action::Choose {
        pick: counterpoint::definition::Pick::First,
        cases: vec![Case::new("yes", when)],
        otherwise: otherwise.then(|| "no".into()),
    });
    let wait =
        (maybe(Just(Name::from("go"))), maybe(span())).prop_map(|(signal, timer)| Action::Wait { signal, timer });
    prop_oneof![
        4 => body().prop_map(Action::Do),
        2 => map, 1 => repeat, 2 => delegate, 2 => race, 1 => states, 1 => choose, 2 => wait,
        1 => Just(Action::Pass),
    ]
    .boxed()
}

fn node(number: usize) -> BoxedStrategy<Node> {
    let undone = (maybe(work()), maybe(work()), maybe(budget()), any::<bool>());
    let handler = prop_oneof![
        span().prop_map(|span| Handler::timeout("late", span)),
        condition().prop_map(|matching| {
            let mut handler = Handler::signal("called", "go");
            handler.on = Boundary::Signal { signal: "go".into(), matching };
            handler
        }),
        Just(Handler::error("broken", [])),
        Just(Handler::error("broken", [FailureKind::Unknown, FailureKind::Unknown]).non_interrupting()),
    ];
    let around =
        (maybe(handler), maybe(condition()), maybe(condition()), maybe((0_u32..3).prop_map(SavePoint::retries)));
    let link = maybe(select(vec![On::Success, On::Failure, On::Always, On::Case("late".into())]));
    let input = prop_oneof![Just(Expr::default()), Just(Expr::Input), payload().prop_map(Expr::Const)];
    (action(), undone, around, link, input)
        .prop_map(move |(action, undone, around, link, input)| {
            let mut node = Node::new(format!("n{number}"), action).with_input(input).with_join(Join::All);
            (node.undo, node.query, node.budget, node.pivot) = (undone.0, undone.1, undone.2, undone.3 && number == 2);
            let (handler, before, after, save) = around;
            node = handler.into_iter().fold(node, Node::with_handler);
            node = before.into_iter().fold(node, |node, when| node.with_precondition(Precondition::new(when)));
            node = after.into_iter().fold(node, Node::with_postcondition);
            node.save = save;
            match link {
                Some(on) if number > 0 => {
                    let mut link = Link::success(format!("n{}", number - 1));
                    link.on = on;
                    node.with_link(link)
                }
                _ => node,
            }
        })
        .boxed()
}

/// Definitions of which about half are sound.
pub fn definition() -> BoxedStrategy<Definition> {
    let head = (select(vec!["a", "b", "c"]), 0_u32..3, maybe(budget()), any::<bool>());
    let signal = (maybe(span()), maybe(count()), any::<bool>()).prop_map(|(ttl, most, transient)| {
        let mut rule = SignalRule::new("go");
        (rule.ttl, rule.max_kept, rule.transient) = (ttl, most, transient);
        rule
    });
    let variable = (payload(), maybe(condition())).prop_map(|(initial, updates)| {
        let mut variable = Variable::new("v", Reducer::Replace).with_initial(initial.value().clone());
        variable.updates = updates;
        variable
    });
    let output = prop_oneof![Just(Expr::default()), payload().prop_map(Expr::Const)];
    let nodes = prop_oneof![
        3 => node(0).prop_map(|node| vec![node]).boxed(),
        1 => (node(0), node(1), node(2)).prop_map(|(a, b, c)| vec![a, b, c]).boxed(),
    ];
    (head, nodes, maybe(signal), maybe(variable), output)
        .prop_map(|(head, nodes, signal, variable, output)| {
            let (name, version, budget, holds) = head;
            let mut flow = Definition::new(name).with_version(version).with_output(output);
            flow = nodes.into_iter().fold(flow, Definition::with_node);
            flow = signal.into_iter().fold(flow, Definition::with_signal);
            flow = variable.into_iter().fold(flow, Definition::with_variable);
            flow.budget = budget;
            if holds { flow.with_on_failure(OnFailure::Hold) } else { flow }
        })
        .boxed()
}

/// Definitions that are sound, and some that are not.
pub fn mostly_sound() -> BoxedStrategy<Definition> {
    let is_sound = |flow: &Definition| validate(flow, &Limits::default()).is_ok();
    prop_oneof![5 => definition().prop_filter("a sound definition", is_sound), 1 => definition()].boxed()
}
