//! Nets as definitions.
//!
//! A node that has at most one token is a task with links. One that may have several is performed for each token where the
//! tokens arrive (`Join::Each`, `Join::Rounds`), or is a map over as many items as the joined tokens count. A cycle is a repeat
//! whose round is a workflow of such maps: the tokens that a round leaves on edges are the input of the next one, and the repeat
//! ends when no token has come back.

use crate::net::{Net, Rule};
use counterpoint::definition::{
    Action, Body, Case, Condition, Definition, Expr, ExprError, Join, Link, Map, Node, Pick, Remaining, Repeat, Work,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most elaborate construct that a net needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Means {
    /// Links and joins; every node is performed at most once.
    Links,
    /// Nodes that start for each token.
    Streams,
    /// Maps over numbers of tokens, only at inclusive joins, which wait for all tokens in any case.
    Inclusive,
    /// Maps over numbers of tokens, at a parallel join or after one: it starts when all tokens before it have moved.
    Counted,
    /// Rounds of counted tokens.
    Rounds,
}

/// Why a net is no definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// A token in the cycle always comes round again.
    NeverEnds,
    /// An inclusive join in the cycle depends on rounds to come: tokens of the cycle can pass by it, or there is another one, and
    /// each can wait for the other.
    InclusiveInCycle,
}

pub(crate) struct Said {
    pub(crate) definition: Definition,
    pub(crate) means: Means,
}

/// How a node is expressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Once,
    /// Starts for each token. Whether all tokens are live, so that each performs the task.
    Each(bool),
    Rounds,
    Counted,
    /// In the rounds of the cycle.
    Looped,
}

const LOOP: &str = "loop";

/// The definition of a net.
pub(crate) fn say(net: &Net) -> Result<Result<Said, Reason>, ExprError> {
    if let Some(reason) = refusal(net, &net.cycle) {
        return Ok(Err(reason));
    }
    let saying = Saying { net, cycle: &net.cycle, forms: forms(net, &net.cycle) };
    let means = saying.means();
    Ok(Ok(Said { definition: saying.definition()?, means }))
}

fn refusal(net: &Net, cycle: &BTreeSet<usize>) -> Option<Reason> {
    let (last, first) = net.edges[net.back?];
    let choose = |node: &usize| net.nodes[*node].split != Rule::And && net.nodes[*node].outs.len() > 1;
    let leaves = |node: &usize| net.nodes[*node].outs.iter().any(|edge| !cycle.contains(&net.edges[*edge].1));
    let can_end = |node: &usize| choose(node) && (leaves(node) || *node == last);
    let is_joined = |node: &usize| net.nodes[*node].join == Rule::And;
    if !cycle.iter().any(|node| can_end(node) || is_joined(node)) {
        return Some(Reason::NeverEnds);
    }
    let inclusive: Vec<usize> = cycle.iter().copied().filter(|node| net.nodes[*node].join == Rule::Or).collect();
    let enters_late = cycle
        .iter()
        .any(|node| *node != first && net.nodes[*node].ins.iter().any(|edge| !cycle.contains(&net.edges[*edge].0)));
    match inclusive.as_slice() {
        [] => None,
        [one] if !enters_late && (*one == first || !avoids(net, cycle, (first, last), *one)) => None,
        _ => Some(Reason::InclusiveInCycle),
    }
}

/// Whether a path within the cycle leads from its first to its last node without a node.
fn avoids(net: &Net, cycle: &BTreeSet<usize>, (first, last): (usize, usize), without: usize) -> bool {
    let mut reached = BTreeSet::from([first]);
    for node in cycle {
        if reached.contains(node) && *node != without {
            let targets = net.nodes[*node].outs.iter().filter(|edge| net.back != Some(**edge));
            reached.extend(targets.map(|edge| net.edges[*edge].1));
        }
    }
    last != without && reached.contains(&last)
}

fn forms(net: &Net, cycle: &BTreeSet<usize>) -> Vec<Form> {
    let most = most_tokens(net, cycle);
    let mut forms: Vec<Form> = Vec::new();
    for (index, node) in net.nodes.iter().enumerate() {
        let sources: Vec<(Form, Rule, usize)> = node
            .ins
            .iter()
            .filter(|edge| net.back != Some(**edge))
            .map(|edge| net.edges[*edge].0)
            .map(|source| (forms[source], net.nodes[source].split, net.nodes[source].outs.len()))
            .collect();
        // Over a link that is taken for each instance, tokens for another edge come, too.
        let is_live = |(form, split, outs): &(Form, Rule, usize)| match form {
            Form::Once => true,
            Form::Each(false) | Form::Looped => false,
            Form::Each(true) | Form::Rounds | Form::Counted => *split == Rule::And || *outs < 2,
        };
        let all_once = sources.iter().all(|(form, ..)| *form == Form::Once);
        let has_loop = sources.iter().any(|(form, ..)| *form == Form::Looped);
        let is_merge = node.join == Rule::Xor || node.ins.len() < 2;
        forms.push(if cycle.contains(&index) {
            Form::Looped
        } else if all_once && most[index].is_some_and(|most| most <= 1) {
            Form::Once
        } else if is_merge && !has_loop {
            Form::Each(sources.iter().all(is_live))
        } else if node.join == Rule::And && sources.iter().all(is_live) {
            Form::Rounds
        } else {
            Form::Counted
        });
    }
    forms
}

/// The most tokens that a node can fire with, over all choices of the nodes that fire once; none after the cycle.
fn most_tokens(net: &Net, cycle: &BTreeSet<usize>) -> Vec<Option<u32>> {
    let mut most = vec![None; net.nodes.len()];
    if cycle.contains(&0) {
        return most;
    }
    let mut search = Search { net, cycle, most: &mut most, edges: vec![Some(0); net.edges.len()], left: 200_000 };
    search.from(0);
    if search.left == 0 {
        most.fill(None);
    }
    most
}

struct Search<'a> {
    net: &'a Net,
    cycle: &'a BTreeSet<usize>,
    most: &'a mut Vec<Option<u32>>,
    /// The tokens of each edge so far; none for as many as one likes.
    edges: Vec<Option<u32>>,
    /// The nodes that may still be visited.
    left: u32,
}

impl Search<'_> {
    fn from(&mut self, index: usize) {
        self.left = self.left.saturating_sub(1);
        let Some(node) = self.net.nodes.get(index).filter(|_| self.left > 0) else { return };
        let given = node.ins.iter().map(|edge| self.edges[*edge]);
        let fires = match node.join {
            _ if index == 0 => Some(1),
            _ if self.cycle.contains(&index) => None,
            Rule::And => given.flatten().min(),
            Rule::Or => given.reduce(|a, b| Some(a?.max(b?))).unwrap_or_default(),
            Rule::Xor => given.reduce(|a, b| Some(a?.saturating_add(b?))).unwrap_or_default(),
        };
        let seen = &mut self.most[index];
        match (fires, &seen) {
            (Some(count), Some(before)) if count <= *before => {}
            (Some(count), _) => *seen = Some(count),
            // The largest number stands for no bound.
            (None, _) => *seen = Some(u32::MAX),
        }
        let outs = node.outs.clone();
        let masks: Vec<u32> = match (node.split, fires) {
            (Rule::And, _) | (_, Some(0) | None) => vec![u32::MAX],
            (_, Some(2..)) => vec![u32::MAX],
            (Rule::Xor, _) => (0..outs.len().max(1)).map(|out| 1 << out).collect(),
            (Rule::Or, _) => (1..1_u32 << outs.len()).collect(),
        };
        for mask in if outs.len() < 2 { vec![u32::MAX] } else { masks } {
            for (number, edge) in outs.iter().enumerate() {
                self.edges[*edge] = if mask & (1 << number) == 0 { Some(0) } else { fires };
            }
            self.from(index + 1);
        }
    }
}

struct Saying<'n> {
    net: &'n Net,
    cycle: &'n BTreeSet<usize>,
    forms: Vec<Form>,
}

fn name(node: usize) -> String {
    format!("n{node}")
}

/// The output of the task of a node is `{to}`, the edges that it gives a token to.
fn task(node: usize) -> Body {
    Body::Task(Work::new(name(node)))
}

impl Saying<'_> {
    fn means(&self) -> Means {
        if !self.cycle.is_empty() {
            return Means::Rounds;
        }
        let counted = |node: &usize| self.forms[*node] == Form::Counted;
        let nodes = 0..self.forms.len();
        if nodes.clone().any(|node| counted(&node) && self.net.nodes[node].join != Rule::Or) {
            Means::Counted
        } else if nodes.clone().any(|node| counted(&node)) {
            Means::Inclusive
        } else if self.forms.iter().any(|form| *form != Form::Once) {
            Means::Streams
        } else {
            Means::Links
        }
    }

    fn definition(&self) -> Result<Definition, ExprError> {
        let mut definition = Definition::new("net");
        for node in (0..self.forms.len()).filter(|node| self.forms[*node] != Form::Looped) {
            definition = definition.with_node(self.node(node)?);
            let of = &self.net.nodes[node];
            if self.forms[node] == Form::Once && of.outs.len() > 1 && of.split != Rule::And {
                definition = definition.with_node(self.choice(node)?);
            }
        }
        if !self.cycle.is_empty() {
            definition = definition.with_node(self.repeat()?);
        }
        Ok(definition)
    }

    fn node(&self, index: usize) -> Result<Node, ExprError> {
        let of = &self.net.nodes[index];
        Ok(match self.forms[index] {
            Form::Once => {
                let join = if of.join == Rule::And || of.ins.len() < 2 { Join::All } else { Join::Any };
                self.linked(Node::new(name(index), Action::Do(task(index))), index).with_join(join)
            }
            Form::Each(true) => {
                self.linked(Node::new(name(index), Action::Do(task(index))), index).with_join(Join::Each)
            }
            Form::Each(false) => {
                let live = format!("any(inputs.to, x => x in {:?})", of.ins).parse::<Condition>()?;
                let cases = vec![Case::new("live", live)];
                let choose = Action::Choose { pick: Pick::First, cases, otherwise: Some("other".into()) };
                let inner = Definition::new(name(index))
                    .with_node(Node::new("token", choose).with_input(Expr::Input))
                    .with_node(Node::new("do", Action::Do(task(index))).with_link(Link::case("token", "live")))
                    .with_output("do.output ?? {to: []}".parse()?);
                self.linked(Node::new(name(index), Action::flow(inner)), index).with_join(Join::Each)
            }
            Form::Rounds => {
                let required = u32::try_from(of.ins.len()).unwrap_or(u32::MAX);
                let join = Join::Rounds { required, remaining: Remaining::Hold };
                self.linked(Node::new(name(index), Action::Do(task(index))), index).with_join(join)
            }
            Form::Counted | Form::Looped => {
                let tokens: Vec<String> = of.ins.iter().map(|edge| self.tokens(*edge)).collect();
                self.counted(index, &tokens, |source| self.forms[source] == Form::Looped)?
            }
        })
    }

    /// A map over as many items as tokens are joined, after all nodes before it.
    fn counted(&self, index: usize, tokens: &[String], in_loop: impl Fn(usize) -> bool) -> Result<Node, ExprError> {
        let mut fires = joined(self.net.nodes[index].join, tokens);
        if self.cycle.contains(&index) && self.net.nodes[index].join == Rule::Or {
            // Its token can come round, and is waited for.
            fires = format!("min([1, {fires}])");
        }
        let over = format!("range(0, {fires})").parse()?;
        let mut node = Node::new(name(index), Action::Map(Map::over(over, task(index))));
        let sources: BTreeSet<String> = self.net.nodes[index]
            .ins
            .iter()
            .filter(|edge| self.net.back != Some(**edge))
            .map(|edge| self.net.edges[*edge].0)
            .map(|source| if in_loop(source) { LOOP.to_owned() } else { name(source) })
            .collect();
        node.after.extend(sources.into_iter().map(Link::always));
        Ok(node)
    }

    /// The number of tokens that an edge has got, after its source.
    fn tokens(&self, edge: usize) -> String {
        let source = self.net.edges[edge].0;
        match self.forms[source] {
            Form::Once => format!("count(n{source}.output.to ?? [], x => x == {edge})"),
            Form::Looped => format!("({LOOP}.output.out.e{edge} ?? 0)"),
            Form::Each(_) | Form::Rounds | Form::Counted => given(edge, source),
        }
    }

    fn linked(&self, mut node: Node, index: usize) -> Node {
        for edge in &self.net.nodes[index].ins {
            let source = self.net.edges[*edge].0;
            let of = &self.net.nodes[source];
            node.after.push(match self.forms[source] {
                Form::Once if of.split == Rule::And || of.outs.len() < 2 => Link::success(name(source)),
                Form::Once => Link::case(format!("c{source}"), format!("e{edge}")),
                Form::Each(_) | Form::Rounds | Form::Counted | Form::Looped => Link::each(name(source)),
            });
        }
        node
    }

    fn choice(&self, index: usize) -> Result<Node, ExprError> {
        let of = &self.net.nodes[index];
        let case = |edge: &usize| Ok(Case::new(format!("e{edge}"), format!("{edge} in item.to").parse()?));
        let pick = if of.split == Rule::Xor { Pick::First } else { Pick::Every };
        let cases = of.outs.iter().map(case).collect::<Result<_, ExprError>>()?;
        let node = Node::new(format!("c{index}"), Action::Choose { pick, cases, otherwise: None });
        Ok(node.with_link(Link::success(name(index))).with_input(Expr::node(name(index))))
    }

    /// The cycle: rounds in which each token moves as far as the back edge.
    fn repeat(&self) -> Result<Node, ExprError> {
        let net = self.net;
        let first = net.back.map_or(0, |back| net.edges[back].1);
        let ins: Vec<usize> = self.cycle.iter().flat_map(|node| net.nodes[*node].ins.clone()).collect();
        let is_outside = |edge: usize| !self.cycle.contains(&net.edges[edge].0);
        let outs: Vec<usize> = self.cycle.iter().flat_map(|node| net.nodes[*node].outs.clone()).collect();
        let outs: Vec<usize> = outs.into_iter().filter(|edge| !self.cycle.contains(&net.edges[*edge].1)).collect();

        let mut round = Definition::new("round");
        let mut rest: BTreeMap<usize, String> = BTreeMap::new();
        for node in self.cycle {
            let tokens: Vec<String> = net.nodes[*node]
                .ins
                .iter()
                .map(|edge| match (is_outside(*edge), net.edges[*edge].0) {
                    (false, source) if net.back != Some(*edge) => {
                        format!("(inputs.e{edge} + {})", given(*edge, source))
                    }
                    _ => format!("inputs.e{edge}"),
                })
                .collect();
            let mut map = self.counted(*node, &tokens, |_| false)?;
            map.after.retain(|link| self.cycle.iter().any(|node| link.node == name(*node).as_str()));
            round = round.with_node(map);
            for (edge, tokens) in net.nodes[*node].ins.iter().zip(&tokens) {
                let left = match net.nodes[*node].join {
                    Rule::And => format!("{tokens} - length(n{node}.output)"),
                    Rule::Or => format!("max([0, {tokens} - length(n{node}.output)])"),
                    Rule::Xor => "0".to_owned(),
                };
                let come_back = match net.back {
                    Some(back) if back == *edge => format!(" + {}", given(back, net.edges[back].0)),
                    _ => String::new(),
                };
                rest.insert(*edge, format!("{left}{come_back}"));
            }
        }
        let more: Vec<String> = net.nodes[first].ins.iter().map(|edge| format!("({})", rest[edge])).collect();
        let mut more = joined(net.nodes[first].join, &more);
        for edge in
            self.cycle.iter().filter(|node| net.nodes[**node].join == Rule::Or).flat_map(|node| &net.nodes[*node].ins)
        {
            more.push_str(&format!(" + {}", rest[edge]));
        }
        let left: Vec<String> = rest.iter().map(|(edge, left)| format!("e{edge}: {left}")).collect();
        let sum = |edge: &usize| format!("e{edge}: inputs.out.e{edge} + {}", given(*edge, net.edges[*edge].0));
        let out: Vec<String> = outs.iter().map(sum).collect();
        round.output = format!("{{{}, out: {{{}}}, more: {more}}}", left.join(", "), out.join(", ")).parse()?;

        let begin: Vec<String> = ins
            .iter()
            .map(|edge| format!("e{edge}: {}", if is_outside(*edge) { self.tokens(*edge) } else { "0".to_owned() }))
            .collect();
        let none: Vec<String> = outs.iter().map(|edge| format!("e{edge}: 0")).collect();
        let input = format!("item ?? {{{}, out: {{{}}}}}", begin.join(", "), none.join(", "));
        let repeat = Repeat::until(Body::Flow(Arc::new(round)), "item.more == 0".parse()?, 500);
        let mut node = Node::new(LOOP, Action::Repeat(repeat)).with_input(input.parse()?);
        let sources: BTreeSet<usize> =
            ins.iter().filter(|edge| is_outside(**edge)).map(|edge| net.edges[*edge].0).collect();
        node.after.extend(sources.into_iter().map(|source| Link::always(name(source))));
        Ok(node)
    }
}

/// The number of tokens that the instances of a node have given to an edge.
fn given(edge: usize, source: usize) -> String {
    format!("count(n{source}.output ?? [], x => contains(x.to, {edge}))")
}

/// How often a node fires with these numbers of tokens.
fn joined(rule: Rule, tokens: &[String]) -> String {
    match rule {
        Rule::And => format!("min([{}])", tokens.join(", ")),
        Rule::Or => format!("max([{}])", tokens.join(", ")),
        Rule::Xor => tokens.join(" + "),
    }
}
