//! Groups of tasks, and the credibility of the differences between their means.

/// The durations of the tasks of a group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    parent: usize,
    count: f64,
    /// The mean over all tasks, and the sum of squared deviations (Welford 1962), for the weight of the level.
    mean: f64,
    squares: f64,
    /// The mean over about the last `window` tasks, for estimates.
    recent: f64,
    window: f64,
}

/// The window of a group.
const WINDOW: f64 = 64.0;
/// The window of all tasks. It is larger, since random changes of the common mean would reorder waiting tasks.
const ALL: f64 = 4_096.0;

impl Group {
    const fn new(parent: usize, window: f64) -> Self {
        Self { parent, count: 0.0, mean: 0.0, squares: 0.0, recent: 0.0, window }
    }

    /// The group of all tasks.
    pub(super) const fn all() -> Self {
        Self::new(0, ALL)
    }

    pub(super) fn note(&mut self, seconds: f64) {
        let off = seconds - self.mean;
        self.count += 1.0;
        self.mean += off / self.count;
        self.squares += off * (seconds - self.mean);
        self.recent += (seconds - self.recent) / self.count.min(self.window);
    }

    pub(super) const fn count(&self) -> f64 {
        self.count
    }

    pub(super) const fn recent(&self) -> f64 {
        self.recent
    }
}

/// The groups of one level, each with a parent group in the level above.
#[derive(Debug, Default)]
pub(super) struct Level {
    groups: Vec<Group>,
    /// The weight of the parent's expectation, in tasks of a group. None if the groups do not differ.
    weight: Option<f64>,
}

impl Level {
    pub(super) const fn len(&self) -> usize {
        self.groups.len()
    }

    #[cfg(test)]
    pub(super) const fn weight(&self) -> Option<f64> {
        self.weight
    }

    pub(super) fn add(&mut self, parent: usize) -> usize {
        self.groups.push(Group::new(parent, WINDOW));
        self.groups.len() - 1
    }

    pub(super) fn note(&mut self, group: usize, seconds: f64) {
        if let Some(group) = self.groups.get_mut(group) {
            group.note(seconds);
        }
    }

    /// The expectation of this group, given that of its parent.
    pub(super) fn expect(&self, group: usize, above: f64) -> f64 {
        let (Some(weight), Some(group)) = (self.weight, self.groups.get(group)) else { return above };
        let count = group.count.min(group.window);
        (count * group.recent + weight * above) / (count + weight)
    }

    /// Computes the weight: the variance within groups over the variance between them, each estimated without bias
    /// (Bühlmann and Straub 1970). None unless the F ratio is two standard deviations above 1, which means that the
    /// groups differ by more than chance.
    pub(super) fn weigh(&mut self, above: &[Group]) {
        self.weight = weight(&self.groups, above);
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }
}

fn weight(groups: &[Group], above: &[Group]) -> Option<f64> {
    let seen = || groups.iter().filter(|group| group.count > 0.0);
    let mut sums = vec![(0.0, 0.0); above.len()];
    for group in seen() {
        if let Some((members, squares)) = sums.get_mut(group.parent) {
            *members += 1.0;
            *squares += group.count * group.count;
        }
    }
    let parents = || above.iter().zip(&sums).filter(|(parent, (members, _))| parent.count > 0.0 && *members > 1.0);
    let split = |group: &&Group| sums.get(group.parent).is_some_and(|(members, _)| *members > 1.0);
    let number: f64 = seen().filter(split).map(|_| 1.0).sum();
    let free = number - parents().map(|_| 1.0).sum::<f64>();
    let count: f64 = seen().filter(split).map(|group| group.count).sum();
    if free < 1.0 || count <= number {
        return None;
    }
    let within = seen().filter(split).map(|group| group.squares).sum::<f64>() / (count - number);
    let apart = |group: &Group| {
        let off = group.mean - above.get(group.parent).map_or(group.mean, |parent| parent.mean);
        group.count * off * off
    };
    let apart: f64 = seen().filter(split).map(apart).sum();
    let chance = 1.0 + 2.0 * (2.0 / free).sqrt();
    if apart <= chance * free * within {
        return None;
    }
    let evenness: f64 = parents().map(|(parent, (_, squares))| parent.count - squares / parent.count).sum();
    let between = (apart - free * within) / evenness.max(1e-12);
    (between > 0.0).then_some(within / between)
}
