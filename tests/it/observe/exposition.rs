//! The rules that Prometheus's own checker applies to a page, and that ours keeps.

use super::script::{fleet, small};
use counterpoint::journal::Projection;
use counterpoint::observe::{Metrics, to_prometheus};
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with a page; nothing if it is in order.
pub(super) fn faults(page: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut kinds, mut helped) = (BTreeMap::<&str, &str>::new(), BTreeSet::new());
    let (mut closed, mut now) = (BTreeSet::new(), "");
    let mut series = BTreeSet::new();
    for line in page.lines() {
        let mut fault = |what: &str| faults.push(format!("{what}: {line}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            if help.is_empty() || !helped.insert(name) {
                fault("help missing or twice");
            }
            closed.insert(now);
            now = name;
            if closed.contains(name) {
                fault("a family in two places");
            }
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, ""));
            if name != now || !["counter", "gauge", "summary"].contains(&kind) || kinds.insert(name, kind).is_some() {
                fault("type odd, misplaced or twice");
            }
            if (kind == "counter") != name.ends_with("_total") {
                fault("counters, and no others, end in _total");
            }
        } else {
            let (id, value) = line.rsplit_once(' ').unwrap_or((line, ""));
            let (name, labels) = id.split_once('{').map_or((id, ""), |(name, rest)| (name, rest));
            let kind = kinds.get(now).copied().unwrap_or_default();
            let family = match kind {
                "summary" => name.strip_suffix("_sum").or_else(|| name.strip_suffix("_count")).unwrap_or(name),
                _ => name,
            };
            if family != now {
                fault("not of its family");
            }
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                fault("a bad name");
            }
            let number = value.parse::<f64>();
            if number.is_err() || (kind == "counter" && number.is_ok_and(|number| number < 0.0)) {
                fault("a bad value");
            }
            match labels_of(labels) {
                Some(names) if labels.is_empty() != id.contains('{') => {
                    let quantile = kind == "summary" && family == name;
                    if names.contains("quantile") != quantile {
                        fault("a quantile missing or misplaced");
                    }
                }
                _ => fault("bad labels"),
            }
            if !series.insert(id) {
                fault("a series twice");
            }
        }
    }
    faults
}

/// The names of labels, without what follows the opening brace's name; none if they are not in order.
fn labels_of(labels: &str) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut rest = labels;
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"")?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase()) || !names.insert(name.to_owned()) {
            return None;
        }
        let mut letters = value.char_indices();
        let end = loop {
            match letters.next()? {
                (_, '\\') => matches!(letters.next()?.1, '\\' | '"' | 'n').then_some(())?,
                (at, '"') => break at,
                _ => {}
            }
        };
        rest = value.get(end + 1..)?;
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest == "}" => return Some(names),
            None => return None,
        }
    }
    Some(names)
}

#[test]
fn pages_are_in_order() {
    let mut metrics = Metrics::default().with_kinds(2).with_agents(2).with_cost(|used| used.ran.as_secs());
    assert_eq!(faults(&to_prometheus(&metrics.snapshot())), Vec::<String>::new());
    metrics.replay(&small().entries);
    metrics.replay(&fleet(5, 100, 2).entries);
    let page = to_prometheus(&metrics.snapshot());
    assert_eq!(faults(&page), Vec::<String>::new());
    for line in [
        "counterpoint_tier_queue_seconds_count{tier=\"low\"} ",
        "counterpoint_kind_ended_total{other=\"true\",outcome=\"succeeded\"} ",
        "counterpoint_oldest_wait_seconds{tier=\"critical\"} ",
        "counterpoint_utilisation_ratio 0.",
        "counterpoint_agent_held_seconds_total{agent=\"a1\"} ",
    ] {
        assert!(page.contains(&format!("\n{line}")), "{line} is missing in\n{page}");
    }
}

#[test]
fn the_checker_finds_faults() {
    let head = "# HELP x_total Help.\n# TYPE x_total counter\n";
    assert_eq!(faults(&format!("{head}x_total{{a=\"b\\\"c\"}} 1\n")), Vec::<String>::new());
    for bad in [
        "x_total -1",
        "x_total{a=\"b\"c\"} 1",
        "x_total{a=\"b\\x\"} 1",
        "x_total{a=\"\",a=\"\"} 1",
        "x_total{} 1",
        "x_total one",
        "y 1",
        "x_total 1\nx_total 1",
        "# HELP x_total Again.",
    ] {
        assert!(!faults(&format!("{head}{bad}\n")).is_empty(), "{bad}");
    }
}
