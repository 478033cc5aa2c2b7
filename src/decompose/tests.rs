use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn steps(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn with(facts: &Facts, changes: &[(String, Value)]) -> Facts {
    let mut facts = facts.clone();
    facts.extend(changes.iter().map(|(name, value)| (Name::from(name.clone()), value.clone())));
    facts
}

fn arg(about: &[Value], index: usize) -> String {
    about.get(index).map(text).unwrap_or_default()
}

fn is(facts: &Facts, name: &str, value: &str) -> bool {
    facts.get(name).is_some_and(|there| text(there) == value)
}

/// The travel domain of GTPyhop's simple_htn: walk if it is near, else by taxi if there is money for it.
fn travel() -> Domain {
    let fare = |from: &str, to: &str| if (from, to) == ("home_a", "park") { 5.5 } else { 50.0 };
    let at = |who: &str| format!("loc {who}");
    Domain::default()
        .with_operator("call_taxi", move |facts, about| {
            Some(with(facts, &[("loc taxi".into(), json!(arg(about, 1))), (at(&arg(about, 0)), json!("taxi"))]))
        })
        .with_operator("ride_taxi", move |facts, about| {
            let (who, to) = (arg(about, 0), arg(about, 1));
            let from = text(facts.get("loc taxi")?);
            is(facts, &at(&who), "taxi").then(|| {
                with(facts, &[("loc taxi".into(), json!(to)), (format!("owe {who}"), json!(fare(&from, &to)))])
            })
        })
        .with_operator("pay_driver", move |facts, about| {
            let (who, to) = (arg(about, 0), arg(about, 1));
            let cash = facts.get(&*format!("cash {who}"))?.as_f64()?;
            let owed = facts.get(&*format!("owe {who}"))?.as_f64()?;
            let rest =
                [(format!("cash {who}"), json!(cash - owed)), (format!("owe {who}"), json!(0)), (at(&who), json!(to))];
            (cash >= owed).then(|| with(facts, &rest))
        })
        .with_operator("walk", move |facts, about| Some(with(facts, &[(at(&arg(about, 0)), json!(arg(about, 2)))])))
        .with_method("travel", "stay", move |facts, about| {
            is(facts, &at(&arg(about, 0)), &arg(about, 1)).then(|| Split::sequence([]))
        })
        .with_method("travel", "by foot", move |facts, about| {
            let (who, to) = (arg(about, 0), arg(about, 1));
            let from = text(facts.get(&*at(&who))?);
            ((&*from, &*to) == ("home_a", "store")).then(|| Split::sequence([Goal::new("walk", [who, from, to])]))
        })
        .with_method("travel", "by taxi", move |facts, about| {
            let (who, to) = (arg(about, 0), arg(about, 1));
            let from = text(facts.get(&*at(&who))?);
            let rich = facts.get(&*format!("cash {who}"))?.as_f64()? >= fare(&from, &to);
            let ways = [
                Goal::new("call_taxi", [&*who, &*from]),
                Goal::new("ride_taxi", [&*who, &*to]),
                Goal::new("pay_driver", [&*who, &*to]),
            ];
            rich.then(|| Split::sequence(ways))
        })
}

fn at_home(cash: f64) -> Facts {
    Facts::from([("loc alice".into(), json!("home_a")), ("cash alice".into(), json!(cash))])
}

#[test]
fn alice_goes_to_the_park() {
    let goal = [Goal::new("travel", ["alice", "park"])];
    let found = plan(&travel(), at_home(20.0), &goal, Bounds::default()).unwrap();
    assert_eq!(steps(&found), ["call_taxi(alice, home_a)", "ride_taxi(alice, park)", "pay_driver(alice, park)"]);
    assert_eq!(found.facts.get("cash alice"), Some(&json!(14.5)));
    assert_eq!(
        plan(&travel(), at_home(1.0), &goal, Bounds::default()).unwrap_err(),
        NoPlan::Stuck { goal: goal[0].clone(), steps: 0 }
    );
    let walk = plan(&travel(), at_home(0.0), &[Goal::new("travel", ["alice", "store"])], Bounds::default()).unwrap();
    assert_eq!(steps(&walk), ["walk(alice, home_a, store)"]);
    let stay = plan(&travel(), at_home(0.0), &[Goal::new("travel", ["alice", "home_a"])], Bounds::default()).unwrap();
    assert_eq!(steps(&stay), [""; 0]);
}

/// GTPyhop's backtracking_htn: methods that look right until a later step needs a flag that is not there.
fn flags() -> Domain {
    let put = |name: &'static str| {
        move |facts: &Facts, about: &[Value]| Some(with(facts, &[(name.into(), json!(arg(about, 0)))]))
    };
    let get = |facts: &Facts, about: &[Value]| is(facts, "flag", &arg(about, 0)).then(|| facts.clone());
    let split = |goals: [(&'static str, &'static str); 2]| {
        move |_: &Facts, _: &[Value]| Some(Split::sequence(goals.map(|(name, about)| Goal::new(name, [about]))))
    };
    Domain::default()
        .with_operator("putv", put("flag"))
        .with_operator("getv", get)
        .with_method("put_it", "err", split([("putv", "0"), ("getv", "1")]))
        .with_method("put_it", "0", split([("putv", "0"), ("getv", "0")]))
        .with_method("put_it", "1", split([("putv", "1"), ("getv", "1")]))
        .with_method("need0", "0", |_, _| Some(Split::sequence([Goal::new("getv", ["0"])])))
        .with_method("need1", "1", |_, _| Some(Split::sequence([Goal::new("getv", ["1"])])))
        .with_method("need01", "0", |_, _| Some(Split::sequence([Goal::new("getv", ["0"])])))
        .with_method("need01", "1", |_, _| Some(Split::sequence([Goal::new("getv", ["1"])])))
        .with_method("need10", "1", |_, _| Some(Split::sequence([Goal::new("getv", ["1"])])))
        .with_method("need10", "0", |_, _| Some(Split::sequence([Goal::new("getv", ["0"])])))
}

#[test]
fn it_backtracks_as_far_as_it_must() {
    let run = |goals: &[&str]| {
        let goals: Vec<Goal> = goals.iter().map(|goal| Goal::new(*goal, [""; 0])).collect();
        plan(&flags(), Facts::from([("flag".into(), json!("-1"))]), &goals, Bounds::default())
    };
    let (zero, one) = (["putv(0)", "getv(0)", "getv(0)"], ["putv(1)", "getv(1)", "getv(1)"]);
    for (goals, expected) in [
        (["put_it", "need0"], zero),
        (["put_it", "need01"], zero),
        (["put_it", "need10"], zero),
        (["put_it", "need1"], one),
    ] {
        assert_eq!(steps(&run(&goals).unwrap()), expected, "{goals:?}");
    }
    assert!(run(&["put_it", "need1"]).unwrap().backtracks >= 2);
    let stuck = run(&["put_it", "need0", "need1"]).unwrap_err();
    assert_eq!(stuck, NoPlan::Stuck { goal: Goal::new("getv", ["1"]), steps: 3 });
}

/// An abandoned branch leaves neither its changes of the state nor its steps.
#[test]
fn what_was_the_case_is_the_case_again() {
    let set = |name: &'static str| move |facts: &Facts, _: &[Value]| Some(with(facts, &[(name.into(), json!(true))]));
    let way = |goals: [&'static str; 2]| {
        move |_: &Facts, _: &[Value]| Some(Split::sequence(goals.map(|name| Goal::new(name, [""; 0]))))
    };
    let domain = Domain::default()
        .with_operator("break", set("broken"))
        .with_operator("mend", |_, _| None)
        .with_operator("open", set("open"))
        .with_operator("enter", |facts, _| (!facts.contains_key("broken")).then(|| facts.clone()))
        .with_method("in", "by force", way(["break", "mend"]))
        .with_method("in", "by the door", way(["open", "enter"]));
    let found = plan(&domain, Facts::new(), &[Goal::new("in", [""; 0])], Bounds::default()).unwrap();
    assert_eq!(steps(&found), ["open()", "enter()"]);
    assert_eq!((found.backtracks, found.facts), (1, Facts::from([("open".into(), json!(true))])));
}

/// Blocks: facts say on what each stands ("pos x") and what the hand holds.
pub(super) fn blocks() -> Domain {
    let clear =
        |facts: &Facts, block: &str| !facts.iter().any(|(name, on)| name.starts_with("pos ") && text(on) == block);
    let pos = |block: &str| format!("pos {block}");
    let lift = move |facts: &Facts, about: &[Value]| {
        let block = arg(about, 0);
        let free = clear(facts, &block) && is(facts, "holding", "-") && !is(facts, &pos(&block), "hand");
        free.then(|| with(facts, &[(pos(&block), json!("hand")), ("holding".into(), json!(block))]))
    };
    let drop = move |facts: &Facts, about: &[Value]| {
        let (block, on) = (arg(about, 0), arg(about, 1));
        let room = on == "table" || clear(facts, &on);
        (is(facts, "holding", &block) && room)
            .then(|| with(facts, &[(pos(&block), json!(on)), ("holding".into(), json!("-"))]))
    };
    // Towers are right from the bottom up: whether a block and all below stand where they shall.
    let done = move |facts: &Facts, wanted: &Facts, block: &str| {
        let (mut block, mut levels) = (block.to_owned(), 0);
        while block != "table" && levels < 100 {
            let Some(on) = facts.get(&*pos(&block)).map(text) else { return false };
            if wanted.get(&*pos(&block)).is_some_and(|goal| text(goal) != on) {
                return false;
            }
            if on != "table" && !wanted.contains_key(&*pos(&block)) && wanted.values().any(|goal| text(goal) == on) {
                return false;
            }
            (block, levels) = (on, levels + 1);
        }
        true
    };
    let next = move |facts: &Facts, about: &[Value]| {
        let wanted: Facts = serde_json::from_value(about.first()?.clone()).ok()?;
        let all: Vec<String> = facts.keys().filter_map(|name| name.strip_prefix("pos ").map(str::to_owned)).collect();
        let again = Goal::new("move_blocks", [about.first()?.clone()]);
        let step = |block: &str, on: String| {
            Split::sequence([Goal::new("lift", [block]), Goal::new("drop", [block.to_owned(), on]), again.clone()])
        };
        let open: Vec<&String> = all.iter().filter(|block| !done(facts, &wanted, block)).collect();
        if open.is_empty() {
            return Some(Split::sequence([]));
        }
        let free = open.iter().filter(|block| clear(facts, block));
        for block in free.clone() {
            let goal = wanted.get(&*pos(block)).map_or_else(|| "table".to_owned(), text);
            let ready = goal == "table" || (done(facts, &wanted, &goal) && clear(facts, &goal));
            if ready && !is(facts, &pos(block), &goal) {
                return Some(step(block, goal));
            }
        }
        let block = free.clone().find(|block| !is(facts, &pos(block), "table"))?;
        Some(step(block, "table".into()))
    };
    Domain::default().with_operator("lift", lift).with_operator("drop", drop).with_method("move_blocks", "next", next)
}

pub(super) fn world(stands: &[(&str, &str)]) -> Facts {
    let pos = stands.iter().map(|(block, on)| (Name::from(format!("pos {block}")), json!(on)));
    pos.chain([("holding".into(), json!("-"))]).collect()
}

fn moved(from: &[(&str, &str)], to: &[(&str, &str)]) -> Vec<String> {
    let mut wanted = world(to);
    wanted.remove("holding");
    let goal = Goal::new("move_blocks", [serde_json::to_value(&wanted).unwrap()]);
    let found = plan(&blocks(), world(from), &[goal], Bounds::default()).unwrap();
    assert!(wanted.iter().all(|(name, on)| found.facts.get(name) == Some(on)), "{:?}", found.facts);
    steps(&found)
}

#[test]
fn blocks_are_moved() {
    // Sussman's anomaly: C on A, B beside it; A on B on C is wanted.
    let sussman = [("a", "table"), ("b", "table"), ("c", "a")];
    let plan = moved(&sussman, &[("a", "b"), ("b", "c"), ("c", "table")]);
    assert_eq!(plan, ["lift(c)", "drop(c, table)", "lift(b)", "drop(b, c)", "lift(a)", "drop(a, b)"]);
    // GTPyhop's first problem: from c on a on b and d beside, to a on b on c on d's way.
    let plan = moved(&[("a", "b"), ("b", "table"), ("c", "table")], &[("b", "a"), ("a", "table")]);
    assert_eq!(plan, ["lift(a)", "drop(a, table)", "lift(b)", "drop(b, a)"]);
    assert_eq!(moved(&sussman, &sussman), [""; 0]);
}

fn hanoi() -> Domain {
    Domain::default()
        .with_operator("disc", |facts, about| {
            // A disc goes from the top of a peg onto a peg whose top is larger.
            let (size, from, to) = (about.first()?.as_u64()?, arg(about, 1), arg(about, 2));
            let mut pegs = facts.clone();
            let top = pegs.get_mut(&*from)?.as_array_mut()?.pop()?.as_u64()?;
            let onto = pegs.get_mut(&*to)?.as_array_mut()?;
            let fits = top == size && onto.last().and_then(Value::as_u64).is_none_or(|below| below > size);
            onto.push(json!(size));
            fits.then_some(pegs)
        })
        .with_method("tower", "none", |_, about| (about.first()?.as_u64()? == 0).then(|| Split::sequence([])))
        .with_method("tower", "by the third peg", |_, about| {
            let [size, from, to, by] = about else { return None };
            let less = json!(size.as_u64()?.checked_sub(1)?);
            let tower = |from: &Value, to: &Value, by: &Value| {
                Goal::new("tower", [less.clone(), from.clone(), to.clone(), by.clone()])
            };
            let disc = Goal::new("disc", [size.clone(), from.clone(), to.clone()]);
            Some(Split::sequence([tower(from, by, to), disc, tower(by, to, from)]))
        })
}

#[test]
fn towers_of_hanoi_within_bounds() {
    let facts = |discs: u64| {
        Facts::from([
            ("a".into(), json!((1..=discs).rev().collect::<Vec<_>>())),
            ("b".into(), json!([])),
            ("c".into(), json!([])),
        ])
    };
    let goal = |discs: u64| [Goal::new("tower", [json!(discs), json!("a"), json!("c"), json!("b")])];
    for discs in 0..9 {
        let found = plan(&hanoi(), facts(discs), &goal(discs), Bounds::default()).unwrap();
        assert_eq!(found.steps.len(), (1 << discs) - 1);
        assert_eq!(found.facts.get("c").unwrap().as_array().unwrap().len() as u64, discs);
    }
    let shallow = Bounds { depth: 4, ..Bounds::default() };
    assert!(matches!(plan(&hanoi(), facts(6), &goal(6), shallow), Err(NoPlan::Bound { bound: "depth", .. })));
    let short = Bounds { steps: 10, ..Bounds::default() };
    assert!(matches!(plan(&hanoi(), facts(6), &goal(6), short), Err(NoPlan::Bound { bound: "steps", .. })));
    let few = Bounds { goals: 10, ..Bounds::default() };
    assert!(matches!(plan(&hanoi(), facts(6), &goal(6), few), Err(NoPlan::Bound { bound: "goals", .. })));
}

#[test]
fn a_method_that_calls_itself_ends_at_the_bound() {
    let domain =
        Domain::default().with_method("again", "again", |_, _| Some(Split::sequence([Goal::new("again", [""; 0])])));
    let error = plan(&domain, Facts::new(), &[Goal::new("again", [""; 0])], Bounds::default()).unwrap_err();
    assert!(matches!(error, NoPlan::Bound { bound: "depth", .. }), "{error}");
    let unknown = plan(&domain, Facts::new(), &[Goal::new("other", [""; 0])], Bounds::default()).unwrap_err();
    assert_eq!(unknown.to_string(), "other() has neither an operator nor a method");
    let wrong =
        Domain::default().with_method("x", "x", |_, _| Some(Split::partial([Goal::new("x", [""; 0])], [(0, 1)])));
    assert!(matches!(
        plan(&wrong, Facts::new(), &[Goal::new("x", [""; 0])], Bounds::default()),
        Err(NoPlan::Disorder { .. })
    ));
}

/// A goal as its place in a random tree; leaves are operators. With dead ends, all others have a first method that does the same,
/// and then something that cannot be.
fn trees(parts: &[(usize, bool)], dead_ends: bool) -> (Domain, Vec<Vec<usize>>) {
    let mut children = vec![Vec::new(); parts.len() + 1];
    for (index, (parent, _)) in parts.iter().enumerate() {
        children[parent % (index + 1)].push(index + 1);
    }
    let mut domain = Domain::default().with_operator("never", |_, _| None);
    for (index, own) in children.iter().enumerate() {
        let name = format!("g{index}");
        let goals: Vec<Goal> = own.iter().map(|child| Goal::new(format!("g{child}"), [""; 0])).collect();
        let partial = parts.get(index).is_some_and(|(_, partial)| *partial);
        if dead_ends && !own.is_empty() {
            let astray: Vec<Goal> = goals.iter().cloned().chain([Goal::new("never", [""; 0])]).collect();
            domain = domain.with_method(name.clone(), "astray", move |_, _| Some(Split::sequence(astray.clone())));
        }
        domain = if own.is_empty() {
            domain.with_operator(name, |facts, _| Some(facts.clone()))
        } else {
            domain.with_method(name.clone(), name, move |_, _| {
                Some(if partial {
                    Split::partial(goals.clone(), (2..goals.len()).map(|last| (0, last)))
                } else {
                    Split::sequence(goals.clone())
                })
            })
        };
    }
    (domain, children)
}

proptest! {
    /// The leaves of the decomposition are the plan, in order; links are acyclic, go forward, and leave out what follows; the
    /// definition is sound.
    #[test]
    fn a_plan_is_the_composition_of_its_branches(parts in prop::collection::vec((0_usize..20, any::<bool>()), 0..20)) {
        let (domain, children) = trees(&parts, false);
        let found = plan(&domain, Facts::new(), &[Goal::new("g0", [""; 0])], Bounds::default()).unwrap();
        let leaves = children.iter().filter(|own| own.is_empty()).count();
        prop_assert_eq!(found.steps.len(), leaves);
        let (mut open, mut order) = (vec![0], Vec::new());
        while let Some(index) = open.pop() {
            order.extend(found.branches[index].step);
            open.extend(found.branches[index].parts.iter().rev());
        }
        prop_assert_eq!(order, (0..leaves).collect::<Vec<_>>());
        let links = found.links();
        prop_assert!(links.iter().all(|(a, b)| a < b));
        for (a, b) in &links {
            let around = links.iter().any(|(c, d)| (c, d) != (a, b) && *c == *a && reaches(&links, *d, *b));
            prop_assert!(!around, "{a} to {b} follows from others");
        }
        for (a, b) in (0..leaves).flat_map(|a| (0..leaves).map(move |b| (a, b))) {
            prop_assert_eq!(a != b && reaches(&links, a, b), ordered(&found, a, b), "{} and {}", a, b);
        }
        let definition = found.definition("made", &domain);
        prop_assert!(validate(&definition, &Limits::default()).is_ok());
        prop_assert_eq!(definition.nodes.iter().map(|node| node.after.len()).sum::<usize>(), links.len());
    }

    /// Ways that were given up are nowhere in the plan: it is the one that is found without them.
    #[test]
    fn a_plan_knows_nothing_of_dead_ends(parts in prop::collection::vec((0_usize..20, any::<bool>()), 0..10)) {
        let found = |dead_ends| {
            plan(&trees(&parts, dead_ends).0, Facts::new(), &[Goal::new("g0", [""; 0])], Bounds::default()).unwrap()
        };
        let (with, without) = (found(true), found(false));
        prop_assert_eq!(with.backtracks > 0, !parts.is_empty());
        prop_assert_eq!(with.links(), without.links());
        prop_assert_eq!((with.steps, with.branches), (without.steps, without.branches));
    }
}

/// Whether the parts of the lowest goal that two steps have in common are ordered.
fn ordered(plan: &Plan, a: usize, b: usize) -> bool {
    let way = |step: usize| {
        let leaf = plan.branches.iter().position(|branch| branch.step == Some(step)).unwrap();
        let mut way = vec![leaf];
        while let Some(parent) = plan.branches[*way.last().unwrap()].parent {
            way.push(parent);
        }
        way.reverse();
        way
    };
    let (one, other) = (way(a), way(b));
    let Some(split) = one.iter().zip(&other).position(|(x, y)| x != y) else { return false };
    let above = &plan.branches[one[split - 1]];
    let index = |branch: usize| above.parts.iter().position(|part| *part == branch).unwrap();
    let (x, y) = (index(one[split]), index(other[split]));
    above.before.as_ref().map_or(x < y, |pairs| x != y && reaches(pairs, x, y))
}

fn reaches(links: &[(usize, usize)], from: usize, to: usize) -> bool {
    from == to || links.iter().any(|(a, b)| *a == from && reaches(links, *b, to))
}

#[test]
fn what_is_not_ordered_may_be_done_at_the_same_time() {
    let domain = Domain::default()
        .with_operator("cut", |facts, _| Some(facts.clone()))
        .with_operator("sew", |facts, _| Some(facts.clone()))
        .with_work("cut", Some(crate::Needs::skill("scissors")), Some(crate::Tier::High))
        .with_method("coat", "in parts", |_, _| {
            let goals = [Goal::new("cut", ["front"]), Goal::new("cut", ["back"]), Goal::new("sew", ["all"])];
            Some(Split::partial(goals, [(0, 2), (1, 2)]))
        });
    let found = plan(&domain, Facts::new(), &[Goal::new("coat", [""; 0])], Bounds::default()).unwrap();
    assert_eq!(found.links(), [(0, 2), (1, 2)]);
    let definition = found.definition("coat", &domain);
    let Action::Do(Body::Task(work)) = &definition.nodes[0].action else { panic!("a task") };
    assert_eq!((work.tier, work.needs.is_some()), (Some(crate::Tier::High), true));
}

#[test]
fn rules_are_data_and_every_answer_is_validated() {
    let limits = Limits::default();
    let mut common = RulePack::common();
    let names = |definition: &Definition| definition.nodes.iter().map(|node| node.name.to_string()).collect::<Vec<_>>();
    let of = |rules: &mut RulePack, goal: &str| names(&decompose(rules, &Ask::new(goal), &limits).unwrap());
    assert_eq!(of(&mut common, "Analyse the data of May"), ["collection", "analysis"]);
    assert_eq!(of(&mut common, "Produce a report"), ["outline", "writing"]);
    assert_eq!(of(&mut common, "water the plants"), ["execute"]);
    assert_eq!(of(&mut common, "the reporter's modelling"), ["execute"], "whole words only");
    let written = serde_json::to_string(&common).unwrap();
    assert_eq!(serde_json::from_str::<RulePack>(&written).unwrap(), common);

    let nested =
        Rule::new("all", [RuleStep::new("a").with_goal("train a model"), RuleStep::new("b").with_after([""; 0])])
            .with_any(["everything"]);
    let mut rules = common.clone().with_rule(nested);
    let all = decompose(&mut rules, &Ask::new("everything"), &limits).unwrap();
    assert!(matches!(&all.nodes[0].action, Action::Do(Body::Flow(flow)) if flow.nodes.len() == 4));
    assert!(all.nodes[1].after.is_empty());
    let allowed = ["requirements", "design", "implementation", "b"];
    let error = decompose(&mut rules, &Ask::new("everything").with_kinds(allowed), &limits).unwrap_err();
    assert_eq!(error, DecomposeError::UnknownKind { node: "testing".into(), kind: "testing".into() });

    let circle = Rule::new("circle", [RuleStep::new("again").with_goal("circle")]).with_any(["circle"]);
    assert!(matches!(
        decompose(&mut common.clone().with_rule(circle), &Ask::new("circle"), &limits),
        Err(DecomposeError::Refused { .. })
    ));
    let astray = Rule::new("astray", [RuleStep::new("a").with_after(["nowhere"])]).with_any(["astray"]);
    assert!(matches!(
        decompose(&mut common.with_rule(astray), &Ask::new("astray"), &limits),
        Err(DecomposeError::Unsound(_))
    ));
}
