//! One run as the model sees it: what the rules allow it to do next.

use super::Ruling;
use super::back::{Back, resolved};
use crate::flow::draw;
use core::cell::Cell;
use counterpoint::definition::{
    Action, Body, Boundary, Call, Condition, Definition, Expr, Join, Link, Map, Node, On, OnUnmet, Pick, RaceOption,
    Receivers, Reducer, Remaining, Repeat, Transition, Trigger, Variable, WaitFor,
};
use counterpoint::definition::{InputType, OnCompensationFailure, OnFailure, Presence};
use counterpoint::message::{
    Cause, CompensationOutcome, LimitReached, Measure, NodeOutcome, NodeRemedy, Opening, Refusal,
};
use counterpoint::task::{Failures, Owner, Phase, SideEffects};
use counterpoint::{Failure, FailureKind, Name, Retry, RunId, RunOutcome, Time};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Kind {
    Succeeded,
    Failed,
    Skipped,
    UpstreamFailed,
    Cancelled,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub(super) enum Undo {
    #[default]
    Idle,
    Active,
    Done,
    Failed,
}

#[derive(Debug)]
pub(super) struct Piece {
    pub(super) input: Value,
    /// Whether it succeeded, once it has ended.
    pub(super) end: Option<bool>,
    pub(super) side_effects: SideEffects,
    pub(super) undo: Undo,
    pub(super) child: Option<RunId>,
    /// Nobody knows whether it has happened, and somebody is to be asked.
    pub(super) doubt: Option<Doubt>,
    /// A run within that has passed its pivot.
    pub(super) committed: bool,
    /// The state in which it is done.
    pub(super) state: usize,
    /// The bound that the run within reached, and what it had done until then.
    pub(super) limit: Option<(LimitReached, Value)>,
    /// The failure of the run within.
    pub(super) why: Option<Failure>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Doubt {
    pub(super) asked: bool,
    /// Whether it was withdrawn.
    pub(super) cancelled: bool,
}

/// Where a token is.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    state: usize,
    entered: u32,
    /// What it carries; none if the model does not know.
    value: Option<Value>,
    begun: bool,
}

impl Piece {
    /// A run within that failed has undone what it could.
    pub(super) fn can_be_undone(&self) -> bool {
        match self.side_effects {
            SideEffects::Done(_) => true,
            SideEffects::Possible => self.child.is_none(),
            SideEffects::None => false,
        }
    }
}

#[derive(Default, Debug)]
pub(super) struct Place {
    pub(super) opened: Option<Opening>,
    pub(super) items: Vec<Value>,
    /// Of a map: what was added.
    pub(super) added: Vec<Value>,
    /// Of a save-point: how often the run went back to it, and whether it takes its other way.
    pub(super) used: u32,
    pub(super) instead: bool,
    /// Whether its compensation has failed once.
    pub(super) failed_once: bool,
    pub(super) pieces: Vec<Piece>,
    pub(super) end: Option<Kind>,
    pub(super) took: Vec<Name>,
    pub(super) output: Value,
    pub(super) undone: Option<CompensationOutcome>,
    /// When it began, the handlers that fired beside it, and the one that ended it.
    pub(super) since: Option<Time>,
    pub(super) beside: Vec<Name>,
    pub(super) interrupted: Option<Name>,
    pub(super) walk: Option<Walk>,
    /// How an operator wants it to end.
    pub(super) remedy: Option<NodeRemedy>,
    /// Of a map: whether it was closed, whether it has enough, and what its last item gave.
    pub(super) closed: bool,
    pub(super) enough: bool,
    pub(super) last: Value,
    /// Of a decision: the option, and what the node gives.
    pub(super) decided: Option<(Name, Value)>,
    /// How many times a guard has said no.
    pub(super) refused: usize,
    /// The rules that applied to the failed attempts that were retried, and when the next one starts. In a state they count anew.
    pub(super) retried: Vec<Option<usize>>,
    pub(super) again: Option<Time>,
    /// The budget that is used up.
    pub(super) exhausted: Option<LimitReached>,
    /// Whether it calls what nobody knows.
    pub(super) unresolved: bool,
    /// Whether it has failed and waits for a word.
    pub(super) held: bool,
    /// Of a signal that it sends: the runs that have received it, and whether no more will.
    pub(super) receivers: BTreeSet<RunId>,
    pub(super) sent: bool,
}

impl Place {
    pub(super) fn begun(&self) -> bool {
        self.opened.is_some() || !self.pieces.is_empty()
    }

    pub(super) fn active(&self) -> usize {
        self.pieces.iter().filter(|piece| piece.end.is_none()).count()
    }

    pub(super) fn failed(&self) -> usize {
        self.pieces.iter().filter(|piece| piece.end == Some(false)).count()
    }

    pub(super) fn doubtful(&self) -> bool {
        self.pieces.iter().any(|piece| piece.side_effects == SideEffects::Possible)
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Stand {
    Running,
    Halting,
    Undoing,
    Finished,
}

#[derive(Debug)]
pub(super) struct Flow {
    pub(super) definition: Arc<Definition>,
    pub(super) owner: Option<Owner>,
    pub(super) input: Value,
    pub(super) began: Time,
    pub(super) stand: Stand,
    pub(super) places: Vec<Place>,
    pub(super) signals: BTreeMap<Name, VecDeque<Value>>,
    pub(super) to_undo: Vec<usize>,
    pub(super) back: Option<Back>,
    /// What did something that was left as it was when it was done anew.
    pub(super) left: Vec<Name>,
    pub(super) succeeded: bool,
    pub(super) pivot_passed: bool,
    pub(super) paused: bool,
    pub(super) cause: Option<Cause>,
    /// Which of its signals the node takes that ends now.
    pub(super) taking: usize,
    /// For nodes that start more than once: what came over which link, in order; none for a link that closed.
    pub(super) arrivals: BTreeMap<usize, Vec<(usize, Option<Value>)>>,
    /// Who reads variables now; none for the output.
    reading: Cell<Option<usize>>,
    /// What functions of the host put together, by reader and variable.
    pub(super) reduced: BTreeMap<(Option<usize>, usize), Value>,
    /// What was written to variables from outside, in the order in which it came.
    updates: Vec<(Name, Value)>,
}

/// The retries that a failure of a node concerns: its own, or those of the state in which it is.
fn retries<'n>(node: &'n Node, place: &Place) -> Option<&'n Retry> {
    match (&node.action, &place.walk) {
        (Action::States(states), Some(walk)) => states.states.get(walk.state)?.retry.as_ref(),
        (Action::States(_), None) => None,
        _ => node.retry.as_ref(),
    }
}

/// Whether a node is attempted again from its first item or round on.
fn is_whole(node: &Node) -> bool {
    matches!(node.action, Action::Map(_) | Action::Repeat(_))
}

pub(super) fn body(action: &Action) -> Option<&Body> {
    match action {
        Action::Do(body) | Action::Map(Map { body, .. }) | Action::Repeat(Repeat { body, .. }) => Some(body),
        _ => None,
    }
}

impl Flow {
    pub(super) fn new(definition: Arc<Definition>, owner: Option<Owner>, input: Value, began: Time) -> Self {
        Self {
            began,
            places: definition.nodes.iter().map(|_| Place::default()).collect(),
            definition,
            owner,
            input,
            stand: Stand::Running,
            signals: BTreeMap::new(),
            to_undo: Vec::new(),
            back: None,
            left: Vec::new(),
            succeeded: false,
            pivot_passed: false,
            paused: false,
            cause: None,
            taking: 0,
            arrivals: BTreeMap::new(),
            reading: Cell::new(None),
            reduced: BTreeMap::new(),
            updates: Vec::new(),
        }
    }

    /// It goes on by another definition.
    pub(super) fn moves(&mut self, definition: Arc<Definition>, from: &[Option<u32>]) -> Ruling {
        ensure!(self.stand == Stand::Running, "a run moves that does not go forward");
        ensure!(from.len() == definition.nodes.len(), "a node is forgotten");
        let mut old: BTreeMap<usize, Place> = core::mem::take(&mut self.places).into_iter().enumerate().collect();
        let mut arrivals = core::mem::take(&mut self.arrivals);
        for (at, was) in from.iter().enumerate() {
            let was = was.map(|was| was as usize);
            let place = was.map(|was| old.remove(&was).ok_or("a node becomes two"));
            self.places.push(place.transpose()?.unwrap_or_default());
            if let Some(arrived) = was.and_then(|was| arrivals.remove(&was)) {
                self.arrivals.insert(at, arrived);
            }
        }
        ensure!(old.values().all(|place| place.end.is_some() || !place.begun()), "what is under way is lost");
        let rules = |node: &Node, place: &Place| retries(node, place).map(|retry| retry.rules.clone());
        for ((place, was), node) in self.places.iter_mut().zip(from).zip(&definition.nodes) {
            // The failures that rules have retried count for none of the new rules.
            if was.is_some_and(|was| rules(&self.definition.nodes[was as usize], place) != rules(node, place)) {
                place.retried.fill(None);
            }
        }
        self.definition = definition;
        for at in 0..self.places.len() {
            // Where such a failure is not held, what follows is found anew.
            let holds = self.definition.on_failure == OnFailure::Hold && self.would_break(at);
            self.places[at].held &= holds && !self.is_spare(at);
        }
        Ok(())
    }

    pub(super) fn node(&self, at: usize) -> &Node {
        &self.definition.nodes[at]
    }

    pub(super) fn place_of(&self, name: &str) -> Option<usize> {
        self.definition.nodes.iter().position(|node| node.name == name)
    }

    pub(super) fn source(&self, link: &Link) -> usize {
        self.place_of(&link.node).expect("the definition is sound")
    }

    /// Whether a link is taken; none while that is open.
    pub(super) fn taken(&self, link: &Link) -> Option<bool> {
        let source = &self.places[self.source(link)];
        if matches!(&link.on, On::Case(case) if source.beside.contains(case)) {
            return Some(true);
        }
        let end = source.end?;
        if source.instead {
            let save = self.node(self.source(link)).save.as_ref().expect("it is a save-point");
            match &link.on {
                On::Success | On::Each => return Some(false),
                On::Case(case) => return Some(save.alternative.as_ref() == Some(case)),
                _ => {}
            }
        }
        Some(match &link.on {
            On::Success => end == Kind::Succeeded,
            On::Failure => end == Kind::Failed && source.took.is_empty(),
            On::Case(case) => source.took.contains(case),
            _ => true,
        })
    }

    /// How many links of a node are taken, and how many are open.
    pub(super) fn links(&self, at: usize) -> (usize, usize, usize) {
        let links = &self.node(at).after;
        let taken = links.iter().filter(|link| self.taken(link) == Some(true)).count();
        let open = links.iter().filter(|link| self.taken(link).is_none()).count();
        (taken, open, links.len())
    }

    /// Whether the way to a node was cut by a failure.
    pub(super) fn cut(&self, at: usize) -> bool {
        self.node(at).after.iter().any(|link| {
            let end = self.places[self.source(link)].end;
            (self.taken(link) == Some(false) || link.on == On::Each)
                && !self.is_for_failures(link)
                && matches!(end, Some(Kind::Failed | Kind::UpstreamFailed))
        })
    }

    /// Whether a link would not be taken either if its source succeeded.
    fn is_for_failures(&self, link: &Link) -> bool {
        let handlers = &self.node(self.source(link)).handlers;
        match &link.on {
            On::Failure => true,
            On::Case(case) => handlers.iter().any(|handler| handler.name == *case),
            _ => false,
        }
    }

    /// How the inputs of a node ended, one letter for each: S, F, K, or a dot for one that has not.
    pub(super) fn inputs(&self, at: usize) -> String {
        let letter = |link: &Link| match self.places[self.source(link)].end {
            _ if self.taken(link) == Some(true) => 'S',
            None => '.',
            Some(_) if self.is_for_failures(link) => 'K',
            Some(Kind::Failed) => 'F',
            Some(Kind::UpstreamFailed) => 'U',
            Some(_) => 'K',
        };
        self.node(at).after.iter().map(letter).collect()
    }

    pub(super) fn followers(&self, at: usize) -> impl Iterator<Item = (usize, &Link)> {
        let name = &self.definition.nodes[at].name;
        let nodes = self.definition.nodes.iter().enumerate();
        nodes
            .flat_map(|(to, node)| node.after.iter().map(move |link| (to, link)))
            .filter(move |(_, link)| link.node == *name)
    }

    fn links_from(&self, at: usize) -> impl Iterator<Item = (usize, usize, &Link)> {
        let name = &self.definition.nodes[at].name;
        let nodes = self.definition.nodes.iter().enumerate();
        nodes
            .flat_map(|(to, node)| node.after.iter().enumerate().map(move |(place, link)| (to, place, link)))
            .filter(move |(_, _, link)| link.node == *name)
    }

    /// Something comes over the links from a node that `test` says.
    fn comes(&mut self, from: usize, test: impl Fn(&Link) -> bool, value: &Value) {
        let links: Vec<(usize, usize)> =
            self.links_from(from).filter(|(.., link)| test(link)).map(|(to, place, _)| (to, place)).collect();
        for (to, place) in links {
            if self.places[to].end.is_none() {
                self.arrivals.entry(to).or_default().push((place, Some(value.clone())));
            }
        }
    }

    /// What each time is given that a node starts that may start more than once.
    pub(super) fn rounds(&self, at: usize) -> Vec<Value> {
        let empty = Vec::new();
        let arrivals = self.arrivals.get(&at).unwrap_or(&empty);
        let Join::Rounds { required: of, remaining: rest } = self.node(at).join else {
            return arrivals.iter().filter_map(|(_, value)| value.clone()).collect();
        };
        let links = self.node(at).after.len();
        let (mut rounds, mut here, mut started) = (Vec::new(), vec![None; links], false);
        let (mut held, mut closed) = (vec![VecDeque::new(); links], vec![false; links]);
        for (link, value) in arrivals {
            match value {
                Some(_) if rest == Remaining::Ignore && here[*link].is_some() => {}
                Some(value) => held[*link].push_back(value.clone()),
                None => closed[*link] = true,
            }
            loop {
                for link in (0..links).filter(|link| here[*link].is_none()).collect::<Vec<_>>() {
                    here[link] = held[link].pop_front();
                    if !started && here.iter().flatten().count() == of as usize {
                        rounds.push(json!(here.clone()));
                        started = true;
                    }
                }
                if !started || (0..links).any(|link| here[link].is_none() && !closed[link]) {
                    break;
                }
                (here, started) = (vec![None; links], false);
            }
        }
        rounds
    }

    /// Whether a way leads from one node to another, through none of those `without`.
    pub(super) fn leads(&self, from: usize, to: usize, without: Option<usize>) -> bool {
        self.followers(from).any(|(next, _)| next == to || Some(next) != without && self.leads(next, to, without))
    }

    /// Whether all ways of a node lead into `join`: no end of the flow can be reached around it.
    pub(super) fn serves(&self, at: usize, join: usize) -> bool {
        let ends = |at: &usize| self.followers(*at).next().is_none();
        at != join
            && !ends(&at)
            && self.leads(at, join, None)
            && !(0..self.places.len()).filter(ends).any(|end| end != join && self.leads(at, end, Some(join)))
    }

    pub(super) fn counting_joins(&self) -> impl Iterator<Item = (usize, Remaining)> {
        self.definition.nodes.iter().enumerate().filter_map(|(at, node)| match node.join {
            Join::Count { remaining: rest, .. } => Some((at, rest)),
            _ => None,
        })
    }

    /// Whether a node's failure ends the run: nothing that could take care of it has run or still may.
    pub(super) fn is_broken(&self, at: usize) -> bool {
        if self.places[at].end != Some(Kind::Failed) {
            return false;
        }
        if matches!(self.places[at].remedy, Some(NodeRemedy::Skip { .. })) {
            return false;
        }
        let took = &self.places[at].took;
        let is_link = |handler: &Name| self.followers(at).any(|(_, link)| link.on == On::Case(handler.clone()));
        if took.iter().any(|handler| !is_link(handler)) {
            return false;
        }
        let cares = |(to, link): (usize, &Link)| {
            let follows = match &link.on {
                On::Failure => took.is_empty(),
                On::Always => true,
                On::Case(case) => took.contains(case),
                _ => false,
            };
            (follows || copes(self.node(to).join)) && !self.shirked(to)
        };
        let joins = |(join, _): (usize, Remaining)| self.serves(at, join) && !self.shirked(join);
        !self.followers(at).any(cares) && !self.counting_joins().any(joins)
    }

    /// Whether the failure of a node waits for a word although the node has ended: what was to handle it has not run.
    pub(super) fn waits_late(&self, at: usize) -> bool {
        let holds =
            self.definition.on_failure == OnFailure::Hold && self.stand == Stand::Running && !self.goes_back(at);
        holds && self.is_broken(at) && self.places[at].remedy.is_none()
    }

    /// Whether everything has ended, where a failure is to wait for that.
    pub(super) fn has_finished(&self) -> bool {
        self.definition.on_failure != OnFailure::Finish
            || self.places.iter().all(|place| place.end.is_some() && place.active() == 0)
    }

    /// Whether a node ended without having begun, and no operator has said so.
    fn shirked(&self, at: usize) -> bool {
        let place = &self.places[at];
        let is_out = matches!(place.end, Some(Kind::Skipped | Kind::UpstreamFailed | Kind::Cancelled));
        is_out && !place.begun() && place.remedy.is_none()
    }

    /// Whether nothing takes care of a failure of the node.
    fn would_break(&self, at: usize) -> bool {
        !self.followers(at).any(|(_, link)| matches!(link.on, On::Failure | On::Always))
            && !self.followers(at).any(|(to, _)| copes(self.node(to).join))
            && !self.counting_joins().any(|(join, _)| self.serves(at, join))
    }

    /// Whether a counting join has started that cancels this node.
    pub(super) fn is_spare(&self, at: usize) -> bool {
        let name = &self.node(at).name;
        let done = |other: &usize| self.places[*other].end == Some(Kind::Succeeded);
        let mut over = (0..self.places.len()).filter(done).filter(|other| *other != at);
        if over.any(|other| self.node(other).action == Action::Stop || self.node(other).cancels.contains(name)) {
            return true;
        }
        self.counting_joins().any(|(join, rest)| {
            let place = &self.places[join];
            let started = place.begun() || matches!(place.end, Some(Kind::Succeeded | Kind::Failed));
            rest == Remaining::Cancel && started && self.serves(at, join)
        })
    }

    /// Whether a task of the node may have no settings: the model knows no other than those that are drawn, which have values.
    fn may_lack_settings(&self, at: usize) -> bool {
        let node = self.node(at);
        matches!(body(&node.action), Some(Body::Task(work)) if work.overrides.as_ref().is_some_and(|it| *it != draw::overrides()))
    }

    /// Whether what a node does is no longer wanted.
    pub(super) fn withdraws(&self, at: usize) -> bool {
        if self.may_lack_settings(at) {
            return true;
        }
        let place = &self.places[at];
        let lost = match self.node(at).action {
            Action::Map(Map { completion: Some(ref enough), .. }) if place.enough => enough.cancel_rest,
            Action::Map(_) => self.too_many(at),
            _ => repeats(self.node(at)) && place.failed() > 0,
        };
        let late = place.exhausted == Some(LimitReached::Budget { measure: Measure::Time });
        self.stand == Stand::Halting
            || self.goes_back(at)
            || self.is_spare(at)
            || late
            // What was refused is over for the rest of it, too.
            || place.opened.is_some() && place.refused > 0
            || lost
            || self.places[at].interrupted.is_some()
            || self.places[at].remedy.is_some()
    }

    /// Whether a node waits for this signal now.
    pub(super) fn listens(&self, wanted: &Name) -> bool {
        self.stand == Stand::Running
            && self.definition.nodes.iter().zip(&self.places).enumerate().any(|(at, (node, place))| {
                if self.goes_back(at) {
                    return false;
                }
                let open = place.opened.is_some() && place.end.is_none();
                let handled = node.handlers.iter().any(|handler| {
                    let busy = place.begun() && place.end.is_none() && !place.beside.contains(&handler.name);
                    busy && matches!(&handler.on, Boundary::Signal { signal, .. } if signal == wanted)
                });
                handled
                    || open
                        && match &node.action {
                            Action::Wait { signal, .. } => signal.as_ref() == Some(wanted),
                            Action::Race { options: offers } => {
                                offers.iter().any(|offer| subject(offer) == Some(wanted))
                            }
                            _ => false,
                        }
            })
    }

    /// Whether more items of a map have failed than it tolerates.
    fn too_many(&self, at: usize) -> bool {
        let Action::Map(map) = &self.node(at).action else { return false };
        let (failed, items) = (self.places[at].failed(), self.places[at].items.len());
        let share = map.tolerate_percent.map_or(0, |percent| items * percent as usize / 100);
        failed > share.max(map.tolerate as usize)
    }

    /// Whether a map takes more items.
    pub(super) fn is_open(&self, at: usize) -> bool {
        let place = &self.places[at];
        let open = matches!(&self.node(at).action, Action::Map(map) if map.open);
        open && place.opened.is_some() && place.end.is_none() && !place.closed && !place.enough
    }

    /// What a map has done is enough.
    pub(super) fn suffices(&mut self, at: usize) -> Ruling {
        self.reading.set(Some(at));
        let Action::Map(Map { completion: Some(enough), .. }) = &self.node(at).action else {
            return Err("it must wait for all".to_owned());
        };
        let place = &self.places[at];
        let done = place.pieces.iter().filter(|piece| piece.end == Some(true)).count();
        let item = json!({"done": done, "failed": place.failed(), "items": place.items.len(), "last": place.last});
        ensure!(done > 0 && self.holds(&enough.when, &item), "it is not enough");
        ensure!(!place.enough && self.stand == Stand::Running, "it is enough twice");
        self.places[at].enough = true;
        Ok(())
    }

    /// Whether a map may end although something of it is under way.
    fn awaits_none(&self, at: usize) -> bool {
        let Action::Map(Map { completion: Some(enough), .. }) = &self.node(at).action else { return false };
        let place = &self.places[at];
        let all = place.pieces.len() == place.items.len() && !self.is_open(at);
        place.enough && !enough.cancel_rest || enough.on_start && all
    }

    /// What a piece of work consists of.
    pub(super) fn body_of(&self, owner: Owner) -> Option<&Body> {
        let place = &self.places[owner.node.index()];
        match &self.node(owner.node.index()).action {
            Action::States(states) => {
                let state = match place.pieces.get(owner.item as usize) {
                    Some(piece) => piece.state,
                    None => place.walk.as_ref()?.state,
                };
                states.states[state].body.as_ref()
            }
            action => body(action),
        }
    }

    /// Whether a task undoes a piece of a node, even if a child run performed it.
    pub(super) fn own_undo(&self, at: usize, piece: &Piece) -> bool {
        match &self.node(at).action {
            Action::States(states) => states.states[piece.state].undo.is_some(),
            _ => self.node(at).undo.is_some(),
        }
    }

    /// Whether a piece of a node has something that undoes it.
    fn has_undo(&self, at: usize, piece: &Piece) -> bool {
        let node = self.node(at);
        let (undo, body) = match &node.action {
            Action::States(states) => (&states.states[piece.state].undo, states.states[piece.state].body.as_ref()),
            action => (&node.undo, body(action)),
        };
        undo.is_some() || matches!(body, Some(Body::Flow(_) | Body::Call(_)))
    }

    /// The workflows that a node may call.
    pub(super) fn calls(&self, at: usize) -> Vec<&Call> {
        let states = match &self.node(at).action {
            Action::States(states) => &states.states[..],
            _ => &[],
        };
        let bodies = states.iter().filter_map(|state| state.body.as_ref()).chain(body(&self.node(at).action));
        let calls = bodies.filter_map(|body| match body {
            Body::Call(call) => Some(call),
            _ => None,
        });
        calls.collect()
    }

    /// What the state gave that the token is in, and whether it failed; none while that is open.
    fn state_gave(&self, at: usize) -> Option<(Option<Value>, bool)> {
        let Action::States(states) = &self.node(at).action else { return None };
        let place = &self.places[at];
        let walk = place.walk.as_ref()?;
        let state = &states.states[walk.state];
        let result = if state.body.is_none() {
            walk.value.clone()
        } else {
            let piece = place.pieces.last().filter(|_| walk.begun)?;
            if !piece.end? {
                return Some((None, true));
            }
            Some(given(piece))
        };
        Some((self.combined(state.output.as_ref(), walk, result), false))
    }

    /// What an expression makes of what the token carried and of a result; the result if there is no expression, and none
    /// if the model does not know them.
    fn combined(&self, output: Option<&Expr>, walk: &Walk, result: Option<Value>) -> Option<Value> {
        let Some(output) = output else { return result };
        let (input, result) = (walk.value.clone()?, result?);
        Some(self.eval(output, &json!({ "input": input, "result": result })))
    }

    /// What the token carries on, and whether the event contains it.
    fn carried(&self, at: usize) -> Option<(Option<Value>, bool)> {
        let Action::States(states) = &self.node(at).action else { return None };
        let (value, failed) = self.state_gave(at)?;
        let walk = self.places[at].walk.as_ref()?;
        let state = &states.states[walk.state];
        let way = self.transition(at)?;
        let is_computed = way.output.is_some() || state.output.is_some() && !failed;
        // What a failure looks like as data the model does not know, and the expressions of the tests do not read it.
        let result = if failed { way.output.as_ref().map(|_| Value::Null) } else { value };
        Some((self.combined(way.output.as_ref(), walk, result), is_computed))
    }

    /// The way that the token must go; none if it stays.
    fn way(&self, at: usize) -> Option<usize> {
        let Action::States(states) = &self.node(at).action else { return None };
        let way = self.transition(at)?;
        states.states.iter().position(|state| state.name == way.to)
    }

    fn transition(&self, at: usize) -> Option<&Transition> {
        let Action::States(states) = &self.node(at).action else { return None };
        let (value, failed) = self.state_gave(at)?;
        let value = value.unwrap_or_default();
        let walk = self.places[at].walk.as_ref()?;
        let ways = states.states[walk.state].next.iter();
        ways.filter(|way| way.on_failure.is_some() == failed).find(|way| self.holds(&way.when, &value))
    }

    pub(super) fn enters(&mut self, at: usize, to: usize, item: Option<Value>) -> Ruling {
        self.reading.set(Some(at));
        let node = self.definition.nodes[at].clone();
        let Action::States(states) = &node.action else { return Err("it has no states".to_owned()) };
        ensure!(self.stand == Stand::Running && self.places[at].end.is_none(), "a state is entered too late");
        ensure!(!self.goes_back(at), "a state is entered where the run goes back");
        ensure!(self.places[at].opened.is_some(), "a state is entered too soon");
        ensure!(self.rule_in_state(at).is_none(), "a state is left that has retries left");
        self.places[at].retried.clear();
        let entered = self.places[at].walk.as_ref().map_or(0, |walk| walk.entered);
        ensure!(entered < states.max_steps, "a state too many");
        let value = if entered == 0 {
            ensure!(states.states[to].name == states.start, "it begins in another state");
            let input = self.eval(&node.input, &Value::Null);
            ensure!(item.unwrap_or_default() == input, "it should carry {input}");
            Some(input)
        } else {
            ensure!(self.way(at) == Some(to), "it should go to {:?}", self.way(at));
            let (value, is_computed) = self.carried(at).ok_or("the state is not over")?;
            ensure!(item.is_some() == is_computed, "what the token carries is written down wrongly");
            if let (Some(value), Some(item)) = (&value, &item) {
                ensure!(value == item, "it should carry {value}, not {item}");
            }
            value.or(item)
        };
        self.places[at].walk = Some(Walk { state: to, entered: entered + 1, value, begun: false });
        Ok(())
    }

    /// Something happens to a node that a handler waits for.
    pub(super) fn fires(&mut self, at: usize, handler: usize, taking: usize, now: Time) -> Ruling {
        ensure!(!self.goes_back(at), "a handler fires where the run goes back");
        let handler = self.node(at).handlers.get(handler).ok_or("an unknown handler")?.clone();
        let place = &mut self.places[at];
        ensure!(self.stand == Stand::Running, "a handler fires in a run that does not go forward");
        ensure!(place.begun() && place.end.is_none(), "a handler fires of a node that is not under way");
        ensure!(place.interrupted.is_none() && !place.beside.contains(&handler.name), "a handler fires twice");
        match &handler.on {
            Boundary::Timeout(span) => {
                let due = place.since.is_some_and(|since| since + *span <= now);
                ensure!(due, "a handler fires before its time");
            }
            Boundary::Signal { signal, .. } => {
                let kept = self.signals.get_mut(signal).and_then(|kept| kept.remove(taking));
                ensure!(kept.is_some(), "there is no such signal");
            }
            Boundary::When(condition) => {
                self.reading.set(Some(at));
                ensure!(self.holds(condition, &Value::Null), "a handler fires whose condition does not hold");
            }
            _ => return Err("a handler fires that only an end can".to_owned()),
        }
        if handler.interrupts {
            self.places[at].interrupted = Some(handler.name);
        } else {
            self.places[at].beside.push(handler.name.clone());
            let links: Vec<Link> = self.followers(at).map(|(_, link)| link.clone()).collect();
            let output = Value::Null;
            let here = |link: &Link| links.contains(link) && link.on == On::Case(handler.name.clone());
            self.comes(at, here, &output);
            let over: Vec<(usize, usize)> =
                self.links_from(at).filter(|(.., link)| here(link)).map(|(to, place, _)| (to, place)).collect();
            for (to, place) in over {
                self.arrivals.entry(to).or_default().push((place, None));
            }
        }
        Ok(())
    }

    /// The handler by which a node ends.
    fn caught(&self, at: usize, outcome: &NodeOutcome) -> Vec<Name> {
        let handlers = &self.node(at).handlers;
        let found = match outcome {
            _ if self.stand != Stand::Running || self.goes_back(at) => None,
            NodeOutcome::Cancelled { .. } if self.places[at].interrupted.is_some() => {
                return self.places[at].interrupted.iter().cloned().collect();
            }
            NodeOutcome::Cancelled { .. } if self.places[at].begun() => {
                handlers.iter().find(|handler| handler.on == Boundary::Cancel)
            }
            NodeOutcome::Failed { failure, .. } => handlers
                .iter()
                .find(|handler| matches!(&handler.on, Boundary::Error(meant) if is_meant(meant, failure))),
            _ => None,
        };
        found.map(|handler| handler.name.clone()).into_iter().collect()
    }

    /// A node that is under way and must not be so together with this one.
    fn rival(&self, at: usize) -> Option<usize> {
        let shares = |other: &usize| self.node(*other).mutex.iter().any(|name| self.node(at).mutex.contains(name));
        let busy = |other: &usize| self.places[*other].begun() && self.places[*other].end.is_none();
        (0..self.places.len()).filter(|other| *other != at).find(|other| shares(other) && busy(other))
    }

    /// Whether the stretch of the run is over in which a node may start, or can never come.
    fn passed(&self, at: usize) -> bool {
        self.node(at).milestone.as_ref().is_some_and(|milestone| {
            let after = &self.places[self.place_of(&milestone.after).expect("the definition is sound")];
            let until = &self.places[self.place_of(&milestone.until).expect("the definition is sound")];
            let begun =
                until.begun() || until.end.is_some_and(|end| !matches!(end, Kind::Skipped | Kind::UpstreamFailed));
            begun || after.end.is_some_and(|end| end != Kind::Succeeded)
        })
    }

    pub(super) fn may_start(&self, at: usize) -> Ruling {
        self.could_start(at)?;
        if let Some(guard) = &self.node(at).guards.precondition {
            self.reading.set(Some(at));
            let input = self.eval(&self.node(at).input, &Value::Null);
            ensure!(self.holds(&guard.when, &input), "a node starts although its precondition does not hold");
        }
        ensure!(self.places[at].refused == 0, "a node starts that was refused");
        ensure!(self.places[at].exhausted.is_none(), "a node starts whose budget is used up");
        Ok(())
    }

    /// A guard says no.
    pub(super) fn refuses(&mut self, at: usize, why: Refusal, now: Time) -> Ruling {
        self.reading.set(Some(at));
        let node = self.definition.nodes[at].clone();
        if why == Refusal::Precondition {
            self.could_start(at)?;
            let guard = node.guards.precondition.as_ref().ok_or("it has no precondition")?;
            let input = self.eval(&node.input, &Value::Null);
            ensure!(!self.holds(&guard.when, &input), "its precondition holds");
        } else {
            ensure!(self.stand == Stand::Running && self.places[at].end.is_none(), "a node is refused too late");
            let condition = node.guards.postcondition.as_ref().ok_or("it has no postcondition")?;
            let took = match (&node.action, &self.places[at].walk) {
                (Action::States(states), Some(walk)) => vec![states.states[walk.state].name.clone()],
                _ => Vec::new(),
            };
            let value = self.success(at, &took, None, now)?;
            ensure!(!self.holds(condition, &value), "its postcondition holds");
        }
        self.places[at].refused += 1;
        Ok(())
    }

    /// Whether a node must end because a guard has said no, and whether it is skipped then.
    fn turned_away(&self, at: usize) -> Option<bool> {
        let (place, node) = (&self.places[at], self.node(at));
        if place.refused == 0 {
            return None;
        }
        if !place.begun() {
            return Some(node.guards.precondition.as_ref()?.otherwise == OnUnmet::Skip);
        }
        let once = matches!(node.action, Action::Do(_)) && !repeats(node);
        let last = place.refused + place.retried.len() == place.pieces.len();
        (!once || last && place.refused >= attempts(node)).then_some(false)
    }

    fn could_start(&self, at: usize) -> Ruling {
        let (taken, open, links) = self.links(at);
        ensure!(self.stand == Stand::Running, "a node starts in a run that does not go forward");
        ensure!(!self.goes_back(at), "a node starts where the run goes back");
        ensure!(!self.places[at].held, "a node starts that waits for a word");
        ensure!(!self.is_spare(at), "a node starts that is not needed any more");
        ensure!(self.places[at].end.is_none() && !self.places[at].begun(), "a node starts twice");
        let ready = match self.node(at).join {
            Join::Each | Join::Rounds { .. } => !self.rounds(at).is_empty(),
            Join::Any => open == 0 && taken > 0,
            Join::Trigger(rule) => fires(rule, &self.inputs(at)),
            Join::Count { required: of, .. } => taken >= of as usize,
            _ => taken == links,
        };
        ensure!(ready, "a node starts with {taken} of {links} links, {open} open");
        ensure!(self.rival(at).is_none(), "a node starts beside {:?}", self.rival(at));
        if let Some(milestone) = &self.node(at).milestone {
            let reached = self.place_of(&milestone.after).map(|at| self.places[at].end);
            ensure!(reached == Some(Some(Kind::Succeeded)), "a node starts before its milestone");
            ensure!(!self.passed(at), "a node starts after its milestone");
        }
        Ok(())
    }

    pub(super) fn opens(&mut self, at: usize, what: &Opening, now: Time) -> Ruling {
        self.reading.set(Some(at));
        if self.places[at].again.is_some() && is_whole(self.node(at)) {
            return self.opens_again(at, what, now);
        }
        self.may_start(at)?;
        if let (Action::Map(Map { over, .. }), Opening::Map { items, .. }) = (&self.node(at).action, what) {
            let list = self.eval(over, &Value::Null);
            let list = list.as_array().ok_or("a map opens over what is no list")?;
            ensure!(list.len() == *items as usize, "a map opens with a wrong count");
            self.places[at].items = list.iter().chain(&self.places[at].added).cloned().collect();
        }
        if let Opening::Compensation { nodes } = what {
            self.throws(at, nodes.iter().map(|node| node.index.index()).collect())?;
        }
        self.places[at].opened = Some(what.clone());
        self.places[at].since = Some(now);
        Ok(())
    }

    /// What a map or a repeat did is undone, and it begins from the first item or round on.
    fn opens_again(&mut self, at: usize, what: &Opening, now: Time) -> Ruling {
        ensure!(
            self.stand == Stand::Running && !self.goes_back(at),
            "it is attempted again where nothing goes forward"
        );
        ensure!(!self.is_spare(at) && !self.places[at].held, "it is attempted again and is not needed");
        let place = &self.places[at];
        ensure!(place.end.is_none() && place.again <= Some(now), "it is attempted again too soon or too late");
        let rests = |piece: &Piece| piece.end.is_some() && matches!(piece.undo, Undo::Idle | Undo::Done);
        ensure!(place.pieces.iter().all(rests), "it is attempted again while something is under way or not undone");
        ensure!(!self.is_undone_by(at), "it is attempted again before all is undone");
        ensure!(place.opened.as_ref() == Some(what), "it is attempted again with another list");
        let place = &mut self.places[at];
        (place.again, place.enough, place.last) = (None, false, Value::Null);
        place.pieces.clear();
        Ok(())
    }

    /// The input of the next piece of work of a node. The first state of a state machine is given what begins.
    fn next_input(&self, at: usize, piece: usize, begun: &Value, now: Time) -> Result<Value, String> {
        self.reading.set(Some(at));
        let place = &self.places[at];
        ensure!(place.pieces.len() == piece, "a piece begins out of turn");
        let item = match &self.node(at).action {
            Action::Do(_) if repeats(self.node(at)) => {
                ensure!(place.opened.is_some() && place.end.is_none(), "a round of a node that is not open");
                ensure!(place.failed() == 0, "a round begins after one has failed");
                self.rounds(at).get(piece).cloned().ok_or("a round too many")?
            }
            Action::Do(_) if place.again.is_some() => {
                ensure!(place.again <= Some(now), "a child run starts before its time");
                ensure!(place.end.is_none(), "a child run starts of a node that has ended");
                place.pieces.last().ok_or("it starts again before it has started")?.input.clone()
            }
            Action::Do(_) if !place.pieces.is_empty() => {
                ensure!(
                    place.refused + place.retried.len() == place.pieces.len(),
                    "work is done again that nobody has refused"
                );
                ensure!(place.refused < attempts(self.node(at)), "an attempt too many");
                ensure!(place.end.is_none(), "work is done again of a node that has ended");
                json!({ "output": given(&place.pieces[place.pieces.len() - 1]) })
            }
            Action::Do(_) => {
                self.may_start(at)?;
                Value::Null
            }
            Action::States(_) => {
                let walk = place.walk.as_ref().ok_or("work begins in no state")?;
                ensure!(!walk.begun, "the work of a state begins twice");
                ensure!(
                    place.again <= Some(now) || place.again.is_none(),
                    "a state is attempted again before its time"
                );
                walk.value.clone().unwrap_or_else(|| begun.clone())
            }
            Action::Map(_) | Action::Repeat(_) if place.again.is_some() => {
                return Err("an item or a round begins of a node that is to be attempted again".to_owned());
            }
            Action::Map(map) => {
                let at_once = map.max_concurrent;
                ensure!(!place.enough, "an item begins when there is enough");
                ensure!(place.opened.is_some() && place.end.is_none(), "an item of a map that is not open");
                ensure!(at_once.is_none_or(|most| place.active() < most as usize), "too many items at once");
                ensure!(!self.too_many(at), "an item begins after too many have failed");
                place.items.get(piece).cloned().ok_or("an item too many")?
            }
            Action::Repeat(Repeat { until, while_: whilst, max_rounds: most, .. }) => {
                ensure!(place.opened.is_some() && place.end.is_none(), "a round of a repeat that is not open");
                ensure!(piece < *most as usize, "a round too many");
                let before = place.pieces.last().map(given).unwrap_or_default();
                let more = whilst.as_ref().is_none_or(|whilst| self.holds(whilst, &before));
                ensure!(more, "a round begins although its condition does not hold");
                match place.pieces.last() {
                    None => Value::Null,
                    Some(last) => {
                        let output = given(last);
                        ensure!(last.end == Some(true), "a round follows one that did not succeed");
                        ensure!(!self.holds(until, &output), "a round follows when it is enough");
                        output
                    }
                }
            }
            _ => return Err("a node works that has no work".to_owned()),
        };
        ensure!(self.stand == Stand::Running && !self.is_spare(at), "work begins that is not wanted");
        ensure!(self.places[at].exhausted.is_none(), "work begins that nothing is left for");
        ensure!(!self.places[at].held, "work begins of a node that waits for a word");
        ensure!(!self.goes_back(at), "work begins where the run goes back");
        let node = self.node(at);
        let several = !matches!(node.action, Action::Do(_) | Action::States(_)) || repeats(node);
        let plain = several && node.input == Expr::default();
        let given = match &node.action {
            Action::States(states) => &states.states[self.places[at].walk.as_ref().map_or(0, |walk| walk.state)].input,
            _ => &node.input,
        };
        let is_same = self.places[at].again.is_some() && matches!(node.action, Action::Do(_));
        Ok(if plain || is_same { item } else { self.eval(given, &item) })
    }

    /// Whether a workflow, called or nested, does not take the input of the next piece of work of a node.
    pub(super) fn refuses_input(&self, at: usize, called: Option<&Definition>, now: Time) -> Result<bool, String> {
        let called = match body(&self.node(at).action) {
            Some(Body::Flow(nested)) => nested,
            _ => called.ok_or("a workflow that is not known refuses an input")?,
        };
        let begins = self.places[at].walk.as_ref().is_some_and(|walk| walk.value.is_none());
        let input = self.next_input(at, self.places[at].pieces.len(), &Value::Null, now)?;
        Ok(begins || !takes(called, &input))
    }

    pub(super) fn begins(&mut self, owner: Owner, input: Value, child: Option<RunId>, now: Time) -> Ruling {
        let at = owner.node.index();
        let expected = self.next_input(at, owner.item as usize, &input, now)?;
        ensure!(input == expected, "it is given {input}, not {expected}");
        let (side_effects, undo) = (SideEffects::None, Undo::Idle);
        self.places[at].since.get_or_insert(now);
        let place = &mut self.places[at];
        place.again = None;
        let state = place.walk.as_mut().map_or(0, |walk| {
            walk.begun = true;
            walk.state
        });
        let (doubt, committed, limit) = (None, false, None);
        let why = None;
        place.pieces.push(Piece { input, end: None, side_effects, undo, child, state, doubt, committed, limit, why });
        Ok(())
    }

    pub(super) fn piece_ends(&mut self, owner: Owner, ok: bool, side_effects: SideEffects, cancelled: bool) -> Ruling {
        let doubted = owner.phase == Phase::Do && self.is_doubted(owner.node.index(), &side_effects);
        let piece = &mut self.places[owner.node.index()].pieces[owner.item as usize];
        if doubted && piece.end.is_none() {
            ensure!(piece.doubt.is_none(), "a piece is in doubt twice");
            piece.doubt = Some(Doubt { asked: false, cancelled });
            return Ok(());
        }
        let (ok, side_effects) = match owner.phase {
            Phase::Query => {
                let doubt = piece.doubt.take().filter(|doubt| doubt.asked).ok_or("an answer that nobody asked for")?;
                resolved(&side_effects, doubt.cancelled)
            }
            _ => (ok, side_effects),
        };
        ensure!(piece.doubt.is_none(), "a piece in doubt ends");
        let piece = &mut self.places[owner.node.index()].pieces[owner.item as usize];
        if owner.phase == Phase::Undo {
            ensure!(piece.undo == Undo::Active, "a compensation ends that is not under way");
            piece.undo = if ok { Undo::Done } else { Undo::Failed };
        } else {
            ensure!(piece.end.is_none(), "a piece ends twice");
            let output =
                if let SideEffects::Done(output) = &side_effects { output.value().clone() } else { Value::Null };
            (piece.end, piece.side_effects) = (Some(ok), side_effects);
            if ok {
                self.places[owner.node.index()].last = output.clone();
                self.comes(owner.node.index(), |link| link.on == On::Each, &output);
            }
        }
        Ok(())
    }

    pub(super) fn ends(
        &mut self,
        at: usize,
        outcome: &NodeOutcome,
        took: &[Name],
        output: Option<Value>,
        now: Time,
    ) -> Ruling {
        ensure!(self.places[at].end.is_none(), "a node ends twice");
        let is_undoing = self.places[at].pieces.iter().any(|piece| piece.undo == Undo::Active);
        ensure!(!is_undoing, "a node ends while something of it is being undone");
        self.reading.set(Some(at));
        let halting = self.stand == Stand::Halting || self.goes_back(at);
        ensure!(halting || self.stand == Stand::Running, "a node ends when nothing goes forward");
        ensure!(halting || self.undoes_for(at) != Some(false), "a node ends while others are undone for it");
        let free = *outcome == NodeOutcome::Succeeded && self.awaits_none(at);
        ensure!(free || self.places[at].active() == 0, "a node ends while something of it is under way");
        let doubtful = self.places[at].doubtful();
        let free =
            halting || self.is_spare(at) || self.places[at].interrupted.is_some() || self.places[at].remedy.is_some();
        ensure!(!self.places[at].held || free, "a node ends that waits for a word");
        if let Some(remedy) = self.places[at].remedy.clone().filter(|_| !halting) {
            let (kind, output) = match (&remedy, outcome) {
                (NodeRemedy::Complete { output: told, .. }, NodeOutcome::Succeeded) => {
                    let given = if told.is_null() { self.collected(at) } else { told.value().clone() };
                    ensure!(output.is_none_or(|output| output == given), "it should give {given}");
                    (Kind::Succeeded, given)
                }
                (NodeRemedy::Fail { .. }, NodeOutcome::Failed { .. }) => (Kind::Failed, Value::Null),
                (NodeRemedy::Skip { .. }, NodeOutcome::Skipped) if !self.places[at].begun() => {
                    (Kind::Skipped, Value::Null)
                }
                (NodeRemedy::Skip { .. }, NodeOutcome::Cancelled { .. }) if self.places[at].begun() => {
                    (Kind::Cancelled, Value::Null)
                }
                _ => return Err(format!("an operator wants {remedy:?}")),
            };
            return self.ended(at, kind, output, took);
        }
        let caught = self.caught(at, outcome);
        ensure!(*outcome == NodeOutcome::Succeeded || *took == caught, "the handler should be {caught:?}");
        let (kind, given) = match outcome {
            NodeOutcome::Succeeded => {
                let given = self.success(at, took, output, now)?;
                let right =
                    self.node(at).guards.postcondition.as_ref().is_none_or(|condition| self.holds(condition, &given));
                ensure!(halting || self.is_spare(at) || right, "a node succeeds against its postcondition");
                (Kind::Succeeded, given)
            }
            NodeOutcome::Failed { outcome_unknown: maybe, limit, .. } => {
                ensure!(!halting && !self.is_spare(at), "a node fails that was withdrawn");
                let holds = self.definition.on_failure == OnFailure::Hold && took.is_empty() && self.would_break(at);
                ensure!(!holds, "a node fails that should wait for a word");
                ensure!(*maybe == doubtful, "whether it may have happened is told wrongly");
                ensure!(self.may_fail(at), "a node fails without a reason");
                ensure!(self.rule_left(at, outcome).is_none(), "a node fails that has retries left");
                ensure!(self.rule_in_state(at).is_none(), "a state fails that has retries left");
                let place = &self.places[at];
                let within = place.pieces.last().and_then(|piece| piece.limit.clone());
                let partial = match (limit, &self.node(at).action) {
                    (Some(limit), _) if place.exhausted == Some(*limit) => match &place.walk {
                        Some(walk) => walk.value.clone().or(output.clone()).unwrap_or_default(),
                        None => self.collected(at),
                    },
                    (Some(limit), Action::Do(_)) => {
                        let (reached, partial) = within.ok_or("it reaches a bound that nothing sets")?;
                        ensure!(reached == *limit, "it should reach {reached}");
                        partial
                    }
                    (None, Action::Do(_)) if !repeats(self.node(at)) => {
                        ensure!(within.is_none() || self.places[at].refused > 0, "it hides the bound that was reached");
                        Value::Null
                    }
                    (None, _) => Value::Null,
                    (Some(_), Action::States(_)) => match self.state_gave(at) {
                        Some((Some(value), _)) => value,
                        // What a failure looks like as data the model does not know.
                        _ => output.clone().unwrap_or_default(),
                    },
                    (Some(_), _) => self.places[at].pieces.last().map(given).unwrap_or_default(),
                };
                ensure!(output.unwrap_or_default() == partial, "it should leave {partial}");
                (Kind::Failed, partial)
            }
            NodeOutcome::Cancelled { outcome_unknown: maybe } => {
                let ended = self.places[at].interrupted.is_some();
                let wanted = !(halting && self.places[at].begun() || self.is_spare(at) || ended);
                ensure!(!wanted, "a node is cancelled that is needed");
                ensure!(*maybe == doubtful, "whether it may have happened is told wrongly");
                (Kind::Cancelled, Value::Null)
            }
            _ => {
                let (taken, open, links) = self.links(at);
                let dead = match self.node(at).join {
                    Join::Any => taken == 0,
                    Join::Each | Join::Rounds { .. } => self.rounds(at).is_empty(),
                    Join::Trigger(rule) => !fires(rule, &self.inputs(at)),
                    Join::Count { required: of, .. } => taken < of as usize && !self.cut(at),
                    _ => taken < links,
                };
                ensure!(!halting && !self.places[at].begun(), "a node is skipped that has begun");
                let dead = open == 0 && dead;
                ensure!(
                    self.turned_away(at) == Some(true) || self.passed(at) || dead,
                    "a node is skipped with {taken} of {links} links, {open} open"
                );
                let wanted = !matches!(self.node(at).join, Join::Trigger(rule) if !wants(rule));
                let failed = dead && wanted && self.cut(at);
                ensure!(failed == (*outcome == NodeOutcome::UpstreamFailed), "why a node does not run is told wrongly");
                (if failed { Kind::UpstreamFailed } else { Kind::Skipped }, Value::Null)
            }
        };
        self.ended(at, kind, given, took)
    }

    /// The rule of a node's retries by which its failed child run is followed by another one; none if it is not.
    fn rule_left(&self, at: usize, outcome: &NodeOutcome) -> Option<Option<usize>> {
        let (place, node) = (&self.places[at], self.node(at));
        node.retry.as_ref()?;
        let NodeOutcome::Failed { failure, limit: None, .. } = outcome else { return None };
        let last = place.pieces.last()?;
        if is_whole(node) {
            let stays = |piece: &Piece| {
                piece.side_effects == SideEffects::Possible && (piece.child.is_some() || !self.has_undo(at, piece))
            };
            let is_final =
                self.stands(at) || place.pieces.iter().any(|piece| piece.undo == Undo::Failed || stays(piece));
            if place.failed() == 0 || is_final {
                return None;
            }
        } else if last.end != Some(false) || place.doubtful() {
            return None;
        }
        self.rule_for(at, failure)
    }

    /// The rule of the retries of a state by which its failed child run is followed by another one; none if it is not.
    fn rule_in_state(&self, at: usize) -> Option<Option<usize>> {
        let (place, node) = (&self.places[at], self.node(at));
        let walk = place.walk.as_ref().filter(|walk| walk.begun && matches!(node.action, Action::States(_)))?;
        let last = place.pieces.last().filter(|last| last.state == walk.state && last.end == Some(false))?;
        let is_clean = last.child.is_some() && last.limit.is_none() && last.side_effects != SideEffects::Possible;
        self.rule_for(at, last.why.as_ref().filter(|_| is_clean)?)
    }

    /// The rule of retries by which another attempt follows this failure; none if the retries are used up.
    fn rule_for(&self, at: usize, failure: &Failure) -> Option<Option<usize>> {
        let place = &self.places[at];
        let retry = retries(self.node(at), place)?;
        let stopped = place.exhausted.is_some() || place.unresolved || place.remedy.is_some();
        if failure.kind == FailureKind::Permanent || stopped || place.interrupted.is_some() {
            return None;
        }
        let rule = retry.rules.iter().position(|rule| is_meant(&rule.on, failure));
        let same = place.retried.iter().filter(|earlier| rule.is_none() || **earlier == rule).count();
        let most = rule.map_or(retry.attempts, |rule| retry.rules[rule].attempts);
        let left = place.retried.len() + 1 < retry.attempts.max(1) as usize && same + 1 < most.max(1) as usize;
        left.then_some(rule)
    }

    /// The child run of a node has failed, and another one starts later.
    pub(super) fn retries_run(
        &mut self,
        at: usize,
        again: Time,
        rule: Option<usize>,
        failure: &Failure,
        now: Time,
    ) -> Ruling {
        ensure!(
            self.stand == Stand::Running && !self.goes_back(at),
            "a child run is retried where nothing goes forward"
        );
        ensure!(!self.is_spare(at), "a child run is retried that is not needed");
        let place = &self.places[at];
        ensure!(place.end.is_none() && place.active() == 0, "a child run is retried while something is under way");
        ensure!(place.again.is_none(), "a node is retried twice");
        let outcome = NodeOutcome::Failed { failure: Box::new(failure.clone()), outcome_unknown: false, limit: None };
        let in_state = matches!(self.node(at).action, Action::States(_));
        let left = if in_state { self.rule_in_state(at) } else { self.rule_left(at, &outcome) };
        ensure!(left == Some(rule), "the rule should be {left:?}");
        ensure!(in_state || !is_whole(self.node(at)) || self.may_fail(at), "it is attempted again and has not failed");
        let retry = retries(self.node(at), place).ok_or("it has no retries")?;
        let cap = rule.map_or(retry.cap, |rule| retry.rules[rule].cap);
        ensure!(
            again >= now && again <= now + cap.max(failure.retry_after.unwrap_or_default()),
            "the delay is too long"
        );
        let place = &mut self.places[at];
        place.retried.push(rule);
        place.again = Some(again);
        if let Some(walk) = &mut place.walk {
            walk.begun = false;
        }
        Ok(())
    }

    /// A node has failed and waits for a word.
    pub(super) fn holds_back(&mut self, at: usize, outcome: &NodeOutcome) -> Ruling {
        self.reading.set(Some(at));
        ensure!(
            self.definition.on_failure == OnFailure::Hold && self.would_break(at),
            "a failure is held that is not to be"
        );
        ensure!(
            self.stand == Stand::Running && !self.goes_back(at) && !self.is_spare(at),
            "it is held and is not needed"
        );
        let place = &self.places[at];
        ensure!(place.end.is_none() && !place.held && place.remedy.is_none(), "it is held twice, or too late");
        ensure!(place.active() == 0, "it is held while something of it is under way");
        let NodeOutcome::Failed { outcome_unknown: maybe, .. } = outcome else {
            return Err("it is held and has not failed".to_owned());
        };
        ensure!(*maybe == place.doubtful(), "whether it may have happened is told wrongly");
        ensure!(self.caught(at, outcome).is_empty(), "a handler takes care of it");
        ensure!(self.may_fail(at), "a node is held without a reason");
        ensure!(self.rule_left(at, outcome).is_none(), "a node is held that has retries left");
        self.places[at].held = true;
        Ok(())
    }

    /// Nodes that wait for a word, or have failed in a pause, are done anew.
    pub(super) fn retries(&mut self, nodes: &[usize]) -> Ruling {
        ensure!(self.stand == Stand::Running && self.back.is_none(), "it is tried again, and does not go forward");
        let late: BTreeSet<usize> = nodes.iter().copied().filter(|at| self.waits_late(*at)).collect();
        for &at in nodes {
            let follows = matches!(self.places[at].end, Some(Kind::Skipped | Kind::UpstreamFailed));
            if late.contains(&at) || !late.is_empty() && follows {
                ensure!(!self.is_undone_by(at), "it is tried again, and would have to be undone first");
                let place = core::mem::take(&mut self.places[at]);
                self.places[at] = Place { added: place.added, closed: place.closed, ..Place::default() };
                continue;
            }
            let place = &self.places[at];
            let failed = place.opened.is_none() && place.pieces.last().is_some_and(|piece| piece.end == Some(false));
            ensure!(
                place.held || place.again.is_some() || self.paused && failed,
                "it is tried again, and has not failed"
            );
            ensure!(
                place.end.is_none() && place.active() == 0 && place.remedy.is_none(),
                "it is tried again, and goes on"
            );
            ensure!(!self.is_undone_by(at), "it is tried again, and would have to be undone first");
            ensure!(
                place.pieces.iter().all(|piece| piece.undo != Undo::Active),
                "it is tried again, and is being undone"
            );
            let place = core::mem::take(&mut self.places[at]);
            self.places[at] = Place { added: place.added, closed: place.closed, ..Place::default() };
        }
        Ok(())
    }

    /// What the pieces of a node gave so far.
    fn collected(&self, at: usize) -> Value {
        let place = &self.places[at];
        let counts = |piece: &Piece| if piece.end == Some(true) { given(piece) } else { Value::Null };
        match &self.node(at).action {
            _ if !place.begun() => Value::Null,
            _ if place.opened.is_none() => place.pieces.last().map(counts).unwrap_or_default(),
            Action::Map(_) => {
                let left = vec![Value::Null; place.items.len() - place.pieces.len()];
                place.pieces.iter().map(counts).chain(left).collect()
            }
            _ if repeats(self.node(at)) => place.pieces.iter().map(counts).collect(),
            Action::States(_) => Value::Null,
            _ => place.pieces.last().map(counts).unwrap_or_default(),
        }
    }

    fn ended(&mut self, at: usize, kind: Kind, given: Value, took: &[Name]) -> Ruling {
        if self.undoes_for(at) == Some(true) {
            self.back = None;
            self.to_undo.clear();
        }
        // What a pivot may have done, and nothing can undo, leaves no way back either.
        let had_effect = self.places[at].pieces.iter().any(|piece| piece.side_effects != SideEffects::None);
        let undoable = match &self.node(at).action {
            Action::States(states) => states.states.iter().any(|state| state.undo.is_some()),
            _ => self.node(at).undo.is_some(),
        };
        let stands = had_effect && !undoable;
        self.pivot_passed |= self.node(at).pivot && (kind == Kind::Succeeded || stands);
        let place = &mut self.places[at];
        // What could not be undone between two attempts is undone once more if the run turns back.
        place.pieces.iter_mut().filter(|piece| piece.undo == Undo::Failed).for_each(|piece| piece.undo = Undo::Idle);
        (place.end, place.output, place.took) = (Some(kind), given.clone(), took.to_vec());
        let taken: Vec<Link> = self
            .followers(at)
            .filter(|(_, link)| self.taken(link) == Some(true) && !self.went_beside(at, link))
            .map(|(_, link)| link.clone())
            .collect();
        self.comes(at, |link| link.on != On::Each && taken.contains(link), &given);
        let open = self.links_from(at).filter(|(.., link)| !self.went_beside(at, link));
        let links: Vec<(usize, usize)> = open.map(|(to, place, _)| (to, place)).collect();
        for (to, place) in links {
            self.arrivals.entry(to).or_default().push((place, None));
        }
        Ok(())
    }

    /// Whether a handler has started the branch beside the node already.
    fn went_beside(&self, at: usize, link: &Link) -> bool {
        matches!(&link.on, On::Case(case) if self.places[at].beside.contains(case))
    }

    /// What a node gives that succeeds, if it may.
    pub(super) fn success(
        &mut self,
        at: usize,
        took: &[Name],
        told: Option<Value>,
        now: Time,
    ) -> Result<Value, String> {
        let node = self.definition.nodes[at].clone();
        let place = &self.places[at];
        let value = match &node.action {
            Action::Pass | Action::Stop | Action::Choose { .. } => {
                self.may_start(at)?;
                let input = self.eval(&node.input, &Value::Null);
                if matches!(node.action, Action::Choose { .. }) {
                    let expected = self.cases(&node, &input);
                    ensure!(!took.is_empty() && took == expected, "the cases should be {expected:?}");
                }
                input
            }
            Action::Compensate { .. } => {
                let (names, abandoned) = self.undone_for(at).ok_or("it has had nothing undone")?;
                ensure!(self.undoes_for(at) == Some(true) && !abandoned, "it succeeds before all is undone");
                names.iter().map(|name| Value::from(name.as_str())).collect()
            }
            Action::Send(_) => {
                ensure!(place.sent, "a node ends that has not sent its signal to all");
                Value::from(place.receivers.len())
            }
            Action::Wait { signal, .. } => {
                ensure!(self.stand == Stand::Running, "a wait ends well in a run that was halted");
                let Some(Opening::Wait { until }) = place.opened else { return Err("it does not wait".into()) };
                match took.first() {
                    Some(took) => {
                        ensure!(signal.as_ref() == Some(took), "it was another signal");
                        let taking = self.taking;
                        let kept = self.signals.get_mut(took).and_then(|kept| kept.remove(taking));
                        kept.ok_or("there is no such signal")?
                    }
                    None => {
                        ensure!(until.is_some_and(|until| until <= now), "its moment has not come");
                        Value::Null
                    }
                }
            }
            Action::States(states) => {
                let (value, failed) = self.state_gave(at).ok_or("the state is not over")?;
                let walk = place.walk.as_ref().ok_or("it is in no state")?;
                let state = &states.states[walk.state];
                ensure!(!failed && state.next.iter().all(|way| way.on_failure.is_some()), "it is in no final state");
                ensure!(took == [state.name.clone()], "it ends in another state");
                value.or_else(|| told.clone()).unwrap_or_default()
            }
            Action::Race { options: offers } => {
                ensure!(self.stand == Stand::Running, "a race ends well in a run that was halted");
                let Some(Opening::Race { until, .. }) = &place.opened else { return Err("it does not wait".into()) };
                let took = took.first().ok_or("nothing has happened")?;
                if let Some((option, value)) = &place.decided {
                    ensure!(took == option, "something else was decided");
                    return Ok(value.clone());
                }
                let at = offers.iter().position(|offer| offer.name == *took).ok_or("an unknown offer")?;
                if let WaitFor::When(condition) = &offers[at].on {
                    ensure!(self.holds(condition, &Value::Null), "it takes a condition that does not hold");
                    return Ok(Value::Null);
                }
                match subject(&offers[at]) {
                    Some(signal) => {
                        let taking = self.taking;
                        let kept = self.signals.get_mut(signal).and_then(|kept| kept.remove(taking));
                        kept.ok_or("there is no such signal")?
                    }
                    None => {
                        ensure!(until[at].is_some_and(|until| until <= now), "its moment has not come");
                        Value::Null
                    }
                }
            }
            Action::Do(_) if repeats(&node) => {
                ensure!(self.links(at).1 == 0, "more may come");
                ensure!(place.pieces.len() == self.rounds(at).len(), "a round is missing");
                ensure!(place.failed() == 0, "a round has failed");
                place.pieces.iter().map(given).collect()
            }
            Action::Do(_) => {
                ensure!(
                    place.pieces.len() == place.refused + place.retried.len() + 1,
                    "it was not done, or done again for nothing"
                );
                let last = &place.pieces[place.pieces.len() - 1];
                ensure!(last.end == Some(true), "its work did not succeed");
                given(last)
            }
            Action::Map(_) => {
                let whole = place.pieces.len() == place.items.len() && !self.is_open(at);
                ensure!(whole || place.enough, "items are missing");
                ensure!(place.enough || !self.too_many(at), "too many items have failed");
                let left = vec![Value::Null; place.items.len() - place.pieces.len()];
                // What was cancelled and done all the same is never routed on.
                let counts = |piece: &Piece| if piece.end == Some(true) { given(piece) } else { Value::Null };
                place.pieces.iter().map(counts).chain(left).collect()
            }
            Action::Repeat(Repeat { until, while_: whilst, max_rounds: most, finishes, .. }) => {
                let last = place.pieces.last();
                let output = last.map(given).unwrap_or_default();
                let broken = last.is_some() && self.holds(until, &output);
                let over = whilst.as_ref().is_some_and(|whilst| !self.holds(whilst, &output));
                ensure!(last.is_none_or(|last| last.end == Some(true)), "a round has failed");
                let last_round = *finishes && place.pieces.len() == *most as usize;
                ensure!(broken || over || last_round, "a repeat ends too soon");
                output
            }
            _ => return Err("an unknown action".to_owned()),
        };
        let told_right = told.is_none_or(|told| told == value);
        ensure!(told_right, "it gives {value}");
        Ok(value)
    }

    pub(super) fn may_fail(&self, at: usize) -> bool {
        if self.may_lack_settings(at) {
            return true;
        }
        let (place, node) = (&self.places[at], self.node(at));
        let (taken, open, _) = self.links(at);
        if self.turned_away(at) == Some(false) || place.exhausted.is_some() || place.unresolved {
            return true;
        }
        if let Join::Count { required: of, .. } = node.join
            && !place.begun()
            && taken < of as usize
        {
            return taken + open < of as usize && self.cut(at);
        }
        match &node.action {
            Action::Do(_) if repeats(node) => place.failed() > 0,
            Action::Do(_) => place.pieces.last().is_some_and(|piece| piece.end == Some(false)),
            Action::Map(Map { over, .. }) => {
                let list = self.may_start(at).is_err() || self.eval(over, &Value::Null).is_array();
                !list || self.too_many(at)
            }
            Action::Repeat(Repeat { until, while_: whilst, max_rounds: most, finishes, .. }) => {
                place.pieces.last().is_some_and(|last| {
                    let more = whilst.as_ref().is_none_or(|whilst| self.holds(whilst, &given(last)));
                    let spent = place.pieces.len() == *most as usize && !self.holds(until, &given(last)) && more;
                    last.end == Some(false) || spent && !finishes
                })
            }
            Action::States(states) => self.state_gave(at).is_some_and(|(_, failed)| {
                let walk = place.walk.as_ref().expect("it is in a state");
                let spent = walk.entered == states.max_steps && self.way(at).is_some();
                let lost = self.way(at).is_none() && (failed || !states.states[walk.state].next.is_empty());
                spent || lost
            }),
            Action::Fail(_) => self.may_start(at).is_ok(),
            Action::Compensate { .. } => self.undone_for(at).is_some_and(|(_, abandoned)| abandoned),
            Action::Send(send) => {
                let content = || self.eval(&node.input, &Value::Null);
                let is_named = |key: &Expr| self.eval(key, &content()).is_string();
                place.opened.is_some() && matches!(&send.to, Receivers::Key { key, .. } if !is_named(key))
            }
            Action::Choose { .. } => {
                self.may_start(at).is_ok() && self.cases(node, &self.eval(&node.input, &Value::Null)).is_empty()
            }
            _ => false,
        }
    }

    /// The value of an expression that a node reads.
    pub(super) fn reads_with(&self, at: usize, expr: &Expr, item: &Value) -> Value {
        self.reading.set(Some(at));
        self.eval(expr, item)
    }

    pub(super) fn cases(&self, node: &Node, input: &Value) -> Vec<Name> {
        let Action::Choose { pick, cases, otherwise } = &node.action else { return Vec::new() };
        let mut took: Vec<Name> =
            cases.iter().filter(|case| self.holds(&case.when, input)).map(|case| case.name.clone()).collect();
        if *pick == Pick::First {
            took.truncate(1);
        }
        if took.is_empty() {
            took.extend(otherwise.clone());
        }
        took
    }

    /// The nodes that must be undone.
    pub(super) fn to_undo(&self) -> Vec<usize> {
        if self.pivot_passed {
            return Vec::new();
        }
        (0..self.places.len()).filter(|at| self.is_undone_by(*at)).collect()
    }

    /// Whether there is something to undo of a node that has not been undone.
    pub(super) fn is_undone_by(&self, at: usize) -> bool {
        let place = &self.places[at];
        let is_open = |piece: &Piece| piece.can_be_undone() && piece.undo != Undo::Done && self.has_undo(at, piece);
        place.undone.is_none() && place.pieces.iter().any(is_open)
    }

    /// Whether a piece may be undone now.
    pub(super) fn may_undo(&self, owner: Owner) -> Ruling {
        let at = owner.node.index();
        let back = self.back.as_ref().is_some_and(|back| back.undoing) && self.goes_back(at);
        let again = self.places[at].again.is_some() && self.places[at].end.is_none() && is_whole(self.node(at));
        let again = again && self.stand == Stand::Running && !self.goes_back(at) && !self.is_spare(at);
        ensure!(self.stand == Stand::Undoing || back || again, "something is undone in a run that does not turn back");
        ensure!(again || !self.is_held_by_failure(at), "something is undone after a compensation has failed");
        ensure!(again || self.to_undo.contains(&at), "a node is undone that need not be");
        let place = &self.places[at];
        ensure!(!again || place.pieces.iter().all(|piece| piece.undo != Undo::Failed), "it is undone after a failure");
        ensure!(place.undone.is_none(), "a node is undone twice");
        let piece = place.pieces.get(owner.item as usize).ok_or("an unknown piece")?;
        ensure!(piece.undo == Undo::Idle && piece.can_be_undone(), "a piece is undone twice or for nothing");
        for &later in self.to_undo.iter().filter(|_| !again) {
            let settled = matches!(&self.places[later].undone, Some(undone) if !matches!(undone, CompensationOutcome::Failed { .. }));
            let over = self.definition.on_compensation_failure == OnCompensationFailure::Continue
                && self.places[later].failed_once;
            ensure!(
                settled || over || !self.leads(at, later, None),
                "node {later} came after it and is not undone yet"
            );
        }
        ensure!(self.has_undo(at, piece), "a piece is undone that has nothing that undoes it");
        if matches!(self.node(at).action, Action::Repeat(_) | Action::States(_)) {
            let mut later = place.pieces.iter().skip(owner.item as usize + 1);
            let undone =
                later.all(|piece| !piece.can_be_undone() || !self.has_undo(at, piece) || piece.undo == Undo::Done);
            ensure!(undone, "a round is undone before the one that followed");
        }
        Ok(())
    }

    pub(super) fn undoes(&mut self, owner: Owner, payload: &Value) -> Ruling {
        self.may_undo(owner)?;
        let at = owner.node.index();
        let is_own = self.own_undo(at, &self.places[at].pieces[owner.item as usize]);
        ensure!(is_own, "a task undoes what has none that undoes it");
        let piece = &mut self.places[at].pieces[owner.item as usize];
        let certain = matches!(piece.side_effects, SideEffects::Done(_));
        let expected = json!({ "input": piece.input, "output": given(piece), "certain": certain });
        ensure!(*payload == expected, "a compensation is given {payload}, not {expected}");
        piece.undo = Undo::Active;
        Ok(())
    }

    pub(super) fn undone(&mut self, at: usize, outcome: &CompensationOutcome) -> Ruling {
        let back = self.back.as_ref().is_some_and(|back| back.undoing);
        let turns = self.stand == Stand::Undoing || back;
        ensure!(turns && self.to_undo.contains(&at), "a node is undone that need not be");
        let left_undo: Vec<usize> = {
            let pieces = &self.places[at].pieces;
            pieces.iter().filter(|piece| self.has_undo(at, piece)).map(|piece| piece.state).collect()
        };
        let place = &mut self.places[at];
        let any = |undo: &Undo| place.pieces.iter().any(|piece| piece.undo == *undo);
        match outcome {
            CompensationOutcome::Compensated | CompensationOutcome::Failed { .. } => {
                let failed = matches!(outcome, CompensationOutcome::Failed { .. });
                ensure!(place.undone.is_none() && !any(&Undo::Active), "it is being undone");
                ensure!(any(&Undo::Failed) == failed, "whether it is undone is told wrongly");
                let left = place
                    .pieces
                    .iter()
                    .any(|piece| piece.undo == Undo::Idle && piece.can_be_undone() && left_undo.contains(&piece.state));
                ensure!(failed || !left, "a piece of it is not undone");
            }
            _ => {
                let failed = matches!(place.undone, Some(CompensationOutcome::Failed { .. }));
                ensure!(failed, "an operator speaks of what has not failed");
            }
        }
        place.failed_once |= matches!(outcome, CompensationOutcome::Failed { .. });
        place.undone = Some(outcome.clone());
        Ok(())
    }

    /// The nodes whose effects stay.
    pub(super) fn residue(&self) -> Vec<Name> {
        let stays = (0..self.places.len()).filter(|at| self.stays(*at));
        let mut names: Vec<Name> = stays.map(|at| self.node(at).name.clone()).collect();
        let before: Vec<Name> = self.left.iter().filter(|name| !names.contains(name)).cloned().collect();
        names.extend(before);
        names
    }

    /// Whether what a node did should have been undone and was not.
    pub(super) fn stays(&self, at: usize) -> bool {
        let (node, place) = (self.node(at), &self.places[at]);
        let effect = |piece: &Piece| {
            let is_done = piece.side_effects != SideEffects::None && piece.undo != Undo::Done;
            is_done && (node.pivot || self.has_undo(at, piece))
        };
        match &place.undone {
            Some(undone) => matches!(undone, CompensationOutcome::Abandoned { .. }),
            None => place.pieces.iter().any(effect),
        }
    }

    /// Whether the run may end so; also whether it leaves nothing behind.
    pub(super) fn may_finish(&self, outcome: &RunOutcome) -> Result<bool, String> {
        if let RunOutcome::Succeeded { output } = outcome {
            ensure!(self.stand == Stand::Running, "a run succeeds that was halted");
            for at in 0..self.places.len() {
                ensure!(self.places[at].active() == 0, "something of node {at} is under way");
                ensure!(self.places[at].end.is_some(), "node {at} has not ended");
                ensure!(!self.is_broken(at), "a run succeeds although node {at} failed");
            }
            let stop = (0..self.places.len())
                .find(|at| self.node(*at).action == Action::Stop && self.places[*at].end == Some(Kind::Succeeded));
            let expected = match stop {
                Some(stop) => self.places[stop].output.clone(),
                None => {
                    self.reading.set(None);
                    self.eval(&self.definition.output, &Value::Null)
                }
            };
            ensure!(*output.value() == expected, "it gives back {expected}");
            return Ok(false);
        }
        ensure!(self.stand == Stand::Undoing, "a run ends without having turned back");
        for at in &self.to_undo {
            let undone = &self.places[*at].undone;
            let settled = undone.as_ref().is_some_and(|undone| !matches!(undone, CompensationOutcome::Failed { .. }));
            ensure!(settled, "node {at} is not undone");
        }
        let (left, any) = (self.residue(), self.places.iter().any(|place| place.undone.is_some()));
        match outcome {
            RunOutcome::Compensated { .. } => ensure!(left.is_empty() && any, "{left:?} is left"),
            RunOutcome::Failed { residue, .. } => {
                ensure!(*residue == left, "{left:?} is left");
                ensure!(!(any && left.is_empty()), "it is compensated");
            }
            _ => return Err("an unknown outcome".to_owned()),
        }
        ensure!(outcome.cause() == self.cause.as_ref(), "it ends for another cause than it halted");
        Ok(left.is_empty())
    }

    pub(super) fn eval(&self, expr: &Expr, item: &Value) -> Value {
        match expr {
            Expr::Input => self.input.clone(),
            Expr::Node(name) => self.place_of(name).map(|at| self.places[at].output.clone()).unwrap_or_default(),
            // Of how a node ended, only the status is drawn.
            Expr::End(name) => match self.place_of(name).and_then(|at| self.places[at].end) {
                None => Value::Null,
                Some(Kind::Succeeded) => json!({"status": "succeeded"}),
                Some(Kind::Failed) => json!({"status": "failed"}),
                Some(Kind::Skipped) => json!({"status": "skipped"}),
                Some(Kind::UpstreamFailed) => json!({"status": "upstream_failed"}),
                Some(Kind::Cancelled) => json!({"status": "cancelled"}),
            },
            Expr::Item => item.clone(),
            Expr::Variable(name) => self.variable(name),
            Expr::Const(value) => value.value().clone(),
            Expr::List(parts) => parts.iter().map(|part| self.eval(part, item)).collect(),
            Expr::At(of, pointer) => self.eval(of, item).pointer(pointer).cloned().unwrap_or_default(),
            Expr::First(parts) => {
                parts.iter().map(|part| self.eval(part, item)).find(|value| !value.is_null()).unwrap_or_default()
            }
            Expr::Object(fields) => {
                fields.iter().map(|(name, part)| (name.to_string(), self.eval(part, item))).collect()
            }
            other => panic!("the tests use no {other:?}"),
        }
    }

    /// What the reader sees of a variable.
    fn variable(&self, name: &Name) -> Value {
        let mut variables = self.definition.variables.iter();
        let place = variables.position(|variable| variable.name == *name).expect("the definition is sound");
        let (reader, variable) = (self.reading.get(), &self.definition.variables[place]);
        if matches!(variable.reducer, Reducer::Custom(_)) {
            return self.reduced[&(reader, place)].clone();
        }
        let count = self.places.len();
        let (mut order, mut value) = (Vec::new(), variable.initial.value().clone());
        while order.len() < count {
            let free = |at: &usize| {
                !order.contains(at) && (0..count).all(|other| order.contains(&other) || !self.precedes(other, *at))
            };
            order.push((0..count).find(free).expect("there is no cycle"));
        }
        for at in order.into_iter().filter(|at| reader.is_none_or(|reader| self.precedes(*at, reader))) {
            if self.places[at].end != Some(Kind::Succeeded) {
                continue;
            }
            for write in self.node(at).writes.iter().filter(|write| write.to == *name) {
                if let Some(written) = self.places[at].output.pointer(&write.at).filter(|value| !value.is_null()) {
                    value = written_to(variable, value, written.clone());
                }
            }
        }
        let updates = self.updates.iter().filter(|(updated, _)| updated == name);
        updates.fold(value, |value, (_, written)| written_to(variable, value, written.clone()))
    }

    /// A variable is written to from outside.
    pub(super) fn is_updated(&mut self, name: &Name, value: &Value) -> Ruling {
        ensure!(self.stand == Stand::Running, "a run takes an update that does not go forward");
        let place = self.definition.variables.iter().position(|variable| variable.name == *name);
        let place = place.ok_or("an unknown variable is updated")?;
        let variable = &self.definition.variables[place];
        let reader = self.reading.replace(None);
        let taken = variable.updates.as_ref().is_some_and(|condition| self.holds(condition, value));
        self.reading.set(reader);
        ensure!(taken, "a variable takes an update that it does not take");
        let numbers = matches!(variable.reducer, Reducer::Sum | Reducer::Max | Reducer::Min);
        ensure!(!numbers || value.is_number(), "a number takes an update that is none");
        self.updates.push((name.clone(), value.clone()));
        let begun = |reader: &Option<usize>| reader.is_some_and(|at| self.places[at].begun());
        let reduced = core::mem::take(&mut self.reduced).into_iter();
        self.reduced = reduced.filter(|((reader, variable), _)| *variable != place || begun(reader)).collect();
        Ok(())
    }

    /// Whether one node comes before another, by links or milestones.
    fn precedes(&self, a: usize, b: usize) -> bool {
        let node = self.node(b);
        let sources = node.after.iter().map(|link| &link.node).chain(node.milestone.as_ref().map(|one| &one.after));
        sources.filter_map(|name| self.place_of(name)).any(|source| source == a || self.precedes(a, source))
    }

    /// Numbers only.
    pub(super) fn holds(&self, condition: &Condition, item: &Value) -> bool {
        match condition {
            Condition::True => true,
            Condition::Not(one) => !self.holds(one, item),
            Condition::Less(a, b) => match (self.eval(a, item).as_i64(), self.eval(b, item).as_i64()) {
                (Some(a), Some(b)) => a < b,
                _ => false,
            },
            Condition::AtMost(a, b) => match (self.eval(a, item).as_i64(), self.eval(b, item).as_i64()) {
                (Some(a), Some(b)) => a <= b,
                _ => self.eval(a, item) == self.eval(b, item),
            },
            Condition::All(parts) => parts.iter().all(|part| self.holds(part, item)),
            Condition::Any(parts) => parts.iter().any(|part| self.holds(part, item)),
            Condition::Equal(a, b) => self.eval(a, item) == self.eval(b, item),
            Condition::Is(value) => self.eval(value, item) == json!(true),
            Condition::Exists(a) => !self.eval(a, item).is_null(),
            Condition::Predicate(name, of) => says(name, &self.eval(of, item)),
            other => panic!("the tests use no {other:?}"),
        }
    }
}

/// The predicates that tests register.
fn says(predicate: &str, of: &Value) -> bool {
    match predicate {
        "even" => of.as_i64().is_some_and(|number| number % 2 == 0),
        other => panic!("the tests use no {other}"),
    }
}

/// What a variable is after a write: numbers, lists, objects of one level.
/// Whether a run of a workflow may begin with an input.
pub(super) fn takes(definition: &Definition, input: &Value) -> bool {
    let Some(declared) = &definition.inputs else { return true };
    let Some(given) = (if input.is_null() { json!({}) } else { input.clone() }).as_object().cloned() else {
        return false;
    };
    let is_known = given.keys().all(|field| declared.contains_key(field.as_str()));
    is_known
        && declared.iter().all(|(field, input)| match given.get(field.as_str()) {
            None => input.presence != Presence::Required,
            Some(value) => match input.kind {
                InputType::Any => true,
                InputType::Integer => value.is_u64() || value.is_i64(),
                InputType::Array => value.is_array(),
                kind => kind.takes(value),
            },
        })
}

fn written_to(variable: &Variable, there: Value, written: Value) -> Value {
    let numbers = (there.as_i64(), written.as_i64());
    match (&variable.reducer, numbers) {
        (Reducer::Replace, _) => written,
        (Reducer::Append, _) => {
            let list = |value: Value| match value {
                Value::Null => Vec::new(),
                Value::Array(list) => list,
                one => vec![one],
            };
            json!([list(there), list(written)].concat())
        }
        (Reducer::Merge, _) => {
            let mut fields = there.as_object().cloned().unwrap_or_default();
            fields.extend(written.as_object().cloned().unwrap_or_default());
            Value::Object(fields)
        }
        // An operator may have put anything in the place of a number.
        (_, (_, None)) => there,
        (_, (None, Some(_))) => written,
        (Reducer::Sum, (Some(a), Some(b))) => json!(a + b),
        (Reducer::Max, (Some(a), Some(b))) => json!(a.max(b)),
        (Reducer::Min, (Some(a), Some(b))) => json!(a.min(b)),
        (other, _) => panic!("the tests use no {other:?}"),
    }
}

/// How many times work may be done that is refused.
fn attempts(node: &Node) -> usize {
    match body(&node.action) {
        Some(Body::Task(work)) => work.policy.retry().attempts as usize,
        _ => 1,
    }
}

fn given(piece: &Piece) -> Value {
    match &piece.side_effects {
        SideEffects::Done(output) => output.value().clone(),
        _ => Value::Null,
    }
}

/// Whether a node starts by a trigger rule, in the words of the field: an independent reading of the truth tables.
pub(crate) fn fires(rule: Trigger, inputs: &str) -> bool {
    let has = |letter| inputs.contains(letter);
    let only = |letters: &str| inputs.chars().all(|input| letters.contains(input));
    match rule {
        Trigger::AllSucceeded => only("S"),
        Trigger::AllDone => !has('.'),
        Trigger::AllDoneOneSucceeded => !has('.') && has('S'),
        Trigger::AllFailed => only("FU"),
        Trigger::AnySucceeded => has('S'),
        Trigger::AnyFailed => has('F') || has('U'),
        Trigger::AnyDone => has('S') || has('F'),
        Trigger::NoneFailed => only("SK"),
        Trigger::NoneFailedOneSucceeded => only("SK") && has('S'),
        Trigger::NoneSkipped => only("SFU"),
        Trigger::AllSkipped => only("K"),
        Trigger::Always => true,
        other => panic!("an unknown rule {other}"),
    }
}

/// Whether a rule is one for success, so that a failure is the reason why it does not hold.
fn wants(rule: Trigger) -> bool {
    matches!(
        rule,
        Trigger::AllSucceeded
            | Trigger::AllDoneOneSucceeded
            | Trigger::AnySucceeded
            | Trigger::NoneFailed
            | Trigger::NoneFailedOneSucceeded
    )
}

/// Whether a node with such a join could start although something before it failed.
fn copes(join: Join) -> bool {
    matches!(join, Join::Trigger(rule) if ["F", "FS", "FK"].iter().any(|inputs| fires(rule, inputs)))
}

/// Whether a node may start more than once.
pub(super) fn repeats(node: &Node) -> bool {
    matches!(node.join, Join::Each | Join::Rounds { .. })
}

/// The signal of an offer.
fn subject(offer: &RaceOption) -> Option<&Name> {
    match &offer.on {
        WaitFor::Signal { signal, .. } => Some(signal),
        _ => None,
    }
}

/// Whether a failure is among those that are meant, by the texts of their codes.
fn is_meant(meant: &Failures, failure: &Failure) -> bool {
    let code = failure.code.as_ref().map(ToString::to_string);
    let same = |pattern: String| match pattern.split_once('*') {
        Some((start, _)) => code.as_ref().is_some_and(|code| code.starts_with(start)),
        None => code.as_ref() == Some(&pattern),
    };
    let by_code = meant.codes.is_empty() || meant.codes.iter().any(|pattern| same(pattern.to_string()));
    by_code && (meant.kinds.is_empty() || meant.kinds.contains(&failure.kind))
}
