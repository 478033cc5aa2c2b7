//! Parts of pages. Every text of a run or an agent passes [`escaped`].

use serde_json::Value;

/// The style, for light and dark, wide and narrow.
pub(super) const CSS: &str = include_str!("page.css");
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

/// A whole page. `live` is the query of the stream of its changes.
pub(super) fn page(title: &str, live: Option<&str>, who: &str, content: &str) -> String {
    let title = escaped(title);
    let live = live.map_or_else(String::new, |query| format!(" data-live=\"/live{}\"", escaped(query)));
    let nav = if who.is_empty() {
        String::new()
    } else {
        format!(
            "<nav aria-label=Pages><a href=/runs>Runs</a><a href=/agents>Agents</a><a href=/dead-letters>Dead letters</a></nav>
<form method=post action=/logout><span>{}</span><button class=plain>Log out</button></form>",
            escaped(who)
        )
    };
    format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width, initial-scale=1\">
<meta name=color-scheme content=\"light dark\"><title>{title}</title><link rel=stylesheet href=/page.css><link rel=icon href=data:,>
<script src=/page.js defer></script></head><body><header><strong>Counterpoint</strong>{nav}</header>
<main{live}><h1>{title}</h1>{content}</main></body></html>"
    )
}

#[cfg(test)]
mod tests {
    use super::{data, escaped};
    use serde_json::json;

    #[test]
    fn texts_are_escaped() {
        assert_eq!(escaped("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
        assert!(!data(&json!({"<script>": "</pre>"})).contains("<script>"));
    }
}
