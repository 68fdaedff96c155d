//! What transport has counted since the start, for `status`. Owns the names; counting is all that bytes from
//! strangers ever make happen.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts since the start of the process.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Each count with its name, in the order of this file.
            pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    datagrams_in,
    bytes_in,
    datagrams_out,
    bytes_out,
    /// Frames handed to `send`, and frames handed up.
    frames_out,
    frames_in,
    /// Sessions opened, crossed ones included.
    sessions_opened,
    sessions_closed,
    /// Bytes that are no datagram, or a sealed text that does not read.
    undecodable,
    /// Datagrams of a kind that a later version speaks.
    reserved,
    /// Handshake datagrams whose keyed hash does not hold: strangers, or damage.
    gate_failed,
    /// Data whose tag does not hold: damage, or a guess.
    tag_failed,
    /// Data that arrived before, or too late to know.
    replayed,
    /// First messages of handshakes that came again from elsewhere or too late: not answered.
    handshakes_replayed,
    /// Handshake messages that came again in time: answered again.
    handshakes_repeated,
    /// Handshakes that passed the hash but did not hold: a damaged state, a false card, another room.
    handshakes_failed,
    /// Handshake messages that belong to nothing known here.
    handshakes_unmatched,
    /// Handshakes refused because their source began too many within a minute.
    handshakes_limited,
    /// First and second messages that waited here through a stall of our own, longer than anybody waits for an answer.
    handshakes_late,
    /// Handshakes refused because too many are half open.
    half_opens_refused,
    /// Half-open handshakes that were never finished.
    half_opens_expired,
    /// What came on sessions of a run that is over, and hellos of such runs.
    stale,
    /// Data for an index that belongs to nothing here.
    unknown_index,
    /// Data that overtook the end of its own handshake.
    early,
    /// Data from another address than its session's: taken, but answered at the old one.
    moved,
    /// Echoes of datagrams that were never sent.
    echoes_false,
    /// Unfinished frames dropped for their age or for room.
    reassembly_dropped,
    /// Fragments that contradict their key.
    fragments_false,
    /// Frames that found no session, or a full queue.
    unsent,
    dials,
    /// Dials that nobody answered.
    dials_failed,
    /// Dials refused because too many were on.
    dials_refused,
    /// Dials that reached this very node.
    dials_self,
}
