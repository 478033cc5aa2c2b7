//! The codes of failures that the library itself reports. All begin with `cp.`, which is reserved: agents and definitions choose
//! other codes.
//!
//! A report of a failure with a reserved code is rejected
//! ([`Invalid::Code`](crate::message::rejected::Invalid::Code)), as is a definition whose
//! [`Fail`](crate::definition::Fail) names one (`Fault::BadCode`). A code that is computed by an expression and is reserved
//! becomes `cp.value.invalid`. Exempt are the codes that the library reports where agents run (`cp.agent.*`, `cp.step.*`,
//! `cp.refused.*`, `cp.codec`, `cp.value.*`, `cp.function.*`, `cp.limit.calls`), because a message does not tell who has set them;
//! and a durable function passes on the failures of its calls with their codes. The causes of a failure may have any code. What a
//! journal contains is read whatever its codes are.
//!
//! A failure whose attempts or retry budget are used up keeps the code of its last attempt: what failed does not change by
//! having been tried often.
//!
//! | code | kind | what happened |
//! |---|---|---|
//! | `cp.timeout.attempt` | unknown | an attempt took longer than the attempt timeout |
//! | `cp.timeout.heartbeat` | unknown | an attempt reported no heartbeat for the heartbeat timeout |
//! | `cp.timeout.cancel`, `cp.timeout.yield` | unknown | an agent did not answer in time that it had stopped an attempt, or gives it back |
//! | `cp.timeout.deadline`, `.queue`, `.total` | transient | a task of a run expired |
//! | `cp.unroutable` | transient | no agent could perform a task of a run for [`fail_after`](crate::scheduler::UnroutableLimits::fail_after) |
//! | `cp.agent.lost` | unknown | the agent of an attempt is gone, or did not answer after a restart |
//! | `cp.agent.panicked`, `cp.agent.dropped` | unknown | the code of the agent panicked, or ended without an answer |
//! | `cp.agent.cancelled` | transient, unknown | the agent stopped an attempt that was being cancelled |
//! | `cp.agent.not_ready` | transient | a service was not ready |
//! | `cp.refused.busy`, `.unable`, `.leaving` | overloaded, transient | an agent refused an attempt by message |
//! | `cp.step.unknown`, `cp.step.input` | permanent | the agent has no step of the kind, or the input is of another type |
//! | `cp.step.output` | unknown, permanent | the output of a step has no JSON form, or was refused as too large |
//! | `cp.step.failure` | that of the failure | the failure that a step reported was refused as too large, or for its code |
//! | `cp.step.no_key` | permanent | the attempt has no idempotency key, because the journal is not identified |
//! | `cp.codec` | transient, unknown | a payload could not be decoded, or an output could not be encoded |
//! | `cp.cancelled` | permanent | the work that a node needs was cancelled |
//! | `cp.operator` | permanent | an operator failed the node |
//! | `cp.guard.precondition`, `.postcondition` | permanent | a guard of the node did not hold |
//! | `cp.write` | permanent | an output does not fit the variable that it is written to |
//! | `cp.value.too_large` | permanent | an input, a list or an output is larger than a payload may be |
//! | `cp.value.invalid` | permanent | a value is not what the node needs: no list, no time, no answer of delegated work; or a function in an expression cannot be applied |
//! | `cp.value.missing` | permanent | a path in an expression leads nowhere |
//! | `cp.no_case` | permanent | no case of a choice and no transition of a state applies |
//! | `cp.join` | permanent | a counting join can no longer reach its number, and none of its branches failed |
//! | `cp.undefined` | permanent | a called workflow is not defined |
//! | `cp.input` | permanent | a called workflow does not take the input |
//! | `cp.function.changed` | permanent | a durable function requested a known call with another body or input |
//! | `cp.function.key` | permanent | two calls of a durable function cannot be distinguished |
//! | `cp.function.stuck` | permanent | a durable function waits for nothing that the engine performs |
//! | `cp.timeout.signal`, `cp.timeout.decision` | permanent | a durable function waited too long for a signal or a decision |
//! | `cp.limit.calls` | permanent | a durable function requested more calls than it may |
//! | `cp.limit.rounds`, `.steps`, `.items`, `.depth`, `.runs`, `.evaluation`, `.delegation_depth`, `.fan_out`, `.parts`, `.repeated_work` | permanent | the limit was reached |
//! | `cp.budget.attempts`, `.time`, `.cost`, `.tokens` | permanent | the budget is used up |

/// An attempt took longer than its timeout.
pub const ATTEMPT_TIMEOUT: &str = "cp.timeout.attempt";
/// An attempt reported no heartbeat for its heartbeat timeout.
pub const HEARTBEAT_TIMEOUT: &str = "cp.timeout.heartbeat";
/// An agent did not answer in time that it stopped an attempt.
pub const CANCEL_TIMEOUT: &str = "cp.timeout.cancel";
/// An agent did not give an attempt back in time.
pub const YIELD_TIMEOUT: &str = "cp.timeout.yield";
/// A task of a run waited past its deadline.
pub const DEADLINE: &str = "cp.timeout.deadline";
/// A task of a run waited longer than its queue timeout.
pub const QUEUE_TIMEOUT: &str = "cp.timeout.queue";
/// A task of a run took longer than its total timeout.
pub const TOTAL_TIMEOUT: &str = "cp.timeout.total";
/// A durable function waited for a signal longer than it was willing to.
#[cfg(feature = "functions")]
pub const SIGNAL_TIMEOUT: &str = "cp.timeout.signal";
/// A durable function waited for a decision longer than it was willing to.
#[cfg(feature = "functions")]
pub const DECISION_TIMEOUT: &str = "cp.timeout.decision";
/// No agent could perform a task of a run for the longest time that it may wait for one.
pub const UNROUTABLE: &str = "cp.unroutable";
/// The codec of the host could not decode the input of an attempt, or encode its output.
#[cfg(feature = "codecs")]
pub const CODEC: &str = "cp.codec";
/// The agent of an attempt is gone.
pub const AGENT_LOST: &str = "cp.agent.lost";
/// The code of an agent panicked.
pub const AGENT_PANICKED: &str = "cp.agent.panicked";
/// An attempt ended without an answer of its agent.
pub const AGENT_DROPPED: &str = "cp.agent.dropped";
/// An agent stopped an attempt because it was cancelled.
pub const AGENT_CANCELLED: &str = "cp.agent.cancelled";
/// A service was not ready.
pub const NOT_READY: &str = "cp.agent.not_ready";
/// An agent refused an attempt because it is busy.
pub const REFUSED_BUSY: &str = "cp.refused.busy";
/// An agent refused an attempt because it cannot perform it.
pub const REFUSED_UNABLE: &str = "cp.refused.unable";
/// An agent refused an attempt because it is leaving.
pub const REFUSED_LEAVING: &str = "cp.refused.leaving";
/// An agent has no step of the kind of the task.
pub const STEP_UNKNOWN: &str = "cp.step.unknown";
/// The input of a step is of another type than the step takes.
pub const STEP_INPUT: &str = "cp.step.input";
/// The output of a step has no JSON form, or was refused.
pub const STEP_OUTPUT: &str = "cp.step.output";
/// The failure that a step reported was refused.
pub const STEP_FAILURE: &str = "cp.step.failure";
/// A step asked for the idempotency key of an attempt that has none.
pub const NO_KEY: &str = "cp.step.no_key";
/// The work that a node needs was cancelled.
pub const CANCELLED: &str = "cp.cancelled";
/// An operator failed the node.
pub const OPERATOR: &str = "cp.operator";
/// The precondition of a node did not hold.
pub const PRECONDITION: &str = "cp.guard.precondition";
/// The postcondition of a node did not hold.
pub const POSTCONDITION: &str = "cp.guard.postcondition";
/// An output does not fit the variable that it is written to.
pub const WRITE: &str = "cp.write";
/// A value is larger or deeper than a payload may be.
pub const TOO_LARGE: &str = "cp.value.too_large";
/// A value is not what the node needs.
pub const INVALID_VALUE: &str = "cp.value.invalid";
/// A path in an expression leads nowhere.
pub const MISSING_VALUE: &str = "cp.value.missing";
/// No case of a choice and no transition of a state applies.
pub const NO_CASE: &str = "cp.no_case";
/// A counting join can no longer reach its number.
pub const JOIN: &str = "cp.join";
/// A compensation that the node asked for was abandoned.
pub const COMPENSATION: &str = "cp.compensation";
/// A called workflow is not defined.
pub const UNDEFINED: &str = "cp.undefined";
/// A called workflow does not take the input.
pub const INPUT: &str = "cp.input";
/// A durable function requested a call that is known with another body or input.
pub const FUNCTION_CHANGED: &str = "cp.function.changed";
/// A durable function requested two calls at the same time that cannot be distinguished.
pub const FUNCTION_KEY: &str = "cp.function.key";
/// A durable function waits, and none of its calls is under way.
pub const FUNCTION_STUCK: &str = "cp.function.stuck";
/// A durable function requested more calls than it may.
pub const FUNCTION_CALLS: &str = "cp.limit.calls";
/// The prefix of the codes of limits; the name of the limit follows.
pub const LIMIT: &str = "cp.limit.";
/// The prefix of the codes of budgets; the name of the measure follows.
pub const BUDGET: &str = "cp.budget.";

/// The beginning of the codes of the library.
const RESERVED: &str = "cp.";

/// What the library reports where agents run. Those that end with a dot are beginnings.
const OF_AGENTS: [&str; 7] =
    ["cp.agent.", "cp.step.", "cp.refused.", "cp.codec", "cp.value.", "cp.function.", "cp.limit.calls"];

/// What the library names in the definitions that it makes for waits of durable functions.
const OF_DEFINITIONS: [&str; 2] = ["cp.timeout.signal", "cp.timeout.decision"];

/// Whether the report of a failure must not have this code.
pub(crate) fn is_barred_from_reports(code: &str) -> bool {
    let is_meant = |own: &&str| if own.ends_with('.') { code.starts_with(own) } else { code == *own };
    code.starts_with(RESERVED) && !OF_AGENTS.iter().any(is_meant)
}

/// Whether the failure of a definition must not have this code.
pub(crate) fn is_barred_from_definitions(code: &str) -> bool {
    code.starts_with(RESERVED) && !OF_DEFINITIONS.contains(&code)
}
