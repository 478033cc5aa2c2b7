//! The command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const AFTER: &str = "\
Exit codes:
  0    success
  1    the run failed, was cancelled, or was compensated
  2    the command line is wrong
  3    the workflow file, or an input, has mistakes
  4    the run waits for a person, and `--no-wait` was given
  5    another process performs the run
  6    a file, a journal or a connection failed
  7    there is no such run
  8    the operation was refused
  70   an error of this program
  130  stopped by a signal; the same command goes on

Begin with:
  counterpoint check pipeline.yaml          # mistakes, with line and column
  counterpoint run pipeline.yaml --dry-run  # what would be done
  counterpoint run pipeline.yaml            # again after a crash: it goes on where it was";

/// Runs workflow files whose agents are commands, HTTP endpoints and people.
///
/// A workflow file declares tasks, and the agents that perform them. Everything that happens is in a journal below
/// `.counterpoint`, so a run that was killed goes on when the same command is given again.
#[derive(Debug, Parser)]
#[command(name = "counterpoint", version, after_help = AFTER, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// The folder of runs and journals
    #[arg(long, global = true, value_name = "DIR", default_value = ".counterpoint")]
    pub(crate) data: PathBuf,

    /// Prints results, and errors, as JSON on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Prints results and errors only
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a workflow file, or goes on with a run that was interrupted
    Run(RunArgs),
    /// Checks a workflow file: reports every mistake with its place
    Check {
        /// The workflow file: YAML, JSON or TOML
        file: PathBuf,
    },
    /// Draws the workflow of a file
    Draw {
        /// The workflow file
        file: PathBuf,
        /// Where to write; by default standard output. The end of the name selects the format: .svg, .dot, .mmd
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Simulates many runs of a file, and shows how long they take and how often they succeed
    Play {
        /// The workflow file
        file: PathBuf,
        #[command(flatten)]
        inputs: InputArgs,
        /// The number of simulated runs
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
        times: u64,
        /// Selects durations and failures; the same seed gives the same runs
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// Writes the timeline of the first simulated run
        #[arg(long, value_name = "FILE.svg")]
        timeline: Option<PathBuf>,
    },
    /// Lists the runs
    Ls {
        /// Only runs of this workflow
        #[arg(long, value_name = "NAME")]
        workflow: Option<String>,
        /// Only runs in this state
        #[arg(long, value_name = "STATE", value_parser = ["succeeded", "failed", "compensated", "unfinished"])]
        state: Option<String>,
    },
    /// Shows a run: its nodes, what it waits for, its history
    Show {
        /// The name of the run
        run: String,
        /// Also every event
        #[arg(long)]
        events: bool,
        /// Writes the timeline
        #[arg(long, value_name = "FILE.svg")]
        timeline: Option<PathBuf>,
        /// Writes the workflow with the states of its nodes
        #[arg(long, value_name = "FILE.svg")]
        graph: Option<PathBuf>,
    },
    /// Delivers a signal to a run
    Signal {
        /// The name of the run
        run: String,
        /// The name of the signal
        signal: String,
        /// The payload: JSON, or a text
        value: Option<String>,
    },
    /// Decides in a run that waits for a decision; by default the first option
    Approve {
        /// The name of the run
        run: String,
        /// The node that waits; not needed if it is the only one
        #[arg(long)]
        node: Option<String>,
        /// The option that is taken
        #[arg(long)]
        option: Option<String>,
        /// Who decides; by default the user of this system
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// The roles of who decides; by default those that may
        #[arg(long, value_name = "ROLE")]
        role: Vec<String>,
        /// A note, which is kept with the decision
        #[arg(long)]
        note: Option<String>,
    },
    /// Cancels a run; its completed steps are compensated
    Cancel {
        /// The name of the run
        run: String,
        /// The reason, which is kept in the journal
        #[arg(long, default_value = "cancelled by hand")]
        reason: String,
    },
    /// Tries the failed nodes of a run again
    Retry {
        /// The name of the run
        run: String,
        /// Only this node
        #[arg(long)]
        node: Option<String>,
        /// The reason, which is kept in the journal
        #[arg(long, default_value = "tried again by hand")]
        reason: String,
    },
    /// Skips a node of a run
    Skip {
        /// The name of the run
        run: String,
        /// The node
        node: String,
        /// The reason, which is kept in the journal
        #[arg(long, default_value = "skipped by hand")]
        reason: String,
    },
    /// Gives the output of a node of a run by hand
    Complete {
        /// The name of the run
        run: String,
        /// The node
        node: String,
        /// The output: JSON, or a text
        output: String,
        /// The reason, which is kept in the journal
        #[arg(long, default_value = "completed by hand")]
        reason: String,
    },
    /// Prints the journal of a run, one entry as JSON in each line
    Export {
        /// The name of the run
        run: String,
        /// Where to write; by default standard output
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Serves runs to a team: an HTTP API, pages, agents elsewhere
    Serve(ServeArgs),
    /// Copies the folder of `--data` to a new one, also while a server works in it, and verifies the copy
    Backup {
        /// The folder of the backup, which must not exist or be empty
        to: PathBuf,
    },
    /// Makes the folder of `--data`, which must not exist or be empty, of a backup
    Restore {
        /// The folder of the backup
        from: PathBuf,
    },
    /// Tells what is wrong with a set-up
    Doctor {
        /// A workflow file, whose programs and variables are looked up
        file: Option<PathBuf>,
    },
    /// Prints the completion of a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The workflow file: YAML, JSON or TOML, with a section `agents`
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) inputs: InputArgs,
    /// The name of the run; by default that of the workflow, with a number
    #[arg(long, value_name = "NAME")]
    pub(crate) run: Option<String>,
    /// Begins a new run even if one with the same input has not ended
    #[arg(long, conflicts_with = "run")]
    pub(crate) new: bool,
    /// Fails the first attempt of this node, to see what happens then
    #[arg(long, value_name = "NODE")]
    pub(crate) fail: Vec<String>,
    /// Checks the file, shows the plan, and rehearses the run; performs nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Simulates the run in virtual time with the durations and failure rates of the file; performs nothing
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) simulate: bool,
    /// Selects the durations and failures of a simulation
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Ends with exit code 4 when the run waits for a person
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Writes the timeline of the agents
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) timeline: Option<PathBuf>,
    /// Writes the workflow with the states of its nodes
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) graph: Option<PathBuf>,
    /// Sends spans of the run, its nodes and attempts to a collector of OpenTelemetry, over OTLP/HTTP with JSON, such as
    /// http://127.0.0.1:4318. Also the other variables OTEL_* of such exporters [env: OTEL_EXPORTER_OTLP_ENDPOINT]
    #[arg(long, value_name = "URL")]
    pub(crate) otlp: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Workflow files, which are defined, performed by their agents, and started by their schedules
    pub(crate) files: Vec<PathBuf>,
    /// The address and port [default: 127.0.0.1:8080] [env: COUNTERPOINT_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// The file with tokens and roles; by default one with a token is made in the folder [env: COUNTERPOINT_TOKENS]
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: Option<PathBuf>,
    /// Keeps the journal in PostgreSQL: postgres://USER@HOST/DATABASE; by default it is in files in the folder. With a password,
    /// set the variable instead, since other users can read command lines [env: COUNTERPOINT_JOURNAL]
    #[arg(long, value_name = "URL")]
    pub(crate) journal: Option<String>,
    /// Sends spans of runs, nodes, tasks and attempts to a collector of OpenTelemetry, over OTLP/HTTP with JSON, such as
    /// http://127.0.0.1:4318. Also the other variables OTEL_* of such exporters [env: OTEL_EXPORTER_OTLP_ENDPOINT]
    #[arg(long, value_name = "URL")]
    pub(crate) otlp: Option<String>,
    /// Tells what a start would do and whether it would succeed: reads the settings and the journal, and rehearses the workflow
    /// files on a copy in memory. Changes nothing
    #[arg(long)]
    pub(crate) check: bool,
    /// A file in TOML with these settings: listen, tokens, files, journal, journal_stream, otlp, tls_certificate, tls_key, and the
    /// limits connections, header_seconds, body_seconds, body_rate, write_seconds, requests_per_second, request_burst,
    /// drain_seconds, snapshot_events and history_events (after how many entries a snapshot replaces them, and how many of them are
    /// retained for the pages; 50000 each), audit (the file of operations), allow_hosts, allow_origins (of the MCP endpoint) [env: COUNTERPOINT_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The chain of certificates in PEM, for TLS [env: COUNTERPOINT_TLS_CERTIFICATE]
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// The key of the certificate in PEM [env: COUNTERPOINT_TLS_KEY]
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    /// A field of the input: NAME=VALUE, where the value is JSON or a text
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub(crate) input: Vec<String>,
    /// A file with the input: JSON, YAML or TOML
    #[arg(long, value_name = "FILE")]
    pub(crate) input_file: Option<PathBuf>,
}
