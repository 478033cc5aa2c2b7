//! SVG output: escaping, lengths, and estimated text widths.

use crate::observe::text::line;
use core::fmt;

/// Tenths of a pixel: positions are integers, so that a chart is the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Px(pub(super) u64);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{}", self.0 / 10),
            tenth => write!(f, "{}.{tenth}", self.0 / 10),
        }
    }
}

/// Text for XML: truncated to `most` characters, escaped, without characters that XML forbids.
pub(in crate::observe) fn xml(text: &str, most: usize) -> String {
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
pub(in crate::observe) fn width(text: &str) -> u64 {
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
pub(in crate::observe) fn fit(text: &str, room: u64) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes() {
        assert_eq!(xml("<a b='\"&\u{0}\u{FFFF}>", 20), "&lt;a b=&#39;&quot;&amp; \u{FFFD}&gt;");
        assert_eq!(xml("abcdef", 3), "ab…");
        assert_eq!(Px(125).to_string(), "12.5");
        assert_eq!(fit("abcdefgh", 200), "ab…");
    }
}
