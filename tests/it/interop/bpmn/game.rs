//! A token game: an interpreter of flows of its own, with tokens on flows.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Start,
    End,
    Task,
    Xor,
    And,
    Or,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Guard {
    None,
    Default,
    Below(String, i64),
    AtLeast(String, i64),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Net {
    pub(super) nodes: Vec<(String, Kind)>,
    pub(super) flows: Vec<(usize, usize, Guard)>,
}

/// How a play ends that does not end well.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Tokens remain, and nothing can happen.
    Stuck,
    /// A task or gateway has more than one token over its flows.
    Several,
    /// It goes on and on.
    Endless,
}

/// The variables, and how often each task was performed.
type Played = (BTreeMap<String, i64>, BTreeMap<String, u32>);

impl Net {
    pub(super) fn node(&mut self, prefix: &str, kind: Kind) -> usize {
        self.nodes.push((format!("{prefix}{}", self.nodes.len()), kind));
        self.nodes.len() - 1
    }

    pub(super) fn flow(&mut self, from: usize, to: usize, guard: Guard) {
        self.flows.push((from, to, guard));
    }

    pub(super) fn tasks(&self) -> Vec<String> {
        self.nodes.iter().filter(|(_, kind)| *kind == Kind::Task).map(|(id, _)| id.clone()).collect()
    }

    /// The document.
    pub(super) fn xml(&self) -> String {
        let mut text = String::new();
        for (at, (id, kind)) in self.nodes.iter().enumerate() {
            let default = self.flows.iter().position(|(from, _, guard)| *from == at && *guard == Guard::Default);
            let default = default.map(|flow| format!(" default=\"f{flow}\"")).unwrap_or_default();
            let element = match kind {
                Kind::Start => "startEvent",
                Kind::End => "endEvent",
                Kind::Task => "serviceTask",
                Kind::Xor => "exclusiveGateway",
                Kind::And => "parallelGateway",
                Kind::Or => "inclusiveGateway",
            };
            text.push_str(&format!("<{element} id=\"{id}\"{default}/>\n"));
        }
        for (at, (from, to, guard)) in self.flows.iter().enumerate() {
            let condition = match guard {
                Guard::None | Guard::Default => String::new(),
                Guard::Below(name, than) => {
                    format!("<conditionExpression>${{{name} &lt; {than}}}</conditionExpression>")
                }
                Guard::AtLeast(name, than) => {
                    format!("<conditionExpression>= {name} &gt;= {than}</conditionExpression>")
                }
            };
            let (from, to) = (&self.nodes[*from].0, &self.nodes[*to].0);
            text.push_str(&format!(
                "<sequenceFlow id=\"f{at}\" sourceRef=\"{from}\" targetRef=\"{to}\">{condition}</sequenceFlow>\n"
            ));
        }
        super::xml(&text)
    }
}

/// The answer of a task to its performance of this number.
pub(super) fn answer(seed: u64, id: &str, number: u32) -> Value {
    let number_of_id: u64 = id.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte));
    let mixed = (seed ^ number_of_id ^ (u64::from(number) << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    json!({format!("v_{id}"): (mixed >> 33) % 5, format!("n_{id}"): number})
}

pub(super) struct Game<'n> {
    net: &'n Net,
    seed: u64,
    tokens: Vec<u32>,
    data: BTreeMap<String, i64>,
    performed: BTreeMap<String, u32>,
}

impl<'n> Game<'n> {
    /// Plays to the end. The order of steps follows from `order`, and must not matter.
    pub(super) fn play(net: &'n Net, seed: u64, mut order: u64) -> Result<Played, Trouble> {
        let tokens = vec![0; net.flows.len()];
        let mut game = Self { net, seed, tokens, data: BTreeMap::new(), performed: BTreeMap::new() };
        let start = net.nodes.iter().position(|(_, kind)| *kind == Kind::Start).unwrap();
        game.emit(start)?;
        for _ in 0..5_000 {
            if game.tokens.iter().all(|count| *count == 0) {
                return Ok((game.data, game.performed));
            }
            let ready = |is_lenient: bool| -> Vec<usize> {
                (0..net.nodes.len()).filter(|node| game.is_ready(*node, is_lenient)).collect()
            };
            let ready = Some(ready(false)).filter(|ready| !ready.is_empty()).unwrap_or_else(|| ready(true));
            if ready.is_empty() {
                return Err(Trouble::Stuck);
            }
            order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            game.fire(ready[(order >> 33) as usize % ready.len()])?;
        }
        Err(Trouble::Endless)
    }

    fn leading(&self, node: usize) -> Vec<usize> {
        (0..self.net.flows.len()).filter(|flow| self.net.flows[*flow].1 == node).collect()
    }

    fn out(&self, node: usize) -> Vec<usize> {
        (0..self.net.flows.len()).filter(|flow| self.net.flows[*flow].0 == node).collect()
    }

    /// Whether a node can fire. In a cycle, inclusive gateways could wait for each other: `is_lenient` is the rule of BPMN
    /// 2.0, by which a token that can reach a flow that has one already is not waited for.
    fn is_ready(&self, node: usize, is_lenient: bool) -> bool {
        let into = self.leading(node);
        let marked = into.iter().filter(|flow| self.tokens[**flow] > 0).count();
        match self.net.nodes[node].1 {
            Kind::And => marked > 0 && marked == into.len(),
            Kind::Or => marked > 0 && !self.can_still_come(node, is_lenient),
            _ => marked > 0,
        }
    }

    /// Whether a token elsewhere can reach an empty flow into the node without passing it.
    fn can_still_come(&self, node: usize, is_lenient: bool) -> bool {
        let elsewhere = (0..self.tokens.len()).filter(|flow| self.tokens[*flow] > 0 && self.net.flows[*flow].1 != node);
        elsewhere.map(|flow| self.net.flows[flow].1).any(|from| {
            let reached = self.reached(from, node);
            let (full, empty): (Vec<usize>, Vec<usize>) = reached.iter().partition(|flow| self.tokens[**flow] > 0);
            !empty.is_empty() && (!is_lenient || full.is_empty())
        })
    }

    /// The flows into a node that a token at another one can reach without passing it.
    fn reached(&self, from: usize, node: usize) -> Vec<usize> {
        let (mut work, mut seen, mut found) = (vec![from], BTreeSet::from([from]), Vec::new());
        while let Some(at) = work.pop() {
            for flow in self.out(at) {
                match self.net.flows[flow].1 {
                    to if to == node => found.push(flow),
                    to if seen.insert(to) => work.push(to),
                    _ => {}
                }
            }
        }
        found
    }

    fn fire(&mut self, node: usize) -> Result<(), Trouble> {
        let (id, kind) = &self.net.nodes[node];
        let marked: Vec<usize> = self.leading(node).into_iter().filter(|flow| self.tokens[*flow] > 0).collect();
        if *kind == Kind::End {
            marked.iter().for_each(|flow| self.tokens[*flow] = 0);
            return Ok(());
        }
        let is_join = matches!(kind, Kind::And | Kind::Or);
        if marked.iter().any(|flow| self.tokens[*flow] > 1) || (!is_join && marked.len() > 1) {
            return Err(Trouble::Several);
        }
        marked.iter().for_each(|flow| self.tokens[*flow] = 0);
        if *kind == Kind::Task {
            let number = self.performed.entry(id.clone()).or_default();
            *number += 1;
            for (name, value) in answer(self.seed, id, *number).as_object().unwrap() {
                self.data.insert(name.clone(), value.as_i64().unwrap());
            }
        }
        self.emit(node)
    }

    fn holds(&self, guard: &Guard) -> bool {
        match guard {
            Guard::None => true,
            Guard::Default => false,
            Guard::Below(name, than) => self.data.get(name).is_some_and(|value| value < than),
            Guard::AtLeast(name, than) => self.data.get(name).is_some_and(|value| value >= than),
        }
    }

    fn emit(&mut self, node: usize) -> Result<(), Trouble> {
        let out = self.out(node);
        let is_choice = out.len() > 1;
        let chosen: Vec<usize> = match self.net.nodes[node].1 {
            Kind::Xor if is_choice => {
                out.iter().copied().filter(|flow| self.holds(&self.net.flows[*flow].2)).take(1).collect()
            }
            Kind::Or if is_choice => out.iter().copied().filter(|flow| self.holds(&self.net.flows[*flow].2)).collect(),
            _ => out.clone(),
        };
        let chosen = if chosen.is_empty() && is_choice {
            out.iter().copied().filter(|flow| self.net.flows[*flow].2 == Guard::Default).collect()
        } else {
            chosen
        };
        for flow in chosen {
            self.tokens[flow] += 1;
            if self.tokens[flow] > 1 {
                return Err(Trouble::Several);
            }
        }
        Ok(())
    }
}
