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
/// How long one attempt at delivery goes on before its outcome is called unknown.
pub const DELIVERY_DEADLINE: Duration = Duration::from_secs(10);
/// How long an undelivered message is kept for its receiver.
pub const MESSAGE_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Ranges of sequence numbers remembered for one stream of one run; twice what one receipt can say.
pub const RANGES_PER_STREAM_MAX: usize = 64;
/// Group receipts kept of one member for one run of ours, where the newest does not say all of it.
pub const RECEIPTS_KEPT_PER_RUN_MAX: usize = 4;

/// Commitments or ranges in one receipt.
pub const RECEIPT_COMMITMENTS_MAX: usize = 64;
pub const RECEIPT_RANGES_MAX: usize = 32;
/// Runs tracked of one author: a member that restarts once a day is covered for two weeks.
pub const RUNS_PER_AUTHOR_MAX: usize = 16;

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
