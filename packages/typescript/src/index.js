export { Agent } from "./agent.js";
export { Client, Run, RunFailed, Task, TaskFailed } from "./client.js";
export { Failure, GiveBack } from "./failure.js";
export { AccessDenied, Problem, Unavailable } from "./wire.js";
