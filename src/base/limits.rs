//! Every bound in one place, each with its unit and reason. What happens at a bound is said by the code
//! that meets it.

use std::time::Duration;

/// A message's text: four screens of prose; an upload belongs elsewhere.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// A nick: it must fit a column of a table.
pub const NICK_BYTES_MAX: usize = 32;
/// Members known at once, whatever their state: what cards of 300 bytes take is 5 MiB.
pub const MEMBERS_MAX: usize = 16_384;
/// Addresses in one card: the interfaces of a laptop, and those that two peers saw.
pub const CARD_ADDRESSES_MAX: usize = 4;

/// Members that were forgotten, of whom the highest run is still remembered: 48 bytes each.
pub const FORGOTTEN_MAX: usize = 65_536;
/// Cards, or leaves, in one frame: 64 cards of 280 bytes fit `FRAME_BYTES_MAX`.
pub const CARDS_PER_FRAME_MAX: usize = 64;
/// Lines of a view in one frame: 256 of 62 bytes fit `FRAME_BYTES_MAX`.
pub const HELD_PER_FRAME_MAX: usize = 256;
/// Open reports in one heartbeat: with 56 bytes each it stays one datagram.
pub const REPORTS_PER_HEARTBEAT_MAX: usize = 16;
/// Reports, and contradictions, kept about one member: a verdict needs two.
pub const REPORTS_PER_SUBJECT_MAX: usize = 16;
/// Relays of reports about one (subject, run, tick): two make a verdict.
pub const RELAYS_PER_REPORT_MAX: u8 = 2;
/// Words that wait to share a datagram with others; with so many they go at once.
pub const RELAYS_WAITING_MAX: usize = 512;
/// Members of a room, oneself included, in which everyone watches everyone: more than the rings come to.
pub const EVERYONE_WATCHES_MAX: usize = 7;
/// Rings of a larger room: with two neighbours on each, six heartbeats a second and as many voices.
pub const WITNESS_RINGS: usize = 3;
/// Members of a room in which each pair keeps a session, so that a message to all goes to each directly.
pub const TOUCHED_MEMBERS_MAX: usize = 64;
/// Of the rings of a larger room, those over whose links messages are flooded: with four ways to each member a loss, or
/// a relay that hides, costs a hop, and with more of them each member is sent more copies.
pub const FLOODED_RINGS: usize = 2;
/// Addresses dialled to join a room: four tickets of four.
pub const JOIN_ADDRESSES_MAX: usize = 16;

/// A datagram's UDP payload: below the 1,280 bytes of the smallest IPv6 path with room for a tunnel.
pub const DATAGRAM_BYTES_MAX: usize = 1_200;
/// Frames as one subsystem hands them over: a message of `TEXT_BYTES_MAX` and its envelope.
pub const FRAME_BYTES_MAX: usize = 20 * 1024;
/// Fragments kept for one peer until they are whole.
pub const REASSEMBLY_BYTES_MAX: usize = 64 * 1024;
/// How long they are kept: the deadline of a delivery, so that retries fill the holes.
pub const REASSEMBLY_LIFE: Duration = Duration::from_secs(10);
/// Handshakes begun by one source address: more than a busy address behind one router needs.
pub const HANDSHAKES_PER_SOURCE_PER_MINUTE: u32 = 50;
/// Handshakes not finished, by one source address and in all: each costs about 1 KiB.
pub const HALF_OPEN_PER_SOURCE_MAX: usize = 4;
pub const HALF_OPEN_MAX: usize = 1_024;
/// Addresses that handshakes are counted for; past it, those idle for a minute make room.
pub const HANDSHAKE_SOURCES_MAX: usize = 4_096;
/// First messages of handshakes remembered, so that a replayed one gets no answer: an hour of one busy source.
pub const REMEMBERED_EPHEMERALS_MAX: usize = 4_096;
/// Handshakes of our own not finished: a node that is deaf probes 66 a second, each for some 6 s.
pub const DIALS_MAX: usize = 512;
/// Addresses dialled for one peer: those of its card, and as many that were seen.
pub const PEER_ADDRESSES_MAX: usize = 8;
/// Sessions with one peer: the one in use, the one before it, and a crossed one.
pub const SESSIONS_PER_PEER_MAX: usize = 3;
/// Sessions in all: each takes about 2 KiB.
pub const SESSIONS_MAX: usize = 4_096;
/// Dead sessions remembered, so that what still comes on them is known as stale.
pub const RETIRED_SESSIONS_MAX: usize = 1_024;
/// Datagrams sent on one session: far below what the cipher allows, and its number fits the echo.
pub const SESSION_DATAGRAMS_MAX: u64 = 1 << 32;
/// How far back a datagram may arrive late, in datagrams.
pub const REPLAY_WINDOW: usize = 2_048;
/// Times of sending kept for one session until the peer echoes them: 200 ms at 5,000 datagrams a second.
pub const SENT_TIMES_MAX: usize = 1_024;
/// Frames queued to one peer in one settle pass: what is in flight, a recovery window, and gossip.
pub const SEND_QUEUE_BYTES_MAX: usize = 512 * 1024;

/// Private messages that wait for one receiver that is not reachable, and their text.
pub const WAITING_MESSAGES_MAX: usize = 256;
pub const WAITING_BYTES_MAX: usize = 256 * 1024;
/// Deliveries sent to one peer and not yet settled, counted in datagrams.
pub const IN_FLIGHT_DATAGRAMS_MAX: usize = 32;
/// Messages under way to one reachable peer, and their bytes: a burst that takes a fast link some seconds.
pub const OUTSTANDING_MESSAGES_MAX: usize = 4_096;
pub const OUTSTANDING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Settled messages of one's own whose deliveries are kept in memory; older ones are read from the disk by people.
pub const SETTLED_MESSAGES_MAX: usize = 10_000;
/// Refused private messages of one's own that a late receipt settles, across restarts too: a guess.
pub const REFUSED_MESSAGES_MAX: usize = 256;
/// Attempts remembered of one delivery.
pub const TRIES_MAX: usize = 16;
/// How long one attempt at delivery goes on before its outcome is called unknown.
pub const DELIVERY_DEADLINE: Duration = Duration::from_secs(10);
/// How long an undelivered message is kept for its receiver: time that its sender runs.
pub const MESSAGE_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Ranges of sequence numbers remembered for one stream of one run: more than the holes that losses can leave
/// among the 200 smallest messages that fit a window in flight.
pub const RANGES_PER_STREAM_MAX: usize = 256;
/// Group receipts kept of one member for one run of ours, where the newest does not say all of it.
pub const RECEIPTS_KEPT_PER_RUN_MAX: usize = 4;

/// Commitments or ranges in one receipt.
pub const RECEIPT_COMMITMENTS_MAX: usize = 64;
pub const RECEIPT_RANGES_MAX: usize = 32;
/// Members whose receipts are wanted for a message that is flooded; in a larger room as many of them, a sample, so that what
/// comes back to an author stays within 60 KB a message.
pub const SAMPLED_MEMBERS_MAX: usize = 256;
/// Hops that a receipt takes to its author; the rings of 16,384 members are some ten hops across.
pub const RECEIPT_HOPS_MAX: u8 = 16;
/// Receipts in one bundle: those that fit a datagram are five at most.
pub const RECEIPTS_PER_BUNDLE_MAX: usize = 16;
/// Numbers in one hop ack, and those remembered of what came from one hop: twice what may be in flight from it.
pub const HOP_ACKS_PER_FRAME_MAX: usize = 64;
pub const HOP_NUMBERS_KEPT_MAX: usize = 1_024;
/// Runs tracked of one author, in the room: a member that restarts once a day is covered for a month. A frontier names each.
pub const RUNS_PER_AUTHOR_MAX: usize = 32;
/// Runs of one author of which it is remembered what it told this node alone.
pub const PRIVATE_RUNS_PER_AUTHOR_MAX: usize = 64;

/// Messages received and not yet on disk, and their bytes: what comes beyond is dropped, and its sender tries
/// again.
pub const PROVISIONAL_MESSAGES_MAX: usize = 16_384;
pub const PROVISIONAL_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Messages of one author that wait to be shown in order; more than that show at once, after the gap.
pub const HELD_BACK_MESSAGES_MAX: usize = 1_024;
/// Texts of all messages to the room that wait so: they are held beside what is kept to be given. Past it whoever's message comes next
/// has its own shown at once.
pub const HELD_BACK_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Ids of private messages kept of one author and of all, so that a receipt can be given again: twice what one
/// peer may have under way.
pub const PRIVATE_IDS_PER_AUTHOR_MAX: usize = 8_192;
pub const PRIVATE_IDS_MAX: usize = 65_536;
/// Private messages receipted again when a session with their author opens.
pub const RECEIPTED_AGAIN_MAX: usize = 256;
/// Messages of one run kept beside another of the same identity: enough to show that an author lies.
pub const FORKS_PER_RUN_MAX: usize = 16;
/// Authors in the log beyond the members that are known: those who left long ago.
pub const STRANGE_AUTHORS_MAX: usize = 1_024;
/// Gaps remembered; the oldest is forgotten for a newer one.
pub const GAPS_MAX: usize = 1_024;

/// Entries in one frame of a frontier, and ranges in one entry: about 12 KiB at the most usual.
pub const FRONTIER_ENTRIES_MAX: usize = 96;
/// Runs of authors in a whole frontier: four of each member of a room of a thousand. They take half a megabyte, two
/// seconds of what a peer is given.
pub const FRONTIER_RUNS_MAX: usize = 4_096;
/// Ranges that one peer offered and that are still to be pulled.
pub const OFFERS_PER_PEER_MAX: usize = 256;
/// Peers asked for a gap before it is told with their answers.
pub const RECOVERY_PEERS_MAX: usize = 4;
/// What a peer is given for its pulls, in bytes a second: half of a slow link.
pub const GIVEN_BYTES_PER_SECOND_MAX: u64 = 256 * 1024;
/// What a recovery asks for, and how far back.
pub const RECOVERY_MESSAGES_MAX: usize = 500;
pub const RECOVERY_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// One window of a recovery: what fits the in-flight limit with room for chat.
pub const RECOVERY_WINDOW_BYTES: usize = 16 * 1024;
/// Windows of one pull under way at once, so that half a megabyte takes few round trips. On a path of 2 Mbit/s they are
/// a quarter of a second's worth, within which a peer is not taken for silent.
pub const RECOVERY_WINDOWS_MAX: usize = 4;
/// Pulls of one peer that wait to be given: these windows, and holes that losses left in others.
pub const RECOVERY_PULLS_MAX: usize = 8;

/// Group messages kept to be given to others, whichever bound is met first; the age is time that this node runs.
pub const RETAINED_MESSAGES_MAX: usize = 10_000;
pub const RETAINED_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
pub const RETAINED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A request on the control socket, one line of JSON: a text of `TEXT_BYTES_MAX`, escaped, fits.
pub const CONTROL_REQUEST_BYTES_MAX: usize = 64 * 1024;
/// An answer on it: a full log, every character escaped, or the status of the largest room.
pub const CONTROL_RESPONSE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Clients of the control socket at once: a screen, a status that watches, and scripts. More are hung up on.
pub const CONTROL_CONNECTIONS_MAX: usize = 64;
/// What waits for a client that does not read: beyond it, its events are counted instead of kept.
pub const CONTROL_BACKLOG_BYTES_MAX: usize = 1024 * 1024;
/// Tails and followed messages of one connection; the oldest followed message gives way to a new one.
pub const CONTROL_STREAMS_MAX: usize = 64;
/// Messages in one answer to `log`, newest first: one line must not become the size of the disk.
pub const CONTROL_LOG_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The newest events, kept for a tail that asks what it missed.
pub const RECENT_EVENTS_MAX: usize = 256;
pub const RECENT_EVENTS_BYTES_MAX: usize = 512 * 1024;
/// A file of evidence, read or written. It holds one receipt a member that signed one, and cards of them, the author
/// and the receiver.
pub const EVIDENCE_BYTES_MAX: usize = 4 * 1024 * 1024;
pub const EVIDENCE_RECEIPTS_MAX: usize = 1_024;
pub const EVIDENCE_CARDS_MAX: usize = EVIDENCE_RECEIPTS_MAX + 2;
/// Later messages in it, which tie a receipt to its message, and their bytes: what one receipt of a burst covers.
pub const EVIDENCE_LATER_MAX: usize = 1_024;
pub const EVIDENCE_LATER_BYTES_MAX: usize = 1024 * 1024;
/// Questions to the disk that wait for the thread that reads it. More are refused.
pub const DISK_QUESTIONS_MAX: usize = 64;

/// Batches of records kept in the loop while the writer's own queue is full: a disk that stalls for half a
/// minute of busy chat. Past it the loop waits.
pub const STORE_OVERFLOW_BATCHES_MAX: usize = 32_768;

/// What is asked of the kernel for each direction of the socket: a second of full datagrams at 30 Mbit/s.
pub const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Datagrams taken from the socket before anything else gets a turn: about 10 ms of work.
pub const RECEIVE_BATCH_DATAGRAMS: usize = 256;
/// Datagrams that wait while the kernel's queue is full. Beyond it the oldest is dropped and counted.
pub const SEND_BACKLOG_DATAGRAMS_MAX: usize = 1_024;
/// Datagrams that fault injection holds back: 500 a second, delayed by 8 s. Beyond it they are dropped.
pub const DELAYED_DATAGRAMS_MAX: usize = 4_096;
/// One file of logs; it is begun anew once, so twice as much is kept.
pub const LOG_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Log lines that wait for a slow disk or terminal. Beyond it they are dropped and counted.
pub const LOG_LINES_MAX: usize = 1_024;
/// Messages of one's own whose deliveries the screen follows until they are settled: hours of typing.
pub const TALLIED_MESSAGES_MAX: usize = 1_024;
/// Handles of messages that Tab completes: those that are on the screen, roughly.
pub const COMPLETED_HANDLES_MAX: usize = 64;
/// Events on their way from the node to the screen; beyond, the node counts what it left out.
pub const SCREEN_EVENTS_MAX: usize = 1_024;
/// Events of real nodes that wait for the scenario that drives them: minutes of a busy room. Beyond it their output waits.
pub const CHILD_EVENTS_MAX: usize = 65_536;
/// Lines of typing that are kept for the next start.
pub const HISTORY_LINES_MAX: usize = 1_000;

/// Memory that all peers together may make a node hold.
pub const ALL_PEERS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Rules of a node's own faults that are on at once: one a peer of a large table, and more than a person can read.
pub const FAULT_RULES_MAX: usize = 64;
/// Rules of a simulated network: cuts between each two of 1,024 members, both ways.
pub const NETWORK_RULES_MAX: usize = 1 << 20;
/// The longest delay that a rule may ask for: far past every deadline, and what is held back stays bounded.
pub const FAULT_DELAY_MAX: Duration = Duration::from_secs(60);
/// The mean length of bursts of loss, at most: two seconds of a busy chat. A fate walks back about as far.
pub const FAULT_BURST_DATAGRAMS_MAX: u32 = 100;
/// The slowest rate of a link: a full datagram takes 10 s.
pub const FAULT_RATE_BITS_MIN: u64 = 1_000;
/// The fastest rate of a link: a full datagram takes 1 µs, the finest time there is.
pub const FAULT_RATE_BITS_MAX: u64 = 10_000_000_000;
/// What people can look back on, whichever bound is met first, the age in time that the node runs; what the machine retains is never pruned.
pub const HISTORY_AGE_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
pub const HISTORY_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Batches of records that wait for the disk: a burst of a second in which one fsync takes that long. Past
/// it the loop waits, and its peers try again.
pub const STORE_BATCHES_MAX: usize = 4_096;

/// A script's source: more is a program.
pub const SCRIPT_BYTES_MAX: usize = 1024 * 1024;
/// What one script may hold, its sandbox (some 100 KiB) included.
pub const SCRIPT_MEMORY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Instructions of one call of a hook: some 10 ms, which no heartbeat notices.
pub const HOOK_INSTRUCTIONS_MAX: u64 = 1_000_000;
/// Of one call of the `datagram` hook, which may come a thousand times a second.
pub const DATAGRAM_HOOK_INSTRUCTIONS_MAX: u64 = 100_000;
/// Of all calls of one script, a second: some 100 ms, so that nine tenths of the loop stay with the node. What was not used
/// is kept for one second.
pub const SCRIPT_INSTRUCTIONS_PER_SECOND_MAX: u64 = 10_000_000;
/// What a call counts for that is over at once: getting into Lua and out again takes some 10 µs, a guess.
pub const SCRIPT_CALL_INSTRUCTIONS: u64 = 1_000;
/// What a question to the node counts for.
pub const SCRIPT_ASK_INSTRUCTIONS: u64 = 10_000;
/// Calls of a script's hooks that wait until it may run again: a burst of messages, told a little later.
pub const SCRIPT_WAITING_CALLS_MAX: usize = 1_024;
/// How often a script that wants to run too much is told of.
pub const SCRIPT_BUSY_TOLD_EVERY: Duration = Duration::from_secs(10);
/// Of a scenario between two waits: a second of real time, enough to look at a thousand nodes.
pub const SCENARIO_INSTRUCTIONS_MAX: u64 = 100_000_000;
/// Lines that one call of a hook may log; what is beyond is counted.
pub const SCRIPT_LOG_LINES_MAX: usize = 100;
/// One of those lines; the rest of it is cut off.
pub const SCRIPT_LOG_LINE_BYTES_MAX: usize = 4 * 1024;
/// Hooks and timers that one script may have at once.
pub const SCRIPT_HOOKS_MAX: usize = 64;
pub const SCRIPT_TIMERS_MAX: usize = 256;
/// The shortest time that a script can wait: a timer that is always due would be all that the node does.
pub const SCRIPT_WAIT_MIN: Duration = Duration::from_millis(10);
/// Failures in a row after which a hook or a timer is switched off: a mistake shows at once, and a flood of them helps
/// nobody.
pub const SCRIPT_FAILURES_MAX: u32 = 5;
/// Messages that a script may send in a burst, and how soon it earns another: enough to greet a room, too little for two
/// scripts that answer each other to harm it.
pub const SCRIPT_MESSAGES_MAX: u32 = 10;
pub const SCRIPT_MESSAGE_EVERY: Duration = Duration::from_secs(1);
/// What one call of a hook may ask of the node: its status takes as long as some 10,000 instructions.
pub const SCRIPT_ASKS_MAX: u32 = 100;
/// Copies of one datagram that a `datagram` hook may ask for.
pub const SCRIPT_COPIES_MAX: u32 = 10;
