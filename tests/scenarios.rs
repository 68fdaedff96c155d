//! `moot run`, driven as a person would: what it says of each kind of failure, what a seed repeats, and what a
//! sweep finds and shrinks.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A directory with one scenario in it.
struct Desk {
    dir: TempDir,
}

impl Desk {
    fn with(source: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("s.lua"), source).expect("a scenario");
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `moot run s.lua` with more words, in the directory, so that errors name just the file.
    fn run(&self, words: &[&str]) -> Output {
        moot(self.dir.path(), &[&["run", "s.lua"], words].concat())
    }

    /// What it said of a failure: its exit code and what stands below the first line.
    fn says(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.run(words);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        (output.status.code(), rest.to_owned())
    }

    fn json(&self, words: &[&str]) -> Value {
        let output = self.run(&[words, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

fn moot(dir: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moot"));
    command.args(words).current_dir(dir).env_remove("MOOT_HOME").output().expect("moot runs")
}

const THREE: &str = r#"scenario{ name = "three", settle = false }
local ana, bo, cy = room.nodes{ "ana", "bo", "cy" }
wait_until("all see all", "30s", room.converged)
"#;

/// A scenario of three that have met, with more lines from line 4 on.
fn three(more: &str) -> Desk {
    Desk::with(&format!("{THREE}{more}\n"))
}

/// Asserts the exit code, and that the message begins like this: with file, line and time.
fn assert_says(desk: &Desk, code: i32, begins: &str, has: &str) {
    let (exit, text) = desk.says(&[]);
    assert!(text.starts_with(begins), "{begins:?} is to begin:\n{text}");
    assert!(text.contains(has), "{has:?} is to be in:\n{text}");
    assert_eq!(exit, Some(code), "{text}");
}

#[test]
fn every_scenario_passes_on_the_simulator() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<String> = fs::read_dir(root.join("scenarios"))
        .expect("scenarios")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "lua"))
        .map(|path| path.display().to_string())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let words: Vec<&str> = ["run"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let output = moot(root, &words);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("passed")).count(), files.len(), "{text}");
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_not() {
    let desk = three("local m = ana:say('hello')\nwait_until('shown', '10s', function() return bo:shows(m) end)");
    let hash = |seed: &str| desk.json(&["--seed", seed])["hash"].as_str().expect("a hash").to_owned();
    assert_eq!(hash("7"), hash("7"));
    assert_ne!(hash("7"), hash("8"));
}

#[test]
fn an_expectation_that_is_not_met_says_where_when_and_what_led_to_it() {
    let desk = three("wait('1s')\nlocal m = ana:tell(bo, 'for bo alone')\nwait('1s')\nexpect.shown(cy, m)");
    let (code, text) = desk.says(&[]);
    assert_eq!(code, Some(1), "{text}");
    let first = text.lines().next().expect("a line");
    assert!(first.starts_with("s.lua:7, at "), "{first}");
    assert!(first.ends_with(r#" s: "for bo alone" from ana was to be shown on cy, and it was not"#), "{first}");
    assert!(text.contains("what led to it:"), "{text}");
    assert!(text.contains("tells bo “for bo alone”"), "{text}");
    assert!(text.ends_with("run it again with: moot run s.lua --seed 0\n"), "{text}");
}

#[test]
fn what_was_said_is_not_crowded_out_by_what_was_sent_again_and_again() {
    let desk = three(
        "net.cut{ from = bo, to = ana }\nlocal m = ana:tell(bo, 'did you?')\nwait('12s')\n\
         expect.outcome(m, bo, 'delivered')",
    );
    let (code, text) = desk.says(&[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("fault: cut from bo to ana"), "{text}");
    assert!(text.contains("tells bo “did you?”"), "{text}");
}

#[test]
fn a_wait_that_runs_out_says_for_what_how_long_and_how_the_room_stands() {
    let desk = three("cy:crash()\nbo:pause()\nwait_until('bo to see cy', '2s', function() return false end)");
    assert_says(&desk, 1, "s.lua:6, at ", "s: waited 2.000 s for \"bo to see cy\", in vain\n");
    assert_says(&desk, 1, "s.lua:6, at ", "\n  ana is up, and sees ");
    assert_says(&desk, 1, "s.lua:6, at ", "\n  bo is paused\n  cy is down\n");
}

#[test]
fn an_error_in_the_script_names_its_line_and_exits_with_2() {
    assert_says(&Desk::with("local x ="), 2, "s.lua:1: ", "unexpected symbol near <eof>");
    assert_says(&Desk::with("wait('1s')"), 2, "s.lua:1: ", "a scenario begins with scenario{");
    assert_says(&Desk::with("local x = 1"), 2, "s.lua is no scenario", "");
    assert_says(&three("local x = nil + 1"), 2, "s.lua:4, at ", "attempt to perform arithmetic on a nil value");
    assert_says(&three("wait('soon')"), 2, "s.lua:4, at ", "wait wants a time such as \"1.5s\"");
    assert_says(&three("room.node('zed')"), 2, "s.lua:4, at ", "no node is called zed; there are ana, bo, cy");
    assert_says(&three("bo:crahs()"), 2, "s.lua:4, at ", "a node has no field crahs; is crash meant?");
    assert_says(
        &three("net.cut{ form = bo }"),
        2,
        "s.lua:4, at ",
        "net.cut knows no field \"form\"; there are from, to",
    );
    assert_says(&three("net.default{ loss = '200%' }"), 2, "s.lua:4, at ", "net.default: ");
    assert_says(&three("net.default{ 'loss=5% to bo' }"), 2, "s.lua:4, at ", "\"loss=5% to bo\" names its ends");
    assert_says(&three("room.crowd(0)"), 2, "s.lua:4, at ", "room.crowd wants a count from 1 to 16384");
    assert_says(&three("room.crowd(4e9 // 1 | 0)"), 2, "s.lua:4, at ", "room.crowd wants a count from 1 to 16384");
    assert_says(&three("net.default{ 5 }"), 2, "s.lua:4, at ", "net.default wants a spec such as \"loss=5%\"");
    assert_says(&three("wiat('1s')"), 2, "s.lua:4, at ", "nothing is called wiat; is wait meant?");
    assert_says(&three("expect.eqaul(1, 1)"), 2, "s.lua:4, at ", "expect has no field eqaul; is equal meant?");
    assert_says(&three("bo:start()"), 2, "s.lua:4, at ", "bo runs already");
    assert_says(&three("bo:crash()\nbo:status()"), 2, "s.lua:5, at ", "bo is down");
    assert_says(&three("ana:delivery(bo, bo)"), 2, "s.lua:4, at ", "wants a message as a message, and got the node bo");
}

#[test]
fn an_error_names_its_own_line_and_never_that_of_the_last_wait() {
    assert_says(&three("local f = coroutine.wrap(function() end)\nf()\nf()"), 2, "s.lua:6, at ", "cannot resume dead");
    assert_says(&three("ana.say('hi')"), 2, "s.lua:4, at ", "say is asked of a node, with a colon: ana:say(…)");
    // Lua puts no line before what is no text.
    assert_says(&three("wait('1s')\nerror{ code = 1 }"), 2, "s.lua:5, at 1.0", " s: an error that is no text: table\n");
    assert_says(&three("wait('1s')\nerror(nil)"), 2, "s.lua:5, at 1.0", " s: an error that is no text: nil\n");
    assert_says(&three("wait('1s')\ncoroutine.yield(1)"), 2, "at 1.0", " s: s.lua: coroutine.yield outside");
}

#[test]
fn what_waits_is_where_the_run_stands() {
    let desk = three("spawn(function()\n  wait('10s')\n  wait('1h')\nend)\nwait_until('never', '2h', function() end)");
    let (code, text) = desk.says(&["--limit", "1m"]);
    assert!(text.starts_with("s.lua:8, at 60.000 s: the run reached its limit"), "{text}");
    assert_eq!(code, Some(2));
    assert_says(
        &three("for _ = 1, 1001 do\n  spawn(function() wait('1s') end)\nend"),
        2,
        "s.lua:5, at ",
        "run already",
    );
}

#[test]
fn what_was_told_before_is_looked_back_at() {
    let crashed =
        "cy:crash()\nwait_until('missed', '15s', function()\n  return ana:member(cy).state == 'unreachable'\nend)\n";
    let met = format!(
        "{crashed}cy:start()\nwait_until('back', '30s', room.converged)\n\
         expect.never_saw({{ ana, bo }}, {{ ana, bo }}, 'suspect')\nexpect.never_saw(ana, cy, 'left')\n\
         local saw = ana:saw(cy)\nexpect.equal({{ saw[#saw - 1], saw[#saw] }}, {{ 'unreachable', 'alive' }})\n\
         expect.equal(ana:alarms(), {{}})"
    );
    assert_eq!(three(&met).run(&[]).status.code(), Some(0), "{:?}", three(&met).says(&[]));
    let unmet = format!("{crashed}expect.never_saw({{ bo, ana }}, {{ bo, cy }}, 'unreachable')");
    let sentence = "ana was never to see cy unreachable, and saw it alive, suspect, unreachable";
    let (code, text) = three(&unmet).says(&[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(sentence) || text.contains(&sentence.replacen("ana", "bo", 1)), "{text}");
    assert_says(&three("expect.never_saw(ana, bo, 'gone')"), 2, "s.lua:4, at ", "knows no state \"gone\"");
}

#[test]
fn a_scenario_has_the_time_that_it_says_it_needs_where_that_is_free() {
    let desk = Desk::with("scenario{ name = 'long', limit = '3h', settle = false }\nroom.homes{ 'ana' }\nwait('2h')\n");
    assert_eq!(desk.run(&[]).status.code(), Some(0));
    let (code, text) = desk.says(&["--limit", "30m"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("the run reached its limit of 1800.000 s"), "{text}");
    let (code, text) = desk.says(&["--on", "processes"]);
    assert_eq!(code, Some(4), "{text}");
    assert!(text.contains("it needs up to 10800.000 s of its own time"), "{text}");
}

#[test]
fn no_pcall_swallows_a_failure() {
    assert_says(&three("pcall(function() expect.equal(1, 2) end)"), 1, "s.lua:4, at ", "expected 2, and found 1");
    assert_says(&three("pcall(function() room.node('zed') end)"), 2, "s.lua:4, at ", "no node is called zed");
}

#[test]
fn a_loop_without_end_is_stopped() {
    assert_says(&three("while true do end"), 2, "s.lua:4, at ", "stopped, because it ran too long");
    let desk = three("while true do wait('10s') end");
    let (code, text) = desk.says(&["--limit", "2m"]);
    assert!(
        text.starts_with("s.lua:4, at 120.000 s: the run reached its limit of 120.000 s; raise it with --limit"),
        "{text}"
    );
    assert_eq!(code, Some(2));
}

#[test]
fn where_no_time_passes_the_run_ends() {
    for endless in ["while true do wait(0) end", "function again() spawn(again) end\nspawn(again)"] {
        let (code, text) = three(endless).says(&[]);
        assert!(text.contains("no time passes: 100000 times"), "{text}");
        assert_eq!(code, Some(2), "{text}");
    }
    let (code, text) = three("wait('1ns')").says(&["--limit", "1ns"]);
    assert!(text.contains("the run reached its limit of 0.000 s"), "{text}");
    assert_eq!(code, Some(2), "{text}");
}

#[test]
fn a_refusal_that_was_caught_is_not_what_a_later_error_is_about() {
    let caught = "pcall(function() ana:tell(ana, 'hi') end)\n";
    assert_says(&three(&format!("{caught}local x = nil + 1")), 2, "s.lua:5, at ", "arithmetic on a nil value");
    let other = "expect.refused(function() local x = nil + 1 end)";
    assert_says(&three(&format!("{caught}{other}")), 2, "s.lua:5, at ", "found no refusal but an error: s.lua:5: ");
    assert_says(
        &three("local _, why = pcall(function() ana:tell(ana, 'hi') end)\nerror(why)"),
        1,
        "s.lua:4, at ",
        "yourself",
    );
}

#[test]
fn a_refusal_may_be_expected_and_fails_the_run_where_it_is_not() {
    assert_says(&three("ana:tell(ana, 'hi')"), 1, "s.lua:4, at ", "ana refused: that is yourself");
    let met = "expect.refused(function() ana:tell(ana, 'hi') end, 'yourself')";
    assert_eq!(three(met).run(&[]).status.code(), Some(0));
    assert_says(&three("expect.refused(function() ana:say('hi') end)"), 1, "s.lua:4, at ", "and was done");
}

#[test]
fn what_a_fleet_cannot_do_is_unknown_and_never_a_pass() {
    let desk =
        Desk::with("scenario{ name = 'power cut' }\nlocal ana = room.nodes{ 'ana' }\nana:crash{ unsynced = 'lose' }\n");
    let (code, text) = desk.says(&["--on", "processes"]);
    assert_eq!(code, Some(4), "{text}");
    assert!(text.starts_with("s.lua:3, at "), "{text}");
    assert_eq!(desk.run(&[]).status.code(), Some(0));
}

#[test]
fn a_name_leads_nowhere_out_of_the_directory_of_a_fleet() {
    for name in ["../out", "..", "a/b"] {
        let desk = Desk::with(&format!("scenario{{ name = 'out' }}\nroom.homes{{ '{name}' }}\n"));
        fs::create_dir(desk.path("tmp")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_moot"));
        command
            .args(["run", "s.lua", "--on", "processes"])
            .current_dir(desk.dir.path())
            .env("TMPDIR", desk.path("tmp"));
        let output = command.output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("is no name for a node"), "{output:?}");
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(fs::read_dir(desk.path("tmp")).unwrap().count(), 0);
    }
}

#[test]
fn a_fault_that_makes_no_sense_is_the_scripts_error_on_either_fleet() {
    let desk = Desk::with("scenario{ name = 'zed' }\nlocal ana = room.nodes{ 'ana' }\nana:fault('cut to zed')\n");
    for fleet in ["sim", "processes"] {
        let (code, text) = desk.says(&["--on", fleet]);
        assert!(text.contains("zed is not known here"), "{text}");
        assert_eq!(code, Some(2), "{text}");
    }
}

#[test]
fn wrong_words_on_the_line_exit_with_2() {
    let desk = three("");
    for words in [&["--seeds", "5..1"][..], &["--shard", "1/2"], &["--on", "paper"], &["--seed", "x"]] {
        assert_eq!(desk.run(words).status.code(), Some(2), "{words:?}");
    }
    assert_eq!(moot(desk.dir.path(), &["run", "gone.lua"]).status.code(), Some(2));
}

#[test]
fn no_file_is_written_over_another_and_none_where_there_is_no_directory() {
    let desk = three("");
    for words in [
        &["--trace", "x", "--report", "./x"][..],
        &["--trace", "s.lua"],
        &["--seeds", "1..2", "--shrink-to", "s.lua"],
        &["--report", "nowhere/x"],
        &["--diagram", "."],
    ] {
        let output = desk.run(words);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{words:?}: {output:?}");
    }
    assert_eq!(fs::read_to_string(desk.path("s.lua")).unwrap(), format!("{THREE}\n"));
}

#[test]
fn what_was_found_is_said_where_it_cannot_be_written() {
    let desk = three("local m = ana:say('hi')\nwait('2s')\nexpect.not_shown(bo, m)");
    fs::create_dir(desk.path("s.shrunk.lua")).unwrap();
    let output = desk.run(&["--seeds", "3..9"]);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("failed  s.lua  seed 3, "), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("moot: cannot write s.shrunk.lua: "), "{output:?}");
    assert_eq!(output.status.code(), Some(1));
    if cfg!(target_os = "linux") {
        let output = desk.run(&["--trace", "/dev/full"]);
        assert!(String::from_utf8_lossy(&output.stdout).starts_with("failed  s.lua  seed 0, "), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("moot: cannot write /dev/full: "), "{output:?}");
    }
}

#[test]
fn all_files_are_read_before_the_first_is_run() {
    let desk = three("");
    fs::write(desk.path("bytes.lua"), b"-- one\n\xff").unwrap();
    for (file, why) in
        [("gone.lua", "there is no such file"), ("bytes.lua", "line 2 is not UTF-8"), ("/dev/zero", "longer")]
    {
        let output = desk.run(&[file]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(why), "{said}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{output:?}");
    }
}

#[test]
fn a_reader_that_went_away_makes_no_failure_a_pass() {
    let desk = three("expect.equal(1, 2)");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_moot"));
    let status = command.args(["run", "s.lua"]).current_dir(desk.dir.path()).stdout(writer).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

/// A home and its copy: both fall silent, so the views of the others and theirs stay apart, and the room never comes
/// to rest.
fn copied_home(settle: &str, last: &str) -> Desk {
    let begin = format!(r#"scenario{{ name = "copied", settle = "{settle}" }}"#);
    let copied = r#"local ana, bo = room.nodes{ "ana", "bo" }
wait_until("all see all", "30s", room.converged)
bo:crash()
local copy = room.homes{ "copy" }
copy:copy(bo)
bo:start()
copy:start()"#;
    Desk::with(&[&begin, copied, last].join("\n"))
}

#[test]
fn the_end_finds_a_room_that_does_not_come_to_rest() {
    let desk = copied_home("20s", "wait('10s')");
    let (code, text) = desk.says(&[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("check 9 (the room settles) does not hold"), "{text}");
}

#[test]
fn a_trace_has_a_line_for_each_event_with_earlier_causes() {
    let desk = three("ana:say('hello')");
    let path = desk.path("t.jsonl");
    desk.run(&["--trace", path.to_str().expect("UTF-8")]);
    let trace = fs::read_to_string(path).expect("a trace");
    let lines: Vec<Value> = trace.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["what"], "began");
    assert_eq!(lines[0]["scenario"], "three");
    let mut has_cause = false;
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(line["n"], at as u64 + 1);
        if let Some(cause) = line["cause"].as_u64() {
            has_cause = true;
            assert!(cause < at as u64 + 1, "{line}");
        }
    }
    assert!(has_cause);
    assert!(lines.iter().any(|line| line["what"] == "accepted" && line["text"] == "hello"));
}

#[test]
fn a_run_that_is_killed_leaves_its_trace() {
    let desk = three("while true do wait('10s') ana:say('still here') end");
    // The trace goes to a pipe: what is read from it was written before the kill.
    let mut child = Command::new(env!("CARGO_BIN_EXE_moot"))
        .args(["run", "s.lua", "--trace", "/dev/stdout", "--limit", "1000000h"])
        .current_dir(desk.dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("moot runs");
    let mut written =
        BufReader::new(child.stdout.take().expect("it is piped")).lines().map(|line| line.expect("UTF-8"));
    let mut text: Vec<String> = Vec::new();
    while !text.last().is_some_and(|line| line.contains("still here")) {
        text.push(written.next().expect("it runs without an end"));
    }
    child.kill().expect("it runs without an end");
    child.wait().expect("it is gone");
    text.extend(written);
    let lines: Vec<Value> = text.iter().map(|line| serde_json::from_str(line).expect("a whole line")).collect();
    assert_eq!(lines[0]["what"], "began");
    assert!(lines.iter().any(|line| line["what"] == "accepted"), "{} lines", lines.len());
}

/// The message does not reach bo where the seed pauses it; the rest has nothing to do with that.
const PLANTED: &str = r#"scenario{ name = "planted", swarm = { "loss=5%", "delay=30ms±30ms", "duplicate=20%", "disk=30ms" } }
local ana, bo, cy, dee = room.nodes{ "ana", "bo", "cy", "dee" }
wait_until("all see all", "30s", room.converged)
for i = 1, 5 do cy:say("chatter " .. i) end
local slow = net.link{ from = dee, to = cy, delay = "100ms" }
wait("5s")
if rng.below(5) == 0 then bo:pause() end
dee:crash()
wait("2s")
slow:heal()
local m = ana:tell(bo, "are you there?")
wait("5s")
expect.shown_once(bo, m)
"#;

#[test]
fn a_sweep_finds_a_planted_failure_and_shrinks_it_to_what_matters() {
    let desk = Desk::with(PLANTED);
    let found = desk.json(&["--seeds", "1..40"]);
    assert_eq!(found["verdict"], "failed", "{found:#}");
    assert!(found["passed"].as_u64() > Some(0), "{found:#}");
    let seed = found["seed"].to_string();
    let alone = desk.json(&["--seed", &seed]);
    for what in ["verdict", "hash", "error"] {
        assert_eq!(alone[what], found[what], "the seed alone repeats the sweep's run");
    }

    let shrunk = fs::read_to_string(desk.path("s.shrunk.lua")).expect("a shrunk scenario");
    for gone in ["cy", "dee", "chatter", "loss"] {
        let code = shrunk.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
        assert!(!code.contains(gone), "{gone} does not matter:\n{shrunk}");
    }
    for left in ["bo:pause()", "ana:tell(bo, \"are you there?\")", "expect.shown_once(bo, m)"] {
        assert!(shrunk.contains(left), "{left} matters:\n{shrunk}");
    }
    let again = moot(desk.dir.path(), &["run", "s.shrunk.lua", "--seed", &seed, "--json"]);
    assert_eq!(again.status.code(), Some(1));
    let again: Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!(again["error"]["text"], found["error"]["text"]);
}

#[test]
fn shards_sweep_a_part_each() {
    let desk = three("expect.equal(sim.seed() % 4, 3)");
    let found = desk.json(&["--seeds", "3..40", "--shard", "1/4"]);
    assert_eq!((found["verdict"].as_str(), found["passed"].as_u64()), (Some("passed"), Some(10)), "{found:#}");
    assert_eq!(desk.run(&["--seeds", "3..40", "--shard", "2/4", "--no-shrink"]).status.code(), Some(1));
}

#[test]
fn spawned_functions_run_beside_the_script() {
    let desk = three(
        "local order = ''\nspawn(function() wait('2s') order = order .. 'b' end)\nwait('1s')\norder = order .. 'a'\n\
         wait('2s')\nexpect.equal(order, 'ab')",
    );
    let output = desk.run(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn tables_are_equal_where_all_their_fields_are() {
    let met = "expect.equal({ a = 1, { 2, b = { c = 'x' } } }, { { 2, b = { c = 'x' } }, a = 1 })\n\
               expect.differ({ a = 1 }, { a = 2 })\nexpect.differ({ 1 }, { 1, a = 2 })\nexpect.differ({ a = 1 }, {})\n\
               expect.differ({ x = { y = 1 } }, { x = { y = 2 } })";
    let desk = three(met);
    assert_eq!(desk.run(&[]).status.code(), Some(0), "{:?}", desk.says(&[]));
    assert_says(
        &three("expect.equal({ 7, a = 1 }, { 7, a = 2 })"),
        1,
        "s.lua:4, at ",
        "expected { 7, a = 2 }, and found { 7, a = 1 }",
    );
    assert_says(&three("expect.equal({ a = { b = 1 } }, { a = {} })"), 1, "s.lua:4, at ", "expected { a = {} }");
    assert_says(
        &three("local a = {} a.a = a local b = {} b.a = b expect.equal(a, b)"),
        2,
        "s.lua:4, at ",
        "nested 100 deep at most",
    );
}

#[test]
fn a_limit_before_the_room_is_at_rest_ends_the_run() {
    let desk = copied_home("20m", "");
    let (code, text) = desk.says(&["--limit", "1m"]);
    assert!(text.starts_with("at 60.000 s: the run reached its limit of 60.000 s; raise it with --limit"), "{text}");
    assert_eq!(code, Some(2));
}

#[test]
fn what_every_link_does_can_be_taken_back() {
    let desk = three(
        "net.default{ cut = true, rate = '100kbit', loss = '5%' }
wait_until('nobody is seen', '60s', function() return ana:member(bo).state == 'unreachable' end)
net.default{ cut = false, rate = false, loss = false, burst = false }
wait_until('all see all again', '60s', room.converged)
local cut = net.cut{ from = ana }
net.default{ cut = true }
net.default{ cut = false }
wait_until('what was put on by itself', '30s', function() return bo:member(ana).state == 'unreachable' end)
cut:heal()
wait_until('all see all in the end', '60s', room.converged)",
    );
    let output = desk.run(&["--trace", "t.jsonl"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let trace = fs::read_to_string(desk.path("t.jsonl")).expect("a trace");
    for fault in ["cut", "rate=100kbit", "loss=5%"] {
        let said = |is_on: bool| {
            let is_it = |line: &Value| {
                let text = line["text"].as_str().unwrap_or_default();
                line["what"] == "fault" && text.starts_with(fault) && line["is_on"] == is_on
            };
            trace.lines().map(|line| serde_json::from_str(line).expect("JSON")).filter(is_it).count()
        };
        assert!(said(true) > 0 && said(true) == said(false), "{fault}: on {}, off {}", said(true), said(false));
    }
}

#[test]
fn an_empty_list_of_nodes_is_an_error() {
    for (line, has) in [
        ("expect.shown({}, ana:say('hi'))", "expect.shown wants a node at least as who shows it; the list is empty"),
        ("expect.not_shown({}, ana:say('hi'))", "wants a node at least as who shows it"),
        ("expect.sees({}, bo, 'alive')", "expect.sees wants a node at least as who looks"),
        ("net.partition({}, { bo })", "net.partition wants a node at least as one side"),
        ("net.cut{ from = {}, to = bo }", "net.cut wants a node at least as from"),
        ("net.link{ from = bo, to = {}, loss = '5%' }", "net.link wants a node at least as to"),
    ] {
        assert_says(&three(line), 2, "s.lua:4, at ", has);
    }
}

#[test]
fn a_process_ends_at_its_next_commit() {
    let lost = "ana:crash_at_commit('before')\nlocal m = ana:say('hello')\nwait('1s')\n\
                expect.is_false(ana:is_running())\nexpect.equal(#ana:log(), 0)";
    assert_eq!(three(lost).run(&[]).status.code(), Some(0), "{:?}", three(lost).says(&[]));
    let kept = lost.replace("before", "after").replace("log(), 0", "log(), 1");
    assert_eq!(three(&kept).run(&[]).status.code(), Some(0), "{:?}", three(&kept).says(&[]));
    assert_says(&three("ana:crash_at_commit('soon')"), 2, "s.lua:4, at ", "there are before, unreported, after");
}

impl Desk {
    /// Each fault of the trace: its node, its words, and whether it went on.
    fn faults(&self, words: &[&str]) -> Vec<(Option<String>, String, bool)> {
        let path = self.path("t.jsonl");
        let output = self.run(&[words, &["--trace", "t.jsonl"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
        let trace = fs::read_to_string(path).expect("a trace");
        let lines = trace.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines
            .filter(|line| line["what"] == "fault")
            .map(|line| {
                let node = line["node"].as_str().map(str::to_owned);
                let text = line["text"].as_str().expect("its words").to_owned();
                (node, text, line["is_on"].as_bool().expect("a flag"))
            })
            .collect()
    }
}

fn on(text: &str) -> (Option<String>, String, bool) {
    (None, text.to_owned(), true)
}

fn off(text: &str) -> (Option<String>, String, bool) {
    (None, text.to_owned(), false)
}

const TWO: &str = r#"scenario{ name = "two" }
local ana, bo = room.nodes{ "ana", "bo" }
wait_until("all see all", "30s", room.converged)
"#;

const OF_ONE_KIND: &str = r#"
local one = net.link{ from = ana, to = bo, delay = "10ms" }
local two = net.link{ from = ana, to = bo, delay = "20ms" }
one:heal()
two:heal()
one = net.link{ from = ana, to = bo, delay = "10ms" }
two = net.link{ from = ana, to = bo, delay = "20ms" }
two:heal()
net.default{ loss = "5%" }
net.default{ loss = 0 }
net.default{ loss = 0 }
net.default{ loss = "5%" }
net.link{ loss = "20%" }
"#;

/// What the network did, and at the end what mends it.
fn of_one_kind() -> Vec<(Option<String>, String, bool)> {
    let (one, two) = ("delay=10ms from ana to bo", "delay=20ms from ana to bo");
    [
        on(one),
        on(two),
        off(two),
        on(one),
        on(two),
        on(one),
        on("loss=5%"),
        off("loss=5%"),
        on("loss=5%"),
        on("loss=20%"),
    ]
    .into_iter()
    .chain([off(one), on("loss=5%"), off("loss=5%")])
    .collect()
}

#[test]
fn of_two_faults_of_one_kind_the_later_acts_and_the_earlier_comes_back() {
    let desk = Desk::with(&format!("{TWO}{OF_ONE_KIND}"));
    assert_eq!(desk.faults(&[]), of_one_kind());
}

#[test]
fn real_processes_have_the_same_faults_by_the_same_names() {
    let more = "ana:fault('loss=1%')\nana:fault('off')\nfor i = 1, 4 do ana:snapshot('then') end\n";
    let desk = Desk::with(&format!("{TWO}{more}{OF_ONE_KIND}"));
    let own = |text: &str, is_on| (Some("ana".to_owned()), text.to_owned(), is_on);
    let mut wanted = vec![own("loss=1%", true), own("off", false)];
    wanted.extend(of_one_kind());
    wanted.push(own("off", false));
    assert_eq!(desk.faults(&["--on", "processes"]), wanted);
}

#[test]
fn the_end_mends_a_slow_disk() {
    let desk = Desk::with(&format!("{TWO}bo:disk{{ latency = '500ms' }}\nwait('1s')\n"));
    let bo = |text: &str, is_on| (Some("bo".to_owned()), text.to_owned(), is_on);
    let wanted = [bo("disk takes 500ms for a commit", true), bo("disk takes 2ms for a commit", false)];
    assert_eq!(desk.faults(&[]), wanted);
}

#[test]
fn a_failure_is_drawn_on_a_page_and_as_a_diagram() {
    let desk = three("local m = ana:tell(bo, 'for bo alone')\nwait('1s')\nexpect.shown(cy, m)");
    let files = ["--report", "a page.html", "--diagram", "d.md"];
    assert_eq!(desk.run(&files).status.code(), Some(1));
    let page = fs::read_to_string(desk.path("a page.html")).expect("a page");
    for has in ["three: failed", "was to be shown on cy, and it was not", "moot run s.lua --seed 0", "for bo alone"] {
        assert!(page.contains(has), "{has:?} is to be on the page");
    }
    let diagram = fs::read_to_string(desk.path("d.md")).expect("a diagram");
    assert!(diagram.contains("```mermaid"), "{diagram}");
    assert!(diagram.contains("for bo alone"), "{diagram}");

    let wrong = three("bo:crahs()");
    assert_eq!(wrong.run(&files).status.code(), Some(2));
    let page = fs::read_to_string(wrong.path("a page.html")).expect("a page");
    assert!(page.contains("three: error"), "a script that is wrong leaves nothing unknown");
}

#[test]
fn a_swarm_is_drawn_for_a_scenario_that_names_none() {
    let desk = three("wait('1s')");
    let drawn = |seed: &str, words: &[&str]| desk.faults(&[&["--seed", seed], words].concat());
    assert!((1..6).all(|seed| drawn(&seed.to_string(), &[]).is_empty()), "only where it is asked for");
    assert!(drawn("0", &["--swarm"]).is_empty(), "seed 0 is the calm one");
    assert!((1..6).any(|seed| !drawn(&seed.to_string(), &["--swarm"]).is_empty()));
    assert_eq!(drawn("3", &["--swarm"]), drawn("3", &["--swarm"]));
}

#[test]
fn the_command_that_runs_it_again_can_be_pasted() {
    let desk = three("expect.equal(1, 2)");
    fs::rename(desk.path("s.lua"), desk.path("ana's s.lua")).expect("renamed");
    let words = ["run", "ana's s.lua", "--swarm", "--limit", "90m", "--json"];
    let found: Value = serde_json::from_slice(&moot(desk.dir.path(), &words).stdout).expect("JSON");
    assert_eq!(found["replay"], r"moot run 'ana'\''s s.lua' --seed 0 --swarm --limit 1h30m");
}

#[test]
fn the_longest_range_of_seeds_is_swept_up_to_its_first_failure() {
    let desk = three("expect.is_true(sim.seed() < 3 or sim.seed() > 3)");
    let found = desk.json(&["--seeds", "0..18446744073709551615", "--no-shrink"]);
    assert_eq!((found["seed"].as_u64(), found["passed"].as_u64()), (Some(3), Some(3)), "{found:#}");
}
