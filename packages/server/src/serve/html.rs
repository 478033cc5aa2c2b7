//! Parts of pages. Every text of a run or an agent passes [`escaped`].

use counterpoint::Time;
use serde_json::Value;
use std::fmt::Write as _;
use std::time::Duration;

/// Replaces the content of a page when something has changed.
pub(super) const JS: &str = include_str!("page.js");

/// A text as HTML, also within an attribute in quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut found = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => found.push_str("&amp;"),
            '<' => found.push_str("&lt;"),
            '>' => found.push_str("&gt;"),
            '"' => found.push_str("&quot;"),
            '\'' => found.push_str("&#39;"),
            other => found.push(other),
        }
    }
    found
}

/// Data as HTML, cut after some thousand characters.
pub(super) fn data(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
    let mut shown: String = text.chars().take(4_000).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("<pre>{}</pre>", escaped(&shown))
}

/// Data as HTML that is opened on request, if it is longer than a line.
pub(super) fn folded(value: &Value, label: &str) -> String {
    let line = value.to_string();
    if value.is_null() {
        return String::new();
    }
    if line.len() <= 60 {
        return format!("<code>{}</code>", escaped(&line));
    }
    let start: String = line.chars().take(48).collect();
    let label = escaped(label);
    format!(
        "<details><summary aria-label=\"{label}\"><code>{}…</code></summary>{}</details>",
        escaped(&start),
        data(value)
    )
}

/// A part of a page, which is renewed by itself. `id` is a word of this program.
pub(super) fn section(id: &str, title: &str, body: &str) -> String {
    if body.is_empty() {
        return format!("<section id={id} hidden></section>");
    }
    format!("<section id={id} aria-labelledby={id}-title><h2 id={id}-title>{}</h2>{body}</section>", escaped(title))
}

/// A table that scrolls within its frame. The rows are HTML.
pub(super) fn table(label: &str, heads: &[&str], rows: &str) -> String {
    let columns = heads.len();
    let heads: String = heads.iter().map(|head| format!("<th scope=col>{}", escaped(head))).collect();
    let rows = if rows.is_empty() { format!("<tr><td colspan={columns} class=dim>None") } else { rows.to_owned() };
    let label = escaped(label);
    format!(
        "<div class=scroll role=region aria-label=\"{label}\" tabindex=0><table><thead><tr>{heads}</thead><tbody>{rows}</tbody></table></div>"
    )
}

/// A time in UTC, to the second.
pub(super) fn clock(time: Time) -> String {
    let text = time.to_string();
    let shown = text.get(..19).map_or_else(|| text.clone(), |text| text.replace('T', " "));
    format!("<time>{}</time>", escaped(&shown))
}

/// A duration with its two largest units.
pub(super) fn span(of: Duration) -> String {
    let (millis, seconds) = (of.as_millis(), of.as_secs());
    let text = match seconds {
        0 => format!("{millis} ms"),
        1..=9 => format!("{:.1} s", of.as_secs_f64()),
        10..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    };
    // Number and unit stay on one line.
    text.replace(' ', "\u{a0}")
}

/// An option of a choice.
pub(super) fn option(value: &str, text: &str, chosen: &str) -> String {
    let selected = if value == chosen { " selected" } else { "" };
    format!("<option value=\"{}\"{selected}>{}</option>", escaped(value), escaped(text))
}

/// A hidden field of a form.
pub(super) fn hidden(name: &str, value: &str) -> String {
    format!("<input type=hidden name={name} value=\"{}\">", escaped(value))
}

/// A text as a part of a query.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut found, byte| {
        if byte.is_ascii_alphanumeric() {
            found.push(char::from(byte));
        } else {
            let _ = write!(found, "%{byte:02X}");
        }
        found
    })
}

/// The pages with their paths.
const PAGES: [(&str, &str); 6] = [
    ("/runs", "Runs"),
    ("/agents", "Agents"),
    ("/queues", "Queues"),
    ("/schedules", "Schedules"),
    ("/dead-letters", "Dead letters"),
    ("/alerts", "Alerts"),
];

/// A page: its title, and the query of the stream of its changes, if it has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page<'a> {
    /// The title.
    pub(super) title: &'a str,
    /// The path of the page among the links, or of the page that it belongs to.
    pub(super) path: &'a str,
    /// The query of the stream of its changes, if it changes.
    pub(super) live: Option<&'a str>,
    /// The name of the visitor; empty without one.
    pub(super) visitor: &'a str,
}

impl Page<'_> {
    /// The whole page with this content, which is HTML.
    pub(super) fn with(self, content: &str) -> String {
        let title = escaped(self.title);
        let live = self.live.map_or_else(String::new, |query| format!(" data-live=\"/live{}\"", escaped(query)));
        let head = format!(
            "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width, initial-scale=1\">
<meta name=color-scheme content=\"light dark\"><title>{title} · Counterpoint</title><link rel=stylesheet href=/page.css><link rel=icon href=\"data:,\">
<script src=/page.js defer></script></head><body><a class=skip href=#main>Skip to the content</a>"
        );
        format!(
            "{head}<header><strong>Counterpoint</strong>{}</header>
<main id=main{live}><h1>{title}</h1>{content}</main></body></html>",
            self.links()
        )
    }

    fn links(self) -> String {
        if self.visitor.is_empty() {
            return String::new();
        }
        let links: String = PAGES
            .iter()
            .map(|(path, text)| {
                let current = if *path == self.path { " aria-current=page" } else { "" };
                format!("<a href={path}{current}>{text}</a>")
            })
            .collect();
        let play = if super::play::is_there() { "<a href=/play>Playground</a>" } else { "" };
        let visitor = escaped(self.visitor);
        format!(
            "<nav aria-label=Pages>{links}{play}</nav>
<form method=post action=/logout><span>{visitor}</span> <button class=plain>Log out</button></form>"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{data, escaped, folded, hidden, option, section, span, table};
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn texts_are_escaped() {
        assert_eq!(escaped("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
        assert!(!data(&json!({"<script>": "</pre>"})).contains("<script>"));
    }

    #[test]
    fn no_part_lets_markup_through() {
        let bad = "\"'><b>";
        let long = json!({ "x": format!("{bad}{}", "y".repeat(100)) });
        for text in [
            folded(&long, bad),
            folded(&json!(bad), ""),
            section("a", bad, "x"),
            table(bad, &[bad], ""),
            option(bad, bad, ""),
            hidden("a", bad),
        ] {
            assert!(!text.contains("<b>") && !text.contains("\"'"), "{text}");
        }
    }

    #[test]
    fn durations_have_a_fitting_unit() {
        let shown = |seconds: f64| span(Duration::from_secs_f64(seconds)).replace('\u{a0}', " ");
        let all = [0.0, 0.25, 1.5, 59.0, 119.9, 120.0, 7_199.0, 7_200.0, 172_800.0].map(shown);
        assert_eq!(all, ["0 ms", "250 ms", "1.5 s", "59 s", "119 s", "2 min", "119 min", "2 h", "2 days"]);
    }
}
