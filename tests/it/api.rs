//! What every public type owes to those who use it: the compiler is the judge.

use core::error::Error;
use core::fmt::{Debug, Display};
use core::hash::Hash;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An error goes through `?` into any box, across threads, and can be compared in a test.
const fn error<E: Error + Clone + PartialEq + Send + Sync + 'static>() {}

/// What is said: it is written down, read back, compared, shared.
const fn data<T: Debug + Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static>() {}

/// A name or number by which others look something up.
const fn key<T: Debug + Display + Copy + Ord + Hash + Serialize + DeserializeOwned + Send + Sync + 'static>() {}

/// What a host hands from thread to thread, and shares.
const fn shared<T: Debug + Send + Sync + 'static>() {}

/// What has one owner at a time, on any thread.
const fn owned<T: Debug + Send + 'static>() {}

const fn equal<T: Eq>() {}

#[test]
fn errors_are_errors_everywhere() {
    use counterpoint::task::BadTrace;
    use counterpoint::{
        BadConfig, Failure, PayloadError, Rejected, RestoreError, dag, journal, resilience, saga, workflow,
    };
    error::<BadConfig>();
    error::<Failure>();
    error::<PayloadError>();
    error::<Rejected>();
    error::<RestoreError>();
    error::<dag::BuildError>();
    error::<dag::Refused>();
    error::<journal::AppendError>();
    error::<journal::JournalError>();
    #[cfg(feature = "resilience")]
    error::<resilience::breaker::Refused>();
    error::<resilience::rate::Limited>();
    #[cfg(feature = "learning")]
    error::<counterpoint::routing::WeightError>();
    error::<saga::SagaError>();
    error::<saga::CompensationError>();
    error::<saga::RollbackError>();
    error::<saga::IllegalEvent>();
    error::<BadTrace>();
    error::<workflow::DefinitionError>();
    error::<workflow::Fault>();
    #[cfg(feature = "threads")]
    {
        error::<counterpoint::host::HostError>();
        error::<counterpoint::host::RunError>();
    }
    #[cfg(feature = "tower")]
    error::<counterpoint::host::future::CallError>();
    #[cfg(feature = "sealed")]
    error::<journal::sealed::SealError>();
    #[cfg(feature = "testing")]
    error::<counterpoint::testing::BadRecording>();
    #[cfg(feature = "sim")]
    {
        error::<counterpoint::sim::SimError>();
        error::<counterpoint::sim::storm::BadCase>();
        error::<counterpoint::sim::storm::Failed>();
    }
}

#[cfg(feature = "full")]
#[test]
fn errors_of_features_are_errors_everywhere() {
    use counterpoint::{access, coordination, decompose, language, protocol, team};
    error::<access::DenialReason>();
    error::<access::AccessError>();
    error::<access::Unauthenticated>();
    error::<coordination::Overdrawn>();
    error::<coordination::blackboard::WriteError>();
    error::<coordination::consensus::VoteError>();
    error::<coordination::hierarchy::HierarchyError>();
    error::<coordination::market::BadBid>();
    error::<coordination::market::ContractError>();
    error::<coordination::market::ExchangeError>();
    error::<decompose::DecomposeError>();
    error::<decompose::NoPlan>();
    error::<language::DocumentError>();
    error::<language::DocumentFaultKind>();
    error::<protocol::BadMessageId>();
    error::<protocol::Malformed>();
    error::<protocol::NotACommand>();
    error::<protocol::NotAMessage>();
    error::<team::NoTeam>();
    error::<team::PhaseError>();
}

#[cfg(feature = "planning")]
#[test]
fn errors_of_planning_are_errors_everywhere() {
    use counterpoint::planning;
    error::<planning::AssignError>();
    error::<planning::InvalidProject>();
    error::<planning::Violation>();
    error::<planning::ProjectFault>();
    error::<planning::GraphError>();
    error::<planning::OutlineError>();
    error::<planning::RunTensorError>();
    error::<planning::TensorError>();
    #[cfg(feature = "lp")]
    error::<planning::LpError>();
}

#[test]
fn the_conversation_is_data() {
    use counterpoint::definition::Definition;
    use counterpoint::engine::EngineSnapshot;
    use counterpoint::message::{Migration, MigrationReport};
    use counterpoint::scheduler::{SchedulerSnapshot, TaskWait};
    use counterpoint::{
        Accepted, AgentSpec, Command, Effect, Entry, Event, Failure, Limits, Name, Payload, Policy, Rejected, Retry,
        RunOutcome, RunSpec, TaskOutcome, TaskSpec,
    };
    data::<Accepted>();
    data::<AgentSpec>();
    data::<Command>();
    data::<Definition>();
    data::<Effect>();
    data::<EngineSnapshot>();
    data::<Entry>();
    data::<Event>();
    data::<Failure>();
    data::<Limits>();
    data::<Migration>();
    data::<MigrationReport>();
    data::<Name>();
    data::<Payload>();
    data::<Policy>();
    data::<Rejected>();
    data::<Retry>();
    data::<RunOutcome>();
    data::<RunSpec>();
    data::<SchedulerSnapshot>();
    data::<TaskOutcome>();
    data::<TaskSpec>();
    data::<TaskWait>();
}

#[test]
fn ids_are_keys_and_outcomes_are_equal_or_not() {
    use counterpoint::message::NodeOutcome;
    use counterpoint::task::SideEffects;
    use counterpoint::{
        AgentId, AgentSpec, AttemptId, Incarnation, Payload, Policy, Retry, RunId, RunOutcome, Seq, TaskId, TaskOutcome,
    };
    key::<AgentId>();
    key::<AttemptId>();
    key::<Incarnation>();
    key::<RunId>();
    key::<Seq>();
    key::<TaskId>();
    equal::<AgentSpec>();
    equal::<SideEffects>();
    equal::<NodeOutcome>();
    equal::<Payload>();
    equal::<Policy>();
    equal::<Retry>();
    equal::<RunOutcome>();
    equal::<TaskOutcome>();
}

/// An engine has one owner: its strategies may be of any sort that can be sent. What hosts hand out is shared.
#[test]
fn machines_are_sent_and_handles_are_shared() {
    use counterpoint::engine::Follower;
    use counterpoint::workflow::{Attempt, Flow, Steps};
    use counterpoint::{Config, Engine, Outbox, Scheduler};
    owned::<Config>();
    owned::<Engine>();
    owned::<Follower>();
    owned::<Scheduler>();
    shared::<Attempt>();
    shared::<Flow<String, u32>>();
    shared::<Outbox>();
    shared::<Steps>();
    #[cfg(feature = "threads")]
    {
        use counterpoint::host::thread::{RunHandle, TaskHandle, ThreadHost};
        shared::<RunHandle<String>>();
        shared::<TaskHandle>();
        shared::<ThreadHost>();
    }
    #[cfg(feature = "async")]
    {
        use counterpoint::host::future::{Driver, FutureHost};
        owned::<Driver>();
        shared::<FutureHost>();
    }
}
