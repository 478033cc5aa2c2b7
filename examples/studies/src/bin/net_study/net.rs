//! Nets of nodes that join and split tokens, from a generator.

use counterpoint::Random;
use std::collections::BTreeSet;

/// How a node joins the tokens of its edges, or splits its own over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A token of each edge; one for each edge.
    And,
    /// As soon as no further token can come, one of each edge that has some; one for each of at least one edge.
    Or,
    /// A token of any edge; one for one of the edges.
    Xor,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) join: Rule,
    pub(crate) split: Rule,
    /// The edges that lead to it. The first node has none, and begins with a token.
    pub(crate) ins: Vec<usize>,
    pub(crate) outs: Vec<usize>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Net {
    pub(crate) nodes: Vec<Node>,
    /// From a node to another.
    pub(crate) edges: Vec<(usize, usize)>,
    /// The one edge that leads back.
    pub(crate) back: Option<usize>,
    /// The nodes of the cycle: those between the ends of the back edge.
    pub(crate) cycle: BTreeSet<usize>,
}

/// Whether a net has an edge that leads back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Acyclic,
    WithBackEdge,
}

impl Net {
    /// The net of a seed. A net with a back edge has one that closes a cycle.
    pub(crate) fn draw(shape: Shape, seed: u64) -> Self {
        let mut random = Random::new(seed, 0);
        loop {
            let mut net = Self::acyclic(&mut random);
            if shape == Shape::Acyclic || net.turn_back(&mut random) {
                return net;
            }
        }
    }

    /// Nodes in an order, each with edges from one to three of the nodes before it.
    fn acyclic(random: &mut Random) -> Self {
        let mut net = Self::default();
        for node in 0..4 + random.below(7) {
            let (join, split) = (rule(random), rule(random));
            net.nodes.push(Node { join, split, ins: Vec::new(), outs: Vec::new() });
            let sources: BTreeSet<usize> = match node {
                0 => BTreeSet::new(),
                _ => (0..=random.below(3)).map(|_| node - 1 - random.below(node.min(4))).collect(),
            };
            sources.into_iter().for_each(|source| net.connect(source, node));
        }
        net.simplify();
        net
    }

    /// A node with one edge joins nothing.
    fn simplify(&mut self) {
        self.nodes.iter_mut().filter(|node| node.ins.len() < 2).for_each(|node| node.join = Rule::Xor);
    }

    fn connect(&mut self, from: usize, to: usize) {
        let edge = self.edges.len();
        self.edges.push((from, to));
        self.nodes[from].outs.push(edge);
        self.nodes[to].ins.push(edge);
    }

    /// Adds an edge from a node that also leads elsewhere to a node before it, if one is found.
    fn turn_back(&mut self, random: &mut Random) -> bool {
        for _ in 0..50 {
            let from = random.below(self.nodes.len());
            let to = random.below(self.nodes.len());
            if to > 0 && to < from && !self.nodes[from].outs.is_empty() && self.reachable(to).contains(&from) {
                // A join of the node has a rule from now on.
                self.nodes[to].join = if self.nodes[to].ins.len() == 1 { rule(random) } else { self.nodes[to].join };
                self.back = Some(self.edges.len());
                self.connect(from, to);
                self.cycle = self.find_cycle();
                return true;
            }
        }
        false
    }

    /// A node and the nodes that its tokens can reach without the back edge.
    fn reachable(&self, from: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::from([from]);
        for (edge, (source, target)) in self.by_source() {
            if self.back != Some(edge) && reached.contains(&source) {
                reached.insert(target);
            }
        }
        reached
    }

    /// The edges by their sources. All but the back edge lead to a later node.
    fn by_source(&self) -> Vec<(usize, (usize, usize))> {
        let mut edges: Vec<(usize, (usize, usize))> = self.edges.iter().copied().enumerate().collect();
        edges.sort_by_key(|(_, edge)| *edge);
        edges
    }

    fn find_cycle(&self) -> BTreeSet<usize> {
        let Some((last, first)) = self.back.map(|back| self.edges[back]) else { return BTreeSet::new() };
        self.reachable(first).into_iter().filter(|node| self.reachable(*node).contains(&last)).collect()
    }

    /// The edges to which a node gives a token at its firing of this number, from one. After three firings, a node
    /// of the cycle that can choose leaves the cycle or does not go back, so that most plays end.
    pub(crate) fn chosen(&self, node: usize, firing: u32, seed: u64) -> Vec<usize> {
        let outs = &self.nodes[node].outs;
        let rule = self.nodes[node].split;
        if rule == Rule::And || outs.len() < 2 {
            return outs.clone();
        }
        let is_open = |edge: &usize| firing <= 3 || self.back != Some(*edge);
        let leaves =
            |edge: &usize| firing > 3 && self.cycle.contains(&node) && !self.cycle.contains(&self.edges[*edge].1);
        let mut open: Vec<usize> = outs.iter().copied().filter(leaves).collect();
        if open.is_empty() {
            open = outs.iter().copied().filter(is_open).collect();
        }
        let mut random = Random::new(seed, ((node as u64) << 32) | u64::from(firing));
        let one = open[random.below(open.len())];
        match rule {
            Rule::Or => open.into_iter().filter(|edge| *edge == one || random.below(2) == 0).collect(),
            Rule::And | Rule::Xor => vec![one],
        }
    }
}

fn rule(random: &mut Random) -> Rule {
    match random.below(3) {
        0 => Rule::And,
        1 => Rule::Or,
        _ => Rule::Xor,
    }
}
