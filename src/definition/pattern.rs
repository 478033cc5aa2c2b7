//! Patterns of texts with wildcards.

/// Whether a text is as a pattern says: `*` stands for any letters or none, `?` for one letter, and a backslash takes the next
/// sign as it is; all else stands for itself, small and large letters apart. There is an answer after at most as many steps as
/// text and pattern have letters, multiplied; never more, whatever they are.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let pattern = signs(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut sign) = (0, 0);
    // Where to go on if what follows the last star does not fit: after it, one letter later.
    let mut again: Option<(usize, usize)> = None;
    while at < text.len() {
        match (pattern.get(sign), text.get(at)) {
            (Some(Sign::Any), _) => {
                again = Some((sign + 1, at));
                sign += 1;
            }
            (Some(Sign::One), Some(_)) => (at, sign) = (at + 1, sign + 1),
            (Some(Sign::Letter(letter)), Some(found)) if letter == found => (at, sign) = (at + 1, sign + 1),
            _ => {
                let Some((after, from)) = again else { return false };
                again = Some((after, from + 1));
                (sign, at) = (after, from + 1);
            }
        }
    }
    pattern.iter().skip(sign).all(|sign| *sign == Sign::Any)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Any,
    One,
    Letter(char),
}

fn signs(pattern: &str) -> Vec<Sign> {
    let mut signs = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        signs.push(match letter {
            '*' => Sign::Any,
            '?' => Sign::One,
            // At the end it stands for itself.
            '\\' => Sign::Letter(letters.next().unwrap_or('\\')),
            letter => Sign::Letter(letter),
        });
    }
    signs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By the definition, without an eye to time.
    fn plainly(pattern: &[Sign], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((Sign::Any, rest)), letters) => {
                plainly(rest, text) || letters.is_some_and(|(_, letters)| plainly(pattern, letters))
            }
            (Some((Sign::One, rest)), Some((_, letters))) => plainly(rest, letters),
            (Some((Sign::Letter(sign), rest)), Some((letter, letters))) => sign == letter && plainly(rest, letters),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    #[test]
    fn known_patterns() {
        for (pattern, text) in
            [("", ""), ("*", ""), ("a*c", "abbc"), ("?ü?", "xüy"), ("\\*", "*"), ("*.rs", "a.b.rs"), ("a\\", "a\\")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("", "a"), ("?", ""), ("a*c", "abcb"), ("\\*", "a"), ("A", "a"), ("a", "ab"), ("*a", "ab")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_would_take_others_for_ever_ends() {
        let (pattern, text) = ("a*".repeat(120) + "b", "a".repeat(20_000));
        assert!(!matches(&pattern, &text));
    }

    proptest! {
        #[test]
        fn it_is_what_the_definition_says(pattern in "[ab*?\\\\]{0,8}", text in "[ab*]{0,9}") {
            let letters: Vec<char> = text.chars().collect();
            prop_assert_eq!(matches(&pattern, &text), plainly(&signs(&pattern), &letters), "{} {}", pattern, text);
        }
    }
}
