//! Durations of ISO 8601.

use core::time::Duration;

/// The duration that a text such as `PT1H30M` or `P2DT0.5S` states; none for other texts, and for years and months, whose
/// length depends on the date.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix('P')?;
    let (days, times) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((days, times)) => (days, times),
        None => (rest, ""),
    };
    if days.is_empty() && times.is_empty() {
        return None;
    }
    let mut total = parts(days, &[('W', 604_800), ('D', 86_400)])?;
    total = total.checked_add(parts(times, &[('H', 3_600), ('M', 60), ('S', 1)])?)?;
    Some(total).filter(|span| span.as_nanos() <= u128::from(u64::MAX))
}

/// The sum of numbers with these units, each at most once and in this order.
fn parts(text: &str, units: &[(char, u64)]) -> Option<Duration> {
    let (mut rest, mut units, mut total) = (text, units.iter(), Duration::ZERO);
    while !rest.is_empty() {
        let end = rest.find(|letter: char| letter.is_ascii_alphabetic())?;
        let (number, tail) = rest.split_at(end);
        let unit = tail.chars().next()?;
        let seconds = units.find(|(name, _)| *name == unit).map(|(_, seconds)| *seconds)?;
        total = total.checked_add(amount(number, seconds)?)?;
        rest = tail.get(1..)?;
    }
    Some(total)
}

/// A number of units, with a fraction for seconds.
fn amount(number: &str, seconds: u64) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(whole) || !is_plain(fraction) || (fraction != "0" && seconds != 1) || fraction.len() > 9 {
        return None;
    }
    let nanos: u32 = format!("{fraction:0<9}").parse().ok()?;
    let whole: u64 = whole.parse().ok()?;
    Some(Duration::new(whole.checked_mul(seconds)?, nanos))
}

/// The text of a duration.
pub(super) fn print(span: Duration) -> String {
    match (span.as_secs(), span.subsec_nanos()) {
        (seconds, 0) => format!("PT{seconds}S"),
        (seconds, nanos) => format!("PT{seconds}.{}S", format!("{nanos:09}").trim_end_matches('0')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed() {
        let known: [(&str, u64); 7] = [
            ("PT1H30M", 5_400_000),
            ("P2DT0.5S", 172_800_500),
            ("P1W", 604_800_000),
            ("PT0S", 0),
            ("P1D", 86_400_000),
            ("PT90S", 90_000),
            ("P1DT1M", 86_460_000),
        ];
        for (text, millis) in known {
            let span = duration(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(span, Duration::from_millis(millis), "{text}");
            assert_eq!(duration(&print(span)), Some(span), "{text}");
        }
        for text in
            ["", "P", "PT", "P1DT", "P1M", "P1Y", "1H", "PT1M1H", "PT1H1H", "PT-1S", "PT1.5H", "PT1", "R3/PT1S", "PTé"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(duration("P999999999999D"), None);
    }
}
