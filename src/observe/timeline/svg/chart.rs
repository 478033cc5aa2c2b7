//! The content of the chart: the window, the lanes, the colours.

use super::density::Density;
use super::scale::{Scale, end_of};
use super::style::PALETTE;
use super::{GUTTER, MARGIN, SvgOptions};
use crate::base::id::AgentId;
use crate::base::name::Name;
use crate::observe::timeline::{Bar, BarResult, Mark, MarkKind, Timeline};
use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// With more concurrent attempts than this, a lane shows its load over time.
const ROWS: usize = 16;
/// With more attempts than this, a lane shows its load over time if not all lanes can show their bars.
const CROWD: usize = 120;

pub(super) struct Chart<'a> {
    pub(super) scale: Scale,
    pub(super) lanes: Vec<Lane<'a>>,
    /// The kinds with a colour of their own and their numbers of attempts, the most frequent first.
    pub(super) kinds: Vec<(Name, u64)>,
    pub(super) other_kinds: usize,
    pub(super) attempts: u64,
    pub(super) agents: usize,
    pub(super) failed: u64,
    pub(super) unknown: u64,
    pub(super) cancelled: u64,
    pub(super) open: u64,
    pub(super) lost: u64,
    /// The number of tooltips of each dense lane.
    pub(super) tips: u64,
}

pub(super) struct Lane<'a> {
    pub(super) title: String,
    pub(super) about: String,
    pub(super) tip: String,
    pub(super) body: Body<'a>,
    pub(super) marks: Vec<&'a Mark>,
}

pub(super) enum Body<'a> {
    /// Bars, each in a row.
    Rows { bars: Vec<(&'a Bar, usize)>, rows: usize },
    /// The load over time.
    Dense(Density),
}

impl<'a> Chart<'a> {
    pub(super) fn new(timeline: &'a Timeline, options: &SvgOptions) -> Self {
        let (from, until) = window(timeline, options);
        let inside = |bar: &&Bar| bar.start.as_nanos() <= until && end_of(bar, until) >= from;
        let bars: Vec<&Bar> = timeline.bars.iter().filter(inside).collect();
        let count = |result: BarResult| count(bars.iter().filter(|bar| bar.result == result).count());
        let wide = u64::from(options.width).saturating_sub(GUTTER + MARGIN);
        let marks: Vec<&Mark> =
            timeline.marks.iter().filter(|mark| (from..=until).contains(&mark.at.as_nanos())).collect();
        let lost = marks.iter().filter(|mark| mark.what == MarkKind::Lost).count();
        let (kinds, other_kinds) = kinds(&bars);
        let agents: BTreeSet<AgentId> = bars.iter().map(|bar| bar.agent).collect();
        let mut chart = Self {
            scale: Scale { from, span: until.saturating_sub(from).max(1), plot: wide.saturating_mul(10) },
            lanes: Vec::new(),
            kinds,
            other_kinds,
            attempts: u64::try_from(bars.len()).unwrap_or(u64::MAX),
            agents: agents.len(),
            failed: count(BarResult::Failed),
            unknown: count(BarResult::Unknown),
            cancelled: count(BarResult::Cancelled),
            open: count(BarResult::Open),
            lost: self::count(lost),
            tips: 0,
        };
        chart.lanes = chart.lanes(timeline, bars, &marks, options);
        chart
    }

    /// The colour of a kind, if it has one of its own.
    pub(super) fn colour(&self, kind: &Name) -> Option<usize> {
        self.kinds.iter().position(|(known, _)| known == kind)
    }

    fn lanes(
        &mut self,
        timeline: &'a Timeline,
        bars: Vec<&'a Bar>,
        marks: &[&'a Mark],
        options: &SvgOptions,
    ) -> Vec<Lane<'a>> {
        let mut by_agent: BTreeMap<AgentId, Vec<&'a Bar>> = BTreeMap::new();
        for bar in bars {
            by_agent.entry(bar.agent).or_default().push(bar);
        }
        for mark in marks.iter().filter(|mark| mark.what == MarkKind::Lost) {
            by_agent.entry(mark.agent).or_default();
        }
        let rest = least(&by_agent, options.lanes);
        let all: usize = by_agent.values().map(Vec::len).sum();
        let shares = if all <= options.bars && rest.is_empty() {
            all
        } else {
            // Space is reserved for the dense lanes; the other lanes are few and readable.
            shares(&by_agent, &rest, options.bars / 3).min(CROWD)
        };
        let dense = by_agent.iter().filter(|(id, bars)| !rest.contains(id) && bars.len() > shares).count();
        let dense = dense.saturating_add(usize::from(!rest.is_empty()));
        self.tips = (300 / count(dense).max(1)).clamp(6, 40);
        let cell = cell(self.scale.plot, dense, self.kinds.len());
        let mut lanes = Vec::new();
        let mut together: Vec<&'a Bar> = Vec::new();
        for (id, bars) in by_agent {
            if rest.contains(&id) {
                together.extend(bars);
                continue;
            }
            let title = timeline.agent_name(id).map_or_else(|| format!("agent {id}"), ToString::to_string);
            let marks = marks.iter().copied().filter(|mark| mark.agent == id).collect();
            lanes.push(self.lane(title, Some(id), bars, marks, shares, cell));
        }
        if !rest.is_empty() {
            together.sort_by_key(|bar| bar.start);
            lanes.push(self.lane(format!("{} other agents", rest.len()), None, together, Vec::new(), 0, cell));
        }
        lanes
    }

    fn lane(
        &self,
        title: String,
        agent: Option<AgentId>,
        mut bars: Vec<&'a Bar>,
        marks: Vec<&'a Mark>,
        most: usize,
        cell: u64,
    ) -> Lane<'a> {
        bars.sort_by_key(|bar| (bar.start, bar.end.is_none(), bar.end, bar.task));
        let share = u128::from(self.busy(&bars)) * 100 / u128::from(self.scale.span);
        let body = match (bars.len() <= most).then(|| self.rows(&bars)).flatten() {
            Some((bars, rows)) => Body::Rows { bars, rows },
            None => Body::Dense(Density::new(self.scale, |kind| self.colour(kind), &bars, cell)),
        };
        let about = match (bars.len(), &body) {
            (0, _) => "idle".to_owned(),
            (1, _) => format!("1 attempt · busy {share} %"),
            (many, Body::Rows { .. }) => format!("{many} attempts · busy {share} %"),
            (many, Body::Dense(_)) => format!("{many} attempts · {} at once", at_once(&bars)),
        };
        let whose = agent.map_or_else(|| title.clone(), |id| format!("{title} ({id})"));
        let tip = format!("{whose}: {} attempts, busy {share} % of the time", bars.len());
        Lane { title, about, tip, body, marks }
    }

    /// Places each bar in the first row that is free at its start.
    fn rows(&self, bars: &[&'a Bar]) -> Option<(Vec<(&'a Bar, usize)>, usize)> {
        let mut free: Vec<u64> = Vec::new();
        let mut out = Vec::with_capacity(bars.len());
        for bar in bars {
            let (start, end) = (bar.start.as_nanos(), end_of(bar, self.scale.until()));
            let row = free.iter().position(|free| *free <= start).unwrap_or(free.len());
            match free.get_mut(row) {
                Some(free) => *free = end,
                None => free.push(end),
            }
            if row >= ROWS {
                return None;
            }
            out.push((*bar, row));
        }
        Some((out, free.len().max(1)))
    }

    /// The time during which at least one of the bars was under way; they are sorted by their starts.
    fn busy(&self, bars: &[&Bar]) -> u64 {
        let (mut sum, mut seen) = (0_u64, self.scale.from);
        for bar in bars {
            let end = end_of(bar, self.scale.until()).min(self.scale.until());
            sum = sum.saturating_add(end.saturating_sub(bar.start.as_nanos().max(seen)));
            seen = seen.max(end);
        }
        sum
    }
}

/// The largest number of bars under way at once; they are sorted by their starts.
fn at_once(bars: &[&Bar]) -> usize {
    let mut ends: Vec<u64> = bars.iter().map(|bar| end_of(bar, u64::MAX)).collect();
    ends.sort_unstable();
    let (mut over, mut most) = (0_usize, 0);
    for (begun, bar) in (1_usize..).zip(bars) {
        while ends.get(over).is_some_and(|end| *end <= bar.start.as_nanos()) {
            over = over.saturating_add(1);
        }
        most = most.max(begun.saturating_sub(over));
    }
    most.max(1)
}

fn window(timeline: &Timeline, options: &SvgOptions) -> (u64, u64) {
    if let Some((from, until)) = options.window {
        return (from.as_nanos(), until.as_nanos().max(from.as_nanos()));
    }
    let last = timeline.last.as_nanos();
    let from = timeline.bars.iter().map(|bar| bar.start).min().or(timeline.since).unwrap_or_default().as_nanos();
    let ends = timeline.bars.iter().map(|bar| end_of(bar, last));
    let losses = timeline.marks.iter().filter(|mark| mark.what == MarkKind::Lost).map(|mark| mark.at.as_nanos());
    (from, ends.chain(losses).max().unwrap_or(last).max(from))
}

fn kinds(bars: &[&Bar]) -> (Vec<(Name, u64)>, usize) {
    let mut counts: BTreeMap<&Name, u64> = BTreeMap::new();
    for bar in bars {
        let count = counts.entry(&bar.kind).or_default();
        *count = count.saturating_add(1);
    }
    let mut order: Vec<(&Name, u64)> = counts.into_iter().collect();
    order.sort_by_key(|(name, count)| (Reverse(*count), *name));
    let others = order.len().saturating_sub(PALETTE.len());
    (order.into_iter().take(PALETTE.len()).map(|(name, count)| (name.clone(), count)).collect(), others)
}

/// The agents without a lane: those with the fewest bars.
fn least(by_agent: &BTreeMap<AgentId, Vec<&Bar>>, lanes: usize) -> BTreeSet<AgentId> {
    if by_agent.len() <= lanes {
        return BTreeSet::new();
    }
    let mut order: Vec<(usize, AgentId)> = by_agent.iter().map(|(id, bars)| (bars.len(), *id)).collect();
    order.sort_unstable();
    let beyond = order.len().saturating_sub(lanes).saturating_add(1);
    order.into_iter().take(beyond).map(|(_, id)| id).collect()
}

/// The number of bars up to which a lane shows them one by one, chosen so that all lanes together fit.
fn shares(by_agent: &BTreeMap<AgentId, Vec<&Bar>>, rest: &BTreeSet<AgentId>, room: usize) -> usize {
    let mut sizes: Vec<usize> =
        by_agent.iter().filter(|(id, _)| !rest.contains(id)).map(|(_, bars)| bars.len()).collect();
    sizes.sort_unstable();
    let (mut used, mut share) = (0_usize, 0);
    for size in sizes {
        used = used.saturating_add(size);
        if used > room {
            break;
        }
        share = size;
    }
    share
}

/// The width of a cell of a dense lane, in tenths of a pixel: narrow, unless there are many of them.
fn cell(plot: u64, lanes: usize, kinds: usize) -> u64 {
    let columns = 14_000 / count(lanes.max(1)).saturating_mul(count(kinds.clamp(1, 12))).max(1);
    (plot / columns.max(1)).div_ceil(10).saturating_mul(10).clamp(40, 400)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
