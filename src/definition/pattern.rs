//! Wildcard patterns for strings.

/// Whether a text matches a pattern: `*` stands for any number of characters, `?` for one character, and a backslash for the
/// next character itself. All other characters stand for themselves; case matters. The number of comparisons is at most the
/// product of the lengths of text and pattern; `step` is called for each 16 of them, and false from it ends the search.
pub(super) fn matches(pattern: &str, text: &str, mut step: impl FnMut() -> bool) -> bool {
    let pattern = tokens(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut token) = (0, 0);
    // Where to resume when what follows the last star does not match: after the star, one character later in the text.
    let mut again: Option<(usize, usize)> = None;
    let mut compared = 0_u32;
    while at < text.len() {
        compared = compared.wrapping_add(1);
        if compared.is_multiple_of(16) && !step() {
            return false;
        }
        match (pattern.get(token), text.get(at)) {
            (Some(Token::Any), _) => {
                again = Some((token + 1, at));
                token += 1;
            }
            (Some(Token::One), Some(_)) => (at, token) = (at + 1, token + 1),
            (Some(Token::Char(char)), Some(found)) if char == found => (at, token) = (at + 1, token + 1),
            _ => {
                let Some((after, from)) = again else { return false };
                again = Some((after, from + 1));
                (token, at) = (after, from + 1);
            }
        }
    }
    pattern.iter().skip(token).all(|token| *token == Token::Any)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Char(char),
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        tokens.push(match char {
            '*' => Token::Any,
            '?' => Token::One,
            // A trailing backslash stands for itself.
            '\\' => Token::Char(chars.next().unwrap_or('\\')),
            char => Token::Char(char),
        });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, text: &str) -> bool {
        matches(pattern, text, || true)
    }
    use proptest::prelude::*;

    /// The definition as a recursion, without a bound on its time.
    fn by_definition(pattern: &[Token], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((Token::Any, rest)), chars) => {
                by_definition(rest, text) || chars.is_some_and(|(_, chars)| by_definition(pattern, chars))
            }
            (Some((Token::One, rest)), Some((_, chars))) => by_definition(rest, chars),
            (Some((Token::Char(token), rest)), Some((char, chars))) => token == char && by_definition(rest, chars),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    #[test]
    fn known_patterns() {
        for (pattern, text) in
            [("", ""), ("*", ""), ("a*c", "abbc"), ("?ü?", "xüy"), ("\\*", "*"), ("*.rs", "a.b.rs"), ("a\\", "a\\")]
        {
            assert!(found(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("", "a"), ("?", ""), ("a*c", "abcb"), ("\\*", "a"), ("A", "a"), ("a", "ab"), ("*a", "ab")]
        {
            assert!(!found(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_would_take_others_for_ever_ends() {
        let (pattern, text) = ("a*".repeat(120) + "b", "a".repeat(20_000));
        assert!(!found(&pattern, &text));
    }

    proptest! {
        #[test]
        fn it_equals_the_recursive_definition(pattern in "[ab*?\\\\]{0,8}", text in "[ab*]{0,9}") {
            let chars: Vec<char> = text.chars().collect();
            prop_assert_eq!(found(&pattern, &text), by_definition(&tokens(&pattern), &chars), "{} {}", pattern, text);
        }
    }
}
