//! Separates code, comments and strings, on which all later analysis is based.

use crate::language::{Language, Quote, Shape, Spec};

/// A text split into two of the same length, byte for byte and line for line.
///
/// Both are plain ASCII. In `code`, comments are blank, the inside of strings is quote marks,
/// and letters beyond ASCII are underscores: braces and words found there are real ones, and
/// their offsets are valid in the original text. In `comments`, all but comments is blank.
#[derive(Debug, Default)]
pub struct Scan {
    pub code: String,
    pub comments: String,
}

/// Splits a text by the rules of its language.
pub fn scan(text: &str, language: Language) -> Scan {
    let spec = language.spec();
    let size = text.len();
    let mut scanner = Scanner {
        text: text.as_bytes(),
        at: 0,
        spec,
        language,
        code: Vec::with_capacity(size),
        comments: Vec::with_capacity(size),
    };
    scanner.run();
    let ascii = |bytes| String::from_utf8(bytes).unwrap_or_default();
    Scan { code: ascii(scanner.code), comments: ascii(scanner.comments) }
}

#[derive(Clone, Copy)]
enum Part {
    Code,
    Comment,
    Quoted,
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    spec: Spec,
    language: Language,
    code: Vec<u8>,
    comments: Vec<u8>,
}

impl Scanner<'_> {
    fn run(&mut self) {
        while let Some(byte) = self.peek(0) {
            // Most bytes are letters and spaces, which begin neither comments nor strings.
            let plain = byte.is_ascii_alphanumeric() || byte == b' ';
            if plain || (!self.comment() && !self.quoted(byte)) {
                self.take(Part::Code, 1);
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn starts_with(&self, mark: &str) -> bool {
        self.text.get(self.at..).is_some_and(|rest| rest.starts_with(mark.as_bytes()))
    }

    /// Moves on by some bytes, all of one part.
    fn take(&mut self, part: Part, count: usize) {
        let end = (self.at + count).min(self.text.len());
        for byte in self.text.get(self.at..end).unwrap_or_default() {
            let blank = if byte.is_ascii_whitespace() { *byte } else { b' ' };
            let shown = if byte.is_ascii() { *byte } else { b'_' };
            let quoted = if byte.is_ascii_whitespace() { *byte } else { b'"' };
            let (code, comment) = match part {
                Part::Code => (shown, blank),
                Part::Comment => (blank, shown),
                Part::Quoted => (quoted, blank),
            };
            self.code.push(code);
            self.comments.push(comment);
        }
        self.at = end;
    }

    fn comment(&mut self) -> bool {
        if let Some((open, close)) = self.spec.block_comment
            && self.starts_with(open)
        {
            self.block_comment(open, close);
            return true;
        }
        let line = self.spec.line_comments.iter().any(|mark| self.starts_with(mark));
        if !line || !self.hash_may_start_comment() {
            return false;
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        self.take(Part::Comment, length);
        true
    }

    /// In shells and YAML, `#` inside a word is part of the word.
    fn hash_may_start_comment(&self) -> bool {
        if !matches!(self.language, Language::Shell | Language::Yaml) {
            return true;
        }
        self.code.last().is_none_or(|last| last.is_ascii_whitespace() || *last == b';')
    }

    fn block_comment(&mut self, open: &str, close: &str) {
        let mut depth = 1_u32;
        self.take(Part::Comment, open.len());
        while self.at < self.text.len() && depth > 0 {
            if self.starts_with(close) {
                depth -= 1;
                self.take(Part::Comment, close.len());
            } else if self.spec.nested_comments && self.starts_with(open) {
                depth += 1;
                self.take(Part::Comment, open.len());
            } else {
                self.take(Part::Comment, 1);
            }
        }
    }

    fn quoted(&mut self, byte: u8) -> bool {
        match (self.language, byte) {
            (Language::Rust, b'\'') => return self.rust_character(),
            (Language::Rust, b'"') => {
                if let Some(hashes) = self.raw_string_hashes() {
                    self.raw_string(hashes);
                    return true;
                }
            }
            (Language::JavaScript | Language::TypeScript, b'/') => {
                return self.regular_expression();
            }
            // The apostrophe of C++ separates digits.
            (Language::Cpp | Language::C, b'\'') if self.after_word() => return false,
            _ => {}
        }
        let quotes: &'static [Quote] = self.spec.quotes;
        let Some(quote) = quotes.iter().find(|quote| self.starts_with(quote.mark)) else {
            return false;
        };
        let part = if self.is_docstring(*quote) { Part::Comment } else { Part::Quoted };
        self.take(part, quote.mark.len());
        self.string(*quote, part);
        true
    }

    fn after_word(&self) -> bool {
        self.code.last().is_some_and(u8::is_ascii_alphanumeric)
    }

    /// A long string that begins a line of Python is documentation.
    fn is_docstring(&self, quote: Quote) -> bool {
        let line = self.code.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        self.spec.shape == Shape::Indent && quote.mark.len() == 3 && line.iter().all(u8::is_ascii_whitespace)
    }

    fn string(&mut self, quote: Quote, part: Part) {
        while let Some(byte) = self.peek(0) {
            if byte == b'\\' && quote.escapes {
                self.take(part, 2);
            } else if self.starts_with(quote.mark) {
                return self.take(part, quote.mark.len());
            } else if byte == b'\n' && !quote.multiline {
                // An unclosed string: better to lose this line than the rest of the file.
                return;
            } else {
                self.take(part, 1);
            }
        }
    }

    /// `'a'` is a character, `'a` a lifetime.
    fn rust_character(&mut self) -> bool {
        let rest = self.text.get(self.at + 1..).unwrap_or_default();
        let length = match rest.first() {
            Some(b'\\') => {
                let tail = rest.get(2..).unwrap_or_default();
                tail.iter().take(12).position(|byte| *byte == b'\'').map(|end| end + 4)
            }
            Some(b'\'') | None => None,
            Some(first) => {
                let width = match first {
                    0..=0x7f => 1,
                    0x80..=0xdf => 2,
                    0xe0..=0xef => 3,
                    0xf0..=0xff => 4,
                };
                (rest.get(width) == Some(&b'\'')).then_some(width + 2)
            }
        };
        length.inspect(|length| self.take(Part::Quoted, *length)).is_some()
    }

    /// The number of `#` if the quote mark here opens a raw string.
    fn raw_string_hashes(&self) -> Option<usize> {
        let hashes = self.code.iter().rev().take_while(|byte| **byte == b'#').count();
        let mut before = self.code.iter().rev().skip(hashes);
        if before.next() != Some(&b'r') {
            return None;
        }
        let previous = match before.next() {
            Some(b'b' | b'c') => before.next(),
            other => other,
        };
        let inside_word = previous.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        (!inside_word).then_some(hashes)
    }

    fn raw_string(&mut self, hashes: usize) {
        let close = format!("\"{}", "#".repeat(hashes));
        self.take(Part::Quoted, 1);
        while self.at < self.text.len() && !self.starts_with(&close) {
            self.take(Part::Quoted, 1);
        }
        self.take(Part::Quoted, close.len());
    }

    /// A `/` where no value can end starts a regular expression, if it is closed on its line.
    fn regular_expression(&mut self) -> bool {
        let before = self.code.iter().rev().find(|byte| !matches!(byte, b' ' | b'\t'));
        if !before.is_none_or(|byte| b"(,=:[!&|?{};\n+-*%<>~^".contains(byte)) {
            return false;
        }
        let rest = self.text.get(self.at + 1..).unwrap_or_default();
        let (mut escaped, mut class) = (false, false);
        for (offset, byte) in rest.iter().enumerate() {
            match byte {
                b'\n' => return false,
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'[' => class = true,
                b']' => class = false,
                b'/' if !class => {
                    self.take(Part::Quoted, offset + 2);
                    return true;
                }
                _ => {}
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str, language: Language) -> String {
        let scan = scan(text, language);
        assert_eq!(scan.code.len(), text.len());
        assert_eq!(scan.comments.len(), text.len());
        scan.code
    }

    #[test]
    fn comments_and_strings_are_masked() {
        let text = "let a = \"{ // }\"; // { b\n/* { /* x */ } */ c";
        let code = code(text, Language::Rust);
        assert!(!code.contains('{') && !code.contains('}'));
        assert!(code.ends_with(" c"));
        assert!(scan(text, Language::Rust).comments.contains("// { b"));
    }

    #[test]
    fn rust_lifetimes_characters_and_raw_strings() {
        let masked = code("fn f<'a>(x: &'a str) { '{'; '\\''; '\u{e9}'; }", Language::Rust);
        assert_eq!(masked.matches('{').count(), 1);
        assert_eq!(masked.matches('}').count(), 1);
        let masked = code("r#\"a \" { \"#; br\"\\\" }", Language::Rust);
        assert!(!masked.contains('{'));
        assert!(masked.ends_with('}'));
    }

    #[test]
    fn script_expressions_and_templates() {
        let masked = code("a = /[/\"{]/g; b = `{\n{`; c = d / e; {", Language::JavaScript);
        assert_eq!(masked.matches('{').count(), 1);
    }

    #[test]
    fn python_documentation_is_comment() {
        let text = "def f():\n    \"\"\"Says {\n    more\"\"\"\n    x = \"\"\"kept\"\"\"\n";
        let scan = scan(text, Language::Python);
        assert!(scan.comments.contains("more"));
        assert!(scan.code.contains("x = \"\"\"\"\"\""));
    }

    #[test]
    fn shell_hash_inside_a_word_is_no_comment() {
        let scan = scan("n=${#list} # count\n", Language::Shell);
        assert!(scan.code.contains("${#list}"));
        assert!(scan.comments.contains("# count"));
    }

    #[test]
    fn unclosed_things_end_with_the_text() {
        for text in ["\"abc", "/* abc", "r#\"abc", "'", "'\\", "`", "/", "\u{e9}'", "b'\u{1f600}"] {
            for language in [Language::Rust, Language::JavaScript, Language::Python, Language::Cpp] {
                let _ = code(text, language);
            }
        }
    }
}
