//! The statement of a script that failed, as a scenario without the rest of the script can say it. Owns the
//! finding of it in the source, and what its names stand for, which is read off what was asked while it ran.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::stage::{Argument, Asked};
use super::steps::local;

/// The statement that begins in `line` of `source` (from 1), with its names bound. `None` where none is found.
pub(super) fn at(source: &str, line: u32, asked: &[Asked]) -> Option<String> {
    let line = usize::try_from(line).ok()?.checked_sub(1)?;
    let begin: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let here = source.get(begin..)?;
    let end_of_line = here.find('\n').unwrap_or(here.len());
    let words = ["expect.", "wait_until"];
    let offset = words.iter().filter_map(|word| here[..end_of_line].find(word)).min()?;
    let call = call(&here[offset..])?;
    let mut bound = String::new();
    for (name, value) in bindings(call, asked).into_iter().filter(|(name, value)| name != value) {
        let _ = writeln!(bound, "  local {name} = {value}");
    }
    Some(if bound.is_empty() { format!("{call}\n") } else { format!("do\n{bound}  {call}\nend\n") })
}

/// The call that `text` begins with, up to its closing bracket.
fn call(text: &str) -> Option<&str> {
    let open = text.find(['(', '{'])?;
    let length = balanced(&text[open..])?;
    Some(&text[..open + length])
}

/// The length of the bracketed text that `text` begins with; brackets in strings and comments do not count.
fn balanced(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        match c {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            '"' | '\'' => {
                while let Some((_, inner)) = rest.next() {
                    match inner {
                        '\\' => drop(rest.next()),
                        inner if inner == c => break,
                        _ => {}
                    }
                }
            }
            '-' if text[at..].starts_with("--") => while rest.next().is_some_and(|(_, inner)| inner != '\n') {},
            _ => {}
        }
    }
    None
}

/// What the names in `call` stand for: each question that it asks is found again among those that were asked.
fn bindings(call: &str, asked: &[Asked]) -> BTreeMap<String, String> {
    let mut bound = BTreeMap::new();
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, _) in call.match_indices([':', '.']) {
        let Some((receiver, method, args)) = question(call, at) else { continue };
        let nth = met.entry(method).or_default();
        let found = asked.iter().filter(|asked| asked.what == method).nth(*nth);
        *nth += 1;
        let Some(found) = found else { continue };
        if call[at..].starts_with(':') && !found.node.is_empty() {
            bound.insert(receiver.to_owned(), local(&found.node));
        }
        for (name, argument) in args.into_iter().zip(&found.with) {
            let value = match argument {
                Argument::Node(node) => local(node),
                Argument::Message(said) => format!("said[{}]", said.number),
                Argument::Other => continue,
            };
            if is_name(name) {
                bound.insert(name.to_owned(), value);
            }
        }
    }
    bound
}

/// `bo:delivery(m, cy)` around the colon at `at`: receiver, method and arguments.
fn question(call: &str, at: usize) -> Option<(&str, &str, Vec<&str>)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let before = &call[..at];
    let receiver = &before[before.rfind(|c| !is_part(c)).map_or(0, |end| end + 1)..];
    let after = &call[at + 1..];
    let method = &after[..after.find(|c| !is_part(c))?];
    let brackets = &after[method.len()..];
    if !brackets.starts_with('(') || receiver.is_empty() || method.is_empty() {
        return None;
    }
    let inner = &brackets[1..balanced(brackets)? - 1];
    Some((receiver, method, split(inner)))
}

/// The parts of an argument list.
fn split(list: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < list.len() {
        let rest = &list[at..];
        if rest.starts_with(['(', '{', '[']) {
            at += balanced(rest).unwrap_or(rest.len());
            continue;
        }
        if rest.starts_with(',') {
            parts.push(list[from..at].trim());
            from = at + 1;
        }
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    parts.push(list[from..].trim());
    parts
}

fn is_name(text: &str) -> bool {
    text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(what: &'static str, node: &str, with: &[Argument]) -> Asked {
        Asked::new(what, &node.into(), with)
    }

    #[test]
    fn a_statement_is_found_whole_and_its_names_bound() {
        let source = "local n = bo\nwait_until(\"a) receipt\", \"20s\", function()\n  return n:member(x).state == 'alive' -- )\nend)\nwait(1)\n";
        let found = at(source, 2, &[asked("member", "bo", &[Argument::Node("ana".into())])]).unwrap();
        let wanted = "do\n  local n = bo\n  local x = ana\n  wait_until(\"a) receipt\", \"20s\", function()\n  return n:member(x).state == 'alive' -- )\nend)\nend\n";
        assert_eq!(found, wanted);
    }

    #[test]
    fn names_that_stand_for_themselves_need_no_binding() {
        let source = "  expect.is_true(room.converged())";
        assert_eq!(
            at(source, 1, &[asked("converged", "", &[])]).as_deref(),
            Some("expect.is_true(room.converged())\n")
        );
        assert_eq!(at("wait(3)", 1, &[]), None);
    }
}
