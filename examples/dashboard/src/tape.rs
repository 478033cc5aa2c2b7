//! A recorded journal that can be shown at any time of the recording.

use crate::board::Board;
use counterpoint::journal::Projection;
use counterpoint::{Entry, Time};
use std::time::Duration;

/// How many boards are kept along the tape, so that winding back is quick.
const MARKS: usize = 32;

/// A recording, and where one stands in it.
#[derive(Debug)]
pub struct Tape {
    entries: Vec<Entry>,
    /// How many facts have been applied.
    place: usize,
    board: Board,
    /// The board after so many facts, the earliest first.
    marks: Vec<(usize, Board)>,
}

impl Tape {
    /// The tape of these facts, wound to the end.
    #[must_use]
    pub fn new(entries: Vec<Entry>) -> Self {
        let mut tape = Self { entries, place: 0, board: Board::default(), marks: vec![(0, Board::default())] };
        tape.wind_to(tape.len());
        tape
    }

    /// How many facts there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many facts have happened where one stands.
    #[must_use]
    pub const fn place(&self) -> usize {
        self.place
    }

    /// What they tell.
    #[must_use]
    pub const fn board(&self) -> &Board {
        &self.board
    }

    /// From the first fact to the last.
    #[must_use]
    pub fn span(&self) -> Duration {
        self.end() - self.start()
    }

    /// How far along the time of the tape one stands, from 0 to 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        let whole = self.span().as_secs_f64();
        if whole > 0.0 { (self.board.at.max(self.start()) - self.start()).as_secs_f64() / whole } else { 1.0 }
    }

    /// Winds to where so many facts have happened.
    pub fn wind_to(&mut self, place: usize) {
        let place = place.min(self.len());
        if place < self.place {
            let before = self.marks.iter().rev().find(|(at, _)| *at <= place);
            let (at, board) = before.map_or_else(|| (0, Board::default()), |(at, board)| (*at, board.clone()));
            (self.place, self.board) = (at, board);
        }
        let apart = (self.len() / MARKS).max(100);
        while self.place < place {
            let Some(entry) = self.entries.get(self.place) else { break };
            self.board.apply(entry);
            self.place += 1;
            if self.place.is_multiple_of(apart) && self.marks.last().is_none_or(|(at, _)| *at < self.place) {
                self.marks.push((self.place, self.board.clone()));
            }
        }
    }

    /// Winds by so many facts.
    pub fn step(&mut self, by: isize) {
        self.wind_to(self.place.saturating_add_signed(by));
    }

    /// Winds to a share of the tape's time, from 0 to 1: whatever has happened by then has.
    pub fn wind_to_share(&mut self, share: f64) {
        let until = self.start() + self.span().mul_f64(share.clamp(0.0, 1.0));
        self.wind_to(self.entries.partition_point(|entry| entry.at <= until));
    }

    fn start(&self) -> Time {
        self.entries.first().map_or(Time::ZERO, |entry| entry.at)
    }

    fn end(&self) -> Time {
        self.entries.last().map_or(Time::ZERO, |entry| entry.at)
    }
}
