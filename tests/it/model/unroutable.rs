//! Tasks that no agent can perform: the model looks at all tasks and agents after every fact.

use super::state::{MAgent, MStage, MTask, Model};
use counterpoint::message::Unroutable;
use counterpoint::task::Lack;
use counterpoint::{Seq, TaskId, Tier, Time};

type Judged = Result<(), String>;

/// Waiting tasks with the same requirements that no agent can perform, or the report about them that is to end.
#[derive(Debug, Clone)]
pub struct Group {
    pub since: Time,
    pub report: Option<u64>,
    pub tasks: usize,
    pub never: bool,
}

fn key(task: &MTask) -> String {
    format!("{} {}", task.spec.needs, task.spec.tier == Tier::Critical)
}

impl Model {
    /// Whether an agent that takes work meets the needs of the task. No agent of the model reserves capacity.
    fn has_agent(&self, task: &MTask) -> bool {
        self.agents.values().any(|agent| !agent.draining && Self::meets(task, agent))
    }

    fn alone(&self) -> impl Iterator<Item = &MTask> {
        let queued = self.tasks.values().filter(|task| matches!(task.stage, MStage::Queued));
        queued.filter(|task| !self.has_agent(task))
    }

    /// Follows which tasks have no agent, after a fact.
    pub fn regroup(&mut self) {
        let mut groups: std::collections::BTreeMap<String, Group> = std::collections::BTreeMap::new();
        for task in self.alone() {
            let known = self.groups.get(&key(task));
            let group = groups.entry(key(task)).or_insert_with(|| Group {
                since: known.map_or(self.now, |group| group.since),
                report: known.and_then(|group| group.report),
                tasks: 0,
                never: !self.agents.is_empty() && !self.agents.values().any(|agent| Self::meets(task, agent)),
            });
            group.tasks += 1;
        }
        for (key, group) in &self.groups {
            if group.report.is_some() {
                groups.entry(key.clone()).or_insert(Group { tasks: 0, ..group.clone() });
            }
        }
        self.groups = groups;
    }

    fn report_due(&self, group: &Group) -> Option<Time> {
        if group.report.is_some() || group.tasks == 0 {
            return None;
        }
        let limits = &self.limits.unroutable;
        let wait = if group.never { std::time::Duration::ZERO } else { limits.report_after };
        Some(group.since + limits.fail_after.map_or(wait, |fail| fail.min(wait)))
    }

    /// The first moment at which a report, its end, or the expiry of tasks without an agent is due.
    pub fn unroutable_due(&self) -> Option<Time> {
        let due = self.groups.values().flat_map(|group| {
            let end = (group.tasks == 0).then_some(self.now);
            let fail = self.limits.unroutable.fail_after.filter(|_| group.tasks > 0).map(|after| group.since + after);
            [end, self.report_due(group), fail]
        });
        due.flatten().min()
    }

    pub fn reported(&mut self, work: &Unroutable) -> Judged {
        let task = self.tasks.get(&work.task).ok_or("a report about an unknown task")?.clone();
        let group = self.groups.get(&key(&task)).ok_or(format!("a report about {}, which has an agent", work.task))?;
        let due = self.report_due(group).ok_or("a second report, or one about no task")?;
        if due > self.now {
            return Err(format!("{} is reported before {due}", work.task));
        }
        let same = (group.since, group.tasks) == (work.since, work.tasks as usize);
        if !same || work.needs != task.spec.needs || work.kind != task.spec.kind {
            return Err(format!("{work:?} is reported of {group:?}"));
        }
        let first = self.alone().filter(|other| key(other) == key(&task)).min_by_key(|other| self.rank(other));
        if first.map(|first| first.spec.id) != Some(work.task) {
            return Err(format!("{} is not the first of its group", work.task));
        }
        self.judge_lack(&task, &work.lack)?;
        let seq = self.last;
        self.groups.get_mut(&key(&task)).unwrap().report = Some(seq);
        Ok(())
    }

    fn judge_lack(&self, task: &MTask, lack: &Lack) -> Judged {
        let some = |has: &dyn Fn(&MAgent) -> bool| self.agents.values().any(has);
        let meets = some(&|agent| Self::meets(task, agent));
        let holds = match lack {
            Lack::Agents => self.agents.is_empty(),
            Lack::Skill { name, level, nearest } => {
                let lacks = !some(&|agent| agent.spec.skills.get(name).is_some_and(|has| has >= level));
                let near = name == "naill" && some(&|agent| agent.spec.skills.contains_key("nail"));
                lacks && nearest.as_deref() == near.then_some("nail")
            }
            Lack::Label { name, value, .. } => !some(&|agent| agent.spec.labels.get(name) == Some(value)),
            Lack::Together => !meets,
            Lack::Draining => meets,
            other => return Err(format!("{other:?} is no lack here")),
        };
        if holds { Ok(()) } else { Err(format!("{} does not wait because {lack}", task.spec.id)) }
    }

    pub fn report_ended(&mut self, report: Seq) -> Judged {
        let found = self.groups.iter().find(|(_, group)| group.report == Some(report.get()));
        let (key, group) = found.map(|(key, group)| (key.clone(), group)).ok_or("an unknown report ends")?;
        if group.tasks > 0 {
            return Err(format!("the report of {group:?} ends"));
        }
        self.groups.remove(&key);
        Ok(())
    }

    pub fn may_expire_unroutable(&self, id: TaskId) -> Judged {
        let task = self.tasks.get(&id).ok_or("an unknown task expires")?;
        let group = self.groups.get(&key(task)).filter(|_| matches!(task.stage, MStage::Queued));
        let group = group.filter(|group| group.tasks > 0).ok_or(format!("{id} expires, and has an agent"))?;
        let due = self.limits.unroutable.fail_after.map(|after| group.since + after);
        if group.report.is_none() || due.is_none_or(|due| due > self.now) {
            return Err(format!("{id} expires without an agent, due at {due:?}, reported by {:?}", group.report));
        }
        Ok(())
    }
}
