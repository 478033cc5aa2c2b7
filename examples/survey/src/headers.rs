//! Reads the name of a function from the text before its body.

/// The part of a header where the name stands.
pub type Span = (usize, usize);

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

/// The words of a header with their offsets.
fn words(header: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    header.split(|c: char| !c.is_ascii() || !is_word(c as u8)).filter_map(move |word| {
        let at = offset;
        offset += word.len() + 1;
        (!word.is_empty()).then_some((at, word))
    })
}

/// `fn name`, `func (receiver) name`, `fun name`.
pub fn after_word(header: &str, keyword: &str) -> Option<Span> {
    let (at, _) = words(header).find(|(_, word)| *word == keyword)?;
    let tail_at = at + keyword.len();
    let tail = header.get(tail_at..)?;
    let mut skip = tail.len() - tail.trim_ascii_start().len();
    if keyword == "func" && tail.get(skip..)?.starts_with('(') {
        // Go: a receiver, or the parameters of a function without a name.
        let end = tail.find(')')? + 1;
        let rest = tail.get(end..)?;
        skip = end + rest.len() - rest.trim_ascii_start().len();
    }
    let name = tail.get(skip..)?;
    let length = name.bytes().take_while(|byte| is_word(*byte)).count();
    let first = name.bytes().next();
    match first {
        Some(byte) if is_word(byte) => Some((tail_at + skip, tail_at + skip + length)),
        _ if keyword == "func" => Some((at, at)),
        // `fn(u8)` is the type of a function, not a function.
        _ => None,
    }
}

/// Words before a parenthesis that do not name a function.
const CONTROL: &[&str] = &[
    "if",
    "for",
    "while",
    "switch",
    "catch",
    "foreach",
    "lock",
    "using",
    "synchronized",
    "with",
    "return",
    "sizeof",
    "when",
    "fixed",
    "elif",
    "function",
    "await",
];
/// Words that make the whole header something else.
const OTHER: &[&str] = &["class", "interface", "enum", "namespace", "new", "case", "record", "else", "do", "try"];

/// `type name(parameters) qualifiers`.
pub fn curly(header: &str) -> Option<Span> {
    let mut depth = 0_u32;
    let bytes = header.as_bytes();
    if words(header).any(|(_, word)| OTHER.contains(&word)) {
        return None;
    }
    let mut named = None;
    for (at, byte) in header.bytes().enumerate() {
        match byte {
            b'(' => {
                if depth == 0 && named.is_none() {
                    named = name_before(header, at);
                }
                depth += 1;
            }
            b')' => depth = depth.saturating_sub(1),
            // An initialiser, unless it is an operator being defined.
            b'=' if depth == 0 && named.is_none() && bytes.get(at + 1) != Some(&b'(') => {
                return None;
            }
            _ => {}
        }
    }
    named
}

/// The name that ends before the parenthesis at `paren`.
fn name_before(header: &str, paren: usize) -> Option<Span> {
    let before = header.get(..paren)?.trim_ascii_end();
    let length = before.bytes().rev().take_while(|byte| is_word(*byte)).count();
    let start = before.len() - length;
    let name = before.get(start..)?;
    let previous = start.checked_sub(1).and_then(|at| before.as_bytes().get(at).copied());
    let is_name = length > 0
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.starts_with("__")
        && !CONTROL.contains(&name)
        && previous != Some(b'@');
    is_name.then_some((start, before.len()))
}

/// `function name`, `name = (...) =>`, or a method.
pub fn script(header: &str, parens: u32) -> Option<Span> {
    let function = words(header).find(|(_, word)| *word == "function");
    if let Some((at, word)) = function {
        let tail_at = at + word.len();
        let tail = header.get(tail_at..)?;
        let name = words(tail)
            .next()
            .filter(|(start, _)| tail.get(..*start).is_some_and(|gap| gap.trim_matches([' ', '*']).is_empty()));
        let direct = name.map(|(start, word)| (tail_at + start, tail_at + start + word.len()));
        return direct.or_else(|| assigned(header, at)).or(Some((at, at)));
    }
    if header.trim_ascii_end().ends_with("=>") {
        return assigned(header, header.len()).or(Some((0, 0)));
    }
    if parens > 0 { None } else { curly(header) }
}

/// The last name before `until` that something is assigned to.
fn assigned(header: &str, until: usize) -> Option<Span> {
    let before = header.get(..until)?;
    let sign =
        before.match_indices(['=', ':']).map(|(at, _)| at).find(|at| before.as_bytes().get(at + 1) != Some(&b'>'))?;
    name_before(before, sign)
}

/// `name()` or `function name`.
pub fn shell(header: &str) -> Option<Span> {
    let trimmed = header.trim_ascii();
    let skip = header.len() - header.trim_ascii_start().len();
    let prefix = if trimmed.starts_with("function ") { "function ".len() } else { 0 };
    if prefix == 0 && !trimmed.ends_with("()") {
        return None;
    }
    let name = trimmed.get(prefix..)?;
    let length = name.bytes().take_while(|byte| is_word(*byte) || *byte == b'-').count();
    (length > 0).then_some((skip + prefix, skip + prefix + length))
}
