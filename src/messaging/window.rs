//! How much may be in flight to one member. Owns when that grows: where a commit of the member's is slower than the way to it,
//! and the way is short and loses nothing, more under way means more that shares a commit.

use std::time::Duration;

use super::pto::LOSSLESS_MAX;
use crate::base::Path;
use crate::base::limits::{DATAGRAM_BYTES_MAX, IN_FLIGHT_DATAGRAMS_GROWN_MAX, IN_FLIGHT_DATAGRAMS_MAX};

/// What of a datagram carries frames.
pub(super) const DATAGRAM_ROOM_BYTES: usize = DATAGRAM_BYTES_MAX - 100;
const BYTES_MIN: usize = IN_FLIGHT_DATAGRAMS_MAX * DATAGRAM_ROOM_BYTES;
const BYTES_MAX: usize = IN_FLIGHT_DATAGRAMS_GROWN_MAX * DATAGRAM_ROOM_BYTES;
/// A local network, with nodes that are busy: on loopback a round trip was 2 to 8 ms while as much went over it as two cores can. On a
/// longer or a slower way the datagrams would wait in queues that chat of others waits in too.
const RTT_MAX: Duration = Duration::from_millis(20);

/// Bytes in flight to one member, at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    bytes: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { bytes: BYTES_MIN }
    }
}

impl Window {
    pub fn bytes(self) -> usize {
        self.bytes
    }

    /// `landed` bytes were receipted, and `is_full` says that more waited for room than there was. It grows by as much, as in the
    /// slow start of RFC 9002, section 7.3.1.
    pub fn receipted(&mut self, landed: usize, is_full: bool, path: &Path) {
        let is_short = path.rtt.is_some_and(|rtt| rtt.smoothed <= RTT_MAX);
        let is_lossless = path.loss_out.is_some_and(|loss| loss <= LOSSLESS_MAX);
        if !is_short || !is_lossless {
            self.bytes = BYTES_MIN;
        } else if is_full {
            self.bytes = (self.bytes + landed).min(BYTES_MAX);
        }
    }

    /// Something had to be sent again: whether it was lost or only late, less under way is what helps.
    pub fn sent_again(&mut self) {
        self.bytes = BYTES_MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{PerMille, Rtt};

    fn path(rtt_ms: u64, loss: Option<u16>) -> Path {
        let rtt = Rtt { smoothed: Duration::from_millis(rtt_ms), variation: Duration::ZERO };
        Path { rtt: Some(rtt), loss_out: loss.map(PerMille), ..Path::default() }
    }

    fn after(paths: &[Path]) -> usize {
        let mut window = Window::default();
        for path in paths {
            window.receipted(BYTES_MIN, true, path);
        }
        window.bytes() / BYTES_MIN
    }

    #[test]
    fn it_grows_where_the_way_is_short_and_loses_nothing_up_to_its_bound() {
        assert_eq!(after(&[path(20, Some(0)); 2]), 3);
        assert_eq!(after(&[path(1, Some(10)); 50]), 5);
        assert_eq!(after(&[path(21, Some(0)); 50]), 1);
        assert_eq!(after(&[path(1, None); 50]), 1, "nobody knows yet");
        assert_eq!(after(&[path(1, Some(11)); 50]), 1);
        assert_eq!(after(&[path(1, Some(0)), path(1, Some(0)), path(30, Some(0))]), 1);
    }

    #[test]
    fn what_did_not_fill_it_does_not_widen_it_and_what_goes_again_narrows_it() {
        let mut window = Window::default();
        window.receipted(BYTES_MIN, false, &path(1, Some(0)));
        assert_eq!(window.bytes(), BYTES_MIN);
        window.receipted(BYTES_MIN, true, &path(1, Some(0)));
        assert_eq!(window.bytes(), 2 * BYTES_MIN);
        window.sent_again();
        assert_eq!(window.bytes(), BYTES_MIN);
    }
}
