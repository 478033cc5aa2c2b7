//! Project scheduling: pure functions from a project to a plan, with a lower bound on the makespan of any plan.
//!
//! | problem | function |
//! |---|---|
//! | assign tasks to agents at the least total cost, without times | [`assign`], [`assign_bottleneck`], [`assign_with_capacities`], [`assign_generalised`], [`assign_by_auction`] |
//! | assign and schedule tasks so that the project ends as early as possible | [`plan_project`]; in one pass: [`generate`] |
//! | take the best of several searches, run on the host's own threads | [`best_of`], [`Settings::each_seed`] |
//! | trade makespan against cost | [`pareto_front`] |
//! | continue from an existing plan | [`improve`] |
//! | adapt a plan to what has happened, within milliseconds | [`repair`] |
//! | map a task graph with communication costs to machines | [`list_schedule`], in one pass; [`search_schedule`] |
//! | represent the probability of each assignment as an array | [`TaskTensor`] |
//! | divide work and find the binding constraints | `allocate`, a linear program (feature `lp`) |
//! | check a plan against its project | [`validate`], which shares no code with the solvers |
//! | compute slack and draw a Gantt chart | [`Timeline`] |
//! | make a project of a scheduler's state, of a run or of a definition | [`Outlook`], [`Outline`]; [`TaskTensor::of_state`], [`TaskTensor::of_run`] |
//! | keep a plan up to date while it is performed | [`RollingPlanner`] |
//! | route tasks by a plan, and detect when the plan must be replaced | [`PlannedRouting`], a routing strategy, and its [`PlanTracker`] |
//!
//! The engine does not use this module, unless a host configures the strategy [`PlannedRouting`].
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
//! # Ok::<(), counterpoint::planning::InvalidProject>(())
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
    AssignError, Assignment, Costs, SearchLimits, assign, assign_bottleneck, assign_by_auction, assign_generalised,
    assign_with_capacities,
};
pub use fault::{InvalidProject, ProjectFault};
pub use list::{Graph, GraphError, GraphProgress, Heuristic, ListSchedule, Slot, list_schedule, search_schedule};
pub use live::{OpenWork, Outlook, PlanDeviation, PlanTracker, PlannedRouting, Replan, RollingPlanner, RunTensorError};
#[cfg(feature = "lp")]
pub use lp::{
    Allocation, Constraint, LinearProgram, LpError, LpSolution, Relation, ShadowPrices, Variable, WorkShare, allocate,
};
pub use model::{Agent, Link, Project, Resource, Task, Window, Work};
pub use outline::{NodeEstimate, Outline, OutlineError, TaskOrigin};
pub use plan::{Plan, PlannedTask};
pub use problem::Problem;
pub use project::{
    Goal, Measure, ParetoFront, Progress, Repair, Rule, Scheme, Settings, Solution, best_of, generate, improve,
    pareto_front, plan_project, repair,
};
pub use tensor::{AssignmentRound, SinkhornSettings, TaskTensor, TensorAxis, TensorError};
pub use timeline::{Bar, Phase, Profile, ProfileOf, Timeline};
pub use validate::{PlanSummary, Violation, validate};
