//! Resolves the paths in `src` to the files that define their names.
//!
//! The reader follows `mod` from `lib.rs`, so that code under `#[cfg(test)]` is left out. Of each file it takes the
//! names defined at module level, the imports, and every path in the code, within macros too. Then:
//!
//! - File A uses file B when a path or import of A names an item that B defines. Re-exports are followed to the file
//!   that defines the item, and only the first item of a path counts: in `Format::Raw` that is `Format`.
//! - A path that ends at a module is no use: `use crate::tls;` counts where `tls::client::Client` is named.
//! - `mod child;` is no use. A re-export is one, like every import: a folder's file that only lists what there is may
//!   re-export everything, but not from files that use what it defines itself.
//! - Inline modules belong to their file.
//!
//! Methods and fields need no path and are not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Where re-exports lead back to themselves, resolution ends.
const MAX_REEXPORTS: usize = 32;

/// For each pair of a file and a file it uses, the names that it uses.
pub(crate) type Uses = BTreeMap<(String, String), BTreeSet<String>>;

/// The modules of the crate, its root first.
#[derive(Default)]
pub(crate) struct Modules(Vec<Module>);

#[derive(Default)]
struct Module {
    file: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    defined: BTreeSet<String>,
    imports: Vec<Import>,
    paths: BTreeSet<Vec<String>>,
}

struct Import {
    path: Vec<String>,
    /// `None` for `*`.
    name: Option<String>,
}

#[derive(Clone, Copy)]
enum Target {
    /// Defined in this module.
    Item(usize),
    Module(usize),
    /// Another crate's, or a name of the function itself.
    Elsewhere,
}

/// What a name stands for first where a module and a function share it.
#[derive(Clone, Copy)]
enum Wanted {
    Item,
    Module,
}

impl Modules {
    /// Reads the library's files below `src`, and `main.rs`.
    pub(crate) fn read(src: &Path) -> Self {
        let mut modules = Self::default();
        modules.read_file(src, "lib.rs", None);
        let main = modules.read_file(src, "main.rs", Some(0));
        modules.0[0].children.insert("main".to_owned(), main);
        modules
    }

    /// Returns what each file uses of others.
    pub(crate) fn uses(&self) -> Uses {
        let mut uses = Uses::new();
        for (index, module) in self.0.iter().enumerate() {
            let imported = module.imports.iter().filter(|import| import.name.is_some());
            let imported = imported.map(|import| (&import.path, Wanted::Module));
            let named = module.paths.iter().map(|path| (path, Wanted::Item));
            for (path, wanted) in imported.chain(named) {
                let Target::Item(definer) = self.resolve(index, path, wanted, 0) else {
                    continue;
                };
                let file = &self.0[definer].file;
                if *file != module.file {
                    uses.entry((module.file.clone(), file.clone()))
                        .or_default()
                        .insert(path.join("::"));
                }
            }
        }
        uses
    }

    /// Returns, for each file, the top-level modules that its paths from the crate's root name.
    pub(crate) fn rooms_named(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut rooms = BTreeMap::<_, BTreeSet<_>>::new();
        for (index, module) in self.0.iter().enumerate().skip(1) {
            let named = rooms.entry(module.file.as_str()).or_default();
            let imported = module.imports.iter().map(|import| &import.path);
            let paths = imported.chain(&module.paths);
            named.extend(paths.filter_map(|path| self.room_named(index, path)));
        }
        rooms
    }

    fn room_named<'a>(&self, from: usize, path: &'a [String]) -> Option<&'a str> {
        let mut at = None;
        for name in path {
            at = match (name.as_str(), at) {
                (root, _) if is_root(root) => Some(0),
                ("super", _) => self.0[at.unwrap_or(from)].parent,
                (room, Some(0)) if self.0[0].children.contains_key(room) => return Some(room),
                _ => return None,
            };
        }
        None
    }

    fn resolve(&self, from: usize, path: &[String], wanted: Wanted, reexports: usize) -> Target {
        if reexports > MAX_REEXPORTS {
            return Target::Elsewhere;
        }
        let mut at = None;
        let mut names = path.iter().peekable();
        while let Some(name) = names.next() {
            let wanted = names.peek().map_or(wanted, |_| Wanted::Module);
            at = match name.as_str() {
                root if is_root(root) => Some(0),
                "self" => at.or(Some(from)),
                "super" => self.0[at.unwrap_or(from)].parent,
                name => match self.look_up(at.unwrap_or(from), name, wanted, reexports) {
                    Some(Target::Module(module)) => Some(module),
                    Some(found) => return found,
                    // A macro defines what is not written.
                    None => return at.map_or(Target::Elsewhere, Target::Item),
                },
            };
        }
        at.map_or(Target::Elsewhere, Target::Module)
    }

    fn look_up(&self, at: usize, name: &str, wanted: Wanted, reexports: usize) -> Option<Target> {
        let module = &self.0[at];
        let follow = |import: &Import| self.resolve(at, &import.path, wanted, reexports + 1);
        let item = || module.defined.contains(name).then_some(Target::Item(at));
        let child = || module.children.get(name).copied().map(Target::Module);
        let import = || {
            let mut imports = module.imports.iter();
            let import = imports.find(|import| import.name.as_deref() == Some(name));
            import.map(follow)
        };
        let through_glob = || {
            let mut globs = module.imports.iter().filter(|import| import.name.is_none());
            globs.find_map(|glob| match follow(glob) {
                Target::Module(from) if reexports < MAX_REEXPORTS => {
                    self.look_up(from, name, wanted, reexports + 1)
                }
                _ => None,
            })
        };
        match wanted {
            Wanted::Item => item().or_else(import).or_else(child),
            Wanted::Module => child().or_else(import).or_else(item),
        }
        .or_else(through_glob)
    }

    /// Reads one file and the files of its modules; returns its index.
    fn read_file(&mut self, src: &Path, file: &str, parent: Option<usize>) -> usize {
        let text = fs::read_to_string(src.join(file)).unwrap();
        let index = self.add(format!("src/{file}"), parent);
        let mut folder = Path::new(file).with_extension("");
        if ["mod", "lib", "main"]
            .iter()
            .any(|name| folder.ends_with(name))
        {
            folder.pop();
        }
        self.read_module(src, &folder, index, &mut tokenize(&text).into_iter());
        index
    }

    fn add(&mut self, file: String, parent: Option<usize>) -> usize {
        self.0.push(Module {
            file,
            parent,
            ..Module::default()
        });
        self.0.len() - 1
    }

    /// Reads a module's tokens, to the end or to the brace that closes it.
    fn read_module(
        &mut self,
        src: &Path,
        folder: &Path,
        index: usize,
        tokens: &mut std::vec::IntoIter<&str>,
    ) {
        let mut depth = 0_usize;
        let mut before = "";
        while let Some(token) = tokens.next() {
            let following = tokens.as_slice();
            match token {
                "#" if following.starts_with(&["[", "cfg", "(", "test", ")", "]"]) => {
                    tokens.nth(5);
                    skip_item(tokens);
                }
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" if depth == 0 => return,
                "}" | ")" | "]" => depth -= 1,
                "use" if following.first() != Some(&"<") => {
                    let tree: Vec<_> = tokens.take_while(|token| *token != ";").collect();
                    let imports = &mut self.0[index].imports;
                    read_use(&mut tree.into_iter(), &[], imports);
                }
                "mod" if depth == 0 => {
                    let name = tokens.next().unwrap();
                    let child = if tokens.next() == Some("{") {
                        let child = self.add(self.0[index].file.clone(), Some(index));
                        self.read_module(src, &folder.join(name), child, tokens);
                        child
                    } else {
                        let flat = folder.join(format!("{name}.rs"));
                        let own = folder.join(name).join("mod.rs");
                        let file = if src.join(&flat).exists() { flat } else { own };
                        self.read_file(src, file.to_str().unwrap(), Some(index))
                    };
                    self.0[index].children.insert(name.to_owned(), child);
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" if depth == 0 => {
                    if let Some(name) = following.first().filter(|name| is_name(name)) {
                        self.0[index].defined.insert((*name).to_owned());
                    }
                }
                "macro_rules" if depth == 0 => {
                    let name = following[1].to_owned();
                    self.0[index].defined.insert(name);
                }
                // A method, a field, or the rest of `<T as Trait>::name`.
                _ if before == "." || before == "::" => {}
                name if is_name(name) => {
                    let path = read_path(name, tokens);
                    self.0[index].paths.insert(path);
                }
                _ => {}
            }
            before = token;
        }
    }
}

/// Returns the loops among the files: the sets of files each of which leads to all others of its set.
pub(crate) fn loops(uses: &Uses) -> Vec<BTreeSet<String>> {
    let mut used = BTreeMap::<&str, Vec<&str>>::new();
    for (user, file) in uses.keys() {
        used.entry(user).or_default().push(file);
    }
    let reached: BTreeMap<_, _> = used
        .keys()
        .map(|start| {
            let mut reached = BTreeSet::new();
            let mut next = vec![*start];
            while let Some(file) = next.pop() {
                let files = used.get(file).into_iter().flatten().copied();
                next.extend(files.filter(|file| reached.insert(*file)));
            }
            (*start, reached)
        })
        .collect();
    let mut loops = BTreeSet::new();
    for (file, leads_to) in &reached {
        if leads_to.contains(file) {
            let back = leads_to
                .iter()
                .filter(|other| reached.get(*other).is_some_and(|to| to.contains(file)));
            loops.insert(back.map(|file| (*file).to_owned()).collect::<BTreeSet<_>>());
        }
    }
    loops.into_iter().collect()
}

fn is_root(name: &str) -> bool {
    name == "crate" || name == "ferrite"
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Takes the rest of a path whose first name was taken.
fn read_path(first: &str, tokens: &mut std::vec::IntoIter<&str>) -> Vec<String> {
    let mut path = vec![first.to_owned()];
    while let ["::", name, ..] = tokens.as_slice()
        && is_name(name)
    {
        path.push((*name).to_owned());
        tokens.nth(1);
    }
    path
}

/// Reads one tree of a `use`, to its end or the comma or brace after it.
fn read_use(tokens: &mut std::vec::IntoIter<&str>, prefix: &[String], imports: &mut Vec<Import>) {
    let mut path = prefix.to_vec();
    let mut name = None;
    while let Some(token) = tokens.next() {
        match token {
            "::" => {}
            "{" => {
                while !tokens.as_slice().is_empty() {
                    read_use(tokens, &path, imports);
                    // What ended the tree: a comma goes on, a brace ends the list.
                    if tokens.next() != Some(",") {
                        return;
                    }
                }
                return;
            }
            "*" => {
                imports.push(Import { path, name: None });
                return;
            }
            "as" => name = tokens.next().map(str::to_owned),
            "self" if !path.is_empty() => {}
            token => path.push(token.to_owned()),
        }
        if matches!(tokens.as_slice().first(), None | Some(&"," | &"}")) {
            break;
        }
    }
    if let Some(last) = path.last() {
        let name = Some(name.unwrap_or_else(|| last.clone()));
        imports.push(Import { path, name });
    }
}

/// Skips one item, statement or field, after its first attribute.
fn skip_item(tokens: &mut std::vec::IntoIter<&str>) {
    let mut depth = 0_usize;
    let is_field = !tokens.as_slice().iter().take(8).any(|token| {
        matches!(
            *token,
            "fn" | "impl"
                | "mod"
                | "use"
                | "struct"
                | "enum"
                | "trait"
                | "const"
                | "static"
                | "type"
        )
    });
    let is_use = tokens
        .as_slice()
        .iter()
        .take(5)
        .any(|token| *token == "use");
    while let Some(token) = tokens.as_slice().first() {
        match *token {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" if depth == 0 => return,
            "}" if depth == 1 && !is_use => {
                tokens.next();
                return;
            }
            "}" | ")" | "]" => depth -= 1,
            ";" if depth == 0 => {
                tokens.next();
                return;
            }
            "," if depth == 0 && is_field => return,
            _ => {}
        }
        tokens.next();
    }
}

/// Cuts a text into names, `::`, and single characters of all else, without comments; a literal is one token.
fn tokenize(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").unwrap() + 2
        } else if first.is_whitespace() {
            first.len_utf8()
        } else {
            let length = token_length(rest, first);
            tokens.push(&rest[..length]);
            length
        };
        rest = &rest[length..];
    }
    tokens
}

fn token_length(rest: &str, first: char) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let word = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let after = &rest[word..];
    match first {
        _ if matches!(&rest[..word], "r" | "br" | "cr")
            && after.trim_start_matches('#').starts_with('"') =>
        {
            let hashes = after.find('"').unwrap();
            let end = format!("\"{}", "#".repeat(hashes));
            let open = word + end.len();
            open + rest[open..].find(&end).unwrap() + end.len()
        }
        _ if matches!(&rest[..word], "" | "b" | "c") && after.starts_with('"') => {
            word + quoted(after, '"')
        }
        '\'' | 'b' if word == usize::from(first == 'b') && after.starts_with('\'') => {
            let mut inner = after[1..].chars();
            let is_escaped = inner.next() == Some('\\');
            match inner.next() {
                Some('\'') => word + quoted(after, '\''),
                _ if is_escaped => word + quoted(after, '\''),
                // A lifetime.
                _ => 1 + after[1..].find(|c| !is_part(c)).unwrap_or(after.len() - 1),
            }
        }
        'r' if word == 1 && after.starts_with('#') => {
            2 + after[1..].find(|c| !is_part(c)).unwrap_or(after.len() - 1)
        }
        _ if word > 0 => word,
        _ if rest.starts_with("::") => 2,
        _ => first.len_utf8(),
    }
}

/// Returns the length of a quoted literal, with its quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    let end = text[1..].find(|c| {
        let ends = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    end.unwrap() + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files that use others in a crate of these files, as `a.rs b.rs: names`.
    fn uses(files: &[(&str, &str)]) -> Vec<String> {
        let src = tempfile::tempdir().unwrap();
        fs::write(src.path().join("main.rs"), "fn main() { krate::run() }").unwrap();
        for (file, text) in files {
            let file = src.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let uses = Modules::read(src.path()).uses();
        let shown = uses.into_iter().map(|((user, used), names)| {
            let names = Vec::from_iter(names).join(" ");
            format!("{user} {used}: {names}").replace("src/", "")
        });
        shown.collect()
    }

    #[test]
    fn names_resolve_through_re_exports_to_their_file() {
        let found = uses(&[
            ("lib.rs", "pub mod a; mod b;"),
            (
                "a/mod.rs",
                "mod child; pub use child::{Item, other as another}; mod leaf;",
            ),
            (
                "a/child.rs",
                "pub struct Item; pub fn other() {} use super::leaf::Leaf;",
            ),
            ("a/leaf.rs", "pub enum Leaf { One }"),
            ("b.rs", "use crate::a; fn f(_: a::Item) { a::another() }"),
        ]);
        assert_eq!(
            found,
            [
                "a/child.rs a/leaf.rs: super::leaf::Leaf",
                "a/mod.rs a/child.rs: child::Item child::other",
                "b.rs a/child.rs: a::Item a::another",
            ]
        );
    }

    #[test]
    fn a_parent_that_re_exports_what_uses_its_own_is_in_a_loop() {
        let found = uses(&[
            ("lib.rs", "mod a;"),
            ("a.rs", "mod child; pub use child::Item; pub struct Error;"),
            ("a/child.rs", "use super::Error; pub struct Item(Error);"),
        ]);
        assert_eq!(
            found,
            [
                "a.rs a/child.rs: child::Item",
                "a/child.rs a.rs: Error super::Error",
            ]
        );
    }

    #[test]
    fn a_module_and_a_function_of_one_name_are_told_apart() {
        let found = uses(&[
            ("lib.rs", "mod a;"),
            (
                "a.rs",
                "mod json; mod one; mod two; fn json() { json::bytes() }",
            ),
            ("a/json.rs", "pub fn bytes() {}"),
            ("a/one.rs", "use super::json; fn f() { json::bytes() }"),
            ("a/two.rs", "use super::json; fn f() { json() }"),
        ]);
        assert_eq!(
            found,
            [
                "a.rs a/json.rs: json::bytes",
                "a/one.rs a/json.rs: json::bytes",
                "a/two.rs a.rs: json",
            ]
        );
    }

    #[test]
    fn comments_literals_and_tests_use_nothing_and_macros_do() {
        let text = r##"
            // crate::b::Comment
            /* crate::b::Comment */
            const TEXT: &str = "crate::b::Text"; const RAW: &str = r#"crate::b::"Raw""#;
            fn f<'a>(quote: char, r#type: &'a u8) -> bool { quote == '"' || quote == '\'' || *r#type == b'"' }
            #[cfg(test)] mod tests { use crate::b::Test; }
            #[cfg(test)] use crate::b::{Test, More};
            fn g() { assert!(matches!(x, crate::b::Macro::Variant)); }
        "##;
        let found = uses(&[("lib.rs", "mod a; mod b;"), ("a.rs", text), ("b.rs", "")]);
        assert_eq!(found, ["a.rs b.rs: crate::b::Macro::Variant"]);
    }

    #[test]
    fn inline_modules_and_globs_are_followed() {
        let found = uses(&[
            ("lib.rs", "mod a; mod b;"),
            (
                "a.rs",
                "mod inner { use super::*; fn f(_: Item) { helper() } } use crate::b::*; fn helper() {}",
            ),
            ("b.rs", "pub struct Item;"),
        ]);
        assert_eq!(found, ["a.rs b.rs: Item"]);
    }

    #[test]
    fn loops_are_sets_of_files_that_lead_to_each_other() {
        let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "a")];
        let uses = edges.map(|(user, used)| ((user.to_owned(), used.to_owned()), BTreeSet::new()));
        let found = loops(&Uses::from(uses));
        assert_eq!(found, [BTreeSet::from(["a", "b", "c"].map(str::to_owned))]);
    }
}
