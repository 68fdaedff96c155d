//! Promises of scripts on a node: two real nodes around a network that takes no time, ana with scripts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::base::{Rng, RoomId, Wall};
use crate::crypto::{Identity, RoomSecret};
use crate::lua::Source;
use crate::node::api::MessageKind;
use crate::node::{Config, Restored};

/// Ana, whose host has scripts, bo, whose has none, and what both told and sent.
struct Room {
    hosts: [Host; 2],
    now: Now,
    told: [Vec<Event>; 2],
    sent: BTreeMap<usize, usize>,
    dropped: Vec<(Way, DropReason)>,
}

const ANA: usize = 0;
const BO: usize = 1;

impl Room {
    /// Ana and bo, who know each other.
    fn new(scripts: &[(&str, &str)]) -> Self {
        let mut room = Self::asleep(scripts);
        room.pump();
        let addresses = vec![address(ANA)];
        room.hosts[BO].handle_command(room.now, Command::Join { addresses }).unwrap();
        room.run(3_000);
        room
    }

    /// Nodes whose runs are not on disk yet.
    fn asleep(scripts: &[(&str, &str)]) -> Self {
        let now = Now { time: Time::from_micros(1_000_000), wall: Wall(1_767_225_600_000), lag: Duration::ZERO };
        let rng = Rng::from_seed([7; 32]);
        let secret = RoomSecret::generate(&mut rng.split("secret"));
        let sources: Vec<Source> = scripts
            .iter()
            .map(|(name, text)| Source { name: (*name).into(), text: text.as_bytes().to_vec() })
            .collect();
        let scripts = Scripts::load(&sources, &rng, now.time).unwrap();
        let host = |side: usize, nick: &str| {
            let config = Config {
                identity: Identity::generate(&mut rng.split(nick)),
                room: RoomId([3; 16]),
                room_name: "the moot".into(),
                secret: secret.clone(),
                nick: nick.into(),
                addresses: vec![address(side)],
                labels_frames: false,
            };
            let node = Node::new(config, Restored::fold(&[]), rng.split(nick).bytes(), now);
            Host::new(node, rng.split("faults").bytes(), now)
        };
        let hosts = [host(ANA, "ana").with_scripts(scripts), host(BO, "bo")];
        Self { hosts, now, told: Default::default(), sent: BTreeMap::new(), dropped: Vec::new() }
    }

    fn run(&mut self, ms: u64) {
        let end = self.now.time + Duration::from_millis(ms);
        loop {
            self.pump();
            let due = self.hosts.iter().filter_map(Host::poll_timeout).min().filter(|&due| due <= end);
            let Some(due) = due else { break };
            self.now.time = self.now.time.max(due);
            for side in [ANA, BO] {
                self.hosts[side].handle_timeout(self.now);
                self.pump();
            }
        }
        self.now.time = end;
    }

    fn pump(&mut self) {
        while [ANA, BO].into_iter().any(|side| self.pump_one(side)) {}
    }

    fn pump_one(&mut self, side: usize) -> bool {
        let Some(output) = self.hosts[side].poll_output() else { return false };
        match output {
            Output::Store { records: _, mark } => self.hosts[side].handle_stored(self.now, mark, Ok(())),
            Output::Transmit { to, bytes, labels: _, is_damaged: _ } => {
                *self.sent.entry(side).or_default() += 1;
                let other = 1 - side;
                if to == address(other) {
                    self.hosts[other].handle_datagram(self.now, address(side), &bytes);
                }
            }
            Output::Event(event) => self.told[side].push(event),
            Output::Dropped { way, why, .. } => self.dropped.push((way, why)),
        }
        true
    }

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

fn address(side: usize) -> SocketAddr {
    SocketAddr::new([10, 0, 0, u8::try_from(side).unwrap() + 1].into(), 4460)
}

fn shipped(name: &str) -> String {
    std::fs::read_to_string(format!("{}/scripts/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn a_bot_answers_a_private_message() {
    let mut room = Room::new(&[("echo.lua", &shipped("echo.lua"))]);
    room.tell(BO, "hello");
    room.say(BO, "to all");
    assert_eq!(room.heard(BO), ["(private) you said: hello"]);
    assert_eq!(room.log(), Vec::<String>::new());
}

#[test]
fn a_greeter_greets_once() {
    let mut room = Room::new(&[("greeter.lua", &shipped("greeter.lua"))]);
    room.run(5_000);
    assert_eq!(room.heard(BO), ["(private) welcome, bo"]);
    assert_eq!(room.log(), Vec::<String>::new());
}

#[test]
fn a_watcher_tells_who_is_gone_and_back() {
    let mut room = Room::new(&[("watcher.lua", &shipped("watcher.lua"))]);
    room.hosts[BO].handle_fault(room.now, "cut").unwrap();
    room.tell(ANA, "do you hear me?");
    room.run(20_000);
    room.hosts[BO].handle_fault(room.now, "off").unwrap();
    room.run(20_000);
    let log = room.log();
    assert!(log.contains(&"watcher.lua: bo is unreachable, says ana".to_owned()), "{log:?}");
    assert!(log.iter().any(|line| line.starts_with("watcher.lua: nobody knows whether bo has ")), "{log:?}");
    assert_eq!(log.last().map(String::as_str), Some("watcher.lua: bo is back"));
}

#[test]
fn every_third_datagram_is_dropped_and_the_room_works() {
    let mut room = Room::new(&[("drop_every_third.lua", &shipped("drop_every_third.lua"))]);
    (room.dropped, room.sent) = (Vec::new(), BTreeMap::new());
    for text in ["one", "two", "three", "four"] {
        room.say(ANA, text);
    }
    room.run(20_000);
    assert_eq!(room.heard(BO), ["one", "two", "three", "four"]);
    assert!(room.dropped.iter().all(|&dropped| dropped == (Way::Out, DropReason::Hook)));
    let (dropped, sent) = (room.dropped.len(), room.sent[&ANA]);
    assert!(dropped > 5 && sent.abs_diff(2 * dropped) <= 4, "{dropped} dropped, {sent} sent");
}

#[test]
fn a_datagram_hook_delays_and_copies() {
    let script = "moot.on('datagram', function(d)
        assert(d.bytes > 0 and d.n > 0 and (d.peer == 'bo' or d.peer == nil))
        if d.way == 'out' then return { delay = '50ms', copies = 2 } end
    end)";
    let mut room = Room::new(&[("slow.lua", script)]);
    room.say(ANA, "late");
    assert_eq!(room.log(), Vec::<String>::new());
    assert_eq!(room.heard(BO), ["late"]);
    let rtt = room.hosts[BO].status(room.now).members.iter().find_map(|member| member.rtt_us).unwrap();
    assert!((50_000..80_000).contains(&rtt), "{rtt}");
    assert!(room.hosts[ANA].status(room.now).counters["fault_delayed"] > 0);
}

#[test]
fn timers_run_when_they_are_due_and_stop_when_they_say_so() {
    let script = "local count = 0
        moot.every('10s', function() count = count + 1 moot.log('tick ' .. count) return count < 3 end)
        moot.after(25, function() moot.say('25 seconds') end)";
    let mut room = Room::new(&[("timer.lua", script)]);
    room.run(60_000);
    assert_eq!(room.log(), ["timer.lua: tick 1", "timer.lua: tick 2", "timer.lua: tick 3"]);
    assert_eq!(room.heard(BO), ["25 seconds"]);
}

#[test]
fn timers_count_from_when_the_node_runs_and_end_when_it_has_left() {
    let script =
        "moot.after('1s', function() moot.say('awake') end) moot.every('10s', function() moot.log('tick') end)";
    let mut room = Room::asleep(&[("timer.lua", script)]);
    // The disk is slow: the script was loaded long before the run is on it.
    room.now.time += Duration::from_secs(30);
    for side in [ANA, BO] {
        room.hosts[side].handle_timeout(room.now);
    }
    room.run(999);
    assert_eq!(room.told[ANA].len(), 0, "{:?}", room.told[ANA]);
    room.run(1);
    assert!(matches!(&room.told[ANA][0].kind, EventKind::Message(message) if message.text == "awake"));
    room.hosts[ANA].handle_command(room.now, Command::Leave).unwrap();
    room.run(60_000);
    assert_eq!(room.log(), Vec::<String>::new());
    assert_eq!(room.hosts[ANA].poll_timeout(), None);
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
    let mut room = Room::new(&[("ask.lua", script)]);
    room.say(BO, "hi");
    let log = room.log();
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
    assert_eq!(room.heard(BO), ["heard hi"]);
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
        let mut room = Room::new(&[("chance.lua", script)]);
        for text in ["one", "two", "three"] {
            room.say(BO, text);
        }
        room.run(10_000);
        (room.told, room.sent, room.dropped)
    };
    let (first, again) = (run(), run());
    assert!(first.2.len() > 3 && first.0[ANA].len() > 10);
    assert_eq!(first, again);
}

#[test]
fn a_hook_that_fails_is_told_with_its_line_and_then_switched_off() {
    let script = "moot.on('message', function(m)\n  local x = m.nothing.here\nend)
        moot.on('message', function(m) moot.log('the other still runs') end)";
    let mut room = Room::new(&[("bad.lua", script)]);
    for _ in 0..7 {
        room.say(BO, "hi");
    }
    let log = room.log();
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
    let mut room = Room::new(&[("loop.lua", script)]);
    room.say(BO, "hi");
    let stopped = "stopped, because it ran too long; is there a loop that does not end?";
    assert!(room.log().contains(&format!("loop.lua:1: {stopped}")), "{:?}", room.log());
    assert!(room.log().contains(&format!("loop.lua:2: {stopped}")), "{:?}", room.log());
    assert_eq!(room.heard(ANA), ["hi"]);
    room.say(ANA, "still here");
    assert_eq!(room.heard(BO), ["still here"]);
}

#[test]
fn two_bots_that_answer_each_other_cannot_flood() {
    let chatter = "moot.on('message', function(m) moot.say('and ' .. m.nick) end)";
    let mut room = Room::new(&[("chatter.lua", chatter)]);
    for _ in 0..30 {
        room.hosts[BO].handle_command(room.now, Command::Say { text: "hi".into() }).unwrap();
        room.pump();
    }
    room.run(500);
    assert_eq!(room.heard(BO).len(), 10);
    let told = "chatter.lua:1: moot.say: too many messages: a script may send 10 in a burst, and then one every 1s";
    assert_eq!(room.log()[0], told);
}

#[test]
fn a_datagram_hook_cannot_ask_and_its_wrong_answers_are_told() {
    let told = |script: &str| Room::new(&[("d.lua", script)]).log().first().cloned().unwrap_or_default();
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
