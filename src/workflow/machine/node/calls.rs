//! The calls of a durable function.

use super::instance::is_default;
use super::{Applied, Illegal, InstanceEnd};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::definition::{Body, FunctionCall, Occurrence, Work};
use crate::task::{Failure, SideEffects, codes};
use crate::workflow::functions::Functions;
use crate::workflow::plan::WorkPlan;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A call of a durable function.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) key: Name,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) occurrence: Occurrence,
    /// A hash of its body and its input.
    print: u64,
    /// How often a call of this key and occurrence was performed before as other work: by another child run, whose side effects
    /// were compensated, with another body or input, or before a rollback.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) repeats: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    standing: Standing,
    /// For a save-point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    save: Option<Save>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<u32>,
    /// Its input until it begins; then its instance has it.
    #[serde(default, skip_serializing_if = "Payload::is_null")]
    input: Payload,
    /// Dropped at the end of a task without a compensation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    work: Option<Box<CallWork>>,
    /// Follows from the work.
    #[serde(skip)]
    plan: Option<Arc<WorkPlan>>,
}

/// The work of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct CallWork {
    body: Body,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    undo: Option<Work>,
}

/// Whether a call is performed once more when it is requested again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Standing {
    #[default]
    Known,
    /// It had not succeeded when the function was retried.
    Forgotten,
    /// The function was rolled back to before it: it was compensated, or its side effects were left in place.
    RolledBack,
}

/// The rollbacks to a save-point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Save {
    /// How many there may be.
    retries: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    used: u32,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        let state = |call: &Self| (call.print, call.repeats, call.standing, call.save, call.instance);
        (&self.key, &self.occurrence, &self.input, &self.work)
            == (&other.key, &other.occurrence, &other.input, &other.work)
            && state(self) == state(other)
    }
}

impl Call {
    /// A hash of its body and its input.
    #[cfg(feature = "functions")]
    pub(crate) const fn print(&self) -> u64 {
        self.print
    }

    pub(crate) const fn input(&self) -> &Payload {
        &self.input
    }

    pub(crate) const fn instance(&self) -> Option<u32> {
        self.instance
    }

    pub(super) fn plan(&self) -> Option<&WorkPlan> {
        self.plan.as_deref()
    }

    /// Whether it can be compensated: by a task, or as a child run.
    pub(crate) fn can_be_undone(&self) -> bool {
        self.declares_undo() || self.is_run()
    }

    /// Whether a task undoes it.
    pub(super) fn declares_undo(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.undo.is_some())
    }

    fn is_run(&self) -> bool {
        self.work.as_ref().is_some_and(|work| matches!(work.body, Body::Flow(_) | Body::Call(_)))
    }

    /// Whether it is performed once more when it is requested again.
    pub(super) fn is_forgotten(&self) -> bool {
        self.standing != Standing::Known
    }

    /// Whether the function was rolled back to before it.
    pub(crate) fn was_rolled_back(&self) -> bool {
        self.standing == Standing::RolledBack
    }

    /// How often the function has rolled back to it; none if it is no save-point.
    pub(crate) fn rollbacks(&self) -> Option<u32> {
        self.save.map(|save| save.used)
    }

    /// Whether the function may roll back to it once more.
    pub(super) fn can_be_used(&self) -> bool {
        !self.is_forgotten() && self.save.is_some_and(|save| save.used < save.retries)
    }

    pub(super) const fn use_save_point(&mut self) {
        if let Some(save) = &mut self.save {
            save.used = save.used.saturating_add(1);
        }
    }

    pub(super) fn begin(&mut self, instance: u32) {
        (self.instance, self.input) = (Some(instance), Payload::NULL);
    }

    pub(super) fn end(&mut self) {
        if !self.can_be_undone() {
            (self.work, self.plan) = (None, None);
        }
    }

    pub(super) fn forget(&mut self) {
        (self.standing, self.input) = (Standing::Forgotten, Payload::NULL);
    }

    pub(super) fn roll_back(&mut self) {
        (self.standing, self.input) = (Standing::RolledBack, Payload::NULL);
    }

    /// Prepares its work for execution. False if its workflow is not sound.
    pub(super) fn prepare(&mut self, functions: &Arc<Functions>) -> bool {
        let Some(work) = &self.work else { return true };
        self.plan = WorkPlan::new(Some(&work.body), work.undo.as_ref(), false, functions).map(Arc::new);
        self.plan.is_some()
    }
}

/// The numbers of ended calls with effects that have a compensation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// With side effects.
    pub(crate) effects: u32,
    /// With side effects that the node must compensate. A child run that failed has compensated its own.
    pub(crate) to_undo: u32,
}

impl Tally {
    pub(super) fn add(&mut self, call: &Call, end: &InstanceEnd) {
        if !call.can_be_undone() || call.was_rolled_back() {
            return;
        }
        let (had_effect, is_done) = match end.side_effects() {
            SideEffects::None => (false, false),
            SideEffects::Possible => (true, !call.is_run()),
            SideEffects::Done(_) => (true, true),
        };
        self.effects = self.effects.saturating_add(had_effect.into());
        self.to_undo = self.to_undo.saturating_add(is_done.into());
    }
}

/// The calls by key and occurrence, and those that have not ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Index {
    known: BTreeMap<(Name, Occurrence), u32>,
    open: BTreeSet<u32>,
}

impl Index {
    pub(super) fn of(calls: &[Call], results: &[u32]) -> Self {
        let mut index = Self::default();
        for (number, call) in (0..).zip(calls) {
            index.known.insert((call.key.clone(), call.occurrence.clone()), number);
            if !call.is_forgotten() {
                index.open.insert(number);
            }
        }
        results.iter().for_each(|call| index.end(*call));
        index
    }

    /// Whether no call is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// The number of calls that have not ended.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    pub(super) fn end(&mut self, call: u32) {
        self.open.remove(&call);
    }

    /// The number of the known call of this key and occurrence.
    pub(super) fn number(&self, calls: &[Call], key: &Name, occurrence: &Occurrence) -> Option<u32> {
        let number = *self.known.get(&(key.clone(), occurrence.clone()))?;
        calls.get(number as usize).filter(|call| !call.is_forgotten()).map(|_| number)
    }

    fn last<'c>(&self, calls: &'c [Call], call: &FunctionCall) -> Option<&'c Call> {
        calls.get(*self.known.get(&(call.key.clone(), call.occurrence.clone()))? as usize)
    }

    /// The known call of the same key and occurrence.
    pub(super) fn find<'c>(&self, calls: &'c [Call], call: &FunctionCall) -> Option<&'c Call> {
        self.last(calls, call).filter(|call| !call.is_forgotten())
    }

    /// Whether requested calls are sound, the same as those that are known, and can be distinguished. Returns the number of new
    /// ones.
    pub(super) fn check(
        &self,
        calls: &[Call],
        requested: Vec<FunctionCall>,
        unsound: impl Fn(&FunctionCall) -> Option<String>,
    ) -> Result<usize, Failure> {
        let refused = |code: &str, message: String| Err(Failure::permanent(message).with_code(code));
        let open = self.open.iter().filter_map(|call| calls.get(*call as usize));
        let mut numbered: BTreeSet<&Name> =
            open.filter(|call| call.occurrence.is_number()).map(|call| &call.key).collect();
        let (mut asked, mut new) = (BTreeSet::new(), 0);
        for call in &requested {
            if let Some(why) = unsound(call) {
                return refused(codes::INVALID_VALUE, format!("a call cannot be performed: {why}"));
            }
            let FunctionCall { key, occurrence, .. } = call;
            if !asked.insert((key, occurrence)) {
                return refused(codes::FUNCTION_KEY, format!("it requests the call `{key}` {occurrence} twice"));
            }
            match self.find(calls, call) {
                Some(known) if known.print == call.print() => {}
                Some(_) => {
                    let message = format!("it requests the known call `{key}` {occurrence} with another body or input");
                    return refused(codes::FUNCTION_CHANGED, message);
                }
                None if occurrence.is_number() && !numbered.insert(key) => {
                    let message =
                        format!("it requests the call `{key}` {occurrence} while another of this key is under way");
                    return refused(
                        codes::FUNCTION_KEY,
                        format!("{message}: calls at the same time need data as occurrence"),
                    );
                }
                None => new += 1,
            }
        }
        Ok(new)
    }

    /// Adds a call that is new.
    pub(super) fn add(&mut self, calls: &mut Vec<Call>, call: &FunctionCall, functions: &Arc<Functions>) -> Applied {
        const INPUT: &str = "a function requests calls";
        let before = self.last(calls, call);
        if before.is_some_and(|before| !before.is_forgotten()) {
            return Err(Illegal::new(INPUT, "one of them is known"));
        }
        let mut added = Call {
            key: call.key.clone(),
            occurrence: call.occurrence.clone(),
            print: call.print(),
            repeats: before.map_or(0, |before| {
                let is_new = before.is_run() || before.was_rolled_back() || before.print != call.print();
                before.repeats.saturating_add(is_new.into())
            }),
            standing: Standing::Known,
            save: call.save.map(|retries| Save { retries, used: 0 }),
            instance: None,
            input: call.input.clone(),
            work: Some(Box::new(CallWork { body: call.body.clone(), undo: call.undo.clone() })),
            plan: None,
        };
        if !added.prepare(functions) {
            return Err(Illegal::new(INPUT, "the workflow of one of them has a cycle"));
        }
        let number = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        self.known.insert((call.key.clone(), call.occurrence.clone()), number);
        self.open.insert(number);
        calls.push(added);
        Ok(())
    }
}
