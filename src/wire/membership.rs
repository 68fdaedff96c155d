//! The frames that membership speaks. Owns their byte form; `membership` owns their meaning, and how many
//! entries of a list it takes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::codec::whole;
use crate::base::{MemberId, Run};

/// A frame of subsystem 2.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MembershipFrame {
    Heartbeat(Heartbeat),
    /// "Are you there?": answered at once by a heartbeat with `answer` set.
    Probe,
    /// A report: opened between heartbeats by its sender, or relayed.
    Report(Report),
    /// "`by` has heard a newer tick": an answer to a report, or news of a return.
    Contradiction {
        subject: MemberId,
        run: Run,
        tick: u64,
        by: MemberId,
    },
    /// "I hear it again": takes the sender's own report back.
    Withdrawal {
        subject: MemberId,
        run: Run,
        tick: u64,
    },
    /// A verdict of unreachable, with the reports that made it.
    Unreachable {
        subject: MemberId,
        run: Run,
        tick: u64,
        reports: Vec<Report>,
    },
    /// Signed leaves, as their bytes.
    Leaves(Vec<Vec<u8>>),
    /// Signed cards, each with what the sender holds of its member.
    Cards(Vec<ShownCard>),
    /// Fingerprints of the sender's view, one a bucket of ids; the receiver answers with the buckets that
    /// differ.
    Buckets(Vec<u64>),
    /// "These are all that I hold of this bucket beyond `after`", to the end of the bucket when `done`, else
    /// to the last one listed. The receiver sends what is newer here or missing there, and, unless this is
    /// an `answer`, its own list of the same stretch.
    Bucket {
        index: u8,
        after: Option<MemberId>,
        done: bool,
        answer: bool,
        held: Vec<Held>,
    },
    /// "I do not hear it. Who has heard a tick of it?": answered by a contradiction. It speaks against nobody.
    Question {
        subject: MemberId,
        run: Run,
    },
}

/// Sent each second, and in answer to a probe. 19 bytes when nothing is reported.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Counts the sender's seconds in this run, from 1.
    pub tick: u64,
    /// Fingerprint of the sender's view.
    pub view: u64,
    /// How late the sender's own loop is, in milliseconds.
    pub lag_ms: u32,
    pub wants_answer: bool,
    pub answer: bool,
    /// The sender's open reports.
    pub reports: Vec<OpenReport>,
}

/// "I have not heard it": the sender's own observation of another member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OpenReport {
    pub subject: MemberId,
    pub run: Run,
    /// The last tick heard.
    pub tick: u64,
    pub probes_lost: u8,
    /// The reporter's own loop lag when it reported, in milliseconds.
    pub lag_ms: u32,
    /// More than half of the reporter's own links are silent.
    pub mostly_deaf: bool,
}

/// A report with its author, for those who did not hear it from the author. It is not signed: it is as good
/// as the word of whoever passes it on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    pub by: MemberId,
    pub open: OpenReport,
}

/// A card, and whether its sender holds the member present.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ShownCard {
    /// As its owner signed it.
    #[serde(with = "whole")]
    pub card: Arc<[u8]>,
    /// The newest tick known of the card's run where the sender holds the member present (zero: only its
    /// handshake was seen); `None` where it does not.
    pub present: Option<u64>,
}

/// One line of a view: what is compared bucket by bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Held {
    pub member: MemberId,
    pub run: Run,
    pub version: u32,
    pub left: bool,
    pub unreachable: bool,
    /// The newest tick known; zero when none was ever heard.
    pub tick: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec;

    #[test]
    fn an_idle_heartbeat_takes_at_most_20_bytes() {
        let idle = MembershipFrame::Heartbeat(Heartbeat {
            tick: 60 * 60 * 24 * 7,
            view: u64::MAX,
            lag_ms: 3,
            wants_answer: false,
            answer: false,
            reports: Vec::new(),
        });
        let bytes = codec::encode(&idle);
        assert!(bytes.len() <= 20, "{} bytes", bytes.len());
        assert_eq!(codec::decode::<MembershipFrame>(&bytes), Ok(idle));
    }

    /// Pins the bytes: whoever changes them changes the protocol.
    #[test]
    fn the_bytes_of_each_frame_stay_what_they_are() {
        let subject = MemberId([0xaa; 32]);
        let by = MemberId([0xbb; 32]);
        let run = Run { incarnation: 3, boot: 4 };
        let open = OpenReport { subject, run, tick: 7, probes_lost: 3, lag_ms: 300, mostly_deaf: true };
        let held = Held { member: subject, run, version: 2, left: false, unreachable: true, tick: 7 };
        let (a, b) = ("aa".repeat(32), "bb".repeat(32));
        let report = format!("{a}03040703fb2c0101");
        let heartbeat =
            Heartbeat { tick: 7, view: 1, lag_ms: 0, wants_answer: true, answer: false, reports: vec![open] };
        for (frame, expected) in [
            (MembershipFrame::Heartbeat(heartbeat), format!("00070100010001{report}")),
            (MembershipFrame::Probe, "01".to_owned()),
            (MembershipFrame::Report(Report { by, open }), format!("02{b}{report}")),
            (MembershipFrame::Contradiction { subject, run, tick: 7, by }, format!("03{a}030407{b}")),
            (MembershipFrame::Withdrawal { subject, run, tick: 7 }, format!("04{a}030407")),
            (
                MembershipFrame::Unreachable { subject, run, tick: 7, reports: vec![Report { by, open }] },
                format!("05{a}03040701{b}{report}"),
            ),
            (MembershipFrame::Leaves(vec![vec![1, 2]]), "06010201 02".replace(' ', "")),
            (
                MembershipFrame::Cards(vec![
                    ShownCard { card: [9].into(), present: Some(7) },
                    ShownCard { card: [].into(), present: None },
                ]),
                "07020109010700 00".replace(' ', ""),
            ),
            (MembershipFrame::Buckets(vec![0, 250, 251]), "080300fafbfb00".to_owned()),
            (
                MembershipFrame::Bucket {
                    index: 42,
                    after: Some(subject),
                    done: true,
                    answer: false,
                    held: vec![held],
                },
                format!("092a01{a}010001{a}030402000107"),
            ),
            (MembershipFrame::Question { subject, run }, format!("0a{a}0304")),
        ] {
            let bytes = codec::encode(&frame);
            assert_eq!(data_encoding::HEXLOWER.encode(&bytes), expected, "{frame:?}");
            assert_eq!(codec::decode::<MembershipFrame>(&bytes), Ok(frame));
        }
    }
}
