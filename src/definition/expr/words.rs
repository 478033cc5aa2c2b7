//! Names in expressions.

/// Whether a name may begin with this character.
pub(super) fn is_name_start(letter: char) -> bool {
    letter.is_alphabetic() || letter == '_'
}

/// Where the name at the beginning of a text ends: after letters, digits, `_`, and each `-` that is followed by one of these.
pub(super) fn name_end(text: &str) -> usize {
    let is_inner = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut letters = text.char_indices().peekable();
    let mut is_first = true;
    while let Some((at, letter)) = letters.next() {
        let joins = letter == '-' && !is_first && letters.peek().is_some_and(|(_, next)| is_inner(*next));
        if !is_inner(letter) && !joins {
            return at;
        }
        is_first = false;
    }
    text.len()
}

/// Whether a text is a name as a whole.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(is_name_start) && name_end(text) == text.len()
}
