//! Holds the sources to the architecture: the floors of docs/ARCHITECTURE.md, the crates that belong to one
//! module, exceptions to the bans from floor 7 up only, and files that a person can read in one go.
//! Reads every file under src/ as tokens, so that paths in macros and in tests count like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Crates that one module owns, so that exchanging one touches one place.
const OWNED_CRATES: &[(&str, &str)] = &[
    ("bincode", "wire/codec.rs"),
    ("clap", "cli/"),
    ("data_encoding", "base/"),
    ("data_encoding", "store/"),
    ("data_encoding", "wire/"),
    ("ed25519_dalek", "crypto/"),
    ("getrandom", "runtime/"),
    ("humantime", "base/"),
    ("humantime", "cli/"),
    ("humantime", "faults/"),
    ("humantime", "scenario/"),
    ("humantime", "lua/"),
    ("humantime", "view/"),
    ("maud", "report/"),
    ("mio", "runtime/"),
    ("mlua", "lua/"),
    ("mlua", "scenario/"),
    ("rand_chacha", "base/rng.rs"),
    ("ring", "crypto/"),
    ("rusqlite", "store/"),
    ("rustyline", "repl/"),
    ("signal_hook_mio", "runtime/"),
    ("snow", "crypto/"),
    ("socket2", "runtime/"),
];

/// From here up a module may look at the clock and print; below, all that is handed in.
const DRIVER_FLOOR: u8 = 7;
/// The lints that guard that.
const DRIVER_LINTS: &[&str] = &["disallowed_methods", "disallowed_types", "print_stdout", "print_stderr"];

const LINES_MAX: usize = 600;

/// Where a module of the crate may be named from.
type Floors = BTreeMap<String, u8>;

#[test]
fn every_module_uses_only_floors_below_its_own() {
    let floors = documented_floors();
    let mut faults = Vec::new();
    for source in sources() {
        // The entry names every module; main.rs has only the library's name.
        if source.module.is_empty() {
            continue;
        }
        let Some(&floor) = floors.get(&source.module) else {
            faults.push(format!("{}: no floor in docs/ARCHITECTURE.md", source.name));
            continue;
        };
        for used in source.crate_paths() {
            match floors.get(&used) {
                Some(_) if used == source.module => {}
                Some(&below) if below < floor => {}
                Some(&other) => faults.push(format!(
                    "{}: {} is on floor {floor} and uses crate::{used}, which is on floor {other}",
                    source.name, source.module
                )),
                None => faults.push(format!("{}: crate::{used} is no module with a floor", source.name)),
            }
        }
        if source.climbs_out() {
            faults.push(format!("{}: leaves its module by `super`; write crate::…", source.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_row_of_the_table_is_a_module() {
    let written: BTreeSet<String> = documented_floors().into_keys().collect();
    let there: BTreeSet<String> = sources().into_iter().map(|source| source.module).filter(|m| !m.is_empty()).collect();
    assert_eq!(written, there);
}

#[test]
fn a_crate_that_one_module_owns_is_used_there_only() {
    let mut faults = Vec::new();
    for source in sources() {
        let owned: BTreeSet<&str> = OWNED_CRATES.iter().map(|(name, _)| *name).collect();
        for owned in owned {
            let at_home = OWNED_CRATES.iter().any(|(name, home)| *name == owned && source.name.starts_with(home));
            if !at_home && source.starts_path(owned) {
                faults.push(format!("{}: uses {owned}, which is not its own", source.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn only_the_simulator_gives_a_node_the_plain_suite() {
    // The suite comes with the identity, whose field is private: it is set to the plain one in one place, the function
    // `Identity::plain`, and one place calls that.
    let all = sources();
    let sets: Vec<(&str, usize)> = all
        .iter()
        .filter(|source| source.module != "sim")
        .map(|source| (source.name.as_str(), plain_suites(&source.tokens)))
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(sets, [("crypto/identity.rs", 1)], "the plain suite is chosen elsewhere, or in another way");
    let calls: Vec<&str> = all
        .iter()
        .filter(|source| source.module != "crypto" && ends_path(&source.tokens, "plain"))
        .map(|source| source.name.as_str())
        .collect();
    assert_eq!(calls, ["sim/machine.rs"], "who makes an identity of the plain suite");
}

#[test]
fn only_the_simulators_liars_make_a_node_say_what_it_does_not_mean() {
    // A node sends whatever it is given by one function, which its host hands on. Whoever names it could lie with it.
    let named: Vec<String> =
        sources().into_iter().filter(|source| names(&source.tokens, "utter")).map(|source| source.name).collect();
    assert_eq!(named, ["host/mod.rs", "node/mod.rs", "sim/liar/mod.rs"], "who can make a node lie");
}

#[test]
fn only_the_simulator_makes_a_node_hold_alive_whom_it_only_remembers() {
    let named: Vec<String> =
        sources().into_iter().filter(|source| names(&source.tokens, "presume")).map(|source| source.name).collect();
    assert_eq!(
        named,
        ["host/mod.rs", "membership/presence.rs", "node/mod.rs", "sim/met.rs"],
        "who can make a node hold others alive"
    );
}

#[test]
fn only_drivers_may_look_at_the_clock_or_print() {
    let floors = documented_floors();
    let mut faults = Vec::new();
    for source in sources() {
        let is_driver = floors.get(&source.module).is_some_and(|&floor| floor >= DRIVER_FLOOR);
        for lint in DRIVER_LINTS {
            if !is_driver && source.excepts(lint) {
                faults.push(format!("{}: excepts itself from {lint}", source.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_says_what_it_owns_and_can_be_read_in_one_go() {
    let mut faults = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//! ") {
            faults.push(format!("{}: does not open with //!", source.name));
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            faults.push(format!("{}: {lines} lines, {LINES_MAX} are the limit; it is two files", source.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// One file under src/.
struct Source {
    /// Its path below src/, with `/`.
    name: String,
    /// The top module that it belongs to; empty for lib.rs and main.rs.
    module: String,
    text: String,
    tokens: Vec<TokenTree>,
}

impl Source {
    /// The first name of each path that begins with `crate::`, `use` groups included.
    fn crate_paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect_crate_paths(&self.tokens, &mut found);
        found
    }

    /// Whether a path leaves the top module upwards, by as many `super` as the file lies deep in it.
    fn climbs_out(&self) -> bool {
        let depth = self.name.trim_end_matches("/mod.rs").split('/').count();
        climbs(&self.tokens, depth)
    }

    /// Whether some path begins with `name::`.
    fn starts_path(&self, name: &str) -> bool {
        starts_path(&self.tokens, name)
    }

    /// Whether an `expect(…)` or `allow(…)` names `lint`.
    fn excepts(&self, lint: &str) -> bool {
        excepts(&self.tokens, lint)
    }
}

fn collect_crate_paths(tokens: &[TokenTree], found: &mut Vec<String>) {
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            collect_crate_paths(&trees(group.stream()), found);
        }
        if !is_ident(token, "crate") || !is_path_separator(tokens, at + 1) {
            continue;
        }
        match tokens.get(at + 3) {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let parts = trees(group.stream());
                found.extend(parts.split(|part| is_punct(part, ',')).filter_map(<[_]>::first).map(ToString::to_string));
            }
            Some(first) => found.push(first.to_string()),
            None => {}
        }
    }
}

/// `depth` is how many `super` lead to the crate's root.
fn climbs(tokens: &[TokenTree], depth: usize) -> bool {
    let is_separated = |at: usize| at >= 3 && is_path_separator(tokens, at - 2) && is_ident(&tokens[at - 3], "super");
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Group(group) => {
            let is_inner = at >= 2 && is_ident(&tokens[at - 2], "mod") && group.delimiter() == Delimiter::Brace;
            climbs(&trees(group.stream()), depth + usize::from(is_inner))
        }
        TokenTree::Ident(ident) if ident == "super" => {
            let is_visibility = tokens.len() == 1;
            let before = (0..depth).take_while(|steps| is_separated(at - 3 * steps)).count();
            before + 1 >= depth && !is_visibility
        }
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

fn starts_path(tokens: &[TokenTree], name: &str) -> bool {
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Group(group) => starts_path(&trees(group.stream()), name),
        TokenTree::Ident(ident) => {
            let is_first = at < 2 || !is_path_separator(tokens, at - 2);
            ident == name && is_first && is_path_separator(tokens, at + 1)
        }
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Whether some path of more than one name ends in `name`.
fn ends_path(tokens: &[TokenTree], name: &str) -> bool {
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Group(group) => ends_path(&trees(group.stream()), name),
        TokenTree::Ident(ident) => {
            let is_last = !is_path_separator(tokens, at + 1);
            ident == name && is_last && at >= 2 && is_path_separator(tokens, at - 2)
        }
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Whether anything is called `name`.
fn names(tokens: &[TokenTree], name: &str) -> bool {
    tokens.iter().any(|token| match token {
        TokenTree::Group(group) => names(&trees(group.stream()), name),
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// How often something called `suite` is set to the plain one: `suite = …::Plain` or `suite: …::Plain`.
fn plain_suites(tokens: &[TokenTree]) -> usize {
    let sets = |at: usize, token: &TokenTree| {
        let is_set = |token: &TokenTree| is_punct(token, '=') || is_punct(token, ':');
        if !is_ident(token, "suite") || !tokens.get(at + 1).is_some_and(is_set) {
            return false;
        }
        let value =
            tokens[at + 2..].iter().take_while(|token| is_punct(token, ':') || matches!(token, TokenTree::Ident(_)));
        value.last().is_some_and(|last| is_ident(last, "Plain"))
    };
    let within = |token: &TokenTree| match token {
        TokenTree::Group(group) => plain_suites(&trees(group.stream())),
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => 0,
    };
    tokens.iter().enumerate().map(|(at, token)| usize::from(sets(at, token)) + within(token)).sum()
}

fn excepts(tokens: &[TokenTree], lint: &str) -> bool {
    tokens.iter().enumerate().any(|(at, token)| {
        let TokenTree::Group(group) = token else { return false };
        let inner = trees(group.stream());
        let is_exception = at >= 1 && (is_ident(&tokens[at - 1], "expect") || is_ident(&tokens[at - 1], "allow"));
        (is_exception && inner.iter().any(|t| is_ident(t, lint))) || excepts(&inner, lint)
    })
}

fn trees(stream: TokenStream) -> Vec<TokenTree> {
    stream.into_iter().collect()
}

fn is_ident(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == name)
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    tokens.get(at..at + 2).is_some_and(|two| two.iter().all(|token| is_punct(token, ':')))
}

/// The rows of the table in docs/ARCHITECTURE.md that look like: | 3 | `transport` | … |
fn documented_floors() -> Floors {
    let text = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("docs/ARCHITECTURE.md");
    let floors: Floors = text.lines().filter_map(floor_of_row).collect();
    assert!(floors.len() > 3, "docs/ARCHITECTURE.md has no table of floors");
    floors
}

fn floor_of_row(line: &str) -> Option<(String, u8)> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let floor = cells.next()?.parse().ok()?;
    let module = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
    Some((module.to_owned(), floor))
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut paths = Vec::new();
    collect_files(&src, &mut paths);
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|path| source(&src, path)).collect()
}

fn source(src: &Path, path: &Path) -> Source {
    let name = path.strip_prefix(src).expect("found below src").to_string_lossy().replace('\\', "/");
    let text = fs::read_to_string(path).expect("a readable source");
    let tokens = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
    let module = match name.split_once('/') {
        Some((top, _)) => top.to_owned(),
        None => name.strip_suffix(".rs").filter(|stem| !matches!(*stem, "lib" | "main")).unwrap_or_default().to_owned(),
    };
    Source { name, module, text, tokens: trees(tokens) }
}

fn collect_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The reading itself, on lines that break each rule.
mod reading {
    use super::*;

    fn tokens(text: &str) -> Vec<TokenTree> {
        trees(text.parse().expect("tokens"))
    }

    #[test]
    fn crate_paths_are_found_in_groups_bodies_and_macros() {
        let mut found = Vec::new();
        let text = "use crate::{base::{A, B}, wire}; pub(crate) fn f() { g(vec![crate::store::X]) } use crate::lua::Y;";
        collect_crate_paths(&tokens(text), &mut found);
        assert_eq!(found, ["base", "wire", "store", "lua"]);
    }

    #[test]
    fn a_way_out_by_super_is_found() {
        let (door, sibling) = (1, 2);
        assert!(climbs(&tokens("use super::store::X;"), door));
        assert!(climbs(&tokens("mod tests { use super::super::store::X; }"), door));
        assert!(climbs(&tokens("use super::super::store::X;"), sibling));
        assert!(climbs(&tokens("mod tests { fn f() { super::super::super::store::X } }"), sibling));
        assert!(!climbs(&tokens("mod tests { use super::*; }"), door));
        assert!(!climbs(&tokens("use super::sibling::X; mod tests { use super::super::sibling::X; }"), sibling));
        assert!(!climbs(&tokens("pub(super) fn f() {}"), door));
    }

    #[test]
    fn a_plain_suite_is_found() {
        for text in [
            "fn f() { identity.suite = Suite::Plain; }",
            "Self { noise, suite: Plain }",
            "vec![Options { suite: crate::crypto::Suite::Plain, ..Options::new(1) }]",
        ] {
            assert_eq!(plain_suites(&tokens(text)), 1, "{text}");
        }
        for text in ["Self { suite: Suite::Real }", "suite == Suite::Plain", "match suite { Suite::Plain => 1 }"] {
            assert_eq!(plain_suites(&tokens(text)), 0, "{text}");
        }
        assert!(ends_path(&tokens("f(Identity :: plain(rng))"), "plain"));
        assert!(ends_path(&tokens("let make = crate::crypto::Identity::plain;"), "plain"));
        assert!(!ends_path(&tokens("plain(text); plain::run(); self.plain()"), "plain"));
    }

    #[test]
    fn owned_crates_and_exceptions_are_found() {
        assert!(starts_path(&tokens("use mio::Poll;"), "mio"));
        assert!(starts_path(&tokens("fn f() { x(mio::Poll::new()) }"), "mio"));
        assert!(!starts_path(&tokens("use crate::mio::Poll;"), "mio"));
        let text = r#"#![expect(clippy::print_stdout, reason = "it talks to a person")]"#;
        assert!(excepts(&tokens(text), "print_stdout"));
        assert!(!excepts(&tokens("#[expect(clippy::too_many_lines)] fn f() {}"), "print_stdout"));
    }
}
