//! The scenarios that come with the program, on real processes.
#![expect(clippy::disallowed_methods, reason = "real processes take real time, and how much is said where one fails")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const TOGETHER: usize = 4;
/// What these ask for, no real process can be made to do, or not within a run's usual limit.
const NEED_THE_SIMULATOR: [&str; 4] = ["14_liars", "clock_ten_years_off", "receiver_dies", "suspended_laptop"];

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let paths = dir.read_dir().expect("scenarios").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|ext| ext == "lua")).collect();
    files.sort();
    assert!(files.len() >= 13, "{files:?}");
    files
}

fn run(file: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moot"));
    command.arg("run").arg(file).args(args).env_remove("MOOT_HOME").env_remove("RUST_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("moot starts")
}

/// The exit code of a run that ends as it should: what cannot be done is unknown, and never a pass.
fn expected(file: &Path) -> i32 {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).expect("a plain name");
    if NEED_THE_SIMULATOR.contains(&stem) { 4 } else { 0 }
}

/// What a run said, if it did not end so.
fn complaint(child: Child, code: i32) -> Option<String> {
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code() != Some(code)).then_some(said)
}

/// Runs `files`, a few at a time: on processes they mostly wait.
fn all_pass(files: &[PathBuf], args: &[&str]) {
    let begun = Instant::now();
    let mut failed = Vec::new();
    for some in files.chunks(TOGETHER) {
        let children: Vec<(Child, i32)> = some.iter().map(|file| (run(file, args), expected(file))).collect();
        failed.extend(children.into_iter().filter_map(|(child, code)| complaint(child, code)));
    }
    assert!(failed.is_empty(), "after {:?}:\n{}", begun.elapsed(), failed.join("\n"));
}

#[test]
fn every_scenario_that_real_processes_can_play_passes_on_them() {
    all_pass(&files(), &["--on", "processes"]);
}
