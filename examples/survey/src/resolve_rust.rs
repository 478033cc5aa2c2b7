//! Names of modules in Rust: `crate`, `self`, `super`, and packages.

use crate::model::{Dependency, ImportStyle, Links};
use crate::resolve::{Goal, Index, folder_of, join, name_of, slash};

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
            name => match self.package(folder, name) {
                Package::Here(package) => {
                    parts.next();
                    slash(package, "src")
                }
                Package::Outside => return Goal::Outside(name.to_owned()),
                Package::Unknown => return self.rust_neighbour(&own, folder, name, parts.count() > 1),
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
        match self.manifest(folder) {
            Some((_, links)) => dependency(links, name).is_some(),
            None => !name.starts_with(|c: char| c.is_uppercase() || c == '$'),
        }
    }

    /// The package of a name, as files in a folder use it.
    fn package(&self, folder: &str, name: &str) -> Package<'_> {
        let known = || self.packages.get(name).into_iter().flatten().copied();
        let Some((manifest, links)) = self.manifest(folder) else {
            // Without a manifest, the only package of the name is meant.
            let mut known = known();
            return match (known.next(), known.next()) {
                (Some(only), None) => Package::Here(only),
                (Some(_) | None, _) => Package::Unknown,
            };
        };
        // The tests of a package import it by its name.
        if let Some(own) = known().find(|own| *own == manifest) {
            return Package::Here(own);
        }
        let Some((from, dependency)) = self.described(manifest, links, name) else { return Package::Unknown };
        let here = match &dependency.path {
            Some(path) => join(from, path).and_then(|path| known().find(|folder| *folder == path)),
            None => self.unpacked(name, dependency.requirement.as_deref().unwrap_or("*")),
        };
        here.map_or(Package::Outside, Package::Here)
    }

    /// The nearest manifest upwards, and its folder.
    fn manifest(&self, folder: &str) -> Option<(&str, &Links)> {
        let mut at = folder;
        loop {
            if let Some((folder, links)) = self.manifests.get_key_value(at) {
                return Some((*folder, *links));
            }
            if at.is_empty() {
                return None;
            }
            at = folder_of(at);
        }
    }

    /// A dependency of a manifest, and the folder to which its path is relative: that of the workspace if it is described there.
    fn described<'s>(&'s self, folder: &'s str, links: &'s Links, name: &str) -> Option<(&'s str, &'s Dependency)> {
        let own = dependency(links, name)?;
        if !own.from_workspace || folder.is_empty() {
            return Some((folder, own));
        }
        let (above, links) = self.manifest(folder_of(folder))?;
        Some(dependency(links, name).map_or((folder, own), |shared| (above, shared)))
    }

    /// The newest version of a package that meets a requirement, among those that came from a registry: they lie in a folder
    /// with their name and version, or in one for vendored packages.
    fn unpacked(&self, name: &str, requirement: &str) -> Option<&str> {
        let version = |folder: &str| self.manifests.get(folder).and_then(|links| links.version.as_deref());
        let from_registry = |folder: &&str| {
            let unpacked = version(folder).is_some_and(|version| name_of(folder).ends_with(&format!("-{version}")));
            unpacked || name_of(folder_of(folder)) == "vendor"
        };
        let folders = self.packages.get(name).into_iter().flatten().copied().filter(from_registry);
        let fitting = folders.filter(|folder| compatible(requirement, version(folder).unwrap_or_default()));
        fitting.max_by_key(|folder| numbers(version(folder).unwrap_or_default()))
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

/// The package that a name stands for.
enum Package<'a> {
    /// One of the survey, by its folder.
    Here(&'a str),
    /// One that is not part of the survey.
    Outside,
    /// The name is not that of a package, as far as can be told.
    Unknown,
}

fn dependency<'a>(links: &'a Links, name: &str) -> Option<&'a Dependency> {
    links.dependencies.iter().find(|one| one.name.replace('-', "_") == name)
}

/// The parts of a version that are numbers.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).take(3).collect()
}

/// Whether a version has the first part of the requirement that is not zero: what Cargo takes for compatible.
fn compatible(requirement: &str, version: &str) -> bool {
    let (wanted, given) = (numbers(requirement), numbers(version));
    let significant = wanted.iter().position(|part| *part > 0).map_or(wanted.len(), |at| at + 1);
    wanted.iter().take(significant).eq(given.iter().take(significant.min(wanted.len())))
}

fn module(folder: &str, name: &str) -> String {
    slash(folder, &format!("{name}.rs"))
}
