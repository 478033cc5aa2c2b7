//! Access control for commands and reads, in front of the engine.
//!
//! The host asks the [`Gate`] about each command, with the token of the caller, before it calls the engine. The host's
//! [`Verifier`] identifies the caller by the token; the [`Policy`], which is data, maps roles to permissions. Everything that
//! is not granted is denied. Some rules hold under every policy: a caller acts only for its own agents and the attempts that
//! they hold, decides only in its own name, and, if it is confined to tenants, has no access to other tenants.
//!
//! Each answer is a [`Decision`] for an [`AuditTrail`]: the caller, the request, the time, the reason of a denial and the
//! events that the command caused. Replaying a journal makes no decisions, since its events come from allowed commands.
//!
//! ```
//! use counterpoint::access::{Gate, Policy, Principal, Role, AuditTrail, Unauthenticated};
//! use counterpoint::{Command, Config, Engine, Outbox, TaskId, TaskSpec, Time};
//! use counterpoint::access::Token;
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
//! let decision = gate.decide(Time::ZERO, Some(&token), &command, &engine);
//! decision.check()?;
//! let before = engine.last_seq();
//! engine.handle(Time::ZERO, command, &mut outbox)?;
//! trail.push(decision.with_events(before, engine.last_seq()));
//!
//! let command = Command::submit(TaskSpec::new(TaskId::new(2), "count").with_tenant("south"));
//! let decision = gate.decide(Time::ZERO, Some(&token), &command, &engine);
//! assert_eq!(decision.check().unwrap_err().to_string(), "ada may not access other tenants");
//! trail.push(decision);
//!
//! assert_eq!(trail.principal_of(engine.last_seq()).map(|name| name.to_string()), Some("ada".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decision;
mod policy;
mod principal;
mod rules;
mod tokens;

pub use decision::{AccessError, AuditTrail, Decision};
pub use policy::{Action, DenialReason, Policy};
pub use principal::{Principal, Role, Unauthenticated, Verifier};
pub use tokens::{Tokens, TokensError};

pub use crate::base::token::Token;

use crate::base::id::{AttemptId, Incarnation, RunId, TaskId};
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::command::Command;
use core::fmt;

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

/// Decides whether the caller of a command is identified and has the permission for it.
pub struct Gate {
    policy: Policy,
    verifier: Box<dyn Verifier>,
}

impl Gate {
    /// Makes a gate of a policy and a verifier, which is a type of the host or a closure.
    pub fn new(policy: Policy, verifier: impl Verifier + 'static) -> Self {
        Self { policy, verifier: Box::new(verifier) }
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Decides about a command, without side effects.
    pub fn decide(&self, now: Time, token: Option<&Token>, command: &Command, state: &impl AccessState) -> Decision {
        let action = Action::of(command);
        let request = rules::describe(command);
        self.decide_with(now, token, action, request, |who| rules::check(&self.policy, who, command, state))
    }

    /// Decides about reading a run: its state, what it waits for, its story. For lists of runs for a confined caller, use
    /// [`RunFilter::with_tenant`](crate::engine::RunFilter::with_tenant).
    pub fn decide_reading_run(
        &self,
        now: Time,
        token: Option<&Token>,
        run: RunId,
        state: &impl AccessState,
    ) -> Decision {
        self.decide_with(now, token, Action::Read, format!("read run {run}").into(), |who| {
            self.policy.grants(who, Action::Read)?;
            rules::access_run(who, run, state)
        })
    }

    /// Decides about reading a task.
    pub fn decide_reading_task(
        &self,
        now: Time,
        token: Option<&Token>,
        task: TaskId,
        state: &impl AccessState,
    ) -> Decision {
        self.decide_with(now, token, Action::Read, format!("read task {task}").into(), |who| {
            self.policy.grants(who, Action::Read)?;
            rules::access_task(who, task, state)
        })
    }

    /// Decides about reading data of all tenants: the audit trail, journals, snapshots. Confined callers are denied.
    pub fn decide_reading(&self, now: Time, token: Option<&Token>, request: &str) -> Decision {
        self.decide_with(now, token, Action::Read, request.into(), |who| {
            if who.is_confined() { Err(DenialReason::ForeignTenant) } else { self.policy.grants(who, Action::Read) }
        })
    }

    fn decide_with(
        &self,
        now: Time,
        token: Option<&Token>,
        action: Action,
        request: Box<str>,
        check: impl FnOnce(&Principal) -> Result<(), DenialReason>,
    ) -> Decision {
        let verified = token.ok_or(Unauthenticated::Missing).and_then(|token| self.verifier.verify(token, now));
        let (principal, error) = match verified {
            Err(unknown) => (None, Some(AccessError::Unauthenticated(unknown))),
            Ok(who) => {
                let denied = check(&who).err();
                let error = denied.map(|reason| AccessError::Forbidden { principal: who.name.clone(), reason });
                (Some(who.name), error)
            }
        };
        Decision::new(now, principal, action, request, error)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("policy", &self.policy).finish_non_exhaustive()
    }
}
