//! The oracle: counts of tokens on edges. It knows nothing of workflows.

use crate::net::{Net, Rule};
use counterpoint::Random;

/// Why a play has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Tokens go round and round.
    Endless,
    /// Inclusive joins wait for each other.
    Circle,
}

const MOST_FIRINGS: u32 = 2_000;

struct Game<'n> {
    net: &'n Net,
    tokens: Vec<u32>,
    fired: Vec<u32>,
}

/// How often each node fires. `order` draws which of the nodes that can fire does.
pub(crate) fn play(net: &Net, seed: u64, order: u64) -> Result<Vec<u32>, Trouble> {
    let mut game = Game { net, tokens: vec![0; net.edges.len()], fired: vec![0; net.nodes.len()] };
    let mut random = Random::new(order, 0);
    game.give(0, seed);
    for _ in 0..MOST_FIRINGS {
        let ready: Vec<usize> = (1..net.nodes.len()).filter(|node| game.can_fire(*node)).collect();
        if ready.is_empty() {
            let waits = (1..net.nodes.len()).any(|node| net.nodes[node].join == Rule::Or && game.has_token(node));
            return if waits { Err(Trouble::Circle) } else { Ok(game.fired) };
        }
        let node = ready[random.below(ready.len())];
        game.take(node, &mut random);
        game.give(node, seed);
    }
    Err(Trouble::Endless)
}

impl Game<'_> {
    fn has_token(&self, node: usize) -> bool {
        self.net.nodes[node].ins.iter().any(|edge| self.tokens[*edge] > 0)
    }

    fn can_fire(&self, node: usize) -> bool {
        match self.net.nodes[node].join {
            Rule::And => self.net.nodes[node].ins.iter().all(|edge| self.tokens[*edge] > 0),
            Rule::Xor => self.has_token(node),
            Rule::Or => self.has_token(node) && !self.expects_more(node),
        }
    }

    /// Whether a further token can come to a node before it fires: the edges that may get one, from the tokens that are there.
    fn expects_more(&self, waiting: usize) -> bool {
        let mut may: Vec<bool> = self.tokens.iter().map(|count| *count > 0).collect();
        loop {
            let before = may.clone();
            for (_, of) in self.net.nodes.iter().enumerate().skip(1).filter(|(node, _)| *node != waiting) {
                let fires = match of.join {
                    Rule::And => of.ins.iter().all(|edge| may[*edge]),
                    Rule::Or | Rule::Xor => of.ins.iter().any(|edge| may[*edge]),
                };
                if fires {
                    if of.outs.iter().any(|edge| self.net.edges[*edge].1 == waiting) {
                        return true;
                    }
                    of.outs.iter().for_each(|edge| may[*edge] = true);
                }
            }
            if may == before {
                return false;
            }
        }
    }

    fn take(&mut self, node: usize, random: &mut Random) {
        let of = &self.net.nodes[node];
        let marked: Vec<usize> = of.ins.iter().copied().filter(|edge| self.tokens[*edge] > 0).collect();
        match of.join {
            Rule::Xor => self.tokens[marked[random.below(marked.len())]] -= 1,
            Rule::And | Rule::Or => marked.into_iter().for_each(|edge| self.tokens[edge] -= 1),
        }
    }

    fn give(&mut self, node: usize, seed: u64) {
        self.fired[node] += 1;
        self.net.chosen(node, self.fired[node], seed).into_iter().for_each(|edge| self.tokens[edge] += 1);
    }
}
