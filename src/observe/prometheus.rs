//! Figures in the text format that Prometheus reads.

use super::metrics::{AgentFigures, Compliance, Counts, Figures, MetricsSnapshot, Summary};
use core::fmt::Write as _;
use core::time::Duration;

/// The figures as a page for Prometheus (text exposition format 0.0.4): serve it as
/// `text/plain; version=0.0.4; charset=utf-8`.
///
/// All names begin with `counterpoint_`; times are in seconds, and those that have quantiles are summaries. Figures by tier,
/// by kind, by tenant and by agent have names of their own, so that no sum counts a task twice. What lies beyond a bound of
/// [`Metrics`](super::Metrics) is in the line with `other="true"`.
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
    page.out
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
    ("submitted_total", "Tasks taken on.", |counts| counts.submitted),
    ("replayed_total", "Dead letters tried again.", |counts| counts.replayed),
    ("discarded_total", "Dead letters given up.", |counts| counts.discarded),
    ("attempts_total", "Attempts given to agents.", |counts| counts.attempts),
    ("yields_total", "Attempts that were given back.", |counts| counts.yields),
    ("retries_total", "Failed attempts that were followed by another.", |counts| counts.retries),
    ("failovers_total", "Retries that went to another agent.", |counts| counts.failovers),
];

const TIMES: [Spread; 3] = [
    ("queue_seconds", "From ready to assigned, of each attempt.", |figures| figures.queue),
    ("dispatch_seconds", "From submitted to first assigned.", |figures| figures.dispatch),
    ("run_seconds", "From assigned to the attempt's end.", |figures| figures.run),
];

const PROMISES: [Promise; 2] = [
    ("within_target_total", "Tasks that found an agent within their tier's target, or did not.", |figures| {
        figures.in_time
    }),
    ("by_deadline_total", "Tasks with a deadline that succeeded by then, or did not.", |figures| figures.by_deadline),
];

fn group(page: &mut Page, prefix: &str, groups: &[(String, &Figures)]) {
    if groups.is_empty() {
        return;
    }
    for (name, help, of) in COUNTS {
        // Who gave a dead letter up does not say of which tier or kind it was.
        if name == "discarded_total" && !prefix.is_empty() {
            continue;
        }
        page.family(&format!("{prefix}{name}"), "counter", help);
        for (labels, figures) in groups {
            page.sample("", labels, &of(&figures.counts).to_string());
        }
    }
    page.family(&format!("{prefix}ended_total"), "counter", "Tasks that ended, by how they ended.");
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
    page.family(&format!("{prefix}cost_total"), "counter", "What attempts cost, in the host's unit.");
    for (labels, figures) in groups {
        page.sample("", labels, &figures.cost.to_string());
    }
    for (name, help, of) in TIMES {
        page.family(&format!("{prefix}{name}"), "summary", help);
        for (labels, figures) in groups {
            page.summary(labels, &of(figures));
        }
    }
    page.family(&format!("{prefix}tasks_per_second"), "gauge", "Tasks in a second, averaged over about a minute.");
    for (labels, figures) in groups {
        for (flow, rate) in [("arrived", figures.rates.arrivals), ("ended", figures.rates.ends)] {
            page.sample("", &and(labels, &label("flow", flow)), &float(rate));
        }
    }
}

fn fleet(page: &mut Page, figures: &MetricsSnapshot) {
    page.family("agents_lost_total", "counter", "How often an agent was lost.");
    page.sample("", "", &figures.agents_lost.to_string());
    if let Some(share) = figures.utilisation {
        page.family("utilisation_ratio", "gauge", "Of the place-seconds of all agents, the share in use.");
        page.sample("", "", &float(share));
    }
    if let Some(load) = figures.load {
        page.family("load_cv", "gauge", "Coefficient of variation of the agents' loads.");
        page.sample("", "", &float(load.cv));
        page.family("load_cv_floor", "gauge", "The coefficient of variation that chance would give.");
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
    each("agent_attempts_total", "counter", "Attempts given to the agent.", |agent| agent.attempts.to_string());
    each("agent_succeeded_total", "counter", "Attempts that succeeded.", |agent| agent.succeeded.to_string());
    each("agent_failed_total", "counter", "Attempts that failed.", |agent| agent.failed.to_string());
    each("agent_cost_total", "counter", "What the agent's attempts cost.", |agent| agent.cost.to_string());
    each("agent_holds", "gauge", "Attempts that the agent holds.", |agent| agent.holds.to_string());
    each("agent_slot_seconds_total", "counter", "Place-seconds offered.", |agent| secs(agent.slot_time));
    each("agent_held_seconds_total", "counter", "Place-seconds in use.", |agent| secs(agent.held_time));
}

fn waits(page: &mut Page, figures: &MetricsSnapshot) {
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
    page.family("oldest_wait_seconds", "gauge", "How long the first of those that wait has waited.");
    for (labels, waits) in &waits {
        page.sample("", labels, &secs(waits.oldest));
    }
}

/// A page while it is written: one family after the other, each with its head.
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
            // Before the first there is no quantile, and zero would be a lie.
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
