//! Names of modules in Rust: `crate`, `self`, `super`, and packages.

use crate::model::ImportStyle;
use crate::resolve::{Goal, Index, folder_of, name_of, slash};

impl Index<'_> {
    /// Where a path leads from the file at `path`.
    pub fn rust(&self, path: &str, target: &str, style: ImportStyle) -> Goal {
        let folder = folder_of(path);
        let stem = name_of(path).trim_end_matches(".rs");
        let is_root = matches!(stem, "mod" | "lib" | "main");
        let own = if is_root { folder.to_owned() } else { slash(folder, stem) };
        let mut parts = target.split("::").peekable();
        let base = match parts.peek().copied().unwrap_or_default() {
            _ if style == ImportStyle::Child => own,
            "std" | "core" | "alloc" | "proc_macro" | "test" => return Goal::Nowhere,
            "crate" => {
                parts.next();
                self.crate_root(folder).to_owned()
            }
            "self" => {
                parts.next();
                own
            }
            "super" => {
                let mut base = own;
                while parts.next_if_eq(&"super").is_some() {
                    base = folder_of(&base).to_owned();
                }
                base
            }
            name => match self.packages.get(name) {
                Some(package) => {
                    parts.next();
                    slash(package, "src")
                }
                None => return self.rust_neighbour(&own, folder, name, parts.count() > 1),
            },
        };
        let rest: Vec<&str> = parts.collect();
        self.rust_module(&base, &rest).map_or(Goal::Nowhere, Goal::File)
    }

    /// A path that begins with no keyword and no known package: a module nearby, or a crate
    /// from elsewhere.
    fn rust_neighbour(&self, own: &str, folder: &str, name: &str, is_path: bool) -> Goal {
        let near = self.first([module(own, name), slash(&slash(own, name), "mod.rs"), module(folder, name)]);
        match near {
            Some(id) => Goal::File(id),
            None if is_path && self.may_depend(folder, name) => Goal::Outside(name.to_owned()),
            None => Goal::Nowhere,
        }
    }

    /// Whether a name may be a package: those of modules within a file and of enumerations
    /// begin paths, too. The nearest manifest knows, if it is part of the survey.
    fn may_depend(&self, folder: &str, name: &str) -> bool {
        let mut at = folder;
        loop {
            if let Some(names) = self.manifests.get(at) {
                return names.contains(name);
            }
            if at.is_empty() {
                return !name.starts_with(|c: char| c.is_uppercase() || c == '$');
            }
            at = folder_of(at);
        }
    }

    /// The nearest folder upwards that holds the root of a crate.
    fn crate_root<'p>(&self, folder: &'p str) -> &'p str {
        let mut at = folder;
        loop {
            let has = |name| self.at(&slash(at, name)).is_some();
            if has("lib.rs") || has("main.rs") {
                return at;
            }
            if at.is_empty() {
                return folder;
            }
            at = folder_of(at);
        }
    }

    /// The file of the innermost module that a path names below `base`.
    fn rust_module(&self, base: &str, parts: &[&str]) -> Option<usize> {
        for length in (1..=parts.len()).rev() {
            let path = slash(base, &parts.get(..length)?.join("/"));
            let hit = self.first([format!("{path}.rs"), format!("{path}/mod.rs")]);
            if hit.is_some() {
                return hit;
            }
        }
        let roots = ["lib.rs", "mod.rs", "main.rs"].map(|name| slash(base, name));
        self.first(roots.into_iter().chain([format!("{base}.rs")]))
    }
}

fn module(folder: &str, name: &str) -> String {
    slash(folder, &format!("{name}.rs"))
}
