//! Files do not import each other in a circle. A module and the files of its folder do not count:
//! the one lists the others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use super::expand;

/// Folders of the crates that are held to it.
const CRATES: [&str; 2] = ["collector/src", "src"];

/// Modules for tests only.
const TEST_MODULES: [&str; 2] = ["tests", "fake"];

/// Begins of paths to other files. A program imports its library by its name.
const STARTS: [&str; 3] = ["crate::", "super::", "audit_collector::"];

/// The names of a module from the root of its crate on; empty for the root.
type Module = Vec<String>;

/// Production modules and their code, without comments and inner tests.
type Modules = BTreeMap<Module, String>;

/// The file `path`, below the folder of its crate.
fn module_of(path: &str) -> Module {
    let names = path.strip_suffix(".rs").unwrap().split('/');
    let mut module: Module = names.map(str::to_owned).collect();
    if ["mod", "lib", "main"].contains(&module.last().unwrap().as_str()) {
        module.pop();
    }
    module
}

fn collect(folder: &Path, below: &str, found: &mut Modules) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            collect(&path, &format!("{below}{name}/"), found);
        } else if name.ends_with(".rs") {
            let module = module_of(&format!("{below}{name}"));
            let is_test = module
                .iter()
                .any(|name| TEST_MODULES.contains(&name.as_str()));
            // The roots are imported by no file.
            if !is_test && !module.is_empty() {
                found.insert(module, code_of(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
}

fn code_of(text: &str) -> String {
    let code = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths in the code that lead to other files, written out from the root of the crate on.
fn paths(module: &[String], code: &str) -> Vec<Module> {
    let mut found = Vec::new();
    for start in STARTS {
        for (at, _) in code.match_indices(start) {
            let before = &code[..at];
            let is_inside = before.ends_with(|c: char| c.is_alphanumeric() || "_:$".contains(c));
            // `pub(in crate::a)` imports nothing.
            if !is_inside && !before.ends_with("pub(in ") {
                let written = expand("", &code[at..]);
                found.extend(written.iter().map(|path| from_root(module, path)));
            }
        }
    }
    found
}

fn from_root(module: &[String], path: &str) -> Module {
    let mut names = path.split("::").peekable();
    let mut from = Module::new();
    if names.peek() == Some(&"super") {
        from = module.to_vec();
        while names.next_if_eq(&"super").is_some() {
            from.pop();
        }
    } else {
        names.next();
    }
    from.extend(names.map(str::to_owned));
    from
}

/// The modules that each module imports: those of the longest known beginning of each path.
fn edges(modules: &Modules) -> BTreeMap<&Module, BTreeSet<&Module>> {
    let target = |path: Module| {
        (1..=path.len()).rev().find_map(|length| {
            let (module, _) = modules.get_key_value(path.get(..length)?)?;
            Some(module)
        })
    };
    let imports = |module: &Module, code: &str| {
        let targets = paths(module, code).into_iter().filter_map(target);
        targets
            .filter(|other| !other.starts_with(module) && !module.starts_with(other))
            .collect()
    };
    modules
        .iter()
        .map(|(module, code)| (module, imports(module, code)))
        .collect()
}

/// The shortest way from a module to itself.
fn circle<'m>(
    start: &'m Module,
    edges: &BTreeMap<&'m Module, BTreeSet<&'m Module>>,
) -> Option<Vec<&'m Module>> {
    let mut ways = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in &edges[way.last().unwrap()] {
            if *next == start {
                return Some(way);
            }
            if seen.insert(next) {
                ways.push_back(way.iter().chain([next]).copied().collect());
            }
        }
    }
    None
}

/// All circles, each once, as their modules in order.
fn circles(modules: &Modules) -> BTreeSet<Vec<Module>> {
    let edges = edges(modules);
    let found = edges.keys().filter_map(|start| circle(start, &edges));
    let sorted = found.map(|way| way.into_iter().cloned().collect::<BTreeSet<_>>());
    sorted.map(|way| way.into_iter().collect()).collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for folder in CRATES {
        let mut modules = Modules::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        collect(&root, "", &mut modules);
        assert!(modules.len() > 30, "the sources were not found");

        let names: Vec<String> = circles(&modules)
            .into_iter()
            .flatten()
            .map(|module| module.join("::"))
            .collect();
        assert!(
            names.is_empty(),
            "{folder}: a circle of {}",
            names.join(", ")
        );
    }
}

#[test]
fn a_circle_is_found_over_all_kinds_of_paths() {
    let modules = |files: &[(&str, &str)]| -> Modules {
        let of = |(path, code): &(&str, &str)| (module_of(path), code_of(code));
        files.iter().map(of).collect()
    };
    let names = |files: &[(&str, &str)]| {
        let circles = circles(&modules(files));
        let names = |circle: Vec<Module>| circle.iter().map(|name| name.join("::")).collect();
        circles.into_iter().map(names).collect::<Vec<Vec<_>>>()
    };

    let first = ("a/x.rs", "use super::y::{self, Z};");
    let second = ("a/y.rs", "fn f() { crate::b::g() }");
    let third = ("b.rs", "use audit_collector::{c, a::x::X};");
    assert_eq!(names(&[first, second, third]), [["a::x", "a::y", "b"]]);
    assert!(names(&[first, second]).is_empty());

    let parent = ("a/mod.rs", "mod x;\nuse crate::a::x::X;");
    let child = ("a/x.rs", "use super::Y;\npub(in crate::a) struct X;");
    assert!(names(&[parent, child]).is_empty());
    let tests = (
        "b.rs",
        "// crate::a\n#[cfg(test)]\nmod tests {\nuse crate::a::x;\n}",
    );
    assert!(names(&[("a/x.rs", "use crate::b;"), tests]).is_empty());
}
