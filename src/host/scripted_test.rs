//! Promises of scripts on a node: two real nodes, ana with scripts.

use std::time::Duration;

use super::pair::{ANA, BO, Pair};
use super::*;
use crate::base::Rng;
use crate::lua::Source;
use crate::node::api::MessageKind;

impl Pair {
    fn tell(&mut self, side: usize, text: &str) {
        let to = self.hosts[1 - side].node().id();
        self.hosts[side].handle_command(self.now, Command::Tell { to, text: text.into() }).unwrap();
        self.run(1_000);
    }

    fn say(&mut self, side: usize, text: &str) {
        self.hosts[side].handle_command(self.now, Command::Say { text: text.into() }).unwrap();
        self.run(1_000);
    }

    /// What ana's scripts wrote, and how they failed.
    fn log(&self) -> Vec<String> {
        let lines = self.told[ANA].iter().filter_map(|event| match &event.kind {
            EventKind::Script { name, text, failed: false } => Some(format!("{name}: {text}")),
            EventKind::Script { text, failed: true, .. } => Some(text.clone()),
            EventKind::Alarm { text } => Some(format!("alarm: {text}")),
            _ => None,
        });
        lines.collect()
    }

    /// The messages of others that `side` was shown.
    fn heard(&self, side: usize) -> Vec<String> {
        let me = self.hosts[side].node().id();
        let heard = self.told[side].iter().filter_map(|event| match &event.kind {
            EventKind::Message(message) if message.from != me => {
                let private = if message.kind == MessageKind::Private { "(private) " } else { "" };
                Some(format!("{private}{}", message.text))
            }
            _ => None,
        });
        heard.collect()
    }
}

fn shipped(name: &str) -> String {
    std::fs::read_to_string(format!("{}/scripts/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn a_bot_answers_a_private_message() {
    let mut pair = Pair::new(&[("echo.lua", &shipped("echo.lua"))]);
    pair.tell(BO, "hello");
    pair.say(BO, "to all");
    assert_eq!(pair.heard(BO), ["(private) you said: hello"]);
    assert_eq!(pair.log(), Vec::<String>::new());
}

#[test]
fn a_greeter_greets_once() {
    let mut pair = Pair::new(&[("greeter.lua", &shipped("greeter.lua"))]);
    pair.run(5_000);
    assert_eq!(pair.heard(BO), ["(private) welcome, bo"]);
    assert_eq!(pair.log(), Vec::<String>::new());
}

#[test]
fn a_watcher_tells_who_is_gone_and_back() {
    let mut pair = Pair::new(&[("watcher.lua", &shipped("watcher.lua"))]);
    pair.hosts[BO].handle_fault(pair.now, "cut").unwrap();
    pair.tell(ANA, "do you hear me?");
    pair.run(20_000);
    pair.hosts[BO].handle_fault(pair.now, "off").unwrap();
    pair.run(20_000);
    let log = pair.log();
    assert!(log.contains(&"watcher.lua: bo is unreachable, says ana".to_owned()), "{log:?}");
    assert!(log.iter().any(|line| line.starts_with("watcher.lua: nobody knows whether bo has ")), "{log:?}");
    assert_eq!(log.last().map(String::as_str), Some("watcher.lua: bo is back"));
}

#[test]
fn every_third_datagram_is_dropped_and_the_room_works() {
    let mut pair = Pair::new(&[("drop_every_third.lua", &shipped("drop_every_third.lua"))]);
    for text in ["one", "two", "three", "four"] {
        pair.say(ANA, text);
    }
    pair.run(20_000);
    assert_eq!(pair.heard(BO), ["one", "two", "three", "four"]);
    assert!(pair.dropped[ANA].iter().all(|&dropped| dropped == (Way::Out, DropReason::Hook)));
    let (dropped, sent) = (pair.dropped[ANA].len(), pair.sent[ANA].len());
    assert!(dropped > 5 && sent.abs_diff(2 * dropped) <= 4, "{dropped} dropped, {sent} sent");
}

#[test]
fn a_datagram_hook_delays_and_copies() {
    let script = "moot.on('datagram', function(d)
        assert(d.bytes > 0 and d.n > 0 and (d.peer == 'bo' or d.peer == nil))
        if d.way == 'out' then return { delay = '50ms', copies = 2 } end
    end)";
    let mut pair = Pair::new(&[("slow.lua", script)]);
    pair.say(ANA, "late");
    assert_eq!(pair.log(), Vec::<String>::new());
    assert_eq!(pair.heard(BO), ["late"]);
    let rtt = pair.hosts[BO].status(pair.now).members.iter().find_map(|member| member.rtt_us).unwrap();
    assert!((50_000..80_000).contains(&rtt), "{rtt}");
    assert!(pair.hosts[ANA].status(pair.now).counters["fault_delayed"] > 0);
}

#[test]
fn timers_run_when_they_are_due_and_stop_when_they_say_so() {
    let script = "local count = 0
        moot.every('10s', function() count = count + 1 moot.log('tick ' .. count) return count < 3 end)
        moot.after(25, function() moot.say('25 seconds') end)";
    let mut pair = Pair::new(&[("timer.lua", script)]);
    pair.run(60_000);
    assert_eq!(pair.log(), ["timer.lua: tick 1", "timer.lua: tick 2", "timer.lua: tick 3"]);
    assert_eq!(pair.heard(BO), ["25 seconds"]);
}

#[test]
fn timers_count_from_when_the_node_runs_and_end_when_it_has_left() {
    let script =
        "moot.after('1s', function() moot.say('awake') end) moot.every('10s', function() moot.log('tick') end)";
    let mut pair = Pair::dumb(&[("timer.lua", script)]);
    // The disk is slow: the script was loaded long before the run is on it.
    pair.now.time += Duration::from_secs(30);
    for side in [ANA, BO] {
        pair.hosts[side].handle_timeout(pair.now);
    }
    pair.run(999);
    assert_eq!(pair.told[ANA].len(), 0, "{:?}", pair.told[ANA]);
    pair.run(1);
    assert!(matches!(&pair.told[ANA][0].kind, EventKind::Message(message) if message.text == "awake"));
    pair.hosts[ANA].handle_command(pair.now, Command::Leave).unwrap();
    pair.run(60_000);
    assert_eq!(pair.log(), Vec::<String>::new());
    assert_eq!(pair.hosts[ANA].poll_timeout(), None);
}

#[test]
fn what_a_script_asks_is_answered_as_json_has_it() {
    let script = r#"moot.on("message", function(m)
        local status = moot.status()
        moot.log(status.node.nick, #status.members, #moot.members(), m.nick, m.kind, m.seq, m.to == nil)
        moot.log(moot.why("bo").state, moot.why(m.id).handle == m.handle)
        local sent = moot.say("heard " .. m.text)
        moot.log(sent.kind, sent.deliveries[1].nick, sent.deliveries[1].outcome)
        moot.log(table.concat(moot.fault("delay=1ms"), " "), #moot.fault("off"))
        moot.log(pcall(moot.tell, "zoe", "hi"))
        moot.log(pcall(moot.why, "zoe"))
        moot.log(pcall(moot.fault, "lose 5%"))
        moot.log(pcall(moot.say))
    end)"#;
    let mut pair = Pair::new(&[("ask.lua", script)]);
    pair.say(BO, "hi");
    let log = pair.log();
    let expected = [
        "ask.lua: ana\t2\t2\tbo\tgroup\t1\ttrue",
        "ask.lua: alive\ttrue",
        "ask.lua: group\tbo\tsending",
        "ask.lua: delay=1ms\t0",
        "ask.lua: false\task.lua:8: zoe is not known here; moot who lists the members",
        "ask.lua: false\task.lua:9: zoe is neither a member nor the id of a message that is known here",
    ];
    assert_eq!(log[..6], expected, "{log:?}");
    assert!(log[6].starts_with("ask.lua: false\task.lua:10: \"lose\" is no fault"), "{log:?}");
    assert_eq!(log[7], "ask.lua: false\task.lua:11: moot.say: text must be a string, not nil");
    assert_eq!(pair.heard(BO), ["heard hi"]);
}

#[test]
fn the_same_seed_gives_the_same_run_scripts_and_all() {
    let script = r#"local seen = {}
        moot.on("message", function(m)
            seen[m.text .. math.random(1000)] = true
            for text in pairs(seen) do moot.log(text, {}, m) end
        end)
        moot.on("datagram", function(d) if math.random() < 0.2 then return "drop" end end)
        moot.every("1s", function() moot.log(math.random(100)) end)"#;
    let run = || {
        let mut pair = Pair::new(&[("chance.lua", script)]);
        for text in ["one", "two", "three"] {
            pair.say(BO, text);
        }
        pair.run(10_000);
        (pair.told, pair.sent, pair.dropped)
    };
    let (first, again) = (run(), run());
    assert!(first.2[ANA].len() > 3 && first.0[ANA].len() > 10);
    assert_eq!(first, again);
}

#[test]
fn a_hook_that_fails_is_told_with_its_line_and_then_switched_off() {
    let script = "moot.on('message', function(m)\n  local x = m.nothing.here\nend)
        moot.on('message', function(m) moot.log('the other still runs') end)";
    let mut pair = Pair::new(&[("bad.lua", script)]);
    for _ in 0..7 {
        pair.say(BO, "hi");
    }
    let log = pair.log();
    let failures = log.iter().filter(|line| line.contains("attempt to index a nil value")).count();
    assert_eq!(log[0], "bad.lua:2: attempt to index a nil value (field 'nothing')");
    assert_eq!(failures, 5);
    let alarm =
        "alarm: bad.lua: a hook (message) failed 5 times in a row and is switched off; mend the script and start again";
    assert_eq!(log.iter().filter(|line| *line == alarm).count(), 1);
    assert_eq!(log.iter().filter(|line| line.ends_with("the other still runs")).count(), 7);
}

#[test]
fn a_hook_that_runs_over_is_stopped_and_the_node_goes_on() {
    let script =
        "moot.on('message', function(m) while true do end end)\nmoot.on('datagram', function() while true do end end)";
    let mut pair = Pair::new(&[("loop.lua", script)]);
    pair.say(BO, "hi");
    let stopped = "stopped, because it ran too long; is there a loop that does not end?";
    assert!(pair.log().contains(&format!("loop.lua:1: {stopped}")), "{:?}", pair.log());
    assert!(pair.log().contains(&format!("loop.lua:2: {stopped}")), "{:?}", pair.log());
    assert_eq!(pair.heard(ANA), ["hi"]);
    pair.say(ANA, "still here");
    assert_eq!(pair.heard(BO), ["still here"]);
}

#[test]
fn two_bots_that_answer_each_other_cannot_flood() {
    let chatter = "moot.on('message', function(m) moot.say('and ' .. m.nick) end)";
    let mut pair = Pair::new(&[("chatter.lua", chatter)]);
    for _ in 0..30 {
        pair.hosts[BO].handle_command(pair.now, Command::Say { text: "hi".into() }).unwrap();
        pair.pump();
    }
    pair.run(500);
    assert_eq!(pair.heard(BO).len(), 10);
    let told = "chatter.lua:1: moot.say: too many messages: a script may send 10 in a burst, and then one every 1s";
    assert_eq!(pair.log()[0], told);
}

#[test]
fn a_datagram_hook_cannot_ask_and_its_wrong_answers_are_told() {
    let told = |script: &str| Pair::new(&[("d.lua", script)]).log().first().cloned().unwrap_or_default();
    assert_eq!(
        told("moot.on('datagram', function(d)\n moot.status() end)"),
        "d.lua:2: moot.status asks the node, and a datagram hook must answer at once; use moot.after"
    );
    assert_eq!(
        told("\nmoot.on('datagram', function(d) return 7 end)"),
        "d.lua:2: a datagram hook answers \"drop\", a table with delay or copies, or nothing, not a number"
    );
    assert_eq!(
        told("moot.on('datagram', function(d) return { dealy = 1 } end)"),
        "d.lua:1: a datagram hook's answer: unknown field 'dealy'; known are copies, delay"
    );
}

#[test]
fn a_script_that_cannot_be_loaded_says_which_line() {
    let told = |text: &str| {
        let source = Source { name: "new.lua".into(), text: text.as_bytes().to_vec() };
        Scripts::load(&[source], &Rng::from_seed([1; 32]), Time::ZERO).err().map(|error| error.to_string())
    };
    for (text, expected) in [
        ("moot.on(", "new.lua:1: unexpected symbol near <eof>"),
        (
            "\nmoot.on('mesage', print)",
            "new.lua:2: moot.on: there is no event 'mesage'; there are message, private, member, delivery, gap, datagram",
        ),
        ("moot.on('message')", "new.lua:1: moot.on: function must be a function, not nil"),
        ("moot.every('1ms', print)", "new.lua:1: moot.every: 10ms is the shortest time to wait"),
        (
            "moot.every('soon', print)",
            "new.lua:1: moot.every: period is 'soon', and must be a duration as \"30s\", or a number of seconds",
        ),
        (
            "moot.say('hi')",
            "new.lua:1: moot.say asks the node, which does not run yet; call it in moot.on or moot.after",
        ),
        (
            "for i = 1, 300 do moot.after(1, print) end",
            "new.lua:1: moot.after: a script has at most 256 timers at once",
        ),
        ("for i = 1, 100 do moot.on('gap', print) end", "new.lua:1: moot.on: a script has at most 64 hooks"),
        ("while true do end", "new.lua:1: stopped, because it ran too long; is there a loop that does not end?"),
    ] {
        assert_eq!(told(text).as_deref(), Some(expected), "{text}");
    }
    assert_eq!(told(""), None);
}

#[test]
fn timers_of_one_script_share_its_instructions_a_second() {
    // Each tick takes nearly all that one call may: without a bound for all of them it would be 1,440 million a second.
    let script = "for _ = 1, 16 do
          moot.every('10ms', function()
            for _ = 1, 900000 do end
            moot.log('tick')
          end)
        end
        moot.on('message', function(m) moot.log(m.text) end)";
    let mut pair = Pair::new(&[("busy.lua", script)]);
    let before = pair.log().len();
    pair.run(5_000);
    let ticks = pair.log()[before..].iter().filter(|line| *line == "busy.lua: tick").count();
    assert!((50..=60).contains(&ticks), "{ticks} calls of 900,000 instructions in 5 s");
    let put_off = "busy.lua:2: put off, because the script has used its 10000000 instructions a second; what does it do so often?";
    let told = pair.log().iter().filter(|line| *line == put_off).count();
    assert_eq!(told, 1, "once: {:?}", pair.log());
    // What the node says takes its turn too.
    for text in ["one", "two"] {
        pair.say(BO, text);
    }
    pair.run(2_000);
    let log = pair.log();
    let heard: Vec<&String> = log.iter().filter(|line| line.ends_with(": one") || line.ends_with(": two")).collect();
    assert_eq!(heard, ["busy.lua: one", "busy.lua: two"]);
}

#[test]
fn hooks_that_run_too_much_are_called_later_and_some_are_left_out() {
    let script = "local told = 0
        moot.on('message', function(m)
          told = told + 1
          if told <= 12 then for _ = 1, 900000 do end end
          moot.log(m.text)
        end)";
    let mut pair = Pair::new(&[("slow.lua", script)]);
    for at in 0..1_100 {
        pair.hosts[BO].handle_command(pair.now, Command::Say { text: at.to_string() }).unwrap();
        pair.pump();
    }
    pair.run(10_000);
    let log = pair.log();
    let expected: Vec<String> = (0..1_100).map(|at| format!("slow.lua: {at}")).collect();
    let called: Vec<&String> = log.iter().filter(|line| expected.contains(line)).collect();
    assert!(called.iter().zip(&expected).all(|(called, expected)| *called == expected), "in order: {called:?}");
    assert!((1_024..1_060).contains(&called.len()), "{}", called.len());
    let left_out = "slow.lua:2: not called, because 1024 calls wait already; so far 1 were left out";
    assert!(log.iter().any(|line| line == left_out), "{log:?}");
}

#[test]
fn a_datagram_hook_that_runs_too_much_lets_datagrams_pass() {
    let script = "moot.on('datagram', function(d)\n for _ = 1, 90000 do end\n return 'drop' end)";
    let mut pair = Pair::new(&[]);
    let scripts = Scripts::load(
        &[Source { name: "slow.lua".into(), text: script.into() }],
        &Rng::from_seed([1; 32]),
        pair.now.time,
    );
    pair.hosts[ANA].scripts = Scripted::new(scripts.unwrap());
    for _ in 0..2_000 {
        pair.hosts[ANA].handle_datagram(pair.now, pair::address(BO), &[0; 100]);
        pair.pump();
    }
    let dropped = pair.dropped[ANA].len();
    assert!((105..115).contains(&dropped), "{dropped} of 2,000");
    let told = "slow.lua:1: not asked about a datagram, which passed (1 so far), because the script has used its 10000000 instructions a second; what does it do so often?";
    assert_eq!(pair.log(), [told]);
}
