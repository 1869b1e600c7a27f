//! The walls between the files of `src`: who may import whom.
//!
//! A file that lists modules (`mod.rs`, `lib.rs`) has declarations only. Every other file imports
//! from the file that owns a thing, not from such a list above itself, so that the imports show
//! what depends on what; and these never lead back to where they began.

#![expect(clippy::unwrap_used, reason = "where the sources cannot be read the test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders, and what nothing in them may import.
const WALLS: [(&str, &[&str]); 11] = [
    ("src/allocation.rs", &["crate"]),
    ("src/time.rs", &["crate"]),
    ("src/sid.rs", &["crate::engine", "crate::session", "crate::background", "crate::named"]),
    ("src/background.rs", &["crate::engine", "crate::session", "crate::named", "crate::node"]),
    ("src/session", &["crate::engine", "crate::background", "crate::named", "crate::sid"]),
    ("src/engine/contract.rs", &["crate::engine::memory", "crate::engine::shared"]),
    ("src/engine/memory", &["crate::engine::shared", "crate::named"]),
    ("src/engine/shared", &["crate::engine::memory", "crate::named"]),
    ("src/engine/rules.rs", &["crate::engine::contract", "crate::sid", "crate::session"]),
    ("src/engine", &["crate::node", "crate::named", "napi"]),
    ("src/named.rs", &["crate::node", "crate::engine::shared"]),
];

/// The files of `src` without the tests, by the path of their module.
fn modules() -> BTreeMap<String, PathBuf> {
    let mut modules = BTreeMap::new();
    let mut folders = vec![PathBuf::from("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            if name.ends_with("tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let parts = path.with_extension("");
            let parts = parts.iter().skip(1).map(|part| part.to_string_lossy().into_owned());
            let parts = parts.filter(|part| part != "mod" && part != "lib");
            let module: Vec<String> = ["crate".to_owned()].into_iter().chain(parts).collect();
            modules.insert(module.join("::"), path);
        }
    }
    modules
}

fn is_list(path: &Path) -> bool {
    path.ends_with("mod.rs") || path.ends_with("lib.rs")
}

/// The paths that a file imports by `use`, each in full.
fn imports(module: &str, text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for statement in text.split("\nuse ").skip(1) {
        let statement = &statement[..statement.find(';').unwrap()];
        expand("", &statement.replace(char::is_whitespace, ""), &mut found);
    }
    let parent = module.rsplit_once("::").map_or(module, |(parent, _)| parent);
    let full = |path: &str| match path.strip_prefix("super::") {
        Some(rest) => format!("{parent}::{rest}"),
        None => path.to_owned(),
    };
    found.iter().map(|path| full(path)).collect()
}

/// Writes `a::{b,c::{d}}` out as `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, found: &mut BTreeSet<String>) {
    let Some(open) = tree.find('{') else {
        found.insert(format!("{prefix}{tree}"));
        return;
    };
    let prefix = format!("{prefix}{}", &tree[..open]);
    let mut depth = 0;
    let mut from = open + 1;
    for (at, byte) in tree.bytes().enumerate().skip(open) {
        depth += i32::from(byte == b'{') - i32::from(byte == b'}');
        if (depth == 1 && byte == b',') || depth == 0 {
            if from < at {
                expand(&prefix, &tree[from..at], found);
            }
            from = at + 1;
        }
    }
}

/// The module that an imported path is in.
fn owner<'m>(modules: &'m BTreeMap<String, PathBuf>, import: &str) -> Option<&'m str> {
    let is_in = |module: &&String| {
        import
            .strip_prefix(module.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    modules.keys().filter(is_in).max_by_key(|module| module.len()).map(String::as_str)
}

#[test]
fn nothing_imports_what_is_behind_a_wall() {
    for (module, path) in modules() {
        let text = fs::read_to_string(&path).unwrap();
        for (folder, forbidden) in WALLS.iter().filter(|(folder, _)| path.starts_with(folder)) {
            for import in imports(&module, &text) {
                let is_forbidden =
                    |wall: &&&str| import == ***wall || import.starts_with(&format!("{wall}::"));
                let is_own = import.starts_with(&format!("{module}::"));
                assert!(
                    is_own || !forbidden.iter().any(|wall| is_forbidden(&wall)),
                    "{} imports {import}, which nothing in {folder} may",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn no_file_imports_from_a_list_above_it_and_no_imports_go_in_a_circle() {
    let modules = modules();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, path) in modules.iter().filter(|(_, path)| !is_list(path)) {
        for import in imports(module, &fs::read_to_string(path).unwrap()) {
            let Some(target) = owner(&modules, &import).filter(|target| target != module) else {
                continue;
            };
            let is_above = module.starts_with(&format!("{target}::")) && is_list(&modules[target]);
            assert!(!is_above, "{} takes {import} from a list above it", path.display());
            edges.entry(module).or_default().insert(target);
        }
    }
    // Who imports from a list depends on all that it lists.
    for (list, _) in modules.iter().filter(|(_, path)| is_list(path)) {
        let is_listed = |module: &&String| module.starts_with(&format!("{list}::"));
        let listed = modules.keys().filter(is_listed).map(String::as_str);
        edges.entry(list).or_default().extend(listed);
    }
    // Files that import none of those that are left are taken away, until there are no more.
    loop {
        let left: BTreeSet<&str> = edges.keys().copied().collect();
        edges.retain(|_, targets| !targets.is_disjoint(&left));
        if edges.len() == left.len() {
            break;
        }
    }
    assert!(edges.is_empty(), "these import each other: {edges:#?}");
}

#[test]
fn a_list_of_modules_has_nothing_but_declarations() {
    for path in modules().values().filter(|path| is_list(path) && !path.ends_with("node/mod.rs")) {
        let text = fs::read_to_string(path).unwrap();
        let has_items = |line: &str| {
            ["fn ", "struct ", "enum ", "trait ", "impl ", "const ", "static "]
                .iter()
                .any(|item| line.trim_start_matches("pub ").starts_with(item))
        };
        assert!(!text.lines().any(has_items), "{} has more than a list", path.display());
    }
}
