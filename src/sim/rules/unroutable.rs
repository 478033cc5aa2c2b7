//! Rules for reports about tasks that no agent can perform.

use super::{Judged, Known, Rules, Stage, rule};
use crate::base::id::{Seq, TaskId};
use crate::message::command::Command;
use crate::message::event::{ControlEvent, Unroutable};
use crate::sim::oracle::Step;
use crate::task::{Needs, Tier};
use std::collections::BTreeMap;

/// The reports that have not ended.
pub(super) type Reports = BTreeMap<Seq, Report>;

/// The tasks of a report.
#[derive(Debug, Clone)]
pub(super) struct Report {
    needs: Needs,
    critical: bool,
    /// Whether they have no other requirements. Tasks that exclude agents, and those of tenants with agents of their own, are
    /// reported apart from others with the same needs.
    plain: bool,
}

impl Report {
    fn concerns(&self, known: &Known) -> bool {
        self.needs == known.spec.needs && self.critical == (known.tier == Tier::Critical)
    }
}

/// The largest number of tasks of a simulation in which every task is compared with the reports.
const COMPARED: usize = 512;

/// Whether an agent takes the task now, and whether a registered one meets its needs. Affinity is not modelled.
fn agents_of(rules: &Rules, known: &Known) -> (bool, bool) {
    let able = rules.agents.values().filter(|member| {
        let shares = known.tier == Tier::Critical || member.spec.slots() > member.spec.reserved;
        shares && known.spec.needs.met_by(&member.spec) && member.spec.serves(known.spec.tenant.as_ref())
    });
    able.fold((false, false), |(takes, _), member| (takes || !member.draining, true))
}

/// A report is about waiting tasks without an agent, and is made once for tasks with the same requirements. It ends when an
/// agent takes them or none waits.
pub(super) fn judge(rules: &Rules, event: &ControlEvent) -> Judged {
    match event {
        ControlEvent::Unroutable(work) => judge_report(rules, work),
        ControlEvent::Routable { report } => {
            let ended = rules.reports.get(report).ok_or_else(|| format!("report {report} was not made"))?;
            let left = rules.tasks.values().find(|known| {
                let plain = known.spec.affinity.is_none() && known.spec.tenant.is_none();
                let same = plain && ended.plain && ended.concerns(known);
                same && known.stage == Stage::Queued && !agents_of(rules, known).0
            });
            rule(rules.trusting || left.is_none(), || format!("report {report} ends before {left:?} has an agent"))
        }
        _ => Ok(()),
    }
}

fn judge_report(rules: &Rules, work: &Unroutable) -> Judged {
    let known = waiting(rules, work.task)?;
    rule(work.needs == known.spec.needs && work.kind == known.spec.kind, || {
        format!("{work:?} differs from {known:?}")
    })?;
    let again = rules.reports.values().any(|open| open.concerns(known));
    // Tasks that exclude agents, and those of tenants with agents of their own, are reported apart from others.
    let apart = work.tenant.is_some() || rules.tasks.values().any(|known| known.spec.affinity.is_some());
    let confined = rules.agents.values().any(|member| member.spec.tenants.is_some());
    rule(!again || apart || confined, || format!("{work:?} is reported twice"))
}

/// A waiting task without an agent.
pub(super) fn waiting(rules: &Rules, task: TaskId) -> Result<&Known, String> {
    let known = rules.tasks.get(&task).ok_or_else(|| format!("{task} is not known"))?;
    rule(known.stage == Stage::Queued, || format!("{task} does not wait for an agent"))?;
    let alone = rules.trusting || known.spec.affinity.is_some() || !agents_of(rules, known).0;
    rule(alone, || format!("{task} has an agent"))?;
    Ok(known)
}

pub(super) fn learn(rules: &mut Rules, seq: Seq, event: &ControlEvent) {
    match event {
        ControlEvent::Unroutable(work) => {
            let known = rules.tasks.get(&work.task);
            let critical = known.is_some_and(|known| known.tier == Tier::Critical);
            let plain = work.tenant.is_none() && known.is_some_and(|known| known.spec.affinity.is_none());
            rules.reports.insert(seq, Report { needs: work.needs.clone(), critical, plain });
        }
        ControlEvent::Routable { report } => drop(rules.reports.remove(report)),
        _ => {}
    }
}

/// After a tick at which nothing was due, every task that none of the registered agents can ever perform is reported.
pub(super) fn complete(rules: &Rules, step: &Step<'_>) -> Judged {
    let is_quiet = matches!(step.command, Some(Command::Tick)) && step.entries.is_empty();
    if !is_quiet || rules.trusting || rules.agents.is_empty() || rules.tasks.len() > COMPARED {
        return Ok(());
    }
    let silent = rules.tasks.values().find(|known| {
        let alone = known.stage == Stage::Queued && !agents_of(rules, known).1;
        alone && !rules.reports.values().any(|open| open.concerns(known))
    });
    rule(silent.is_none(), || format!("{silent:?} waits without an agent, and no report says so"))
}
