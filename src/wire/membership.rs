//! The frames that membership speaks. Owns their byte form; `membership` owns their meaning.

use serde::{Deserialize, Serialize};

use crate::base::{MemberId, Run};

/// A frame of subsystem 2.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MembershipFrame {
    Heartbeat(Heartbeat),
    /// "Are you there?": answered at once by a heartbeat with `answer` set.
    Probe,
    /// A report, relayed or opened between heartbeats.
    Report(Report),
    /// "I have heard a newer tick": an answer to a report.
    Contradiction {
        subject: MemberId,
        run: Run,
        tick: u64,
        by: MemberId,
    },
    /// "I hear it again": takes one's own report back.
    Withdrawal {
        subject: MemberId,
        run: Run,
        tick: u64,
        by: MemberId,
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
    /// Signed cards, as their bytes.
    Cards(Vec<Vec<u8>>),
    /// Fingerprints of the sender's view, one a bucket of ids; the receiver sends what differs.
    Buckets(Vec<u64>),
    /// "These are all that I hold in this bucket"; the receiver sends what is newer there or missing, and
    /// asks for what is newer here.
    Bucket {
        index: u8,
        held: Vec<Held>,
        answer: bool,
    },
}

/// Sent each second, and in answer to a probe.
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
    pub reports: Vec<Report>,
}

/// "I have not heard it": one member's observation of another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    pub by: MemberId,
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

/// One line of a view: what is compared bucket by bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Held {
    pub member: MemberId,
    pub run: Run,
    pub version: u32,
    pub left: bool,
    pub unreachable: bool,
    pub tick: u64,
}
