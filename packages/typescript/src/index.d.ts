/** Data as JSON. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/**
 * Whether a failed task may be retried: `transient` yes, `permanent` no, `overloaded` after a delay, with less work for the agent;
 * `unknown`: whether the work was done is not known.
 */
export type FailureKind = "transient" | "permanent" | "overloaded" | "unknown";

export interface FailureOptions {
  /** `transient` by default. */
  kind?: FailureKind;
  /** A short name for programs: at most 64 letters, digits, `_ . : -`. Retry rules and handlers match on it. */
  code?: string;
  /** Data for handlers and people. */
  details?: unknown;
  /** The shortest delay before another attempt, in milliseconds. */
  retryAfter?: number;
}

/** The failure of an attempt. Thrown by a task function, it decides what follows. */
export class Failure extends Error {
  constructor(message: string, options?: FailureOptions);
  readonly kind: FailureKind;
  readonly code?: string;
  readonly details?: unknown;
  readonly retryAfter?: number;
  /** Of a failure that the client shows: the nodes of workflows through which it passed, from the innermost on. */
  readonly path: readonly Place[];
  /** Of a failure that the client shows: the failure that caused it. */
  readonly cause?: Failure;
}

/** A node of a workflow. */
export interface Place {
  readonly workflow: string;
  readonly node: string;
  /** The index of the instance that failed, if the node has several. */
  readonly instance?: number;
}

/**
 * Thrown by a task function that was requested back and has had no side effects: the task is performed elsewhere, and the attempt
 * does not count.
 */
export class GiveBack extends Error {}

/** The server did not answer. Whether it received the request is unknown. */
export class Unavailable extends Error {}

/** The server rejected a request, which changed nothing. */
export class Problem extends Error {
  /** The HTTP status. */
  readonly status: number;
  /** The code of the rejection, for programs. */
  readonly code: string;
  /** A text for people. */
  readonly detail: string;
  /** The delay in milliseconds after which a retry may succeed, if the server names one. */
  readonly retryAfter?: number;
}

/** The token is unknown, or its roles do not permit the request. */
export class AccessDenied extends Problem {}

/** An attempt at a task. */
export interface Attempt {
  /** The number of the attempt at this task, from 1. */
  readonly number: number;
  /** The kind of the task. */
  readonly kind: string;
  /**
   * The idempotency key of the work: the same for all attempts at a task, different for all other tasks of all servers. Send it with
   * requests to other systems. Undefined if the journal of the server is not identified.
   */
  readonly key: string | undefined;
  /** Aborted when the attempt is cancelled, or its result is of no use any more: the agent has lost its lease. */
  readonly signal: AbortSignal;
  /** Whether the server requests the attempt back, for more urgent work. */
  readonly requestedBack: boolean;
  /** The time until the server stops waiting for the result, in milliseconds; undefined without a limit. */
  readonly millisecondsLeft: number | undefined;
  /**
   * The details of the last heartbeat of an earlier attempt at this task, from which this one may go on; null if there are none.
   */
  readonly lastDetails: any;
  /** The longest time between two reports of the attempt, in milliseconds; undefined without a limit. */
  readonly heartbeatTimeout: number | undefined;
  /**
   * Reports that the attempt is under way, with details of its work as JSON, such as how far it has come. Without a report for the
   * heartbeat timeout of its task, the attempt is given up and the task performed again. The next attempt gets the details as its
   * `lastDetails`; they replace earlier ones.
   *
   * A report never waits: it is sent soon after, and of those in between the last one counts. After the server has rejected one, such as
   * one with details that are too large, the next one throws a permanent `Failure` with the code `invalid-report`.
   */
  heartbeat(details?: unknown): void;
  /**
   * Reports how far the attempt has come, from 0 to 1, with a text for people of at most 1,024 bytes. It is also a heartbeat. Throws a
   * `RangeError` if the share is not from 0 to 1, or the text is too long.
   */
  progress(share: number, text?: string): void;
  /**
   * Reports a part of the output as JSON, such as tokens of a language model, for those who follow the task. It is also a heartbeat. If
   * many wait to be sent, the oldest are dropped: the output of the task is what the function returns.
   */
  emit(chunk: unknown): void;
  /**
   * Adds to what the attempt has used: tokens of language models, and a cost in millionths of a unit of currency. Budgets of runs count
   * it, also if the attempt fails.
   */
  use(amounts: { tokens?: number; cost?: number }): void;
}

export interface AgentOptions {
  /** A token whose roles permit to be this agent. */
  token?: string;
  /** The id of the agent, a number below 2^64. Only one process at a time uses it: a second one that registers takes its place. */
  id: number | bigint | string;
  /** A name for people. */
  name?: string;
  /** The number of tasks at a time; 1 by default. */
  capacity?: number;
  /**
   * The time in milliseconds after which the server takes the agent for lost and gives its tasks to others, if it receives no message
   * from it; 15 seconds by default.
   */
  lease?: number;
  /** Labels that tasks may require. */
  labels?: Record<string, string>;
  /** How long `stop` and a signal that ends the process wait for tasks under way, in milliseconds; 30 seconds by default. */
  grace?: number;
  /** Receives a line for every event that an operator may want to see; `console.warn` by default. */
  log?: (line: string) => void;
}

/** Performs tasks. */
export type TaskFunction<Input, Output> = (payload: Input, attempt: Attempt) => Output | Promise<Output>;

/** An agent of a server. */
export class Agent {
  constructor(url: string, options: AgentOptions);
  /**
   * Declares the function that performs tasks of a kind. Its result is the output. It fails by throwing a `Failure`; any other error is
   * a transient failure with the code `exception`.
   *
   * @param level the skill for this kind, 1 by default. Of agents with different skills, those with more are preferred.
   */
  task<Input = any, Output = unknown>(kind: string, perform: TaskFunction<Input, Output>, options?: { level?: number }): this;
  /**
   * Performs tasks until the process gets SIGINT or SIGTERM, or `stop` is called. If the server cannot be reached, the agent tries again.
   * Rejects with `AccessDenied` if the server does not accept the token, and with `Problem` if it rejects the registration.
   */
  run(): Promise<void>;
  /** Lets `run` return when the tasks under way are done, at the latest after the grace. */
  stop(): void;
}

export interface ClientOptions {
  token?: string;
  /**
   * How long a request is repeated while the server cannot be reached, in milliseconds; 30 seconds by default. Requests that start work
   * have a key, so that a repeated one starts nothing twice.
   */
  patience?: number;
}

export interface WaitOptions {
  /** The longest time to wait, in milliseconds; without it there is no limit. */
  timeout?: number;
}

export interface SubmitOptions {
  /** The idempotency key: the same key again is the same task. Without one, each call submits another task. */
  key?: string;
  /** Other fields of a task, such as `tier`, `needs`, `policy`, `deadline`. */
  [field: string]: unknown;
}

export interface StartOptions {
  /** The idempotency key: the same key again is the same run. */
  key?: string;
  /** Other fields of a run, such as `version`, `tier`, `business_key`. */
  [field: string]: unknown;
}

/** A client of a server. */
export class Client {
  constructor(url: string, options?: ClientOptions);
  /** Submits a task. */
  submit<Output = any>(kind: string, payload?: unknown, options?: SubmitOptions): Promise<Task<Output>>;
  /** A task that was submitted before. */
  task<Output = any>(id: string): Task<Output>;
  /**
   * Defines a workflow from a document of the definition language, as data. Returns what differs from an earlier definition of the same
   * version, which a compatible one replaces.
   */
  define(document: object): Promise<string[]>;
  /** Starts a run, or finds the one that was started with the same key. */
  start<Output = any>(workflow: string, input?: unknown, options?: StartOptions): Promise<Run<Output>>;
  /** A run that was started before. */
  run<Output = any>(id: string): Run<Output>;
  /** All runs, of a workflow or with a business key, as the server describes them. */
  runs(filter?: { workflow?: string; business_key?: string }): AsyncGenerator<any, void>;
  /** The agents, as the server describes them. */
  agents(): Promise<any[]>;
  /** Events as they become durable, without an end. The stream continues where it was when the connection is lost. */
  events(filter?: EventFilter): AsyncGenerator<any, void>;
}

export interface EventFilter {
  /** The sequence number after which the stream begins; without one it begins now. */
  after?: number;
  family?: "workflow" | "task" | "agent" | "resource";
  task?: string;
  run?: string;
  agent?: string;
  /** Ends the stream. */
  signal?: AbortSignal;
}

/** What an attempt reports: its progress, or a part of its output. */
export interface Report {
  attempt: { task: string; number: number };
  /** The kind of the task. */
  kind: string;
  progress?: { share: number; text?: string };
  chunk?: any;
  /** The number of the part, from 0 for each attempt. */
  number?: number;
}

/** A task of the server. */
export class Task<Output = any> {
  readonly id: string;
  /** Its state, as the server describes it. */
  state(): Promise<any>;
  /** Waits for its end, and returns its output. Rejects with `TaskFailed`, and with `TimeoutError` (a `DOMException`) after the time. */
  result(options?: WaitOptions): Promise<Output>;
  /**
   * What its attempts report, until it ends. The first ones are the last that were made before. They are not kept: a reader that is slow
   * misses the oldest. Rejects with `Unavailable` if the connection is lost.
   */
  reports(options?: { signal?: AbortSignal }): AsyncGenerator<Report, void>;
  cancel(reason?: string): Promise<void>;
}

/** A run of a workflow. */
export class Run<Output = any> {
  readonly id: string;
  /** Its state, as the server describes it. */
  state(): Promise<any>;
  /** Waits for its end, and returns its output. Rejects with `RunFailed`, and with `TimeoutError` (a `DOMException`) after the time. */
  result(options?: WaitOptions): Promise<Output>;
  /**
   * Sends a signal to it. The request is not repeated, since a signal has no key: after `Unavailable`, whether the run has received it is
   * unknown.
   */
  signal(name: string, payload?: unknown): Promise<void>;
  /** What the attempts at its tasks report, until it ends: as `Task.reports`. */
  reports(options?: { signal?: AbortSignal }): AsyncGenerator<Report, void>;
  /** Cancels it; its completed steps are compensated. */
  cancel(reason?: string): Promise<void>;
  /** Its events: those that the server still has, and then as they become durable. */
  events(filter?: { after?: number; signal?: AbortSignal }): AsyncGenerator<any, void>;
}

/** A task has not succeeded. */
export class TaskFailed extends Error {
  /** The outcome, as the server describes it. */
  readonly outcome: any;
  /** The failure of its last attempt, if there is one. */
  readonly failure?: Failure;
}

/** A run has not succeeded: it has failed, or was compensated. */
export class RunFailed extends TaskFailed {}
