//! The scenarios that come with the program, on real processes.
#![expect(clippy::disallowed_methods, reason = "real processes take real time, and how much is said where one fails")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const TOGETHER: usize = 4;

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

/// What a run said, if it did not pass.
fn complaint(child: Child) -> Option<String> {
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code() != Some(0)).then_some(said)
}

/// Runs `files`, a few at a time: on processes they mostly wait.
fn all_pass(files: &[PathBuf], args: &[&str]) {
    let begun = Instant::now();
    let mut failed = Vec::new();
    for some in files.chunks(TOGETHER) {
        let children: Vec<Child> = some.iter().map(|file| run(file, args)).collect();
        failed.extend(children.into_iter().filter_map(complaint));
    }
    assert!(failed.is_empty(), "after {:?}:\n{}", begun.elapsed(), failed.join("\n"));
}

#[test]
fn every_scenario_passes_on_real_processes() {
    all_pass(&files(), &["--on", "processes"]);
}
