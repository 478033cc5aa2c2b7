//! Choices and their cases.

use super::draft::{Datum, Draft, Sketch};
use super::handle::Handle;
use super::value::Value;
use crate::base::name::Name;
use crate::definition::{Action, Case, Condition, Expr, On, Pick, RaceOption, States};
use crate::workflow::validate::Fault;
use core::fmt;

/// A node that takes branches by conditions on its input, which is [`Expr::Item`] in them. Created by
/// [`Workflow::choose`](super::Workflow::choose).
///
/// ```
/// use counterpoint::definition::{Condition, Expr};
/// use counterpoint::workflow::Workflow;
///
/// let flow = Workflow::<u32, ()>::named("route");
/// let size = flow.choose(flow.input()).named("size").when("none", Condition::equal(Expr::Item, Expr::value(0))).otherwise("some");
/// let pause = flow.sleep(std::time::Duration::from_secs(1)).on(size.case("some"));
/// let error = flow.output(flow.sleep(std::time::Duration::ZERO).on(size.case("sone"))).unwrap_err();
/// assert!(error.to_string().contains("did you mean `none`?"), "{error}");
/// ```
#[derive(Clone, Copy)]
pub struct Choice<'f> {
    handle: Handle<'f, ()>,
}

impl fmt::Debug for Choice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Choice({})", self.handle.node_index())
    }
}

impl<'f> Choice<'f> {
    pub(super) fn add(draft: &'f Draft, of: Datum) -> Self {
        let action = Action::Choose { pick: Pick::First, cases: Vec::new(), otherwise: None };
        Self { handle: Handle::add(draft, Sketch::new("choice", action).with_input(of)) }
    }

    pub(super) fn race(draft: &'f Draft, offers: Vec<RaceOption>) -> Self {
        Self { handle: Handle::add(draft, Sketch::new("first", Action::Race { options: offers })) }
    }

    pub(super) fn states(draft: &'f Draft, states: States, input: Datum) -> Self {
        Self { handle: Handle::add(draft, Sketch::new("states", Action::States(states)).with_input(input)) }
    }

    /// The output of the node: for a race the payload of the signal, or `by`, `option` and `note` of the decision; for
    /// states the final value of the token. The caller asserts that it is a `T`.
    #[must_use]
    pub fn output<T>(self) -> Value<'f, T> {
        self.handle.retyped::<T, ()>().value()
    }

    /// Adds a case. Conditions are evaluated in the order in which the cases are added, and the first one that holds is
    /// taken, unless the choice takes [`every`](Self::every) one.
    #[must_use]
    pub fn when(self, case: impl Into<Name>, condition: Condition) -> Self {
        let case = Case::new(case, condition);
        self.change(|_, cases, _| cases.push(case))
    }

    /// Adds the case for when no condition holds. Without one, the node fails then.
    #[must_use]
    pub fn otherwise(self, case: impl Into<Name>) -> Self {
        let case = case.into();
        self.change(|_, _, otherwise| *otherwise = Some(case))
    }

    /// Takes every case whose condition holds.
    #[must_use]
    pub fn every(self) -> Self {
        self.change(|pick, _, _| *pick = Pick::Every)
    }

    /// Sets the name of the node. By default it is `choice`, with a number if there are several.
    #[must_use]
    pub fn named(self, name: impl Into<Name>) -> Self {
        Self { handle: self.handle.named(name) }
    }

    /// A case of the choice, for [`Handle::on`]. Finishing the workflow checks that the case exists.
    #[must_use]
    pub fn case(self, case: impl Into<Name>) -> CaseRef<'f> {
        CaseRef::of(self.handle.draft(), self.handle.node_index(), case.into())
    }

    /// The choice as a node, for settings that every node has.
    #[must_use]
    pub const fn node(self) -> Handle<'f, ()> {
        self.handle
    }

    /// Changes the cases. The options of a race and the states of a state machine are complete when the node is added.
    fn change(self, change: impl FnOnce(&mut Pick, &mut Vec<Case>, &mut Option<Name>)) -> Self {
        let mut is_choice = true;
        self.handle.draft().change(self.handle.node_index(), |node| {
            if let Action::Choose { pick, cases, otherwise } = &mut node.node.action {
                change(pick, cases, otherwise);
                return;
            }
            is_choice = false;
        });
        if !is_choice {
            self.handle.draft().fault(Fault::CasesWithoutChoice);
        }
        self
    }
}

/// A case of a [`Choice`].
#[derive(Clone, Copy)]
pub struct CaseRef<'f> {
    draft: &'f Draft,
    link: usize,
}

impl<'f> CaseRef<'f> {
    pub(super) fn of(draft: &'f Draft, node: usize, case: Name) -> Self {
        let link = Datum { expr: Expr::default(), after: vec![(node, On::Case(case))] };
        Self { draft, link: draft.keep(link) }
    }

    /// The link from this case; none, and a fault, if the case belongs to another workflow.
    pub(super) fn link_for(self, draft: &Draft) -> Option<(usize, On)> {
        if draft.owns(self.draft) { self.draft.datum(self.link).after.pop() } else { None }
    }
}

impl fmt::Debug for CaseRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.draft.datum(self.link).after.pop() {
            Some((node, On::Case(case))) => write!(f, "CaseRef({node}: {case})"),
            _ => f.write_str("CaseRef"),
        }
    }
}
