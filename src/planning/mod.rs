//! The best schedule for a team: pure functions from a problem to a plan, with a bound that says how good it is.
//!
//! | question | function |
//! |---|---|
//! | who does which one thing, at the least cost? | [`assign`], [`assign_bottleneck`], [`assign_with_capacities`], [`assign_generalised`], [`assign_by_auction`] |
//! | who does what and when, so that a project ends soonest? | [`plan_project`]; in one pass: [`generate`] |
//! | which is the best of several searches, on workers of mine? | [`best_of`], [`Settings::each_seed`] |
//! | what is the soonest plan for each budget? | [`pareto_front`] |
//! | a plan that is there, or was: how does it go on? | [`improve`] |
//! | where do the tasks of a graph run, where moving data costs? | [`list_schedule`], in one pass; [`search_schedule`] |
//! | how likely does who do what, as an array? | [`TaskTensor`] |
//! | how should work be divided, and what holds it up? | `allocate`, a linear program (feature `lp`) |
//! | is a plan what it says? | [`validate`], which shares no code with the others |
//! | where is room in a plan, and what does it look like? | [`Timeline`] |
//! | what has a scheduler, or a run of a workflow, yet to do? | [`Outlook`], [`Outline`]; [`TaskTensor::of_state`], [`TaskTensor::of_run`] |
//! | how does work go by a plan, and when is it time for another? | [`Planned`], a routing strategy, and its [`Tracker`] |
//!
//! Nothing in here decides anything within the engine, unless a host gives it a [`Planned`] strategy.
//!
//! ```
//! use counterpoint::planning::{Agent, Project, Settings, Task, Timeline, plan_project, validate};
//! use counterpoint::{AgentId, TaskId};
//! use std::ops::ControlFlow;
//! use std::time::Duration;
//!
//! let day = |n: u64| Duration::from_secs(86_400 * n);
//! let project = Project::default()
//!     .with_agent(Agent::new(AgentId::new(1)).with_skill("design", 3).with_skill("build", 1))
//!     .with_agent(Agent::new(AgentId::new(2)).with_skill("build", 2))
//!     .with_task(Task::new(TaskId::new(1), day(2)).with_need("design", 2))
//!     .with_task(Task::new(TaskId::new(2), day(3)).with_need("build", 1).after(TaskId::new(1)))
//!     .with_task(Task::new(TaskId::new(3), day(4)).with_need("build", 2));
//! let found = plan_project(&project.check()?, &Settings::default(), &mut |_| ControlFlow::Continue(()));
//! assert_eq!((found.makespan, found.bound), (day(5), day(5)));
//! assert!(validate(&project, &found.plan).is_ok());
//! assert!(Timeline::of(&project, &found.plan).svg().contains("<svg"));
//! # Ok::<(), counterpoint::planning::BadProblem>(())
//! ```

mod assignment;
mod fault;
mod gantt;
mod list;
mod live;
#[cfg(feature = "lp")]
mod lp;
mod model;
mod outline;
mod plan;
mod problem;
mod project;
mod tensor;
mod timeline;
mod validate;

pub use assignment::{
    AssignError, Assignment, Costs, Effort, assign, assign_bottleneck, assign_by_auction, assign_generalised,
    assign_with_capacities,
};
pub use fault::{BadProblem, Fault};
pub use list::{Graph, GraphError, GraphProgress, Heuristic, ListSchedule, Slot, list_schedule, search_schedule};
pub use live::{Outlook, Planned, RunTensorError, Tracker, TrackerReport};
#[cfg(feature = "lp")]
pub use lp::{Allocation, Condition, LinearProgram, LpError, LpSolution, Prices, Relation, Share, Variable, allocate};
pub use model::{Agent, Link, Project, Resource, Task, Window, Work};
pub use outline::{Expected, Outline, OutlineError, Piece};
pub use plan::{Placed, Plan};
pub use problem::Problem;
pub use project::{
    Front, Goal, Measure, Progress, Rule, Scheme, Settings, Solution, best_of, generate, improve, pareto_front,
    plan_project,
};
pub use tensor::{AxisOf, Round, Soft, TaskTensor, TensorError};
pub use timeline::{Bar, Phase, Profile, ProfileOf, Timeline};
pub use validate::{Breach, Facts, validate};
