//! Groups of tasks, and how much of what their means differ by can be believed.

/// What the tasks of a group have taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    parent: usize,
    count: f64,
    /// Over all, with the sum of squares about it (Welford 1962): what the belief in the level is drawn from.
    mean: f64,
    squares: f64,
    /// Over the last `window` or so: what is expected.
    recent: f64,
    window: f64,
}

/// So many tasks of a group count.
const WINDOW: f64 = 64.0;
/// And so many of all tasks: what is expected of them must not follow chance, for it orders them where nothing else does.
const ALL: f64 = 4_096.0;

impl Group {
    const fn new(parent: usize, window: f64) -> Self {
        Self { parent, count: 0.0, mean: 0.0, squares: 0.0, recent: 0.0, window }
    }

    /// All tasks.
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

/// The groups of one level of detail, each within a group of the level above.
#[derive(Debug, Default)]
pub(super) struct Level {
    groups: Vec<Group>,
    /// So many tasks of a group weigh as much as what the level above expects. None: groups do not differ.
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

    /// What is expected of a task of this group, if the level above expects so much.
    pub(super) fn expect(&self, group: usize, above: f64) -> f64 {
        let (Some(weight), Some(group)) = (self.weight, self.groups.get(group)) else { return above };
        let count = group.count.min(group.window);
        (count * group.recent + weight * above) / (count + weight)
    }

    /// The variance within groups over the variance between them, each estimated without bias (Bühlmann and Straub 1970).
    /// None unless the means differ by more than chance explains: the F ratio is two standard deviations above 1.
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
