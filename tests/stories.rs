//! The scenarios that come with the program, on real processes.
#![expect(clippy::disallowed_methods, reason = "real processes take real time, and how much is said where one fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

/// On processes a scenario mostly waits.
const TOGETHER: usize = 8;
/// What these ask for, no real process can be made to do, or not within a run's usual limit.
const NEED_THE_SIMULATOR: [&str; 7] = [
    "14_liars",
    "author_dies_at_commit",
    "clock_ten_years_off",
    "cut_off_group",
    "receiver_dies",
    "refused_and_expired",
    "suspended_laptop",
];

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let paths = dir.read_dir().expect("scenarios").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|ext| ext == "lua")).collect();
    files.sort();
    assert!(files.len() >= 13, "{files:?}");
    files
}

/// The exit code of a run that ends as it should: what cannot be done is unknown, and never a pass.
fn expected(file: &Path) -> i32 {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).expect("a plain name");
    if NEED_THE_SIMULATOR.contains(&stem) { 4 } else { 0 }
}

/// What a run said, if it did not end as it should.
fn complaint(file: &Path, args: &[&str]) -> Option<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moot"));
    command.arg("run").arg(file).args(args).env_remove("MOOT_HOME").env_remove("RUST_LOG").stdin(Stdio::null());
    let output = command.output().expect("moot runs");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code() != Some(expected(file))).then_some(said)
}

/// Runs `files`, a few at a time. Those with a number are the short ones, so they come last.
fn all_pass(files: Vec<PathBuf>, args: &[&str]) {
    let begun = Instant::now();
    let (left, failed) = (Mutex::new(files), Mutex::new(Vec::new()));
    let next = || left.lock().expect("no worker panics").pop();
    thread::scope(|scope| {
        for _ in 0..TOGETHER {
            scope.spawn(|| {
                while let Some(file) = next() {
                    let said = complaint(&file, args);
                    failed.lock().expect("no worker panics").extend(said);
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no worker panics");
    assert!(failed.is_empty(), "after {:?}:\n{}", begun.elapsed(), failed.join("\n"));
}

#[test]
fn every_scenario_that_real_processes_can_play_passes_on_them() {
    all_pass(files(), &["--on", "processes"]);
}
