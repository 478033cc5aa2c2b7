//! Finds functions without a parser: by braces and the text before them, or by indentation. The result is an estimate;
//! no content of a file makes it fail.

use crate::headers::{after_word, curly, script, shell};
use crate::language::{Language, Shape};
use crate::model::{Function, LONG_FUNCTION, Structure};
use crate::scan::Scan;

/// How many of a file's longest functions are kept.
const KEPT: usize = 6;
/// How far before a brace its header may begin.
const HEADER: usize = 3000;

/// Counts the functions of a file and measures them.
pub fn structure(text: &str, scan: &Scan, language: Language) -> Structure {
    let shape = language.spec().shape;
    let found = match shape {
        Shape::None => return Structure::default(),
        Shape::Indent => by_indentation(&scan.code),
        Shape::Keyword(_) | Shape::Curly | Shape::Script | Shape::Shell => {
            let mut walker = Walker::new(text, &scan.code, shape);
            walker.run();
            walker.found
        }
    };
    summarise(found)
}

fn summarise(mut found: Vec<Function>) -> Structure {
    let functions = found.len() as u64;
    let long = found.iter().filter(|function| function.lines > LONG_FUNCTION).count() as u64;
    let deepest = found.iter().map(|function| function.depth).max().unwrap_or(0);
    found.sort_by(|a, b| b.lines.cmp(&a.lines).then(a.line.cmp(&b.line)));
    found.truncate(KEPT);
    Structure { functions, long, longest: found, deepest }
}

/// A brace that is open, and the function it belongs to, if it is a body.
struct Open {
    function: Option<usize>,
    parens: u32,
    deepest: u64,
}

struct Walker<'a> {
    text: &'a str,
    code: &'a str,
    shape: Shape,
    line: u64,
    header: usize,
    parens: u32,
    open: Vec<Open>,
    found: Vec<Function>,
}

impl<'a> Walker<'a> {
    fn new(text: &'a str, code: &'a str, shape: Shape) -> Self {
        let (open, found) = (Vec::new(), Vec::new());
        Self { text, code, shape, line: 1, header: 0, parens: 0, open, found }
    }

    fn run(&mut self) {
        let mut directive = false;
        let mut fresh = true;
        for (at, byte) in self.code.bytes().enumerate() {
            match byte {
                b'\n' => {
                    self.line += 1;
                    let continued = self.code.as_bytes().get(at.wrapping_sub(1)) == Some(&b'\\');
                    if directive && !continued {
                        directive = false;
                        self.header = at + 1;
                    } else if self.shape == Shape::Shell {
                        self.header = at + 1;
                    }
                    fresh = true;
                }
                b' ' | b'\t' | b'\r' => {}
                b'#' if fresh && self.shape == Shape::Curly => directive = true,
                _ if directive => {}
                _ => {
                    fresh = false;
                    self.step(at, byte);
                }
            }
        }
        while !self.open.is_empty() {
            self.close(self.code.len());
        }
    }

    fn step(&mut self, at: usize, byte: u8) {
        match byte {
            // In a shell, `)` also ends the label of a case: it cannot be paired.
            b'(' | b'[' if self.shape != Shape::Shell => self.parens += 1,
            b')' | b']' => self.parens = self.parens.saturating_sub(1),
            b';' if self.parens == 0 => self.header = at + 1,
            b'{' => self.enter(at),
            b'}' => self.close(at),
            _ => {}
        }
    }

    fn enter(&mut self, at: usize) {
        let start = self.header.max(at.saturating_sub(HEADER));
        let header = self.code.get(start..at).unwrap_or_default();
        let named = match self.shape {
            Shape::Keyword(word) => after_word(header, word),
            Shape::Curly if self.parens == 0 => curly(header),
            Shape::Script => script(header, self.parens),
            Shape::Shell => shell(header),
            Shape::Curly | Shape::Indent | Shape::None => None,
        };
        let function = named.map(|(from, to)| {
            let name = self.text.get(start + from..start + to).unwrap_or_default();
            let name = if name.is_empty() { "(anonymous)" } else { name };
            let below = header.get(from..).unwrap_or_default().matches('\n').count() as u64;
            let line = self.line.saturating_sub(below);
            self.found.push(Function { name: name.to_owned(), line, lines: 0, depth: 0 });
            self.found.len() - 1
        });
        self.open.push(Open { function, parens: self.parens, deepest: 0 });
        self.parens = 0;
        self.header = at + 1;
    }

    fn close(&mut self, at: usize) {
        self.header = at + 1;
        let Some(closed) = self.open.pop() else {
            return;
        };
        self.parens = closed.parens;
        if let Some(outer) = self.open.last_mut() {
            outer.deepest = outer.deepest.max(closed.deepest + 1);
        }
        if let Some(function) = closed.function.and_then(|index| self.found.get_mut(index)) {
            function.lines = self.line.saturating_sub(function.line) + 1;
            function.depth = closed.deepest;
        }
    }
}

/// Functions that begin with `def` and last while lines are indented further.
fn by_indentation(code: &str) -> Vec<Function> {
    struct Body {
        function: usize,
        indent: usize,
        levels: Vec<usize>,
    }
    let mut found: Vec<Function> = Vec::new();
    let mut open: Vec<Body> = Vec::new();
    for (number, line) in (1_u64..).zip(code.lines()) {
        let content = line.trim_ascii_start();
        // Inside a string that spans lines, indentation means nothing.
        if content.is_empty() || content.trim_matches('"').is_empty() {
            continue;
        }
        let indent = line.len() - content.len();
        while open.last().is_some_and(|body| indent <= body.indent && !closes(content)) {
            open.pop();
        }
        for body in &mut open {
            if indent > body.indent {
                body.levels.retain(|level| *level < indent);
                body.levels.push(indent);
            }
            if let Some(function) = found.get_mut(body.function) {
                function.lines = number.saturating_sub(function.line) + 1;
                function.depth = function.depth.max((body.levels.len() as u64).saturating_sub(1));
            }
        }
        let header = content.strip_prefix("async ").unwrap_or(content);
        if let Some(rest) = header.strip_prefix("def ") {
            let name: String = rest.chars().take_while(|c| !"(: ;".contains(*c)).collect();
            found.push(Function { name, line: number, lines: 1, depth: 0 });
            open.push(Body { function: found.len() - 1, indent, levels: Vec::new() });
        }
    }
    found
}

/// A line that belongs to the body although it is not indented: the end of a long header, or
/// Ruby's `end`.
fn closes(content: &str) -> bool {
    content.starts_with(')') || content == "end"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::scan;

    fn found(text: &str, language: Language) -> Vec<(String, u64, u64, u64)> {
        let mut list = structure(text, &scan(text, language), language).longest;
        list.sort_by_key(|f| f.line);
        list.into_iter().map(|f| (f.name, f.line, f.lines, f.depth)).collect()
    }

    fn names(text: &str, language: Language) -> Vec<String> {
        found(text, language).into_iter().map(|f| f.0).collect()
    }

    #[test]
    fn rust_functions() {
        let text = "struct A { f: fn(u8) }\nimpl A {\n  pub fn new(\n    a: [u8; 4],\n  ) -> Self {\n    \
                    if a { match b { _ => {} } }\n  }\n  fn declared(&self);\n}\n";
        assert_eq!(found(text, Language::Rust), [("new".into(), 3, 5, 3)]);
    }

    #[test]
    fn c_like_functions() {
        let text = "#define X(a) { a\nint a[] = { 1 };\nstatic int\nmain(int c, char **v)\n{\n  \
                    for (;;) { if (c) { } }\n}\n";
        assert_eq!(found(text, Language::C), [("main".into(), 4, 4, 2)]);
        let text = "class A extends B {\n  @Test(\"x\") public void run() throws E { new T() { }; }\n}";
        assert_eq!(names(text, Language::Java), ["run"]);
        assert_eq!(names("A::A(int b) : b_(b) {}\n", Language::Cpp), ["A"]);
    }

    #[test]
    fn script_functions() {
        let text = "function a() {}\nconst b = (x) => { };\nlist.map(function (y) { });\n\
                    class C {\n  d(e) { if (e) { } }\n}\nlet f = { g: 1 };\n";
        assert_eq!(names(text, Language::JavaScript), ["a", "b", "(anonymous)", "d"]);
    }

    #[test]
    fn go_functions() {
        let text = "func (t *T) Run(a int) {\n}\nfunc Free() {\n go func() { }()\n}\n";
        assert_eq!(names(text, Language::Go), ["Run", "Free", "(anonymous)"]);
    }

    #[test]
    fn shell_functions() {
        let text = "run() {\n case $1 in a) echo;; esac\n}\nfunction go { :; }\n";
        assert_eq!(names(text, Language::Shell), ["run", "go"]);
    }

    #[test]
    fn python_functions() {
        let text = "class A:\n    def f(\n        self,\n    ):\n        \"\"\"Doc.\"\"\"\n        if a:\n            \
                    b()\n\n        return\n\ndef g(): pass\nx = 1\n";
        let expected = [("f".into(), 2, 8, 1), ("g".into(), 11, 1, 0)];
        assert_eq!(found(text, Language::Python), expected);
    }

    #[test]
    fn unbalanced_text_is_survived() {
        let languages = [Language::Rust, Language::C, Language::Go, Language::JavaScript];
        for language in languages.into_iter().chain([Language::Shell, Language::Python]) {
            for text in ["}}})", "fn (", "{{{{", "fn a({[", "func (", "func", "= => {", "def", "() {"] {
                let _ = found(text, language);
            }
        }
    }
}
