//! Who may command what: a gate in front of the engine, for hosts that take commands from others.
//!
//! A host shows the [`Gate`] each command before it hands it on, with the token that came with it. The host's [`Verifier`]
//! says whose token it is; the [`Policy`], which is data, says what their roles may do. What no policy lifts: an agent speaks
//! for itself alone and only about attempts that it holds, a decision is taken in one's own name, and whoever is confined to
//! tenants reaches nothing outside of them. What nobody allowed is denied.
//!
//! Each answer is a [`Decision`], to be kept in a [`Trail`] whether it says yes or no: who, what, when, why, and which facts
//! it led to. Replaying a journal asks nobody: the facts are those of commands that were let through.
//!
//! ```
//! use counterpoint::access::{Gate, Policy, Principal, Role, Trail, Unauthenticated};
//! use counterpoint::{Command, Config, Engine, Outbox, TaskId, TaskSpec, Time, Token};
//!
//! let verify = |token: &Token, _: Time| match token.reveal() {
//!     "let me in" => Ok(Principal::new("ada").with_role(Role::Submitter).with_tenant("north")),
//!     _ => Err(Unauthenticated::Unknown),
//! };
//! let gate = Gate::new(Policy::standard(), verify);
//! let (mut engine, mut outbox, mut trail) = (Engine::new(Config::default()), Outbox::default(), Trail::default());
//! let token = Token::new("let me in");
//!
//! let command = Command::submit(TaskSpec::new(TaskId::new(1), "count").with_tenant("north"));
//! let decision = gate.decide(Time::ZERO, Some(&token), &command, &engine);
//! decision.check()?;
//! let before = engine.last_seq();
//! engine.handle(Time::ZERO, command, &mut outbox)?;
//! trail.keep(decision.led_to(before, engine.last_seq()));
//!
//! let command = Command::submit(TaskSpec::new(TaskId::new(2), "count").with_tenant("south"));
//! let decision = gate.decide(Time::ZERO, Some(&token), &command, &engine);
//! assert_eq!(decision.check().unwrap_err().to_string(), "ada may not reach beyond their tenants");
//! trail.keep(decision);
//!
//! assert_eq!(trail.who_led_to(engine.last_seq()).map(|name| name.to_string()), Some("ada".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decision;
mod policy;
mod principal;
mod rules;
mod tokens;

pub use decision::{Decision, Refused, Trail};
pub use policy::{Action, Denied, Policy};
pub use principal::{Principal, Role, Unauthenticated, Verifier};
pub use tokens::{Tokens, TokensError};

use crate::command::Command;
use crate::id::{AttemptId, Incarnation, RunId, TaskId};
use crate::name::Name;
use crate::time::Time;
use crate::token::Token;
use core::fmt;

/// What the gate needs to know of the state: an [`Engine`](crate::Engine) or a [`Scheduler`](crate::Scheduler) knows it.
///
/// The answers to none of these questions change while a task or run is known, so asking first and commanding later is no gap.
pub trait Known {
    /// For whom a task is done: none if it is not known, an empty answer within if it is nobody's.
    fn tenant_of(&self, task: TaskId) -> Option<Option<&Name>>;

    /// For whom a run is done, as [`tenant_of`](Self::tenant_of); those within another are of its tenant. What has no runs
    /// knows none.
    fn tenant_of_run(&self, _: RunId) -> Option<Option<&Name>> {
        None
    }

    /// Who holds an attempt, if it is under way.
    fn holder_of(&self, attempt: AttemptId) -> Option<Incarnation>;
}

/// Stands before the engine, and says of each command who it comes from and whether they may.
pub struct Gate {
    policy: Policy,
    verifier: Box<dyn Verifier>,
}

impl Gate {
    /// A gate with this policy, and a verifier of tokens: a type of the host's, or a closure.
    pub fn new(policy: Policy, verifier: impl Verifier + 'static) -> Self {
        Self { policy, verifier: Box::new(verifier) }
    }

    /// Its policy.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Decides about a command. Nothing is changed by asking.
    pub fn decide(&self, now: Time, token: Option<&Token>, command: &Command, known: &impl Known) -> Decision {
        let action = Action::of(command);
        let what = rules::describe(command);
        self.judge(now, token, action, what, |who| rules::check(&self.policy, who, command, known))
    }

    /// Decides whether somebody may see one run: its state, what it waits for, its story. Lists of runs for somebody who is
    /// confined are made with [`RunFilter::with_tenant`](crate::RunFilter::with_tenant).
    pub fn decide_reading_run(&self, now: Time, token: Option<&Token>, run: RunId, known: &impl Known) -> Decision {
        self.judge(now, token, Action::Read, format!("read run {run}").into(), |who| {
            self.policy.grants(who, Action::Read)?;
            rules::of_their_run(who, run, known)
        })
    }

    /// Decides whether somebody may see one task.
    pub fn decide_reading_task(&self, now: Time, token: Option<&Token>, task: TaskId, known: &impl Known) -> Decision {
        self.judge(now, token, Action::Read, format!("read task {task}").into(), |who| {
            self.policy.grants(who, Action::Read)?;
            rules::of_theirs(who, task, known)
        })
    }

    /// Decides whether somebody may read the audit trail, journals and states: those of all, so nobody who is confined may.
    pub fn decide_reading(&self, now: Time, token: Option<&Token>, what: &str) -> Decision {
        self.judge(now, token, Action::Read, what.into(), |who| {
            if who.is_confined() { Err(Denied::ForeignTenant) } else { self.policy.grants(who, Action::Read) }
        })
    }

    fn judge(
        &self,
        now: Time,
        token: Option<&Token>,
        action: Action,
        what: Box<str>,
        check: impl FnOnce(&Principal) -> Result<(), Denied>,
    ) -> Decision {
        let verified = token.ok_or(Unauthenticated::Missing).and_then(|token| self.verifier.verify(token, now));
        let (who, refused) = match verified {
            Err(unknown) => (None, Some(Refused::Unauthenticated(unknown))),
            Ok(who) => {
                let denied = check(&who).err();
                let refused = denied.map(|denied| Refused::Denied { who: who.name.clone(), denied });
                (Some(who.name), refused)
            }
        };
        Decision::new(now, who, action, what, refused)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("policy", &self.policy).finish_non_exhaustive()
    }
}
