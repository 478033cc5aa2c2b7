//! Formatting of numbers.

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// As [`thousands`], but a number of millions is rounded: `1.43 M`.
pub fn compact(number: u64) -> String {
    if number < 1_000_000 {
        return thousands(number);
    }
    let digits = if number < 10_000_000 { 2 } else { 1 };
    format!("{:.digits$} M", number as f64 / 1e6)
}

/// `1 file`, `2 files`.
pub fn count(number: u64, thing: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {thing}{ending}", thousands(number))
}

/// A percentage without a precision it does not have.
pub fn of_hundred(percent: f64) -> String {
    if percent > 0.0 && percent < 0.1 {
        "under 0.1%".to_owned()
    } else if percent > 0.0 && percent < 9.95 {
        format!("{percent:.1}%")
    } else if percent > 99.0 && percent < 100.0 {
        // Not all of it, and the text should not say so.
        "99%".to_owned()
    } else {
        format!("{percent:.0}%")
    }
}

/// Bytes in the unit that leaves a short number.
pub fn bytes(number: u64) -> String {
    let mut value = number as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if unit == "B" || value >= 100.0 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// A text cut in its middle: the ends of a path tell the most.
pub fn shorten(text: &str, limit: usize) -> String {
    let length = text.chars().count();
    if length <= limit {
        return text.to_owned();
    }
    let tail = limit * 3 / 5;
    let head = limit.saturating_sub(tail + 1);
    let front: String = text.chars().take(head).collect();
    let back: String = text.chars().skip(length - tail).collect();
    format!("{front}\u{2026}{back}")
}

/// A text for HTML and SVG, in content and in attributes alike.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Not allowed in a document, and invisible in any case.
            c if c.is_control() && !c.is_whitespace() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(compact(999_999), "999,999");
        assert_eq!(compact(1_427_722), "1.43 M");
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(of_hundred(0.0), "0%");
        assert_eq!(of_hundred(0.04), "under 0.1%");
        assert_eq!(of_hundred(3.13), "3.1%");
        assert_eq!(of_hundred(99.9), "99%");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_500_000), "1.5 MB");
    }

    #[test]
    fn texts() {
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("abcdefghijkl", 6), "ab\u{2026}jkl");
        assert_eq!(shorten("\u{e9}\u{e9}\u{e9}", 2).chars().count(), 2);
        assert_eq!(escape("<a b=\"c'&\u{1}\">"), "&lt;a b=&quot;c&#39;&amp;\u{fffd}&quot;&gt;");
    }
}
