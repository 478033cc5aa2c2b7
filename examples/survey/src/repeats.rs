//! Finds passages that occur in more than one file.

use std::collections::BTreeMap;

use crate::model::{FileFacts, Print};
use crate::survey::{Repeat, Repeats};

/// Lines of code that must agree in a row.
const WINDOW: usize = 6;
/// Places named in the report.
const MAX_PLACES: usize = 5;
/// Groups about the same part of the tree that come before others.
const MAX_ALIKE: usize = 3;

/// A window of lines: its hash, the file it is in, and where among the file's prints.
type Spot = (u64, u32, u32);

/// Finds the repeated passages and keeps the `rows` groups of files that repeat most.
pub fn repeats(facts: &[FileFacts], rows: usize) -> Repeats {
    let prints: Vec<&[Print]> = facts.iter().map(|file| file.prints.as_deref().unwrap_or_default()).collect();
    let spots = windows(&prints);
    let families = Families::new(&spots, &prints);
    let mut groups: Vec<Repeat> = families.collect(facts).into_values().collect();
    groups.sort_by(|a, b| b.excess().cmp(&a.excess()).then_with(|| a.places.cmp(&b.places)));
    let (lines, found) = (families.seen_before(), groups.len() as u64);
    let groups = varied(groups, rows);
    Repeats { lines, found, groups }
}

/// The same with fewer groups.
pub fn fewer(repeats: &Repeats, rows: usize) -> Repeats {
    Repeats { groups: varied(repeats.groups.clone(), rows), ..*repeats }
}

/// The first groups, but few of them about the same part of the tree unless there is room:
/// one generated folder should not hide everything else.
fn varied(groups: Vec<Repeat>, rows: usize) -> Vec<Repeat> {
    let mut about: BTreeMap<String, usize> = BTreeMap::new();
    let (mut first, mut others) = (Vec::new(), Vec::new());
    for group in groups {
        let path = group.places.first().map_or("", |(path, _, _)| path.as_str());
        let seen = about.entry(path.split('/').next().unwrap_or(path).to_owned()).or_default();
        *seen += 1;
        if *seen <= MAX_ALIKE { first.push(group) } else { others.push(group) }
    }
    first.truncate(rows);
    first.extend(others.into_iter().take(rows - first.len()));
    first.sort_by_key(|group| std::cmp::Reverse(group.excess()));
    first
}

/// All windows of all files, equal ones next to each other.
fn windows(prints: &[&[Print]]) -> Vec<Spot> {
    let mut spots = Vec::new();
    for (file, lines) in (0_u32..).zip(prints) {
        for (at, window) in (0_u32..).zip(lines.windows(WINDOW)) {
            let hash = window.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, print| {
                (hash ^ u64::from(print.hash)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
            });
            spots.push((hash, file, at));
        }
    }
    spots.sort_unstable();
    spots
}

/// Windows by their position, with the copies of each in other files.
struct Families<'a> {
    prints: &'a [&'a [Print]],
    /// For every window of every file: the copies, first one of each file.
    copies: Vec<Vec<Option<&'a [Spot]>>>,
}

impl<'a> Families<'a> {
    fn new(spots: &'a [Spot], prints: &'a [&'a [Print]]) -> Self {
        let count = |lines: &&[Print]| (lines.len() + 1).saturating_sub(WINDOW);
        let mut copies: Vec<Vec<Option<&[Spot]>>> = prints.iter().map(|lines| vec![None; count(lines)]).collect();
        for family in spots.chunk_by(|a, b| a.0 == b.0) {
            let across = family.first().map(|spot| spot.1) != family.last().map(|spot| spot.1);
            if !across {
                continue;
            }
            for (_, file, at) in family {
                let slot = copies.get_mut(*file as usize).and_then(|file| file.get_mut(*at as usize));
                if let Some(slot) = slot {
                    *slot = Some(family);
                }
            }
        }
        Self { prints, copies }
    }

    fn hash_at(&self, file: u32, at: u32) -> Option<u32> {
        Some(self.prints.get(file as usize)?.get(at as usize)?.hash)
    }

    /// Lines that a reader who goes through the files in order has seen in one before. Counted
    /// line by line: a passage may overlap with what other groups of files share.
    fn seen_before(&self) -> u64 {
        let mut sum = 0;
        for (file, families) in (0_u32..).zip(&self.copies) {
            let mut told = 0;
            for (at, family) in families.iter().enumerate() {
                let first = family.and_then(<[Spot]>::first).map_or(file, |spot| spot.1);
                if first < file {
                    let end = at + WINDOW;
                    sum += end - told.max(at);
                    told = end;
                }
            }
        }
        sum as u64
    }

    /// The passages, gathered by the set of files that share them.
    fn collect(&self, facts: &[FileFacts]) -> BTreeMap<Vec<u32>, Repeat> {
        let mut told: Vec<Vec<bool>> = self.copies.iter().map(|file| vec![false; file.len()]).collect();
        let mut groups: BTreeMap<Vec<u32>, Repeat> = BTreeMap::new();
        for (file, families) in (0_u32..).zip(&self.copies) {
            for (at, family) in (0_u32..).zip(families) {
                let Some(family) = family else { continue };
                let done = told.get(file as usize).and_then(|f| f.get(at as usize));
                if done != Some(&false) {
                    continue;
                }
                let members = first_of_each_file(family);
                // A later copy within the same file: another matter.
                if members.binary_search(&(file, at)).is_err() {
                    continue;
                }
                let lines = self.extent(&members);
                for (member, start) in &members {
                    if let Some(marks) = told.get_mut(*member as usize) {
                        let range = *start as usize..*start as usize + lines + 1 - WINDOW;
                        marks.iter_mut().take(range.end).skip(range.start).for_each(|m| *m = true);
                    }
                }
                self.record(&mut groups, facts, &members, lines);
            }
        }
        groups
    }

    /// How many lines agree in all members, from where they begin.
    fn extent(&self, members: &[(u32, u32)]) -> usize {
        let mut lines = WINDOW;
        loop {
            let ahead = u32::try_from(lines).unwrap_or(u32::MAX);
            let mut next = members.iter().map(|(f, at)| self.hash_at(*f, at.saturating_add(ahead)));
            let first = next.next().flatten();
            if first.is_none() || next.any(|hash| hash != first) {
                return lines;
            }
            lines += 1;
        }
    }

    fn record(
        &self,
        groups: &mut BTreeMap<Vec<u32>, Repeat>,
        facts: &[FileFacts],
        members: &[(u32, u32)],
        lines: usize,
    ) {
        let key: Vec<u32> = members.iter().map(|(file, _)| *file).collect();
        let files = key.len() as u64;
        let empty = Repeat { files, lines: 0, passages: 0, places: Vec::new() };
        let group = groups.entry(key).or_insert(empty);
        let longest = group.places.first().map_or(0, |(_, from, to)| to + 1 - from);
        let place = |(file, at): &(u32, u32)| {
            let lines_of = self.prints.get(*file as usize)?;
            let (first, last) = (*at as usize, *at as usize + lines - 1);
            let (from, to) = (lines_of.get(first)?.line, lines_of.get(last)?.line);
            Some((facts.get(*file as usize)?.path.clone(), u64::from(from), u64::from(to)))
        };
        let places: Vec<_> = members.iter().take(MAX_PLACES).filter_map(place).collect();
        if places.first().is_some_and(|(_, from, to)| to + 1 - from > longest) {
            group.places = places;
        }
        group.lines += lines as u64;
        group.passages += 1;
    }
}

/// One member per file, in order of the files; a family is sorted so already.
fn first_of_each_file(family: &[Spot]) -> Vec<(u32, u32)> {
    let by_file = family.chunk_by(|a, b| a.1 == b.1).filter_map(<[Spot]>::first);
    by_file.map(|(_, file, at)| (*file, *at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::facts;

    fn numbered(prefix: &str, range: std::ops::Range<u32>) -> String {
        range.map(|n| format!("{prefix}{n}();\n")).collect()
    }

    #[test]
    fn a_shared_passage_is_found_whole_and_once() {
        let a = format!("{}{}", numbered("a", 0..5), numbered("same", 0..10));
        let b = format!("{}\n// c\n{}", numbered("same", 0..10), numbered("b", 0..5));
        let found = repeats(&[facts("a.c", &a), facts("b.c", &b)], 10);
        assert_eq!((found.lines, found.found), (10, 1));
        let group = &found.groups[0];
        assert_eq!(group.places, [("a.c".into(), 6, 15), ("b.c".into(), 1, 10)]);
    }

    #[test]
    fn passages_of_the_same_files_are_one_group() {
        let (one, two) = (numbered("x", 0..8), numbered("y", 0..7));
        let a = format!("{one}a0();\n{two}");
        let b = format!("{two}b0();\n{one}");
        let found = repeats(&[facts("a.c", &a), facts("b.c", &b)], 10);
        assert_eq!((found.groups.len(), found.groups[0].passages, found.lines), (1, 2, 15));
    }

    #[test]
    fn repetition_within_a_file_or_too_short_is_not_listed() {
        let within = numbered("x", 0..7).repeat(3);
        assert_eq!(repeats(&[facts("a.c", &within)], 10).found, 0);
        let short = numbered("x", 0..5);
        assert_eq!(repeats(&[facts("a.c", &short), facts("b.c", &short)], 10).found, 0);
    }

    #[test]
    fn rows_and_places_are_bounded() {
        let text = numbered("x", 0..20);
        let many: Vec<_> = (0..100).map(|n| facts(&format!("{n:03}.c"), &text)).collect();
        let found = repeats(&many, 1);
        assert_eq!(found.groups.len(), 1);
        assert!(found.groups[0].places.len() <= MAX_PLACES);
        assert_eq!((found.groups[0].files, found.lines), (100, 20 * 99));
    }
}
