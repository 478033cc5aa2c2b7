//! Access control for commands and reads, in front of the engine.
//!
//! The host passes each command to the [`Gate`], with the token of the caller, and calls the engine with the command that the
//! gate returns. The host's [`Verifier`] identifies the caller by the token; the [`Policy`], which is data, maps roles to
//! permissions. Everything that is not granted is denied. Some rules hold under every policy: a caller acts only for its own
//! agents and the attempts that they hold, and decides only in its own name and in roles that it has.
//!
//! # Tenants
//!
//! A principal that is confined to tenants ([`Principal::with_tenant`]) reaches nothing outside of them:
//!
//! - It submits tasks and starts runs of its tenants only; without a stated tenant, of the only one that it has. The ids that it chooses are numbers of its tenant: the gate maps
//!   them into a namespace ([`IdKey`]), so equal numbers of two tenants are different tasks. In later commands it names the
//!   task by its number or by its id.
//! - Every other command names tasks and runs of its tenants. For any other id the denial is the same, whether or not the
//!   task exists.
//! - Dependencies and affinities of its tasks name tasks of its tenants.
//! - Its agents are confined as well ([`AgentSpec::tenants`](crate::AgentSpec::tenants)): the scheduler assigns them only
//!   tasks of those tenants.
//! - Definitions belong to no tenant: it cannot change them. It can migrate a run of its tenant to a definition of its own
//!   if it has the permission to define.
//! - Lists and subscriptions are restricted to its tenants ([`Gate::admit_list`], [`Gate::admit_subscription`]).
//!
//! Sequence numbers, incarnations and ids that the engine assigns count the activity of all tenants.
//!
//! # Audit
//!
//! Each answer has a [`Decision`] for an [`AuditTrail`]: the caller, the request, the time, the reason of a denial and the
//! events that the command caused. Replaying a journal makes no decisions, since its events come from allowed commands.
//!
//! ```
//! use counterpoint::access::{AuditTrail, Gate, Policy, Principal, Role, Token, Unauthenticated};
//! use counterpoint::{Command, Config, Engine, Outbox, TaskId, TaskSpec, Time};
//!
//! let verify = |token: &Token, _: Time| match token.reveal() {
//!     "let me in" => Ok(Principal::new("ada").with_role(Role::Submitter).with_tenant("north")),
//!     _ => Err(Unauthenticated::Unknown),
//! };
//! let gate = Gate::new(Policy::standard(), verify);
//! let (mut engine, mut outbox, mut trail) = (Engine::new(Config::default()), Outbox::default(), AuditTrail::default());
//! let token = Token::new("let me in");
//!
//! let command = Command::submit(TaskSpec::new(TaskId::new(1), "count").with_tenant("north"));
//! let admitted = gate.admit(Time::ZERO, Some(&token), command, &engine);
//! let before = engine.last_seq();
//! engine.handle(Time::ZERO, admitted.granted?, &mut outbox)?;
//! trail.push(admitted.decision.with_events(before, engine.last_seq()));
//!
//! let command = Command::submit(TaskSpec::new(TaskId::new(2), "count").with_tenant("south"));
//! let admitted = gate.admit(Time::ZERO, Some(&token), command, &engine);
//! assert_eq!(admitted.granted.unwrap_err().to_string(), "ada may not access other tenants");
//! trail.push(admitted.decision);
//!
//! // The task has an id of the tenant. The caller names it by its number, too.
//! let id = gate.admit_task(Time::ZERO, Some(&token), TaskId::new(1), &engine).granted?;
//! assert_eq!(id, gate.id_key().task(&"north".into(), TaskId::new(1)));
//! assert!(engine.task(id).is_some() && engine.task(TaskId::new(1)).is_none());
//!
//! assert_eq!(trail.principal_of(engine.last_seq()).map(|name| name.to_string()), Some("ada".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decision;
mod describe;
mod ids;
mod policy;
mod principal;
mod rules;
mod tokens;

pub use decision::{AccessError, Admitted, AuditTrail, Decision};
pub use ids::IdKey;
pub use policy::{Action, DenialReason, Policy};
pub use principal::{Principal, Role, Unauthenticated, Verifier};
pub use tokens::{Tokens, TokensError};

pub use crate::base::token::Token;

use crate::base::id::{AttemptId, Incarnation, RunId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::journal::EventFilter;
use crate::message::command::Command;
use core::fmt;
use rules::Rules;
use std::collections::BTreeSet;

/// The state on which decisions depend, implemented by [`Engine`](crate::Engine) and [`Scheduler`](crate::Scheduler).
///
/// None of the answers changes while a task or run is known, so there is no race between a decision and its command.
pub trait AccessState {
    /// The tenant of a task: the outer option is none if the task is unknown, the inner one if it has no tenant.
    fn tenant_of(&self, task: TaskId) -> Option<Option<&Name>>;

    /// The tenant of a run, as for [`tenant_of`](Self::tenant_of). A child run has the tenant of its parent. The default, for a
    /// state without runs, is none.
    fn tenant_of_run(&self, _: RunId) -> Option<Option<&Name>> {
        None
    }

    /// The holder of an attempt that is under way.
    fn holder_of(&self, attempt: AttemptId) -> Option<Incarnation>;
}

/// The tenants whose data a caller may list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a caller is confined to tenants or is not")]
pub enum Reach {
    /// Everything, also what belongs to no tenant.
    Everything,
    /// These tenants.
    Tenants(BTreeSet<Name>),
}

impl Reach {
    /// Whether objects of this tenant, or of none, are within reach.
    #[must_use]
    pub fn includes(&self, tenant: Option<&Name>) -> bool {
        match self {
            Self::Everything => true,
            Self::Tenants(tenants) => tenant.is_some_and(|tenant| tenants.contains(tenant)),
        }
    }
}

/// Decides whether the caller of a command is identified and has the permission for it.
pub struct Gate {
    policy: Policy,
    verifier: Box<dyn Verifier>,
    key: IdKey,
}

impl Gate {
    /// Makes a gate of a policy and a verifier, which is a type of the host or a closure.
    pub fn new(policy: Policy, verifier: impl Verifier + 'static) -> Self {
        Self { policy, verifier: Box::new(verifier), key: IdKey::default() }
    }

    /// Sets the key of the ids of confined principals. It must be the same for as long as the journal is used.
    #[must_use]
    pub fn with_id_key(mut self, key: IdKey) -> Self {
        self.key = key;
        self
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The key of the ids of confined principals.
    #[must_use]
    pub const fn id_key(&self) -> &IdKey {
        &self.key
    }

    /// Decides about a command, without side effects. The granted command is the one for the engine: for a confined principal
    /// it names the ids of its tenant.
    pub fn admit(
        &self,
        now: Time,
        token: Option<&Token>,
        command: Command,
        state: &impl AccessState,
    ) -> Admitted<Command> {
        let (action, asked) = (Action::of(&command), describe::describe(&command));
        let mut admitted = self.admit_with(now, token, action, asked, |who| {
            let confined = who.is_confined();
            self.rules(who, state).admit(command).map(|command| (command, confined))
        });
        if let Ok((command, true)) = &admitted.granted {
            // The trail has the ids that the journal has.
            admitted.decision.request = describe::describe(command);
        }
        Admitted { decision: admitted.decision, granted: admitted.granted.map(|(command, _)| command) }
    }

    /// Decides about reading a run: its state, what it waits for, its story. Needs the permission to read, or to signal runs:
    /// a principal that starts runs follows them. The granted id is the one of the engine.
    pub fn admit_run(&self, now: Time, token: Option<&Token>, run: RunId, state: &impl AccessState) -> Admitted<RunId> {
        self.admit_with(now, token, Action::Read, format!("read run {run}").into(), |who| {
            self.may_follow(who, Action::Signal)?;
            self.rules(who, state).known_run(run)
        })
    }

    /// Decides about reading a task. Needs the permission to read, or to cancel tasks: a principal that submits tasks follows
    /// them. The granted id is the one of the engine.
    pub fn admit_task(
        &self,
        now: Time,
        token: Option<&Token>,
        task: TaskId,
        state: &impl AccessState,
    ) -> Admitted<TaskId> {
        self.admit_with(now, token, Action::Read, format!("read task {task}").into(), |who| {
            self.may_follow(who, Action::Cancel)?;
            self.rules(who, state).known_task(task)
        })
    }

    /// Decides about a list of tasks or runs. The host lists only those of the tenants that are granted, for example with
    /// [`RunFilter::with_tenant`](crate::engine::RunFilter::with_tenant).
    pub fn admit_list(&self, now: Time, token: Option<&Token>, request: &str) -> Admitted<Reach> {
        self.admit_with(now, token, Action::Read, request.into(), |who| {
            self.policy.grants(who, Action::Read)?;
            Ok(who.tenants.clone().map_or(Reach::Everything, Reach::Tenants))
        })
    }

    /// Decides about a subscription to events. The granted filter passes only events of the caller's tenants.
    pub fn admit_subscription(
        &self,
        now: Time,
        token: Option<&Token>,
        request: &str,
        filter: EventFilter,
    ) -> Admitted<EventFilter> {
        self.admit_with(now, token, Action::Read, request.into(), |who| {
            self.policy.grants(who, Action::Read)?;
            Ok(match &who.tenants {
                Some(tenants) => filter.within(tenants.iter().cloned()),
                None => filter,
            })
        })
    }

    /// Decides about reading data of all tenants: the audit trail, journals, snapshots. Confined callers are denied.
    pub fn admit_reading(&self, now: Time, token: Option<&Token>, request: &str) -> Admitted<()> {
        self.admit_with(now, token, Action::Read, request.into(), |who| {
            if who.is_confined() { Err(DenialReason::ForeignTenant) } else { self.policy.grants(who, Action::Read) }
        })
    }

    /// One object is read with the permission to read everything, or with the one to act on such objects.
    fn may_follow(&self, who: &Principal, acts: Action) -> Result<(), DenialReason> {
        self.policy.grants(who, Action::Read).or_else(|denied| self.policy.grants(who, acts).map_err(|_| denied))
    }

    const fn rules<'a, S>(&'a self, who: &'a Principal, state: &'a S) -> Rules<'a, S> {
        Rules { policy: &self.policy, key: &self.key, who, state }
    }

    fn admit_with<T>(
        &self,
        now: Time,
        token: Option<&Token>,
        action: Action,
        request: Box<str>,
        check: impl FnOnce(&Principal) -> Result<T, DenialReason>,
    ) -> Admitted<T> {
        let verified = token.ok_or(Unauthenticated::Missing).and_then(|token| self.verifier.verify(token, now));
        let (principal, granted) = match verified {
            Err(unknown) => (None, Err(AccessError::Unauthenticated(unknown))),
            Ok(who) => {
                let granted =
                    check(&who).map_err(|reason| AccessError::Forbidden { principal: who.name.clone(), reason });
                (Some(who.name), granted)
            }
        };
        let decision = Decision::new(now, principal, action, request, granted.as_ref().err().cloned());
        Admitted { decision, granted }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("policy", &self.policy).finish_non_exhaustive()
    }
}
