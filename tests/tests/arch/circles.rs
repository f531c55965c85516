//! The files and the folders of a crate must not import from each other in circles.
//!
//! The checker reads the modules of a crate from its root file on, without the modules for tests.
//! It resolves every path in the code to the file that defines the item: a name that a module only
//! re-exports belongs to the file where it comes from. So a child that uses an item of its parent,
//! while the parent calls the child, is a circle; a child that uses a sibling through the parent is
//! none.

use crate::code::{is_identifier, tokens};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use wasmill_tests::root;

/// The crates of the host: the folder of the sources, and the root file in it.
const CRATES: [(&str, &str); 4] = [
    ("host/core/src", "lib.rs"),
    ("host/sandbox/src", "lib.rs"),
    ("host/store/src", "lib.rs"),
    ("host/src", "main.rs"),
];

/// The source files of a crate: path within the crate, and content.
type Sources = BTreeMap<String, String>;

/// What each file uses of others: file, used file, and the names that it uses.
type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// A path in the code, for instance `["super", "item", "Item"]`.
type CodePath = Vec<String>;

/// A module, in a file of its own or within a file.
struct Module {
    file: String,
    /// The folder in which `mod name;` looks for `name.rs`.
    folder: String,
    parent: usize,
    children: BTreeMap<String, usize>,
    /// Names that the module defines itself.
    defined: BTreeSet<String>,
    /// Names that `use` brings into the module, private ones too.
    imported: BTreeMap<String, Vec<CodePath>>,
    globs: Vec<CodePath>,
    /// The modules that the globs stand for.
    glob_modules: BTreeSet<usize>,
    /// All paths in the code of the module.
    paths: Vec<CodePath>,
}

/// What a path stands for.
#[derive(Clone)]
enum Target {
    Module(usize),
    /// An item that this file defines.
    Item(String),
    /// An item of another crate.
    External,
}

/// The modules of one crate. The first one is the root.
struct Crate<'s> {
    sources: &'s Sources,
    modules: Vec<Module>,
    /// Files and folders of modules for tests.
    tests: Vec<String>,
    wrong: Vec<String>,
}

impl<'s> Crate<'s> {
    fn read(sources: &'s Sources, root: &str) -> Self {
        let mut found = Self { sources, modules: Vec::new(), tests: Vec::new(), wrong: Vec::new() };
        found.add(root.to_owned(), String::new(), 0);
        found.read_file(0);
        found.find_glob_modules();
        let read: BTreeSet<&String> = found.modules.iter().map(|module| &module.file).collect();
        let is_test = |file: &str| found.tests.iter().any(|test| file.starts_with(test.as_str()));
        let unread = sources
            .keys()
            .filter(|file| !read.contains(file) && !file.starts_with("bin/") && !is_test(file))
            .map(|file| format!("no module leads to {file}"))
            .collect::<Vec<_>>();
        found.wrong.extend(unread);
        found
    }

    fn add(&mut self, file: String, folder: String, parent: usize) -> usize {
        self.modules.push(Module {
            file,
            folder,
            parent,
            children: BTreeMap::new(),
            defined: BTreeSet::new(),
            imported: BTreeMap::new(),
            globs: Vec::new(),
            glob_modules: BTreeSet::new(),
            paths: Vec::new(),
        });
        self.modules.len() - 1
    }

    fn read_file(&mut self, module: usize) {
        let file = self.modules[module].file.clone();
        match self.sources.get(&file) {
            Some(code) => self.items(module, &tokens(code)),
            None => self.wrong.push(format!("there is no file {file}")),
        }
    }

    /// Reads the items of a module.
    fn items(&mut self, module: usize, tokens: &[&str]) {
        let (mut at, mut for_tests) = (0, false);
        while at < tokens.len() {
            if tokens[at] == "#" {
                let end = group_end(tokens, at + 1 + usize::from(tokens[at + 1] == "!"));
                let attribute = &tokens[at..end];
                if attribute.starts_with(&["#", "[", "path", "="]) {
                    self.wrong.push(format!("{}: #[path] is not read", self.modules[module].file));
                }
                for_tests |= is_for_tests(attribute);
                at = end;
                continue;
            }
            let end = item_end(tokens, at);
            self.item(module, &tokens[at..end], for_tests);
            (at, for_tests) = (end, false);
        }
    }

    fn item(&mut self, module: usize, tokens: &[&str], for_tests: bool) {
        let item = without_visibility(tokens);
        match item {
            ["mod", name, ";"] => {
                let folder = join(&self.modules[module].folder, name);
                let (file, root) = (format!("{folder}.rs"), format!("{folder}/mod.rs"));
                if for_tests {
                    self.tests.extend([file, format!("{folder}/")]);
                    return;
                }
                let file = if self.sources.contains_key(&root) { root } else { file };
                let child = self.add(file, folder, module);
                self.modules[module].children.insert((*name).to_owned(), child);
                self.read_file(child);
            }
            ["mod", name, "{", inner @ .., "}"] if !for_tests => {
                let folder = join(&self.modules[module].folder, name);
                let child = self.add(self.modules[module].file.clone(), folder, module);
                self.modules[module].children.insert((*name).to_owned(), child);
                self.items(child, inner);
            }
            _ if for_tests => {}
            ["use", tree @ .., ";"] => {
                for (path, name) in use_tree(tree) {
                    let module = &mut self.modules[module];
                    match name.as_str() {
                        "*" => module.globs.push(path.clone()),
                        name => {
                            module.imported.entry(name.to_owned()).or_default().push(path.clone())
                        }
                    }
                    module.paths.push(path);
                }
            }
            item => {
                self.modules[module].defined.extend(defined(item).map(str::to_owned));
                self.modules[module].paths.extend(paths(item));
            }
        }
    }

    /// What a path in a module stands for. `seen` holds the names that are being looked up, because
    /// imports may lead back to themselves.
    fn resolve(&self, from: usize, path: &[String], seen: &mut Vec<(usize, String)>) -> Target {
        let (mut module, mut rest) = (from, path);
        while let [first, others @ ..] = rest {
            module = match first.as_str() {
                "crate" => 0,
                "self" => module,
                "super" => self.modules[module].parent,
                _ => break,
            };
            rest = others;
        }
        let mut anchored = rest.len() < path.len();
        while let [name, others @ ..] = rest {
            match self.look_up(module, name, !others.is_empty(), seen) {
                Some(Target::Module(child)) => module = child,
                Some(target) => return target,
                // A macro may have made the item.
                None if anchored => return Target::Item(self.modules[module].file.clone()),
                None => return Target::External,
            }
            (rest, anchored) = (others, true);
        }
        Target::Module(module)
    }

    /// What a name stands for in a module: what the module itself brings, else what its globs do.
    fn look_up(
        &self,
        module: usize,
        name: &str,
        more: bool,
        seen: &mut Vec<(usize, String)>,
    ) -> Option<Target> {
        let mut open = vec![module];
        let mut asked = BTreeSet::new();
        while let Some(module) = open.pop() {
            if asked.insert(module) {
                let found = self.look_up_without_globs(module, name, more, seen);
                if found.is_some() {
                    return found;
                }
                open.extend(&self.modules[module].glob_modules);
            }
        }
        None
    }

    fn look_up_without_globs(
        &self,
        module: usize,
        name: &str,
        more: bool,
        seen: &mut Vec<(usize, String)>,
    ) -> Option<Target> {
        let here = &self.modules[module];
        let child = here.children.get(name).map(|child| Target::Module(*child));
        if more && child.is_some() {
            return child;
        }
        if here.defined.contains(name) {
            return Some(Target::Item(here.file.clone()));
        }
        let key = (module, name.to_owned());
        if seen.contains(&key) {
            return child;
        }
        seen.push(key);
        let mut found = None;
        for path in here.imported.get(name).into_iter().flatten() {
            let target = self.resolve(module, path, seen);
            // A name can stand for a module and for an item at once.
            if found.is_none() || (more && matches!(target, Target::Module(_))) {
                found = Some(target);
            }
        }
        seen.pop();
        found.or(child)
    }

    /// Finds the modules that globs stand for. A glob may lead through another one, so this is done
    /// until nothing new is found.
    fn find_glob_modules(&mut self) {
        loop {
            let mut more = false;
            for module in 0..self.modules.len() {
                for glob in self.modules[module].globs.clone() {
                    if let Target::Module(target) = self.resolve(module, &glob, &mut Vec::new()) {
                        more |= self.modules[module].glob_modules.insert(target);
                    }
                }
            }
            if !more {
                return;
            }
        }
    }

    fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for (from, module) in self.modules.iter().enumerate() {
            for path in &module.paths {
                let file = match self.resolve(from, path, &mut Vec::new()) {
                    Target::Module(to) => self.modules[to].file.clone(),
                    Target::Item(file) => file,
                    Target::External => continue,
                };
                if file != module.file {
                    let used = imports.entry(module.file.clone()).or_default();
                    used.entry(file).or_default().extend(path.last().cloned());
                }
            }
        }
        imports
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The position after the bracket that closes the one at `at`.
fn group_end(tokens: &[&str], at: usize) -> usize {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match *token {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// The position after the item at `at`.
fn item_end(tokens: &[&str], at: usize) -> usize {
    let item = without_visibility(&tokens[at..]);
    let ends_with_semicolon = match item {
        ["use" | "static" | "type", ..] => true,
        ["const", next, ..] => !matches!(*next, "fn" | "unsafe" | "async" | "extern"),
        _ => false,
    };
    let mut index = at;
    while index < tokens.len() {
        match tokens[index] {
            ";" => return index + 1,
            "{" if !ends_with_semicolon => return group_end(tokens, index),
            "(" | "[" | "{" => index = group_end(tokens, index),
            _ => index += 1,
        }
    }
    tokens.len()
}

/// An item without `pub` or `pub(...)`.
fn without_visibility<'t, 's>(item: &'t [&'s str]) -> &'t [&'s str] {
    match item {
        ["pub", "(", ..] => &item[group_end(item, 1)..],
        ["pub", rest @ ..] => rest,
        item => item,
    }
}

/// True for `#[cfg(test)]` and for `#[cfg(all(test, ...))]`.
fn is_for_tests(attribute: &[&str]) -> bool {
    matches!(
        attribute,
        ["#", "[", "cfg", "(", "test", ")", "]"] | ["#", "[", "cfg", "(", "all", "(", "test", ..]
    )
}

/// The name that an item defines.
fn defined<'s>(item: &[&'s str]) -> Option<&'s str> {
    let mut rest = item;
    while let [first, others @ ..] = rest {
        match *first {
            "fn" | "struct" | "enum" | "union" | "trait" | "type" | "static" => {
                return others.first().copied();
            }
            "const" if !matches!(others.first(), Some(&("fn" | "unsafe" | "async" | "extern"))) => {
                return others.first().copied();
            }
            "macro_rules" => return others.get(1).copied(),
            "const" | "unsafe" | "async" | "extern" => rest = others,
            _ => return None,
        }
    }
    None
}

/// The paths in the code of an item: those of `use` in a function, and those of at least two parts.
fn paths(item: &[&str]) -> Vec<CodePath> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < item.len() {
        let before = at.checked_sub(1).map_or("", |before| item[before]);
        match item[at] {
            "#" if item.get(at + 1) == Some(&"[") => at = group_end(item, at + 1),
            "pub" if item.get(at + 1) == Some(&"(") => at = group_end(item, at + 1),
            // `use<'a>` in a return type has no tree.
            "use" if item.get(at + 1).is_some_and(|next| is_identifier(next)) => {
                let end = item_end(item, at);
                let tree = item[at + 1..end].strip_suffix(&[";"]).unwrap_or_default();
                found.extend(use_tree(tree).into_iter().map(|(path, _)| path));
                at = end;
            }
            token if is_identifier(token) && before != "." && before != "::" => {
                let mut path = vec![token.to_owned()];
                while let ["::", next, ..] = &item[at + 1..]
                    && is_identifier(next)
                {
                    path.push((*next).to_owned());
                    at += 2;
                }
                if path.len() > 1 {
                    found.push(path);
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    found
}

/// The paths of a `use`, each with the name that it brings; the name of a glob is `*`.
fn use_tree(tree: &[&str]) -> Vec<(CodePath, String)> {
    let mut prefix: CodePath = Vec::new();
    let mut rest = tree.strip_prefix(&["::"]).unwrap_or(tree);
    loop {
        match rest {
            [name, "::", others @ ..] => {
                prefix.push((*name).to_owned());
                rest = others;
            }
            ["{", inner @ .., "}"] => {
                let mut found = Vec::new();
                for part in split_at_commas(inner) {
                    for (path, name) in use_tree(part) {
                        let path: CodePath = prefix.iter().cloned().chain(path).collect();
                        match (path.split_last(), name.as_str()) {
                            // `a::{self}` is `a`.
                            (Some((last, before)), name)
                                if last == "self" && !before.is_empty() =>
                            {
                                let name =
                                    if name == "self" { &before[before.len() - 1] } else { name };
                                found.push((before.to_vec(), name.to_owned()));
                            }
                            _ => found.push((path, name)),
                        }
                    }
                }
                return found;
            }
            ["*"] => return vec![(prefix, "*".into())],
            [name, "as", other] => {
                prefix.push((*name).to_owned());
                return vec![(prefix, (*other).to_owned())];
            }
            [name] => {
                prefix.push((*name).to_owned());
                return vec![(prefix, (*name).to_owned())];
            }
            _ => return Vec::new(),
        }
    }
}

fn split_at_commas<'t, 's>(tokens: &'t [&'s str]) -> Vec<&'t [&'s str]> {
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while at < tokens.len() {
        match tokens[at] {
            "{" => at = group_end(tokens, at),
            "," => {
                parts.push(&tokens[start..at]);
                at += 1;
                start = at;
            }
            _ => at += 1,
        }
    }
    parts.push(&tokens[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// The files that each file reaches by imports, directly or not.
fn reached(imports: &Imports) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut all = BTreeMap::new();
    for start in imports.keys() {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![start.as_str()];
        while let Some(file) = open.pop() {
            for next in imports.get(file).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        all.insert(start.as_str(), seen);
    }
    all
}

/// The circles between files: for each a text with its files and the names that tie them.
fn file_circles(imports: &Imports) -> Vec<String> {
    let reached = reached(imports);
    let reaches = |from: &str, to: &str| reached.get(from).is_some_and(|all| all.contains(to));
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut circles = Vec::new();
    for start in imports.keys().filter(|file| reaches(file, file)) {
        if told.contains(start.as_str()) {
            continue;
        }
        let circle: BTreeSet<&str> = imports
            .keys()
            .map(String::as_str)
            .filter(|file| reaches(start, file) && reaches(file, start))
            .collect();
        told.extend(&circle);
        let ties = circle.iter().flat_map(|from| {
            let used = imports[*from].iter().filter(|(to, _)| circle.contains(to.as_str()));
            used.map(move |(to, names)| tie(from, to, names))
        });
        let ties: Vec<String> = ties.collect();
        circles.push(format!("circle of {} files: {}", circle.len(), ties.join("; ")));
    }
    circles
}

fn tie(from: &str, to: &str, names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    format!("{from} -> {to} ({})", names.join(", "))
}

/// The folders that a file is in, without the root folder. `a.rs` is in the folder `a` if there is
/// one, as `a/mod.rs` is.
fn folders<'f>(file: &'f str, sources: &Sources) -> Vec<&'f str> {
    let own = file.strip_suffix(".rs").unwrap_or(file);
    let inner = format!("{own}/");
    let has_folder = sources.keys().any(|other| other.starts_with(&inner));
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    if has_folder {
        parts.extend(own.rsplit('/').next());
    }
    parts
}

/// The pairs of folders that import from each other: for each a text with the ties of both ways.
fn folder_circles(imports: &Imports, sources: &Sources) -> Vec<String> {
    let mut ways: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (from, used) in imports {
        for (to, names) in used {
            let (outer, other) = (folders(from, sources), folders(to, sources));
            let common = outer.iter().zip(&other).take_while(|(one, two)| one == two).count();
            // Where one of the files is in a folder around the other one, no two folders meet.
            if outer.len() > common && other.len() > common {
                let pair = (outer[..=common].join("/"), other[..=common].join("/"));
                ways.entry(pair).or_default().push(tie(from, to, names));
            }
        }
    }
    let mut circles = Vec::new();
    for ((one, two), there) in &ways {
        if one < two
            && let Some(back) = ways.get(&(two.clone(), one.clone()))
        {
            let ties: Vec<&str> = there.iter().chain(back).map(String::as_str).collect();
            circles.push(format!("folders {one} and {two}: {}", ties.join("; ")));
        }
    }
    circles
}

/// Everything that is wrong with the imports of a crate.
fn circles(sources: &Sources, root: &str) -> Vec<String> {
    let found = Crate::read(sources, root);
    let imports = found.imports();
    let mut wrong = found.wrong;
    wrong.extend(file_circles(&imports));
    wrong.extend(folder_circles(&imports, sources));
    wrong
}

/// The sources of a crate.
fn sources(folder: &Path) -> Sources {
    crate::sources(folder)
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(folder).expect("within the folder");
            let name = name.to_str().expect("a path of UTF-8").to_owned();
            (name, std::fs::read_to_string(&path).expect("a source"))
        })
        .collect()
}

#[test]
fn crates_have_no_circles() {
    let mut wrong = Vec::new();
    for (folder, main) in CRATES {
        let found = circles(&sources(&root().join(folder)), main);
        wrong.extend(found.into_iter().map(|text| format!("{folder}: {text}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn tree(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(name, code)| ((*name).to_owned(), (*code).to_owned())).collect()
}

#[test]
fn a_clean_tree_has_no_circles() {
    let files = tree(&[
        ("lib.rs", "mod a; mod b; pub use b::Item;"),
        ("a.rs", "use crate::Item; /* use crate::c::X; */ fn a() { let _ = \"crate::c::X\"; }"),
        ("b/mod.rs", "mod item; mod work; pub use item::Item; fn b() { work::run() }"),
        // By way of the parent, but of the sibling's file.
        ("b/work.rs", "use super::Item; pub(in crate::b) fn run() { Item::new(); x.item::<u8>() }"),
        ("b/item.rs", "pub struct Item; #[cfg(test)] mod tests { use crate::a; }"),
        ("bin/tool.rs", "fn main() {}"),
    ]);
    assert_eq!(circles(&files, "lib.rs"), [""; 0]);
    let imports = Crate::read(&files, "lib.rs").imports();
    let used = |file: &str| imports[file].keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(used("lib.rs"), ["b/item.rs"]);
    assert_eq!(used("a.rs"), ["b/item.rs"]);
    assert_eq!(used("b/mod.rs"), ["b/item.rs", "b/work.rs"]);
    assert_eq!(used("b/work.rs"), ["b/item.rs"]);
}

#[test]
fn circles_of_files_are_seen() {
    for (files, expected) in [
        (
            tree(&[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", "use crate::b::B; pub struct A;"),
                ("b.rs", "pub struct B; fn f() { crate::a::A; }"),
            ]),
            "circle of 2 files: a.rs -> b.rs (B); b.rs -> a.rs (A)",
        ),
        // A child uses its parent's type, and the parent calls the child.
        (
            tree(&[
                ("lib.rs", "mod a;"),
                ("a/mod.rs", "mod child; pub enum Error {} fn f() { child::run() }"),
                ("a/child.rs", "use super::Error; pub fn run() {}"),
            ]),
            "circle of 2 files: a/child.rs -> a/mod.rs (Error); a/mod.rs -> a/child.rs (run)",
        ),
        // By way of three files, a nested tree, another name, a glob and a macro's item.
        (
            tree(&[
                ("main.rs", "mod a; mod b; mod c;"),
                ("a.rs", "pub(crate) use crate::{b::{self as other, *}, c::Made as M};"),
                ("b.rs", "const X: [u8; 2] = { crate::c::D }; pub(crate) const fn f() {}"),
                ("c.rs", "make!(Made); fn g() { use super::a::other; }"),
            ]),
            "circle of 2 files: b.rs -> c.rs (D); c.rs -> b.rs (other)",
        ),
        (
            tree(&[
                ("lib.rs", "mod a; mod b; mod c;"),
                ("a.rs", "pub struct A(crate::b::B);"),
                ("b.rs", "pub struct B; mod inner { use super::super::c::C as Other; }"),
                ("c.rs", "pub struct C; impl From<crate::a::A> for C {}"),
            ]),
            "circle of 3 files: a.rs -> b.rs (B); b.rs -> c.rs (C); c.rs -> a.rs (A)",
        ),
    ] {
        let root = if files.contains_key("lib.rs") { "lib.rs" } else { "main.rs" };
        assert_eq!(circles(&files, root), [expected]);
    }
}

#[test]
fn circles_of_folders_are_seen() {
    let files = tree(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a/mod.rs", "mod one; mod two;"),
        ("a/one.rs", "use crate::b::three::Three;"),
        ("a/two.rs", "pub struct Two;"),
        // The root file of a folder may stand beside the folder.
        ("b.rs", "pub mod three; use crate::a::two::Two;"),
        ("b/three.rs", "pub struct Three;"),
        // A file beside a folder is no folder.
        ("c.rs", "use crate::a::two::Two; pub struct C;"),
    ]);
    assert_eq!(
        circles(&files, "lib.rs"),
        ["folders a and b: a/one.rs -> b/three.rs (Three); b.rs -> a/two.rs (Two)"]
    );
    let one_way = tree(&[
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "pub mod inner; use crate::b::B;"),
        ("a/inner/mod.rs", "pub struct Inner; fn f() { super::super::b::B; }"),
        ("b/mod.rs", "pub struct B;"),
    ]);
    assert_eq!(circles(&one_way, "lib.rs"), [""; 0]);
}

#[test]
fn files_that_are_not_read_are_seen() {
    let files = tree(&[
        ("lib.rs", "mod a; #[cfg(test)] mod tests; #[cfg(all(test, unix))] mod more;"),
        ("tests/mod.rs", ""),
        ("tests/rows.rs", ""),
        ("more.rs", ""),
        ("b.rs", ""),
    ]);
    assert_eq!(circles(&files, "lib.rs"), ["there is no file a.rs", "no module leads to b.rs"]);
}
