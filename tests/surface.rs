//! Holds what is written from the table of the Lua surface to the table: `scripts/moot.d.lua` and the references in
//! docs/SCRIPTING.md and docs/SCENARIOS.md. `UPDATE=1 cargo test --test surface` writes them anew.

use std::fs;
use std::path::PathBuf;

use folkmoot::lua::surface::{self, HOOKS, Surface};
use folkmoot::scenario::SCENARIOS;

const BEGIN: &str = "by `UPDATE=1 cargo test --test surface`. -->\n\n";
const END: &str = "<!-- The end of what is written. -->\n";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The file is `wanted`, or becomes so where that is asked for.
fn hold(name: &str, wanted: &str) {
    let there = fs::read_to_string(path(name)).unwrap_or_default();
    if there == wanted {
        return;
    }
    assert!(
        std::env::var_os("UPDATE").is_some(),
        "{name} is not as the table has it: UPDATE=1 cargo test --test surface"
    );
    fs::write(path(name), wanted).expect("written");
}

#[test]
fn the_definitions_for_editors_are_those_of_the_table() {
    hold("scripts/moot.d.lua", &surface::definitions(&[HOOKS, SCENARIOS]));
}

#[test]
fn the_references_of_the_manuals_are_those_of_the_table() {
    for (name, surface) in [("docs/SCRIPTING.md", HOOKS), ("docs/SCENARIOS.md", SCENARIOS)] {
        hold_reference(name, surface);
    }
}

fn hold_reference(name: &str, surface: Surface) {
    let text = fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (before, rest) = text.split_once(BEGIN).expect("where the reference begins");
    let (_, after) = rest.split_once(END).expect("where it ends");
    hold(name, &format!("{before}{BEGIN}{}{END}{after}", surface::reference(&[surface])));
}
