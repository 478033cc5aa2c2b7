//! Reads the imports of a file as they are written. The synthesis, which has all files, resolves them.

use crate::language::Language;
use crate::model::{Dependency, Import, ImportStyle, Links};
use crate::scan::Scan;

/// Imports kept per file.
const MAX_IMPORTS: usize = 400;
/// How much text one statement may span.
const MAX_STATEMENT: usize = 8000;

/// The imports of a file, each once, in the order of their first appearance.
pub fn links(path: &str, text: &str, scan: &Scan, language: Language) -> Links {
    let mut imports = Vec::new();
    let mut at = 0;
    let mut in_go_block = false;
    for (code, original) in scan.code.split_inclusive('\n').zip(text.split_inclusive('\n')) {
        let statement = Statement {
            code: code.trim_ascii(),
            original: original.trim(),
            at,
            indented: code.starts_with([' ', '\t']),
        };
        match language {
            Language::Rust => rust(&statement, &scan.code, &mut imports),
            Language::Python => python(&statement, &scan.code, &mut imports),
            Language::JavaScript | Language::TypeScript => script(&statement, &mut imports),
            Language::C | Language::Cpp => include(&statement, &mut imports),
            Language::Go => go(&statement, &mut in_go_block, &mut imports),
            Language::Java | Language::Kotlin => java(&statement, &mut imports),
            Language::Ruby => ruby(&statement, &mut imports),
            _ => break,
        }
        at += code.len();
        if imports.len() > MAX_IMPORTS {
            break;
        }
    }
    let mut links = Links { imports: unique(imports), package: package(path, text), ..Links::default() };
    if path.rsplit('/').next() == Some("Cargo.toml") {
        links.version = of_package(text, "version");
        links.dependencies = dependencies(&scan.code, text);
    }
    links
}

fn unique(imports: Vec<Import>) -> Vec<Import> {
    let mut seen = std::collections::BTreeSet::new();
    let new = |import: &Import| seen.insert((import.target.clone(), import.style as u8));
    imports.into_iter().filter(new).take(MAX_IMPORTS).collect()
}

/// A line, and where in the file it begins.
struct Statement<'a> {
    code: &'a str,
    original: &'a str,
    at: usize,
    indented: bool,
}

impl Statement<'_> {
    /// The text from this line on to the end mark, on as many lines as it takes.
    fn until<'t>(&self, text: &'t str, end: char) -> &'t str {
        let rest = text.get(self.at..).unwrap_or_default();
        let limit = rest.len().min(MAX_STATEMENT);
        let rest = rest.get(..limit).unwrap_or_default();
        rest.split(end).next().unwrap_or_default().trim_ascii()
    }
}

fn push(imports: &mut Vec<Import>, target: &str, style: ImportStyle) {
    let target = target.trim();
    if !target.is_empty() && target.len() < 300 {
        imports.push(Import { target: target.to_owned(), style });
    }
}

fn rust(statement: &Statement<'_>, code: &str, imports: &mut Vec<Import>) {
    let mut line = statement.code;
    if let Some(rest) = line.strip_prefix("pub") {
        let rest = rest.trim_start();
        let scope = rest.starts_with('(').then(|| rest.find(')')).flatten();
        line = rest.get(scope.map_or(0, |end| end + 1)..).unwrap_or_default().trim_start();
    }
    if let Some(name) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
        push(imports, name, ImportStyle::Child);
    } else if let Some(rest) = line.strip_prefix("extern crate ") {
        let name = rest.split([';', ' ']).next().unwrap_or_default();
        push(imports, name, ImportStyle::Path);
    } else if line.starts_with("use ") {
        let whole = statement.until(code, ';');
        let tree = whole.split_once("use ").map_or("", |(_, tree)| tree);
        // An indented import is most likely one of a module within the file, as tests are:
        // what lies above that module is the file itself.
        let inner = statement.indented.then(|| tree.strip_prefix("super::")).flatten();
        match inner {
            Some(rest) => expand(&format!("self::{rest}"), imports),
            None => expand(tree, imports),
        }
    }
}

/// `a::{b, c::{d, e as f}}` to `a::b`, `a::c::d`, `a::c::e`.
fn expand(tree: &str, imports: &mut Vec<Import>) {
    let mut prefixes: Vec<usize> = Vec::new();
    let mut path = String::new();
    for c in tree.chars() {
        match c {
            '{' => prefixes.push(path.len()),
            '}' | ',' => {
                flush(&path, prefixes.last().copied(), imports);
                if c == '}' {
                    path.truncate(prefixes.pop().unwrap_or(0));
                }
                path.truncate(prefixes.last().copied().unwrap_or(0));
            }
            c if c.is_whitespace() => {
                // Only `as` leaves a space that matters.
                if !path.is_empty() && !path.ends_with([' ', ':']) {
                    path.push(' ');
                }
            }
            c => path.push(c),
        }
    }
    flush(&path, None, imports);
}

fn flush(path: &str, prefix: Option<usize>, imports: &mut Vec<Import>) {
    // Nothing was added after the prefix: the group just closed has been told already.
    if prefix.is_some_and(|length| path.len() <= length) {
        return;
    }
    let path = path.split(' ').next().unwrap_or_default();
    let path = path.trim_end_matches("::*").trim_end_matches("::self").trim_end_matches("::");
    push(imports, path.trim_start_matches("::"), ImportStyle::Path);
}

fn python(statement: &Statement<'_>, code: &str, imports: &mut Vec<Import>) {
    if let Some(rest) = statement.code.strip_prefix("import ") {
        for part in rest.split([',', ';']) {
            push(imports, part.trim().split(' ').next().unwrap_or_default(), ImportStyle::Path);
        }
    } else if let Some(rest) = statement.code.strip_prefix("from ")
        && let Some((module, names)) = rest.split_once(" import")
    {
        let module = module.trim();
        let list = if names.trim_start().starts_with('(') {
            let whole = statement.until(code, ')');
            whole.split_once('(').map_or("", |(_, list)| list)
        } else {
            names
        };
        let dot = if module.ends_with('.') { "" } else { "." };
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let name = name.split([' ', '\n']).next().unwrap_or_default();
            push(imports, &format!("{module}{dot}{name}"), ImportStyle::Path);
        }
    }
}

fn script(statement: &Statement<'_>, imports: &mut Vec<Import>) {
    let code = statement.code;
    let begins = ["import ", "import{", "export ", "} from "].iter().any(|word| code.starts_with(word));
    if begins && (code.contains("from ") || code.starts_with("import \"")) {
        let quoted = statement.original.rsplit_once("from").map_or(statement.original, |(_, t)| t);
        push(imports, in_quotes(quoted), ImportStyle::Path);
    } else if let Some(at) = code.find("require(").or_else(|| code.find("import(")) {
        // The line was trimmed on both sides, and what is before the call is seldom not ASCII.
        let call = statement.original.get(at..).unwrap_or_default();
        push(imports, in_quotes(call), ImportStyle::Path);
    }
}

/// What stands between the first pair of quotes.
fn in_quotes(text: &str) -> &str {
    text.split(['"', '\'', '`']).nth(1).unwrap_or_default()
}

fn include(statement: &Statement<'_>, imports: &mut Vec<Import>) {
    let Some(rest) = statement.code.strip_prefix('#') else {
        return;
    };
    if !rest.trim_start().starts_with("include") {
        return;
    }
    if let Some((_, rest)) = statement.original.split_once('<') {
        push(imports, rest.split('>').next().unwrap_or_default(), ImportStyle::System);
    } else {
        push(imports, in_quotes(statement.original), ImportStyle::File);
    }
}

fn go(statement: &Statement<'_>, in_block: &mut bool, imports: &mut Vec<Import>) {
    if *in_block {
        *in_block = !statement.code.starts_with(')');
        push(imports, in_quotes(statement.original), ImportStyle::Path);
    } else if let Some(rest) = statement.code.strip_prefix("import ") {
        *in_block = rest.trim_start().starts_with('(');
        push(imports, in_quotes(statement.original), ImportStyle::Path);
    }
}

fn java(statement: &Statement<'_>, imports: &mut Vec<Import>) {
    if let Some(rest) = statement.code.strip_prefix("import ") {
        let rest = rest.strip_prefix("static ").unwrap_or(rest);
        let target = rest.trim_end_matches([';', ' ']).trim_end_matches(".*");
        push(imports, target, ImportStyle::Path);
    }
}

fn ruby(statement: &Statement<'_>, imports: &mut Vec<Import>) {
    if statement.code.starts_with("require_relative ") {
        push(imports, in_quotes(statement.original), ImportStyle::File);
    } else if statement.code.starts_with("require ") {
        push(imports, in_quotes(statement.original), ImportStyle::Path);
    }
}

/// The packages that a manifest of Rust's depends on, of all its sections for dependencies. `code` is the text without
/// strings, line by line.
fn dependencies(code: &str, text: &str) -> Vec<Dependency> {
    let mut found: Vec<Dependency> = Vec::new();
    let (mut listing, mut inside) = (false, false);
    for (line, original) in code.lines().map(str::trim_ascii).zip(text.lines().map(str::trim_ascii)) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            listing = section.ends_with("dependencies");
            inside = false;
            // `[dependencies.name]` is a section for one.
            if let Some((list, name)) = section.rsplit_once('.')
                && list.ends_with("dependencies")
            {
                inside = true;
                found.push(Dependency { name: name.to_owned(), ..Dependency::default() });
            }
        } else if let (true, Some((key, value))) = (inside, original.split_once('=')) {
            found.iter_mut().last().into_iter().for_each(|one| describe(one, key.trim(), value));
        } else if let (true, Some((key, value))) = (listing, original.split_once('=')) {
            let (name, part) = key.split_once('.').unwrap_or((key, ""));
            let mut one = Dependency { name: name.trim().to_owned(), ..Dependency::default() };
            match (part.trim(), value.trim().strip_prefix('{')) {
                ("", None) => describe(&mut one, "version", value),
                ("", Some(table)) => {
                    table.split(',').filter_map(|pair| pair.split_once('=')).for_each(|(key, value)| {
                        describe(&mut one, key.trim(), value);
                    })
                }
                (part, _) => describe(&mut one, part, value),
            }
            found.push(one);
        }
    }
    found.retain(|one| !one.name.is_empty());
    found.truncate(MAX_IMPORTS);
    found
}

/// What a key of a dependency says of it.
fn describe(one: &mut Dependency, key: &str, value: &str) {
    match key {
        "path" => one.path = Some(in_quotes(value).to_owned()),
        "version" => one.requirement = Some(in_quotes(value).to_owned()),
        "workspace" => one.from_workspace = true,
        _ => {}
    }
}

/// The name that a manifest gives its package.
fn package(path: &str, text: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    let mut lines = text.lines().map(str::trim);
    let found = match name {
        "Cargo.toml" => return of_package(text, "name"),
        "go.mod" => lines.find_map(|line| line.strip_prefix("module ")).map(str::trim),
        "package.json" => {
            lines.find_map(|line| line.strip_prefix("\"name\"")?.trim_start().strip_prefix(':')).map(in_quotes)
        }
        _ => None,
    };
    found.filter(|name| !name.is_empty()).map(str::to_owned)
}

/// A text of the section for the package, in a manifest of Rust's.
fn of_package(text: &str, key: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| *line == "[package]")?;
    let value = |line: &str| Some(in_quotes(line.strip_prefix(key)?.trim_start().strip_prefix('=')?).to_owned());
    lines.take_while(|line| !line.starts_with('[')).find_map(value).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::scan;

    fn targets(text: &str, language: Language) -> Vec<String> {
        let links = links("x", text, &scan(text, language), language);
        links.imports.into_iter().map(|import| import.target).collect()
    }

    #[test]
    fn rust_trees_are_expanded() {
        let text = "pub(crate) use crate::{\n    a, b::{self, C as D},\n    e::*,\n};\r\nmod f;\nuse ::serde::Ser;\n";
        let expected = ["crate::a", "crate::b", "crate::b::C", "crate::e", "f", "serde::Ser"];
        assert_eq!(targets(text, Language::Rust), expected);
        assert_eq!(targets("  use super::*;\nuse super::a;\n", Language::Rust), ["self", "super::a"]);
        let text = "use a::{b::{c, d}, e};\r\n\r\nuse f;\r\n";
        assert_eq!(targets(text, Language::Rust), ["a::b::c", "a::b::d", "a::e", "f"]);
    }

    #[test]
    fn python_imports() {
        let text = "import os, sys as s\nfrom .a import b, c as d\nfrom x.y import (\n  z,\n  w)\n";
        let expected = ["os", "sys", ".a.b", ".a.c", "x.y.z", "x.y.w"];
        assert_eq!(targets(text, Language::Python), expected);
    }

    #[test]
    fn script_imports() {
        let text = "import a from './a';\nimport \"b\";\nimport {\n c\n} from \"../c\";\nconst d = require('d')\n";
        assert_eq!(targets(text, Language::TypeScript), ["./a", "b", "../c", "d"]);
    }

    #[test]
    fn other_languages() {
        assert_eq!(targets("#include <a.h>\n# include \"b/c.h\"\n", Language::C), ["a.h", "b/c.h"]);
        assert_eq!(targets("import (\n\t\"fmt\"\n\tx \"a/b\"\n)\n", Language::Go), ["fmt", "a/b"]);
        assert_eq!(targets("import static a.B.c;\nimport d.*;\n", Language::Java), ["a.B.c", "d"]);
        assert_eq!(targets("require_relative 'a'\n", Language::Ruby), ["a"]);
    }

    #[test]
    fn manifests_name_their_package() {
        let text = "[lib]\nname = \"no\"\n[package]\nname = \"yes\"\n";
        assert_eq!(package("a/Cargo.toml", text), Some("yes".into()));
        assert_eq!(package("go.mod", "module a/b\n"), Some("a/b".into()));
        assert_eq!(package("package.json", "{\n \"name\": \"n\",\n"), Some("n".into()));
        assert_eq!(package("b.toml", text), None);
    }

    #[test]
    fn manifests_name_what_they_depend_on() {
        let text = "[package]\nname = \"x\"\nversion = \"3.1\"\n[dependencies]\na = \"1\"\nb.path = \"x\"\n\
                    e = { path = \"../e\", version = \"0.2\" }\nf.workspace = true\n[dev-dependencies.c-d]\nversion = \"2\"\n\
                    [lib]\ng = 1\n";
        let links = links("Cargo.toml", text, &scan(text, Language::Toml), Language::Toml);
        let shown = |one: &Dependency| {
            format!("{} {:?} {:?} {}", one.name, one.path.as_deref(), one.requirement.as_deref(), one.from_workspace)
        };
        let expected = [
            "a None Some(\"1\") false",
            "b Some(\"x\") None false",
            "e Some(\"../e\") Some(\"0.2\") false",
            "f None None true",
            "c-d None Some(\"2\") false",
        ];
        assert_eq!(links.dependencies.iter().map(shown).collect::<Vec<_>>(), expected);
        assert_eq!(links.version.as_deref(), Some("3.1"));
    }

    #[test]
    fn broken_statements_are_survived() {
        for text in
            ["use", "use a::{{{", "use }}},,;", "from x import (", "import (", "#include", "use \u{e9}::{\u{e9}"]
        {
            for language in [Language::Rust, Language::Python, Language::Go, Language::C] {
                let _ = targets(text, language);
            }
        }
    }
}
