//! Texts for people.

/// A text without the ids in brackets that follow names, such as `etl-1 (r3022139313948649849)`.
#[must_use]
pub fn without_ids(text: &str) -> String {
    let (mut found, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(" (") {
        let (before, after) = rest.split_at(at);
        let inner = after.get(2..).and_then(|inner| inner.split_once(')'));
        found.push_str(before);
        rest = match inner {
            Some((id, next)) if is_id(id) => next,
            _ => {
                found.push_str(" (");
                after.get(2..).unwrap_or_default()
            }
        };
    }
    found + rest
}

fn is_id(text: &str) -> bool {
    let digits = text.trim_start_matches(['r', 't', 'a', '_', '-']);
    digits.len() < text.len()
        && !digits.is_empty()
        && digits.chars().all(|letter| letter.is_ascii_digit() || letter == '-')
}

#[cfg(test)]
mod tests {
    use super::without_ids;

    #[test]
    fn ids_are_left_out_and_other_brackets_are_not() {
        assert_eq!(without_ids("etl-1 (r3022139313948649849) paused (by hand)"), "etl-1 paused (by hand)");
        assert_eq!(without_ids("greet (t_1-1) on shell (a28-1)"), "greet on shell");
        assert_eq!(without_ids("open ("), "open (");
    }
}
