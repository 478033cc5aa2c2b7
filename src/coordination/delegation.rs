//! Who has handed what to whom: the books of recursive delegation.

use super::budget::{Budget, Overdrawn};
use crate::base::error::BadConfig;
use crate::base::id::{AgentId, stable_hash};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::{rules, with};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// How far delegation may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// How often work may be handed on, one after the other; 0: not at all.
    pub depth: u32,
    /// To how many one may hand it.
    pub fan_out: u32,
    /// How many pieces there may be in all, the first included.
    pub pieces: u32,
}

impl Default for Config {
    /// Five levels, eight each, a thousand in all.
    fn default() -> Self {
        Self { depth: 5, fan_out: 8, pieces: 1_000 }
    }
}

with! {
    with_depth => depth: u32,
    with_fan_out => fan_out: u32,
    with_pieces => pieces: u32,
}

impl Config {
    fn check(&self) -> Result<(), BadConfig> {
        BadConfig::unless_positive(self.pieces.into(), "pieces")
    }
}

rules! {
    /// A [`Config`] that was checked.
    derive(Copy, Eq)
}

impl Rules {
    /// Whether work that was handed on so often, in so many parts, may be handed on in one more, when there are so many pieces
    /// in all.
    ///
    /// ```
    /// use counterpoint::coordination::delegation::{Config, NotDelegated, Rules};
    ///
    /// let rules = Rules::new(Config::default().with_depth(2).with_fan_out(3))?;
    /// assert_eq!(rules.allow(0, 2, 3), Ok(()));
    /// assert_eq!(rules.allow(2, 0, 3), Err(NotDelegated::Depth { limit: 2 }));
    /// # Ok::<(), counterpoint::BadConfig>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first limit that is met: depth, fan-out, pieces.
    pub const fn allow(&self, depth: u32, parts: usize, pieces: usize) -> Result<(), NotDelegated> {
        let limits = self.config();
        if depth >= limits.depth {
            return Err(NotDelegated::Depth { limit: limits.depth });
        }
        if parts >= limits.fan_out as usize {
            return Err(NotDelegated::FanOut { limit: limits.fan_out });
        }
        if pieces >= limits.pieces as usize {
            return Err(NotDelegated::Pieces { limit: limits.pieces });
        }
        Ok(())
    }
}

/// A piece of work in a delegation, numbered from 0 in the order in which they began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PieceId(u32);

impl PieceId {
    /// The first piece, of which all others are parts.
    pub const ROOT: Self = Self(0);

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// How a piece ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ended {
    /// With a result.
    Done,
    /// Without.
    Failed,
    /// It was broken off with the piece that it is part of.
    BrokenOff,
}

/// Why a piece is not handed on; nothing has changed, and it can still be done where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotDelegated {
    /// It was handed on as often as allowed.
    #[error("the depth limit of {limit} is reached")]
    Depth {
        /// The limit.
        limit: u32,
    },
    /// It was handed to as many as allowed.
    #[error("the fan-out limit of {limit} is reached")]
    FanOut {
        /// The limit.
        limit: u32,
    },
    /// There are as many pieces as allowed.
    #[error("the limit of {limit} pieces is reached")]
    Pieces {
        /// The limit.
        limit: u32,
    },
    /// The same agent has the same work in hand further up: it would go round in circles.
    #[error("{agent} was asked for the same as piece {}", .piece.0)]
    Repeat {
        /// Who.
        agent: AgentId,
        /// Where.
        piece: PieceId,
    },
    /// What it may cost is not left.
    #[error("the budget does not allow for it: {0}")]
    Budget(#[from] Overdrawn),
    /// There is no such piece, or it has ended.
    #[error("piece {} is not under way", .piece.0)]
    NotUnderWay {
        /// Which.
        piece: PieceId,
    },
}

/// Why a piece does not end; nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotEnded {
    /// There is no such piece, or it has ended.
    #[error("piece {} is not under way", .piece.0)]
    NotUnderWay {
        /// Which.
        piece: PieceId,
    },
    /// Parts of it are under way.
    #[error("part {} of it is under way", .part.0)]
    PartsOpen {
        /// The first of them.
        part: PieceId,
    },
}

/// The same for the same kind of work on the same data, in whatever order its fields stand.
#[must_use]
pub fn fingerprint(kind: &Name, input: &Payload) -> u64 {
    stable_hash(format!("{kind}\u{0}{input}").as_bytes())
}

/// The books of one delegation: a tree of pieces of work, each in the hands of an agent, with its part of the budget.
///
/// At any time, for every piece, what it has spent, what it has promised to its parts and what is left make up what it was
/// granted. No piece ends before its parts. A limit that is met loses nothing: what was done so far stays, see
/// [`results`](Self::results).
///
/// ```
/// use counterpoint::coordination::delegation::{Config, Delegation, Ended, NotDelegated, PieceId, Rules, fingerprint};
/// use counterpoint::{AgentId, Payload};
///
/// let [boss, helper] = [1, 2].map(AgentId::new);
/// let book = fingerprint(&"write".into(), &Payload::new("a book".into()));
/// let chapter = fingerprint(&"write".into(), &Payload::new("a chapter".into()));
///
/// let mut work = Delegation::begin(Rules::new(Config::default().with_depth(1))?, boss, book, 100);
/// let part = work.delegate(PieceId::ROOT, helper, chapter, 60)?;
/// assert_eq!(work.delegate(part, boss, 7, 10), Err(NotDelegated::Depth { limit: 1 }));
/// work.spend(part, 45)?;
/// work.end(part, Ended::Done, Payload::new("a chapter".into()))?;
/// assert_eq!((work.budget(PieceId::ROOT).unwrap().spent(), work.budget(PieceId::ROOT).unwrap().left()), (45, 55));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delegation {
    rules: Rules,
    pieces: BTreeMap<PieceId, Piece>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Piece {
    parent: Option<PieceId>,
    agent: AgentId,
    fingerprint: u64,
    depth: u32,
    budget: Budget,
    parts: Vec<PieceId>,
    open_parts: u32,
    ended: Option<Ended>,
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    output: Payload,
}

impl Delegation {
    /// An agent begins with all of the work and all of the budget.
    #[must_use]
    pub fn begin(rules: Rules, agent: AgentId, fingerprint: u64, budget: u64) -> Self {
        let root = Piece::new(None, agent, fingerprint, 0, budget);
        Self { rules, pieces: BTreeMap::from([(PieceId::ROOT, root)]) }
    }

    /// A part of a piece goes to an agent, with a part of the budget.
    ///
    /// # Errors
    ///
    /// When a limit is met, the agent would be asked for the same twice on the way from the root, or the budget does not allow
    /// for it.
    pub fn delegate(
        &mut self,
        of: PieceId,
        to: AgentId,
        fingerprint: u64,
        budget: u64,
    ) -> Result<PieceId, NotDelegated> {
        let piece = self.open(of).ok_or(NotDelegated::NotUnderWay { piece: of })?;
        self.rules.allow(piece.depth, piece.parts.len(), self.pieces.len())?;
        let same = |(_, piece): &(PieceId, &Piece)| piece.agent == to && piece.fingerprint == fingerprint;
        if let Some((piece, _)) = self.above(of).find(same) {
            return Err(NotDelegated::Repeat { agent: to, piece });
        }
        let (depth, id) = (piece.depth + 1, PieceId(u32::try_from(self.pieces.len()).unwrap_or(u32::MAX)));
        if let Some(piece) = self.pieces.get_mut(&of) {
            piece.budget.reserve(budget)?;
            piece.parts.push(id);
            piece.open_parts += 1;
        }
        self.pieces.insert(id, Piece::new(Some(of), to, fingerprint, depth, budget));
        Ok(id)
    }

    /// A piece has cost so much, beside its parts.
    ///
    /// # Errors
    ///
    /// When that much is not left, or the piece has ended.
    pub fn spend(&mut self, piece: PieceId, cost: u64) -> Result<(), NotDelegated> {
        let open = self.pieces.get_mut(&piece).filter(|piece| piece.ended.is_none());
        Ok(open.ok_or(NotDelegated::NotUnderWay { piece })?.budget.settle(0, cost)?)
    }

    /// A piece has ended, with a result or without. What it has not spent goes back to the piece that it is part of.
    ///
    /// # Errors
    ///
    /// When parts of it are under way, or it has ended already.
    pub fn end(&mut self, piece: PieceId, ended: Ended, output: Payload) -> Result<(), NotEnded> {
        let open = self.open(piece).ok_or(NotEnded::NotUnderWay { piece })?;
        let under_way = |part: &&PieceId| self.open(**part).is_some();
        if open.open_parts > 0
            && let Some(part) = open.parts.iter().find(under_way)
        {
            return Err(NotEnded::PartsOpen { part: *part });
        }
        self.finish(piece, ended, output);
        Ok(())
    }

    /// Breaks a piece off, with all of its parts that are under way: who has them in hand, the last begun first. What was done
    /// stays done.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn break_off(&mut self, piece: PieceId) -> Result<Vec<(PieceId, AgentId)>, NotEnded> {
        if self.open(piece).is_none() {
            return Err(NotEnded::NotUnderWay { piece });
        }
        // Parts have higher numbers than what they are part of, so they end first.
        let below = |id: PieceId| self.above(id).any(|(above, _)| above == piece);
        let open = self.pieces.range(piece..).rev().filter(|(id, part)| part.ended.is_none() && below(**id));
        let told: Vec<(PieceId, AgentId)> = open.map(|(id, part)| (*id, part.agent)).collect();
        told.iter().for_each(|(id, _)| self.finish(*id, Ended::BrokenOff, Payload::NULL));
        Ok(told)
    }

    /// The results of a piece's parts so far, in the order in which they began: all of them, or what there is when a limit,
    /// a budget or a decision has put an end to it.
    pub fn results(&self, of: PieceId) -> impl Iterator<Item = (PieceId, AgentId, &Payload)> {
        let parts = self.pieces.get(&of).map_or(&[][..], |piece| piece.parts.as_slice());
        let done = parts.iter().filter_map(|part| Some((*part, self.pieces.get(part)?)));
        done.filter(|(_, part)| part.ended == Some(Ended::Done)).map(|(id, part)| (id, part.agent, &part.output))
    }

    /// How a piece ended, if it has.
    #[must_use]
    pub fn ended(&self, piece: PieceId) -> Option<Ended> {
        self.pieces.get(&piece)?.ended
    }

    /// What a piece may spend, has promised, has spent.
    #[must_use]
    pub fn budget(&self, piece: PieceId) -> Option<Budget> {
        self.pieces.get(&piece).map(|piece| piece.budget)
    }

    /// How often a piece was handed on.
    #[must_use]
    pub fn depth(&self, piece: PieceId) -> Option<u32> {
        self.pieces.get(&piece).map(|piece| piece.depth)
    }

    /// How many pieces there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Never: there is always the first.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether the books agree: depths, and for each piece what is promised is what its open parts were granted.
    ///
    /// # Errors
    ///
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        for (id, piece) in &self.pieces {
            let parts = piece.parts.iter().filter_map(|part| self.pieces.get(part));
            let open: Vec<&Piece> = parts.clone().filter(|part| part.ended.is_none()).collect();
            let promised: u64 = open.iter().map(|part| part.budget.granted()).sum();
            if promised != piece.budget.reserved() || open.len() != piece.open_parts as usize {
                return Err(format!("piece {} has promised {promised}, not {}", id.0, piece.budget.reserved()));
            }
            if piece.ended.is_some() && !open.is_empty() {
                return Err(format!("piece {} has ended before its parts", id.0));
            }
            let spent: u64 = parts.filter(|part| part.ended.is_some()).map(|part| part.budget.spent()).sum();
            if spent > piece.budget.spent() {
                return Err(format!("the parts of piece {} have spent more than it", id.0));
            }
            if piece.parent.and_then(|above| self.depth(above)).map_or(0, |above| above + 1) != piece.depth {
                return Err(format!("piece {} is not at depth {}", id.0, piece.depth));
            }
        }
        Ok(())
    }

    fn open(&self, piece: PieceId) -> Option<&Piece> {
        self.pieces.get(&piece).filter(|piece| piece.ended.is_none())
    }

    /// The way from a piece to the root, itself included.
    fn above(&self, piece: PieceId) -> impl Iterator<Item = (PieceId, &Piece)> {
        let first = self.pieces.get(&piece).map(|found| (piece, found));
        core::iter::successors(first, |(_, piece)| Some((piece.parent?, self.pieces.get(&piece.parent?)?)))
    }

    fn finish(&mut self, id: PieceId, ended: Ended, output: Payload) {
        let Some(piece) = self.pieces.get_mut(&id) else { return };
        (piece.ended, piece.output) = (Some(ended), output);
        let (granted, spent, parent) = (piece.budget.granted(), piece.budget.spent(), piece.parent);
        if let Some(above) = parent.and_then(|parent| self.pieces.get_mut(&parent)) {
            above.open_parts -= 1;
            // It was granted so much, and has spent no more.
            let settled = above.budget.settle(granted, spent);
            debug_assert_eq!(settled, Ok(()));
        }
    }
}

impl Piece {
    const fn new(parent: Option<PieceId>, agent: AgentId, fingerprint: u64, depth: u32, budget: u64) -> Self {
        Self {
            parent,
            agent,
            fingerprint,
            depth,
            budget: Budget::new(budget),
            parts: Vec::new(),
            open_parts: 0,
            ended: None,
            output: Payload::NULL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn agent(id: u64) -> AgentId {
        AgentId::new(id)
    }

    fn begin(config: Config, budget: u64) -> Delegation {
        Delegation::begin(Rules::new(config).unwrap(), agent(0), 0, budget)
    }

    #[test]
    fn every_limit_has_its_name_and_loses_nothing() {
        let config = Config::default().with_depth(2).with_fan_out(2).with_pieces(5);
        let mut work = begin(config, 100);
        let a = work.delegate(PieceId::ROOT, agent(1), 1, 40).unwrap();
        let b = work.delegate(PieceId::ROOT, agent(2), 1, 40).unwrap();
        assert_eq!(work.delegate(PieceId::ROOT, agent(3), 1, 1), Err(NotDelegated::FanOut { limit: 2 }));
        assert_eq!(
            work.delegate(a, agent(0), 0, 1),
            Err(NotDelegated::Repeat { agent: agent(0), piece: PieceId::ROOT })
        );
        let over = Overdrawn { asked: 41, left: 40 };
        assert_eq!(work.delegate(a, agent(3), 1, 41), Err(NotDelegated::Budget(over)));
        let c = work.delegate(a, agent(3), 1, 10).unwrap();
        assert_eq!(work.delegate(c, agent(4), 2, 1), Err(NotDelegated::Depth { limit: 2 }));
        work.delegate(a, agent(4), 1, 10).unwrap();
        assert_eq!(work.delegate(b, agent(4), 1, 1), Err(NotDelegated::Pieces { limit: 5 }));
        work.end(c, Ended::Done, Payload::new(7.into())).unwrap();
        assert!(matches!(work.end(a, Ended::Done, Payload::NULL), Err(NotEnded::PartsOpen { .. })));
        assert_eq!(work.break_off(PieceId::ROOT).unwrap().len(), 4);
        let kept: Vec<_> = work.results(a).map(|(_, by, output)| (by, output.to::<u8>().unwrap())).collect();
        assert_eq!(kept, [(agent(3), 7)], "a partial result survives");
        assert_eq!(work.end(a, Ended::Done, Payload::NULL), Err(NotEnded::NotUnderWay { piece: a }));
        assert_eq!(work.delegate(a, agent(9), 9, 0), Err(NotDelegated::NotUnderWay { piece: a }));
    }

    #[test]
    fn a_limit_of_zero_is_done_where_it_is() {
        let mut work = begin(Config::default().with_depth(0), 10);
        assert_eq!(work.delegate(PieceId::ROOT, agent(1), 1, 1), Err(NotDelegated::Depth { limit: 0 }));
        work.spend(PieceId::ROOT, 10).unwrap();
        assert!(work.spend(PieceId::ROOT, 1).is_err());
        work.end(PieceId::ROOT, Ended::Done, Payload::NULL).unwrap();
        assert_eq!(work.ended(PieceId::ROOT), Some(Ended::Done));
    }

    /// Every way down ends: the towers of Hanoi hand on two smaller towers and move one disc.
    fn hanoi(work: &mut Delegation, piece: PieceId, discs: u64) -> u64 {
        if discs == 0 {
            return 0;
        }
        let mut moves = 1;
        for side in 0..2 {
            let part = work.delegate(piece, agent(discs * 2 + side), discs, 0).unwrap();
            moves += hanoi(work, part, discs - 1);
            work.end(part, Ended::Done, Payload::NULL).unwrap();
        }
        moves
    }

    #[test]
    fn towers_of_hanoi() {
        for discs in 0..8 {
            let mut work = begin(Config::default().with_depth(8).with_fan_out(2), 0);
            assert_eq!(hanoi(&mut work, PieceId::ROOT, discs), (1 << discs) - 1);
            assert_eq!(work.len() as u64, (1 << (discs + 1)) - 1, "the most that there can be with a fan-out of 2");
        }
    }

    #[test]
    fn fingerprints_look_at_what_is_meant() {
        let of = |text: &str| fingerprint(&"sum".into(), &serde_json::from_str::<Payload>(text).unwrap());
        assert_eq!(of(r#"{"a":1,"b":2}"#), of(r#"{"b":2, "a":1}"#));
        assert_ne!(of("1"), of("2"));
        assert_ne!(fingerprint(&"a".into(), &Payload::NULL), fingerprint(&"b".into(), &Payload::NULL));
    }

    proptest! {
        #[test]
        fn the_books_agree_after_every_word(
            depth in 0_u32..4, fan_out in 0_u32..4, budget in 0_u64..200,
            words in prop::collection::vec((0_u8..8, 0_u32..12, 0_u64..4, 0_u64..40), 0..80),
        ) {
            let config = Config::default().with_depth(depth).with_fan_out(fan_out).with_pieces(30);
            let (mut work, mut costs) = (begin(config, budget), 0);
            for (word, piece, who, amount) in words {
                let (before, piece) = (work.clone(), PieceId(piece));
                let refused = match word {
                    0..=3 => work.delegate(piece, agent(who), amount % 3, amount).is_err(),
                    4 => match work.spend(piece, amount / 4) {
                        Ok(()) => {
                            costs += amount / 4;
                            false
                        }
                        Err(_) => true,
                    },
                    5 | 6 => work.end(piece, Ended::Done, Payload::new(1.into())).is_err(),
                    _ => work.break_off(piece).is_err(),
                };
                prop_assert!(!refused || work == before);
                prop_assert_eq!(work.check(), Ok(()));
                // As many as a full tree of this depth and fan-out has.
                let most: u64 = (0..=depth).map(|level| u64::from(fan_out).pow(level)).sum();
                prop_assert!(work.len() as u64 <= most, "{} pieces of at most {most}", work.len());
                // What a piece has cost stands with it while it is under way, then with what it is part of: once, and in full.
                let open = work.pieces.values().filter(|piece| piece.parent.is_none() || piece.ended.is_none());
                prop_assert_eq!(open.map(|piece| piece.budget.spent()).sum::<u64>(), costs);
                let spent = work.budget(PieceId::ROOT).unwrap();
                prop_assert!(spent.granted() == budget && spent.spent() + spent.reserved() <= budget);
                for id in work.pieces.keys().copied() {
                    prop_assert!(work.depth(id).unwrap() <= depth);
                    let path: Vec<(AgentId, u64)> = work.above(id).map(|(_, piece)| (piece.agent, piece.fingerprint)).collect();
                    let different: std::collections::BTreeSet<_> = path.iter().collect();
                    prop_assert_eq!(different.len(), path.len(), "nobody is asked for the same twice on a way");
                }
                let text = serde_json::to_string(&work).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Delegation>(&text).unwrap(), &work);
            }
        }
    }
}
