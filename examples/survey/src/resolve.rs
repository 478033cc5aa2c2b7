//! Finds the file or the external package to which an import refers.

use std::collections::{BTreeMap, BTreeSet};

use crate::language::Language;
use crate::model::{FileFacts, Import, ImportStyle, Links};

/// Where an import leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// To a file of the survey, by its position among the facts.
    File(usize),
    /// To a package that is not part of it.
    Outside(String),
    /// To the standard library, or nowhere that could be told.
    Nowhere,
}

/// The files of a survey, by all the names an import may use.
#[derive(Debug)]
pub struct Index<'a> {
    facts: &'a [FileFacts],
    by_path: BTreeMap<&'a str, usize>,
    /// By file name alone, for languages that search a list of folders.
    by_name: BTreeMap<&'a str, Vec<usize>>,
    /// Folders by their own name, for imports that name a folder.
    folders: BTreeMap<&'a str, Vec<&'a str>>,
    first_in_folder: BTreeMap<&'a str, usize>,
    /// The folders of packages by the name that their manifests give them: there may be several versions of one.
    pub packages: BTreeMap<String, Vec<&'a str>>,
    /// What the manifests of Rust's say, by their folders.
    pub manifests: BTreeMap<&'a str, &'a Links>,
}

/// The folder of a path, without the last `/`; empty at the top.
pub fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

pub fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `folder/rest`, with `.` and `..` taken out. Nothing if it leads out of the root.
pub fn join(folder: &str, rest: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

impl<'a> Index<'a> {
    pub fn new(facts: &'a [FileFacts]) -> Self {
        let mut index = Self {
            facts,
            by_path: BTreeMap::new(),
            by_name: BTreeMap::new(),
            folders: BTreeMap::new(),
            first_in_folder: BTreeMap::new(),
            packages: BTreeMap::new(),
            manifests: BTreeMap::new(),
        };
        for (id, file) in facts.iter().enumerate() {
            let folder = folder_of(&file.path);
            index.by_path.insert(&file.path, id);
            index.by_name.entry(name_of(&file.path)).or_default().push(id);
            if file.language.is_program() && !index.first_in_folder.contains_key(folder) {
                index.first_in_folder.insert(folder, id);
                index.folders.entry(name_of(folder)).or_default().push(folder);
            }
            if let Some(links) = file.links.as_ref().filter(|_| name_of(&file.path) == "Cargo.toml") {
                index.manifests.insert(folder, links);
            }
            if let Some(name) = file.links.as_ref().and_then(|links| links.package.as_ref()) {
                index.packages.entry(name.replace('-', "_")).or_default().push(folder);
            }
        }
        index
    }

    /// Where an import of the file at `from` leads.
    pub fn resolve(&self, from: usize, import: &Import) -> Goal {
        let Some(file) = self.facts.get(from) else {
            return Goal::Nowhere;
        };
        let (path, target) = (file.path.as_str(), import.target.as_str());
        match file.language {
            Language::Rust => self.rust(path, target, import.style),
            Language::Python => self.python(path, target),
            Language::JavaScript | Language::TypeScript => self.script(path, target),
            Language::C | Language::Cpp => self.include(path, target, import.style),
            Language::Go => self.go(target),
            Language::Java | Language::Kotlin => self.java(target),
            Language::Ruby => self.ruby(path, target, import.style),
            _ => Goal::Nowhere,
        }
    }

    pub fn at(&self, path: &str) -> Option<usize> {
        self.by_path.get(path).copied()
    }

    pub fn first(&self, paths: impl IntoIterator<Item = String>) -> Option<usize> {
        paths.into_iter().find_map(|path| self.at(&path))
    }

    fn python(&self, path: &str, target: &str) -> Goal {
        let dots = target.bytes().take_while(|byte| *byte == b'.').count();
        let parts: Vec<&str> = target.split('.').filter(|part| !part.is_empty()).collect();
        let mut base = folder_of(path);
        for _ in 1..dots {
            base = folder_of(base);
        }
        loop {
            for length in (1..=parts.len()).rev() {
                let module = slash(base, &parts.get(..length).unwrap_or_default().join("/"));
                let hit = self.first([format!("{module}.py"), format!("{module}/__init__.py")]);
                if let Some(id) = hit {
                    return Goal::File(id);
                }
            }
            // Absolute imports are looked for from here up to the root.
            if dots > 0 || base.is_empty() {
                break;
            }
            base = folder_of(base);
        }
        match parts.first() {
            Some(name) if dots == 0 => Goal::Outside((*name).to_owned()),
            _ => self.at(&slash(base, "__init__.py")).map_or(Goal::Nowhere, Goal::File),
        }
    }

    fn script(&self, path: &str, target: &str) -> Goal {
        if !target.starts_with('.') {
            if target.starts_with("node:") {
                return Goal::Nowhere;
            }
            // `@scope/name/deep` and `name/deep`.
            let parts = if target.starts_with('@') { 2 } else { 1 };
            let name: Vec<&str> = target.split('/').take(parts).collect();
            return Goal::Outside(name.join("/"));
        }
        let Some(base) = join(folder_of(path), target) else {
            return Goal::Nowhere;
        };
        let endings = ["", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", "/index.ts", "/index.js"];
        // TypeScript names the file that will be compiled, not the one that is there.
        let stem = base.strip_suffix(".js").unwrap_or(&base);
        let hit = endings
            .iter()
            .find_map(|ending| self.at(&format!("{base}{ending}")).or_else(|| self.at(&format!("{stem}{ending}"))));
        hit.map_or(Goal::Nowhere, Goal::File)
    }

    fn include(&self, path: &str, target: &str, style: ImportStyle) -> Goal {
        let near = join(folder_of(path), target).and_then(|path| self.at(&path));
        if let Some(id) = near.or_else(|| self.by_suffix(target)) {
            return Goal::File(id);
        }
        match (style, target.split_once('/')) {
            // Headers in a folder belong to a library; those without are the compiler's.
            (ImportStyle::System, Some((library, _))) if library != "sys" => Goal::Outside(library.to_owned()),
            _ => Goal::Nowhere,
        }
    }

    /// The only file whose path ends so.
    fn by_suffix(&self, target: &str) -> Option<usize> {
        let candidates = self.by_name.get(name_of(target))?;
        let mut fitting =
            candidates.iter().filter(|id| self.facts.get(**id).is_some_and(|file| ends_with_path(&file.path, target)));
        let hit = fitting.next()?;
        fitting.next().is_none().then_some(*hit)
    }

    fn go(&self, target: &str) -> Goal {
        let named = self.folders.get(name_of(target)).into_iter().flatten();
        // The longer the folder's path that fits, the surer.
        let fitting = named.filter(|folder| ends_with_path(target, folder));
        if let Some(folder) = fitting.max_by_key(|folder| folder.len())
            && let Some(id) = self.first_in_folder.get(folder)
        {
            return Goal::File(*id);
        }
        // The standard library has no domain in its paths.
        let is_standard = !target.split('/').next().is_some_and(|host| host.contains('.'));
        if is_standard { Goal::Nowhere } else { Goal::Outside(target.to_owned()) }
    }

    fn java(&self, target: &str) -> Goal {
        let mut path = target.replace('.', "/");
        // A static import names a member of the class; one with a star, a package.
        for _ in 0..2 {
            let hit = self.by_suffix(&format!("{path}.java"));
            if let Some(id) = hit.or_else(|| self.by_suffix(&format!("{path}.kt"))) {
                return Goal::File(id);
            }
            path = folder_of(&path).to_owned();
        }
        if target.starts_with("java.") || target.starts_with("javax.") {
            return Goal::Nowhere;
        }
        Goal::Outside(target.split('.').take(2).collect::<Vec<_>>().join("."))
    }

    fn ruby(&self, path: &str, target: &str, style: ImportStyle) -> Goal {
        let near = join(folder_of(path), &format!("{target}.rb")).and_then(|path| self.at(&path));
        match near.or_else(|| self.by_suffix(&format!("{target}.rb"))) {
            Some(id) => Goal::File(id),
            None if style == ImportStyle::Path => Goal::Outside(target.split('/').next().unwrap_or(target).to_owned()),
            None => Goal::Nowhere,
        }
    }

    /// Every file's goals: files it leads to (not itself), and packages from outside.
    pub fn resolve_all(&self) -> Vec<(BTreeSet<usize>, BTreeSet<String>)> {
        let goals = |(from, file): (usize, &FileFacts)| {
            let (mut files, mut outside) = (BTreeSet::new(), BTreeSet::new());
            for import in file.links.iter().flat_map(|links| &links.imports) {
                // Who declares a module contains it, but need not depend on it.
                if import.style == ImportStyle::Child {
                    continue;
                }
                match self.resolve(from, import) {
                    Goal::File(to) if to != from => {
                        files.insert(to);
                    }
                    Goal::Outside(name) => {
                        outside.insert(name);
                    }
                    Goal::File(_) | Goal::Nowhere => {}
                }
            }
            (files, outside)
        };
        self.facts.iter().enumerate().map(goals).collect()
    }
}

pub fn slash(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Whether a path ends with another, at a border between parts.
fn ends_with_path(path: &str, end: &str) -> bool {
    let rest = path.strip_suffix(end);
    !end.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::facts;

    /// The path that the import of the first file leads to.
    fn goal(files: &[&str], target: &str, style: ImportStyle) -> String {
        let facts: Vec<FileFacts> = files.iter().map(|path| facts(path, "")).collect();
        let index = Index::new(&facts);
        match index.resolve(0, &Import { target: target.to_owned(), style }) {
            Goal::File(id) => facts[id].path.clone(),
            Goal::Outside(name) => format!("outside {name}"),
            Goal::Nowhere => "nowhere".to_owned(),
        }
    }

    #[test]
    fn rust_paths() {
        let files = ["src/a/b.rs", "src/lib.rs", "src/a/mod.rs", "src/c.rs", "src/a/b/d.rs"];
        let go = |target| goal(&files, target, ImportStyle::Path);
        assert_eq!(go("crate::c::Thing"), "src/c.rs");
        assert_eq!(go("crate::Thing"), "src/lib.rs");
        assert_eq!(go("super::Thing"), "src/a/mod.rs");
        assert_eq!(go("super::super::c"), "src/c.rs");
        assert_eq!(go("self::d::X"), "src/a/b/d.rs");
        assert_eq!(go("serde::Serialize"), "outside serde");
        assert_eq!(go("std::fmt"), "nowhere");
        assert_eq!(goal(&files, "d", ImportStyle::Child), "src/a/b/d.rs");
    }

    #[test]
    fn packages_know_each_other_by_their_manifests() {
        let mut all = vec![facts("one/src/lib.rs", "use two_b::x::Y;"), facts("two/src/x.rs", "")];
        all.push(facts("two/Cargo.toml", "[package]\nname = \"two-b\"\n"));
        let index = Index::new(&all);
        assert_eq!(index.resolve_all()[0].0, BTreeSet::from([1]));
    }

    /// Where `use two::x::Y` in the first file leads, with manifests of these texts.
    fn led(from: &str, manifests: &[(&str, &str)], others: &[&str]) -> String {
        let mut all = vec![facts(from, "")];
        all.extend(manifests.iter().map(|(path, text)| facts(path, text)));
        all.extend(others.iter().map(|path| facts(path, "")));
        match Index::new(&all).resolve(0, &Import { target: "two::x::Y".to_owned(), style: ImportStyle::Path }) {
            Goal::File(id) => all[id].path.clone(),
            Goal::Outside(name) => format!("outside {name}"),
            Goal::Nowhere => "nowhere".to_owned(),
        }
    }

    #[test]
    fn a_package_imports_itself_and_not_another_version_of_itself() {
        let old = ("all/two-1.0.3/Cargo.toml", "[package]\nname = \"two\"\nversion = \"1.0.3\"\n");
        let new = ("all/two-2.1.0/Cargo.toml", "[package]\nname = \"two\"\nversion = \"2.1.0\"\n");
        let user = |requirement: &'static str| match requirement {
            "1" => ("all/one-1.0.0/Cargo.toml", "[package]\nname = \"one\"\n[dependencies]\ntwo = \"1\"\n"),
            "2" => {
                ("all/one-1.0.0/Cargo.toml", "[package]\nname = \"one\"\n[dependencies]\ntwo = { version = \"2.0\" }\n")
            }
            _ => ("all/one-1.0.0/Cargo.toml", "[package]\nname = \"one\"\n[dependencies]\ntwo = \"3\"\n"),
        };
        let sources = ["all/two-1.0.3/src/x.rs", "all/two-2.1.0/src/x.rs"];
        assert_eq!(led("all/two-1.0.3/tests/it.rs", &[old, new], &sources), sources[0]);
        assert_eq!(led("all/two-2.1.0/tests/it.rs", &[old, new], &sources), sources[1]);
        assert_eq!(led("all/one-1.0.0/src/lib.rs", &[old, new, user("1")], &sources), sources[0]);
        assert_eq!(led("all/one-1.0.0/src/lib.rs", &[old, new, user("2")], &sources), sources[1]);
        assert_eq!(led("all/one-1.0.0/src/lib.rs", &[old, new, user("3")], &sources), "outside two");
    }

    #[test]
    fn a_dependency_of_a_registry_is_not_a_package_of_the_same_name_nearby() {
        let stand_in = ("tests/two/Cargo.toml", "[package]\nname = \"two\"\nversion = \"1.0.0\"\n");
        let registry = ("Cargo.toml", "[package]\nname = \"one\"\n[dependencies]\ntwo = \"1\"\n");
        let path = ("Cargo.toml", "[package]\nname = \"one\"\n[dependencies]\ntwo = { path = \"./tests/two\" }\n");
        let source = ["tests/two/src/x.rs"];
        assert_eq!(led("src/lib.rs", &[stand_in, registry], &source), "outside two");
        assert_eq!(led("src/lib.rs", &[stand_in, path], &source), source[0]);
        let member = ("a/Cargo.toml", "[package]\nname = \"a\"\n[dependencies]\ntwo.workspace = true\n");
        let workspace = ("Cargo.toml", "[workspace.dependencies]\ntwo = { path = \"tests/two\" }\n");
        assert_eq!(led("a/src/lib.rs", &[stand_in, member, workspace], &source), source[0]);
    }

    #[test]
    fn python_paths() {
        let files = ["p/q/a.py", "p/q/b.py", "p/q/__init__.py", "p/c.py"];
        let go = |target| goal(&files, target, ImportStyle::Path);
        assert_eq!(go(".b.x"), "p/q/b.py");
        assert_eq!(go("..c"), "p/c.py");
        assert_eq!(go("p.c.x"), "p/c.py");
        assert_eq!(go(".x"), "p/q/__init__.py");
        assert_eq!(go("numpy.linalg"), "outside numpy");
    }

    #[test]
    fn other_paths() {
        let style = ImportStyle::Path;
        assert_eq!(goal(&["a/x.ts", "b/y.ts"], "../b/y.js", style), "b/y.ts");
        assert_eq!(goal(&["a/x.js"], "../../z", style), "nowhere");
        assert_eq!(goal(&["x.js"], "@a/b/c", style), "outside @a/b");
        assert_eq!(goal(&["s/a.c", "include/l/b.h"], "l/b.h", ImportStyle::System), "include/l/b.h");
        assert_eq!(goal(&["m/a.go", "m/pkg/b.go"], "host.org/m/pkg", style), "m/pkg/b.go");
        assert_eq!(goal(&["A.java", "s/p/B.java"], "p.B.c", style), "s/p/B.java");
        assert_eq!(goal(&["a.rb", "b.rb"], "b", ImportStyle::File), "b.rb");
    }
}
