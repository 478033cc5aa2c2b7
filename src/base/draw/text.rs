//! Texts for one line and for XML, their estimated widths, and durations in readable units.

use core::fmt;
use core::time::Duration;

/// At most `most` characters of a text on one line: control characters are replaced, and a truncated text ends with an
/// ellipsis.
pub(crate) fn line(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (at, letter) in text.chars().enumerate() {
        if at >= most {
            out.pop();
            out.push('…');
            break;
        }
        out.push(if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}') { ' ' } else { letter });
    }
    out
}

/// Text for XML: truncated to `most` characters, escaped, without characters that XML forbids.
pub(crate) fn xml(text: &str, most: usize) -> String {
    let mut out = String::new();
    for letter in line(text, most).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{FFFE}' | '\u{FFFF}' => out.push('\u{FFFD}'),
            letter => out.push(letter),
        }
    }
    out
}

/// The estimated width of a text of 11 pixels, in tenths of a pixel.
pub(crate) fn width(text: &str) -> u64 {
    text.chars()
        .map(|letter| match letter {
            'i' | 'j' | 'l' | 't' | 'f' | 'r' | 'I' | '.' | ',' | ':' | '|' | '\'' | '(' | ')' | '[' | ']' | ' ' => 38,
            'm' | 'w' | 'M' | 'W' | '%' | '@' => 95,
            'A'..='Z' => 74,
            '\u{1100}'..='\u{115F}' | '\u{2E80}'..='\u{FFEF}' | '\u{1F000}'.. => 115,
            _ => 64,
        })
        .sum()
}

/// The beginning of a text that fits into a width.
pub(crate) fn fit(text: &str, room: u64) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut out = String::new();
    for letter in text.chars() {
        out.push(letter);
        if width(&out).saturating_add(width("…")) > room {
            out.pop();
            break;
        }
    }
    out.push('…');
    out
}

/// A duration in the largest suitable unit, with three digits: `850 ns`, `12.5 ms`, `1.25 s`, `2 min 05 s`,
/// `3 h 20 min`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span(pub(crate) u64);

impl From<Duration> for Span {
    fn from(span: Duration) -> Self {
        Self(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: u64 = 60_000_000_000;
        match self.0 {
            nanos @ 0..1_000 => write!(f, "{nanos} ns"),
            nanos @ 1_000..1_000_000 => decimal(f, nanos, 1_000, "µs"),
            nanos @ 1_000_000..1_000_000_000 => decimal(f, nanos, 1_000_000, "ms"),
            nanos @ 1_000_000_000..MINUTE => decimal(f, nanos, 1_000_000_000, "s"),
            nanos if nanos < 60 * MINUTE => pair(f, nanos / MINUTE, "min", nanos % MINUTE / 1_000_000_000, "s"),
            nanos if nanos < 24 * 60 * MINUTE => {
                pair(f, nanos / (60 * MINUTE), "h", nanos % (60 * MINUTE) / MINUTE, "min")
            }
            nanos => pair(f, nanos / (1_440 * MINUTE), "d", nanos % (1_440 * MINUTE) / (60 * MINUTE), "h"),
        }
    }
}

/// Three significant digits, without trailing zeros.
fn decimal(f: &mut fmt::Formatter<'_>, nanos: u64, unit: u64, name: &str) -> fmt::Result {
    let whole = nanos / unit;
    let hundredths = nanos % unit * 100 / unit;
    match (whole, hundredths) {
        (100.., _) | (_, 0) => write!(f, "{whole} {name}"),
        (10.., part) if part / 10 == 0 => write!(f, "{whole} {name}"),
        (10.., part) => write!(f, "{whole}.{} {name}", part / 10),
        (_, part) if part % 10 == 0 => write!(f, "{whole}.{} {name}", part / 10),
        (_, part) => write!(f, "{whole}.{part:02} {name}"),
    }
}

fn pair(f: &mut fmt::Formatter<'_>, large: u64, large_name: &str, small: u64, small_name: &str) -> fmt::Result {
    match small {
        0 => write!(f, "{large} {large_name}"),
        _ => write!(f, "{large} {large_name} {small:02} {small_name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let shown = |nanos: u64| Span(nanos).to_string();
        assert_eq!(shown(850), "850 ns");
        assert_eq!(shown(12_500_000), "12.5 ms");
        assert_eq!(shown(1_250_000_000), "1.25 s");
        assert_eq!(shown(10_050_000_000), "10 s");
        assert_eq!(shown(2_500_000_000), "2.5 s");
        assert_eq!(shown(125_000_000_000), "2 min 05 s");
        assert_eq!(shown(12_000_000_000_000), "3 h 20 min");
        assert_eq!(shown(u64::MAX), "213503 d 23 h");
    }

    #[test]
    fn nothing_escapes() {
        assert_eq!(xml("<a b='\"&\u{0}\u{FFFF}>", 20), "&lt;a b=&#39;&quot;&amp; \u{FFFD}&gt;");
        assert_eq!(xml("abcdef", 3), "ab…");
        assert_eq!(fit("abcdefgh", 200), "ab…");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(line("a\nb\u{2028}c", 9), "a b c");
        assert_eq!(line("abcdef", 4), "abc…");
        assert_eq!(line("abcd", 4), "abcd");
    }
}
