//! Metrics in the text format of Prometheus.

use super::metrics::{AgentFigures, Compliance, Counts, Figures, MetricsSnapshot, ScheduleFigures, Summary};
use core::fmt::Write as _;
use core::time::Duration;

/// The figures as a page for Prometheus (text exposition format 0.0.4). Serve it as
/// `text/plain; version=0.0.4; charset=utf-8`.
///
/// All names begin with `counterpoint_`; times are in seconds, and those with quantiles are summaries. Figures by tier,
/// kind, tenant and agent have separate names, so that no sum counts a task twice. Figures beyond a bound of
/// [`Metrics`](super::Metrics) have the label `other="true"`.
///
/// ```
/// use counterpoint::observe::{to_prometheus, Metrics};
/// use counterpoint::journal::Projection;
/// use counterpoint::{Entry, Seq, TaskId, TaskSpec, Time};
/// use counterpoint::message::TaskEvent;
///
/// let mut metrics = Metrics::default();
/// let spec = TaskSpec::new(TaskId::new(1), "say \"hi\"").into();
/// let event = TaskEvent::Submitted { spec, replays: None, expected: None }.of(TaskId::new(1));
/// metrics.apply(&Entry { seq: Seq::new(1), at: Time::ZERO, event });
/// let page = to_prometheus(&metrics.snapshot());
/// assert!(page.contains("\ncounterpoint_submitted_total 1\n"));
/// assert!(page.contains("\ncounterpoint_kind_submitted_total{kind=\"say \\\"hi\\\"\"} 1\n"));
/// ```
#[must_use]
pub fn to_prometheus(figures: &MetricsSnapshot) -> String {
    let mut page = Page::default();
    let all = [(String::new(), &figures.all)];
    group(&mut page, "", &all);
    let tiers: Vec<_> =
        figures.tiers.iter().map(|(tier, figures)| (label("tier", &tier.to_string()), figures)).collect();
    group(&mut page, "tier_", &tiers);
    let kinds = figures.kinds.iter().map(|(kind, figures)| (label("kind", kind), figures));
    let kinds: Vec<_> = kinds.chain(others(figures.other_kinds.as_ref())).collect();
    group(&mut page, "kind_", &kinds);
    let tenants = figures.tenants.iter().map(|(tenant, figures)| (label("tenant", tenant), figures));
    let tenants: Vec<_> = tenants.chain(others(figures.other_tenants.as_ref())).collect();
    group(&mut page, "tenant_", &tenants);
    fleet(&mut page, figures);
    waits(&mut page, figures);
    schedules(&mut page, figures);
    page.out
}

fn schedules(page: &mut Page, figures: &MetricsSnapshot) {
    let ScheduleFigures { fired, buffered, skipped, missed } = figures.schedules;
    for (name, help, count) in [
        ("schedule_fired_total", "Firings of schedules.", fired),
        ("schedule_buffered_total", "Firings of schedules that waited for an earlier run.", buffered),
        ("schedule_skipped_total", "Firings of schedules that were skipped.", skipped),
        ("schedule_missed_total", "Times of schedules for which the engine was called too late.", missed),
    ] {
        page.family(name, "counter", help);
        page.sample("", "", &count.to_string());
    }
}

fn others<T>(figures: Option<&T>) -> impl Iterator<Item = (String, &T)> {
    figures.into_iter().map(|figures| (label("other", "true"), figures))
}

type End = (&'static str, fn(&Counts) -> u64);
type Count = (&'static str, &'static str, fn(&Counts) -> u64);
type Spread = (&'static str, &'static str, fn(&Figures) -> Summary);
type Promise = (&'static str, &'static str, fn(&Figures) -> Compliance);

const ENDS: [End; 5] = [
    ("succeeded", |counts| counts.succeeded),
    ("failed", |counts| counts.failed),
    ("dead_lettered", |counts| counts.dead_lettered),
    ("cancelled", |counts| counts.cancelled),
    ("expired", |counts| counts.expired),
];

const COUNTS: [Count; 7] = [
    ("submitted_total", "Tasks accepted.", |counts| counts.submitted),
    ("replayed_total", "Dead letters replayed.", |counts| counts.replayed),
    ("discarded_total", "Dead letters discarded.", |counts| counts.discarded),
    ("attempts_total", "Attempts assigned to agents.", |counts| counts.attempts),
    ("yields_total", "Attempts given back by agents.", |counts| counts.yields),
    ("retries_total", "Failed attempts that were retried.", |counts| counts.retries),
    ("failovers_total", "Retries assigned to another agent.", |counts| counts.failovers),
];

const TIMES: [Spread; 3] = [
    ("queue_seconds", "Time from ready to assigned, of each attempt.", |figures| figures.queue),
    ("dispatch_seconds", "Time from submission to the first assignment.", |figures| figures.dispatch),
    ("run_seconds", "Time from assignment to the end of the attempt.", |figures| figures.run),
];

const PROMISES: [Promise; 2] = [
    ("within_target_total", "Tasks by whether they were assigned within the target of their tier.", |figures| {
        figures.in_time
    }),
    ("by_deadline_total", "Tasks with a deadline by whether they succeeded by it.", |figures| figures.by_deadline),
];

fn group(page: &mut Page, prefix: &str, groups: &[(String, &Figures)]) {
    if groups.is_empty() {
        return;
    }
    for (name, help, of) in COUNTS {
        // The event of a discarded dead letter contains neither tier nor kind.
        if name == "discarded_total" && !prefix.is_empty() {
            continue;
        }
        page.family(&format!("{prefix}{name}"), "counter", help);
        for (labels, figures) in groups {
            page.sample("", labels, &of(&figures.counts).to_string());
        }
    }
    page.family(&format!("{prefix}ended_total"), "counter", "Tasks that ended, by outcome.");
    for (labels, figures) in groups {
        for (outcome, of) in ENDS {
            page.sample("", &and(labels, &label("outcome", outcome)), &of(&figures.counts).to_string());
        }
    }
    for (name, help, of) in PROMISES {
        page.family(&format!("{prefix}{name}"), "counter", help);
        for (labels, figures) in groups {
            let kept = of(figures);
            for (met, count) in [("true", kept.met), ("false", kept.missed)] {
                page.sample("", &and(labels, &label("met", met)), &count.to_string());
            }
        }
    }
    page.family(&format!("{prefix}cost_total"), "counter", "Cost of attempts, in the unit of the host.");
    for (labels, figures) in groups {
        page.sample("", labels, &figures.cost.to_string());
    }
    for (name, help, of) in TIMES {
        page.family(&format!("{prefix}{name}"), "summary", help);
        for (labels, figures) in groups {
            page.summary(labels, &of(figures));
        }
    }
    page.family(&format!("{prefix}tasks_per_second"), "gauge", "Tasks per second, averaged over about a minute.");
    for (labels, figures) in groups {
        for (flow, rate) in [("arrived", figures.rates.arrivals), ("ended", figures.rates.ends)] {
            page.sample("", &and(labels, &label("flow", flow)), &float(rate));
        }
    }
}

fn fleet(page: &mut Page, figures: &MetricsSnapshot) {
    page.family("agents_lost_total", "counter", "Number of times that an agent was lost.");
    page.sample("", "", &figures.agents_lost.to_string());
    if let Some(share) = figures.utilisation {
        page.family("utilisation_ratio", "gauge", "Share of the slot time of all agents that was in use.");
        page.sample("", "", &float(share));
    }
    if let Some(load) = figures.load {
        page.family("load_cv", "gauge", "Coefficient of variation of the agents' loads.");
        page.sample("", "", &float(load.cv));
        page.family("load_cv_floor", "gauge", "Coefficient of variation of a random assignment.");
        page.sample("", "", &float(load.floor));
    }
    let agents = figures.agents.iter().map(|(id, agent)| (label("agent", &id.to_string()), agent));
    let agents: Vec<_> = agents.chain(others(figures.other_agents.as_ref())).collect();
    if agents.is_empty() {
        return;
    }
    let mut each = |name: &str, kind: &str, help: &str, of: fn(&AgentFigures) -> String| {
        page.family(name, kind, help);
        for (labels, agent) in &agents {
            page.sample("", labels, &of(agent));
        }
    };
    each("agent_attempts_total", "counter", "Attempts assigned to the agent.", |agent| agent.attempts.to_string());
    each("agent_succeeded_total", "counter", "Attempts that succeeded.", |agent| agent.succeeded.to_string());
    each("agent_failed_total", "counter", "Attempts that failed.", |agent| agent.failed.to_string());
    each("agent_cost_total", "counter", "Cost of the agent's attempts.", |agent| agent.cost.to_string());
    each("agent_holds", "gauge", "Attempts that the agent holds.", |agent| agent.holds.to_string());
    each("agent_slot_seconds_total", "counter", "Slot-seconds offered.", |agent| secs(agent.slot_time));
    each("agent_held_seconds_total", "counter", "Slot-seconds in use.", |agent| secs(agent.held_time));
}

fn waits(page: &mut Page, figures: &MetricsSnapshot) {
    page.family("unroutable_reports", "gauge", "Open reports about tasks that no agent can perform.");
    page.sample("", "", &figures.unroutable.open.to_string());
    page.family("unroutable_reports_made_total", "counter", "Reports about tasks that no agent could perform.");
    page.sample("", "", &figures.unroutable.made.to_string());
    if figures.waits.is_empty() {
        return;
    }
    let waits: Vec<_> = figures.waits.iter().map(|(tier, waits)| (label("tier", &tier.to_string()), waits)).collect();
    page.family("waiting_tasks", "gauge", "Tasks that wait for an agent.");
    for (labels, waits) in &waits {
        page.sample("", labels, &waits.count.to_string());
    }
    page.family("waiting_late_tasks", "gauge", "Tasks that have waited longer than their tier's target.");
    for (labels, waits) in &waits {
        page.sample("", labels, &waits.late.to_string());
    }
    page.family("oldest_wait_seconds", "gauge", "Longest time that a waiting task has waited.");
    for (labels, waits) in &waits {
        page.sample("", labels, &secs(waits.oldest));
    }
}

/// The page under construction: one family after the other, each with its header.
#[derive(Default)]
struct Page {
    out: String,
    name: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.name = format!("counterpoint_{name}");
        let _ = writeln!(self.out, "# HELP {} {help}\n# TYPE {} {kind}", self.name, self.name);
    }

    fn sample(&mut self, suffix: &str, labels: &str, value: &str) {
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(self.out, "{}{suffix}{braces} {value}", self.name);
    }

    fn summary(&mut self, labels: &str, summary: &Summary) {
        for (quantile, value) in
            [("0.5", summary.p50), ("0.95", summary.p95), ("0.99", summary.p99), ("1", summary.max)]
        {
            // Without observations there is no quantile, and zero would be wrong.
            let value = if summary.count == 0 { "NaN".to_owned() } else { secs(value) };
            self.sample("", &and(labels, &label("quantile", quantile)), &value);
        }
        self.sample("_sum", labels, &secs(summary.sum));
        self.sample("_count", labels, &summary.count.to_string());
    }
}

fn label(name: &str, value: &str) -> String {
    let mut out = format!("{name}=\"");
    for letter in value.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

fn and(labels: &str, more: &str) -> String {
    if labels.is_empty() { more.to_owned() } else { format!("{labels},{more}") }
}

fn secs(span: Duration) -> String {
    let text = format!("{}.{:09}", span.as_secs(), span.subsec_nanos());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn float(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { "NaN".to_owned() }
}
