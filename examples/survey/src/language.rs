//! The languages that the survey distinguishes, and how each writes comments and strings.

use serde::{Deserialize, Serialize};

/// A language, told by the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Language {
    Rust,
    Python,
    JavaScript,
    TypeScript,
    C,
    Cpp,
    CSharp,
    Go,
    Java,
    Kotlin,
    Swift,
    Ruby,
    Shell,
    Sql,
    Html,
    Css,
    Toml,
    Yaml,
    Json,
    Xml,
    Markdown,
    Text,
}

/// What a language is for: only programs count as lines of code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Program,
    Markup,
    Data,
    Prose,
}

/// By which signs functions are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// No functions.
    None,
    /// A keyword before the name, a body in braces.
    Keyword(&'static str),
    /// `name(...) { ... }`, as in C and its relatives.
    Curly,
    /// As [`Shape::Curly`], and `function` and `=>`.
    Script,
    /// `name() { ... }` of shells.
    Shell,
    /// `def`, with the body told by indentation.
    Indent,
}

/// One way to write a string.
#[derive(Debug, Clone, Copy)]
pub struct Quote {
    pub mark: &'static str,
    pub escapes: bool,
    pub multiline: bool,
}

/// Everything the stages need to know about a language.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    pub name: &'static str,
    pub kind: Kind,
    pub shape: Shape,
    pub line_comments: &'static [&'static str],
    pub block_comment: Option<(&'static str, &'static str)>,
    pub nested_comments: bool,
    /// Longer marks come before their own prefixes.
    pub quotes: &'static [Quote],
}

const fn quote(mark: &'static str) -> Quote {
    Quote { mark, escapes: true, multiline: false }
}

const fn long(mark: &'static str, escapes: bool) -> Quote {
    Quote { mark, escapes, multiline: true }
}

const PLAIN: Spec = Spec {
    name: "Plain text",
    kind: Kind::Prose,
    shape: Shape::None,
    line_comments: &[],
    block_comment: None,
    nested_comments: false,
    quotes: &[],
};
const CURLY: Spec = Spec {
    kind: Kind::Program,
    shape: Shape::Curly,
    line_comments: &["//"],
    block_comment: Some(("/*", "*/")),
    quotes: &[quote("\""), quote("'")],
    ..PLAIN
};
const SCRIPT: Spec = Spec { shape: Shape::Script, quotes: &[quote("\""), quote("'"), long("`", true)], ..CURLY };
const HASHED: Spec = Spec {
    kind: Kind::Program,
    line_comments: &["#"],
    quotes: &[long("\"\"\"", true), long("'''", true), quote("\""), quote("'")],
    ..PLAIN
};
const TAGGED: Spec = Spec { kind: Kind::Markup, block_comment: Some(("<!--", "-->")), ..PLAIN };

const RUST: Spec =
    Spec { name: "Rust", shape: Shape::Keyword("fn"), nested_comments: true, quotes: &[long("\"", true)], ..CURLY };
const GO: Spec =
    Spec { name: "Go", shape: Shape::Keyword("func"), quotes: &[quote("\""), quote("'"), long("`", false)], ..CURLY };
const KOTLIN: Spec = Spec {
    name: "Kotlin",
    shape: Shape::Keyword("fun"),
    nested_comments: true,
    quotes: &[long("\"\"\"", false), quote("\""), quote("'")],
    ..CURLY
};
const SWIFT: Spec = Spec {
    name: "Swift",
    shape: Shape::Keyword("func"),
    nested_comments: true,
    quotes: &[long("\"\"\"", true), quote("\"")],
    ..CURLY
};
const JAVA: Spec = Spec { name: "Java", quotes: &[long("\"\"\"", true), quote("\""), quote("'")], ..CURLY };
const PYTHON: Spec = Spec { name: "Python", shape: Shape::Indent, ..HASHED };
const RUBY: Spec = Spec {
    name: "Ruby",
    shape: Shape::Indent,
    block_comment: Some(("\n=begin", "\n=end")),
    quotes: &[quote("\""), quote("'")],
    ..HASHED
};
const SHELL: Spec =
    Spec { name: "Shell", shape: Shape::Shell, quotes: &[long("\"", true), long("'", false)], ..HASHED };
const SQL: Spec =
    Spec { name: "SQL", shape: Shape::None, line_comments: &["--"], quotes: &[long("'", false)], ..CURLY };
const CSS: Spec = Spec { name: "CSS", kind: Kind::Markup, shape: Shape::None, line_comments: &[], ..CURLY };
const TOML: Spec = Spec { name: "TOML", kind: Kind::Data, ..HASHED };
const YAML: Spec = Spec { name: "YAML", kind: Kind::Data, quotes: &[quote("\""), quote("'")], ..HASHED };

impl Language {
    /// The language of a file name, if the name tells.
    pub fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        if let Some(language) = Self::of_special_name(&name) {
            return Some(language);
        }
        let (stem, extension) = name.rsplit_once('.')?;
        if stem.is_empty() {
            return None;
        }
        Some(match extension {
            "rs" => Self::Rust,
            "py" | "pyi" | "pyw" => Self::Python,
            "js" | "mjs" | "cjs" | "jsx" => Self::JavaScript,
            "ts" | "mts" | "cts" | "tsx" => Self::TypeScript,
            "c" | "h" => Self::C,
            "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" | "inl" => Self::Cpp,
            "cs" => Self::CSharp,
            "go" => Self::Go,
            "java" => Self::Java,
            "kt" | "kts" => Self::Kotlin,
            "swift" => Self::Swift,
            "rb" | "rake" | "gemspec" => Self::Ruby,
            "sh" | "bash" | "zsh" | "ksh" => Self::Shell,
            "sql" => Self::Sql,
            "html" | "htm" | "xhtml" => Self::Html,
            "css" | "scss" | "less" => Self::Css,
            "toml" => Self::Toml,
            "yml" | "yaml" => Self::Yaml,
            "json" | "jsonl" | "webmanifest" => Self::Json,
            "xml" | "xsd" | "svg" | "plist" => Self::Xml,
            "md" | "markdown" | "mdx" => Self::Markdown,
            "txt" | "rst" | "adoc" | "org" | "csv" | "tsv" => Self::Text,
            _ => return None,
        })
    }

    fn of_special_name(name: &str) -> Option<Self> {
        Some(match name {
            "cargo.lock" | "poetry.lock" => Self::Toml,
            "rakefile" | "gemfile" => Self::Ruby,
            ".bashrc" | ".profile" | ".zshrc" => Self::Shell,
            _ => return None,
        })
    }

    /// Whether a name's ending says that the file is not text, which saves opening it.
    pub fn is_binary_name(path: &str) -> bool {
        const ENDINGS: &[&str] = &[
            "png", "jpg", "jpeg", "gif", "webp", "ico", "bmp", "pdf", "zip", "gz", "xz", "zst", "bz2", "tar", "7z",
            "jar", "class", "o", "a", "so", "dylib", "dll", "exe", "lib", "rlib", "rmeta", "wasm", "ttf", "otf",
            "woff", "woff2", "mp3", "mp4", "mov", "ogg", "wav", "sqlite", "db", "bin", "pyc",
        ];
        let ending = path.rsplit('/').next().and_then(|name| name.rsplit_once('.'));
        ending.is_some_and(|(_, end)| ENDINGS.contains(&end.to_ascii_lowercase().as_str()))
    }

    /// How the language is written.
    pub const fn spec(self) -> Spec {
        match self {
            Self::Rust => RUST,
            Self::Go => GO,
            Self::Kotlin => KOTLIN,
            Self::Swift => SWIFT,
            Self::JavaScript => Spec { name: "JavaScript", ..SCRIPT },
            Self::TypeScript => Spec { name: "TypeScript", ..SCRIPT },
            Self::C => Spec { name: "C", ..CURLY },
            Self::Cpp => Spec { name: "C++", ..CURLY },
            Self::CSharp => Spec { name: "C#", ..CURLY },
            Self::Java => JAVA,
            Self::Python => PYTHON,
            Self::Ruby => RUBY,
            Self::Shell => SHELL,
            Self::Sql => SQL,
            Self::Css => CSS,
            Self::Html => Spec { name: "HTML", ..TAGGED },
            Self::Xml => Spec { name: "XML", ..TAGGED },
            Self::Toml => TOML,
            Self::Yaml => YAML,
            Self::Json => Spec { name: "JSON", kind: Kind::Data, ..PLAIN },
            Self::Markdown => Spec { name: "Markdown", ..PLAIN },
            Self::Text => PLAIN,
        }
    }

    /// Whether its lines count as code.
    pub fn is_program(self) -> bool {
        self.spec().kind == Kind::Program
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_follows_from_names() {
        assert_eq!(Language::of("src/lib.rs"), Some(Language::Rust));
        assert_eq!(Language::of("A/B.TSX"), Some(Language::TypeScript));
        assert_eq!(Language::of("Cargo.lock"), Some(Language::Toml));
        assert_eq!(Language::of("LICENSE"), None);
        assert_eq!(Language::of(".rs"), None);
        assert_eq!(Language::of(""), None);
    }

    #[test]
    fn binary_endings_are_known() {
        assert!(Language::is_binary_name("logo.PNG"));
        assert!(!Language::is_binary_name("png"));
    }

    #[test]
    fn only_programs_count_as_code() {
        assert!(Language::Rust.is_program());
        assert!(!Language::Markdown.is_program());
        assert!(!Language::Json.is_program());
    }
}
