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
/// Attempts remembered of one delivery.
pub const TRIES_MAX: usize = 16;
/// How long one attempt at delivery goes on before its outcome is called unknown.
pub const DELIVERY_DEADLINE: Duration = Duration::from_secs(10);
/// How long an undelivered message is kept for its receiver.
pub const MESSAGE_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Ranges of sequence numbers remembered for one stream of one run: more than the holes that losses can leave
/// among the 200 smallest messages that fit a window in flight.
pub const RANGES_PER_STREAM_MAX: usize = 256;
/// Group receipts kept of one member for one run of ours, where the newest does not say all of it.
pub const RECEIPTS_KEPT_PER_RUN_MAX: usize = 4;

/// Commitments or ranges in one receipt.
pub const RECEIPT_COMMITMENTS_MAX: usize = 64;
pub const RECEIPT_RANGES_MAX: usize = 32;
/// Runs tracked of one author: a member that restarts once a day is covered for two weeks.
pub const RUNS_PER_AUTHOR_MAX: usize = 16;

/// Messages received and not yet on disk, and their bytes: what comes beyond is dropped, and its sender tries
/// again.
pub const PROVISIONAL_MESSAGES_MAX: usize = 16_384;
pub const PROVISIONAL_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Messages of one author that wait to be shown in order; more than that show at once, after the gap.
pub const HELD_BACK_MESSAGES_MAX: usize = 1_024;
/// Ids of private messages kept of one author and of all, so that a receipt can be given again: twice what one
/// peer may have under way.
pub const PRIVATE_IDS_PER_AUTHOR_MAX: usize = 8_192;
pub const PRIVATE_IDS_MAX: usize = 65_536;
/// Private messages receipted again when a session with their author opens.
pub const RECEIPTED_AGAIN_MAX: usize = 256;
/// Messages of one run kept beside another of the same identity: enough to show that an author lies.
pub const FORKS_PER_RUN_MAX: usize = 16;
/// Gaps remembered; the oldest is forgotten for a newer one.
pub const GAPS_MAX: usize = 1_024;

/// Entries in one frame of a frontier, and ranges in one entry: about 12 KiB at the most usual.
pub const FRONTIER_ENTRIES_MAX: usize = 96;
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

/// Group messages kept to be given to others, whichever bound is met first.
pub const RETAINED_MESSAGES_MAX: usize = 10_000;
pub const RETAINED_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
pub const RETAINED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A request on the control socket, one line of JSON: a text of `TEXT_BYTES_MAX`, escaped, fits.
pub const CONTROL_REQUEST_BYTES_MAX: usize = 64 * 1024;
/// Memory that all peers together may make a node hold.
pub const ALL_PEERS_BYTES_MAX: usize = 64 * 1024 * 1024;
