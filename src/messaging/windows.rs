//! The windows of one pull: what is asked for, what is next, what was given up. Owns how many are under way at once and how
//! large they are; knows neither the peer nor what is missing here.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::limits::{RECOVERY_PULLS_MAX, RECOVERY_WINDOW_BYTES, RECOVERY_WINDOWS_MAX};
use crate::base::{Seq, Time};

/// A peer that answers none of so many tries is not asked any more: at 20 % loss each way a pull or the word that it is over is
/// lost in every third try, so that one in 450 is taken for silence.
pub(super) const SILENT_TRIES_MAX: u32 = 6;
/// What comes in none of so many tries, though the peer answers, is asked of the next one where others can be asked.
pub(super) const QUEST_TRIES_MAX: u32 = 3;
/// What comes in none of so many tries, though the peer answers, is not asked for again where nobody else is asked: at 20 % loss
/// each way a single message fails in every second try, so that one in 250 is given up.
pub(super) const LOST_TRIES_MAX: u32 = 8;

/// Messages, and how often they were asked for in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub first: Seq,
    pub last: Seq,
    pub tries: u32,
}

/// A part that was asked for and has no end yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub part: Part,
    /// What came of it.
    messages: Seq,
    bytes: usize,
    pub sent: Time,
    due: Time,
}

impl Window {
    /// Something of it came since it was asked for.
    pub fn progressed(&self) -> bool {
        self.bytes > 0
    }

    /// Whether there is nothing to wait for but the word that this was all. Two versions of one message, of an author that forks,
    /// count twice: then it is asked for again before its time.
    fn is_whole(&self) -> bool {
        self.messages > self.part.last - self.part.first
    }
}

/// How long the peer may be silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    pub answer: Duration,
    /// A peer answers in the order in which it was asked: what a later answer overtook comes this soon, or was lost.
    pub overtaken: Duration,
}

#[derive(Debug)]
pub(super) struct Windows {
    left: VecDeque<Part>,
    /// In the order in which they were asked for.
    asked: Vec<Window>,
    failed: Vec<(Seq, Seq)>,
    /// Messages that fill one; 0 before the peer has shown it.
    size: Seq,
    /// How many may be under way. One more for each that comes whole, half as many after a great loss: the way may be narrow.
    width: usize,
    tries_max: u32,
}

impl Windows {
    pub fn new(part: Part, tries_max: u32) -> Self {
        Self { left: VecDeque::from([part]), asked: Vec::new(), failed: Vec::new(), size: 0, width: 1, tries_max }
    }

    /// The next to be asked for, if there is room; `missing` says what of a range is still missing.
    pub fn next(&mut self, missing: impl Fn(Seq, Seq) -> Vec<(Seq, Seq)>) -> Option<Part> {
        while self.has_room() {
            let Part { first, last, tries } = self.left.pop_front()?;
            let mut open = missing(first, last);
            if open.is_empty() {
                continue;
            }
            let (first, last) = open.remove(0);
            self.ask_first(open, tries);
            if self.size == 0 || last - first < self.size {
                return Some(Part { first, last, tries });
            }
            let cut = first + self.size;
            self.ask_first(vec![(cut, last)], 0);
            return Some(Part { first, last: cut - 1, tries });
        }
        None
    }

    fn has_room(&self) -> bool {
        let messages: Seq = self.asked.iter().map(|window| window.part.last - window.part.first + 1).sum();
        let room = self.size.saturating_mul(Seq::try_from(self.width).unwrap_or(Seq::MAX));
        self.asked.is_empty() || (self.asked.len() < RECOVERY_PULLS_MAX && messages < room)
    }

    pub fn sent(&mut self, part: Part, now: Time, waits: Waits) {
        self.asked.push(Window { part, messages: 0, bytes: 0, sent: now, due: now + waits.answer });
    }

    /// What was asked for so often, and was not in the answers, is asked for again, or given up.
    pub fn again(&mut self, ranges: Vec<(Seq, Seq)>, tries: u32) {
        self.ask_again(ranges, tries, self.tries_max);
    }

    /// The same of what has had no answer.
    pub fn again_unanswered(&mut self, ranges: Vec<(Seq, Seq)>, tries: u32) {
        self.ask_again(ranges, tries, self.tries_max.max(SILENT_TRIES_MAX));
    }

    fn ask_again(&mut self, ranges: Vec<(Seq, Seq)>, tries: u32, tries_max: u32) {
        if tries < tries_max { self.ask_first(ranges, tries) } else { self.failed.extend(ranges) }
    }

    /// What is under way will not be answered: the peer lives a new life. It is asked for as if it had not been.
    pub fn begin_again(&mut self) {
        for Window { part, .. } in std::mem::take(&mut self.asked).into_iter().rev() {
            self.ask_first(vec![(part.first, part.last)], part.tries);
        }
    }

    /// Whether something was given up.
    pub const fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// The same peer is asked for another part of the run.
    pub fn onward(&self, first: Seq, last: Seq) -> Self {
        Self { size: self.size, width: self.width, ..Self::new(Part { first, last, tries: 0 }, self.tries_max) }
    }

    fn ask_first(&mut self, ranges: Vec<(Seq, Seq)>, tries: u32) {
        for (first, last) in ranges.into_iter().rev() {
            self.left.push_front(Part { first, last, tries });
        }
    }

    /// Message `seq` came, which takes `bytes`; says whether it was asked for.
    pub fn comes(&mut self, seq: Seq, bytes: usize, now: Time, waits: Waits) -> bool {
        let Some(index) = self.asked.iter().position(|Window { part, .. }| (part.first..=part.last).contains(&seq))
        else {
            return false;
        };
        let window = &mut self.asked[index];
        window.messages += 1;
        window.bytes += bytes;
        self.heard(index, now, waits);
        true
    }

    /// The peer has answered the window that begins with `first`, up to `last`: it is over.
    pub fn ends(&mut self, first: Seq, last: Seq, now: Time, waits: Waits) -> Option<Window> {
        let is_it = |window: &Window| window.part.first == first && (first..=window.part.last).contains(&last);
        let index = self.asked.iter().position(is_it)?;
        self.heard(index, now, waits);
        let ended = self.asked.remove(index);
        let asked = ended.part.last - first + 1;
        if last < ended.part.last {
            self.size = last - first + 1;
            self.ask_first(vec![(last + 1, ended.part.last)], 0);
        } else if self.size > 0 && asked >= self.size && (1..RECOVERY_WINDOW_BYTES).contains(&ended.bytes) {
            // Twice as many at most: what came of it may be little because the rest was lost.
            let fits = Seq::try_from(RECOVERY_WINDOW_BYTES / ended.bytes).unwrap_or(Seq::MAX);
            self.size += self.size * (fits - 1).min(1);
        }
        Some(ended)
    }

    /// What follows an answer is behind it in the peer's queue; what was before it should be here, and so should the end of what
    /// came whole.
    fn heard(&mut self, index: usize, now: Time, waits: Waits) {
        for (at, window) in self.asked.iter_mut().enumerate() {
            let is_over = at < index || window.is_whole();
            window.due = if is_over { window.due.min(now + waits.overtaken) } else { now + waits.answer };
        }
    }

    /// So much of a window did not come.
    pub fn adapt(&mut self, window: &Part, lost: Seq) {
        let is_great = lost * 4 > window.last - window.first + 1;
        self.width = if is_great { (self.width / 2).max(1) } else { (self.width + 1).min(RECOVERY_WINDOWS_MAX) };
    }

    /// Those whose answer did not come in its time are not under way any more.
    pub fn overdue(&mut self, now: Time) -> Vec<Window> {
        let (over, asked) = self.asked.drain(..).partition(|window| window.due <= now);
        self.asked = asked;
        over
    }

    pub fn due(&self) -> Option<Time> {
        self.asked.iter().map(|window| window.due).min()
    }

    /// Nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.asked.is_empty()
    }

    /// What has no answer: under way, next, or given up.
    pub fn unanswered(&self) -> impl Iterator<Item = (Seq, Seq)> + '_ {
        let asked = self.asked.iter().map(|window| (window.part.first, window.part.last));
        asked.chain(self.left.iter().map(|part| (part.first, part.last))).chain(self.failed.iter().copied())
    }

    /// What was not given up, from its first to its last message, and how often its most tried part was tried.
    pub fn rest(&self) -> Option<Part> {
        let asked = self
            .asked
            .iter()
            .map(|window| if window.progressed() { Part { tries: 0, ..window.part } } else { window.part });
        asked.chain(self.left.iter().copied()).reduce(|one, other| Part {
            first: one.first.min(other.first),
            last: one.last.max(other.last),
            tries: one.tries.max(other.tries),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Waits = Waits { answer: Duration::from_millis(400), overtaken: Duration::from_millis(10) };

    fn wanted(first: Seq, last: Seq, tries: u32) -> Windows {
        Windows::new(Part { first, last, tries }, LOST_TRIES_MAX)
    }

    fn at(ms: u64) -> Time {
        Time::from_micros(ms * 1000)
    }

    /// Asks for all that there is room for, where nothing of it is here.
    fn ask(windows: &mut Windows, now: Time) -> Vec<(Seq, Seq)> {
        let mut asked = Vec::new();
        while let Some(part) = windows.next(|first, last| vec![(first, last)]) {
            windows.sent(part, now, WAITS);
            asked.push((part.first, part.last));
        }
        asked
    }

    #[test]
    fn the_first_window_shows_how_large_they_are_and_then_more_are_under_way() {
        let mut windows = wanted(1, 200, 0);
        assert_eq!(ask(&mut windows, at(0)), [(1, 200)]);
        let ended = windows.ends(1, 16, at(50), WAITS).unwrap();
        windows.adapt(&Part { last: 16, ..ended.part }, 0);
        assert_eq!(ask(&mut windows, at(50)), [(17, 32), (33, 48)]);
        for first in [17, 33] {
            let ended = windows.ends(first, first + 15, at(100), WAITS).unwrap();
            windows.adapt(&ended.part, 0);
        }
        assert_eq!(ask(&mut windows, at(100)).len(), 4);
    }

    #[test]
    fn windows_grow_with_what_fits_and_no_further() {
        let mut windows = Windows { size: 4, ..wanted(1, 200, 0) };
        let mut size_after = |first: Seq, last: Seq, bytes| {
            assert_eq!(ask(&mut windows, at(0)), [(first, last)]);
            assert!(windows.comes(first, bytes, at(1), WAITS));
            assert!(windows.ends(first, last, at(2), WAITS).is_some());
            windows.size
        };
        assert_eq!(size_after(1, 4, RECOVERY_WINDOW_BYTES / 2), 8);
        assert_eq!(size_after(5, 12, RECOVERY_WINDOW_BYTES / 2 + 1), 8);
        assert_eq!(size_after(13, 20, RECOVERY_WINDOW_BYTES), 8);
    }

    #[test]
    fn a_great_loss_leaves_half_as_many_under_way_and_a_small_one_none_less() {
        let mut windows = Windows { width: 4, size: 16, ..wanted(1, 200, 0) };
        windows.adapt(&Part { first: 1, last: 16, tries: 0 }, 1);
        assert_eq!(windows.width, 4);
        windows.adapt(&Part { first: 1, last: 16, tries: 0 }, 5);
        assert_eq!((windows.width, ask(&mut windows, at(0)).len()), (2, 2));
    }

    #[test]
    fn what_a_later_answer_overtook_is_due_soon_and_what_follows_it_has_its_time_anew() {
        let mut windows = Windows { width: 4, size: 16, ..wanted(1, 64, 0) };
        assert_eq!(ask(&mut windows, at(0)).len(), 4);
        assert!(windows.comes(20, 300, at(100), WAITS));
        assert!(!windows.comes(65, 300, at(100), WAITS));
        assert_eq!(windows.due(), Some(at(110)));
        let over: Vec<Seq> = windows.overdue(at(110)).iter().map(|window| window.part.first).collect();
        assert_eq!((over, windows.due()), (vec![1], Some(at(500))));
    }

    #[test]
    fn each_try_waits_for_as_long() {
        let mut windows = wanted(1, 2, 0);
        windows.sent(Part { first: 1, last: 2, tries: 2 }, at(0), WAITS);
        assert_eq!(windows.due(), Some(at(400)));
        assert!(windows.comes(1, 300, at(100), WAITS));
        assert_eq!(windows.due(), Some(at(500)));
    }

    #[test]
    fn what_came_whole_waits_no_longer_for_its_end_than_that_may_be_overtaken() {
        let mut windows = wanted(1, 2, 0);
        assert_eq!(ask(&mut windows, at(0)), [(1, 2)]);
        assert!(windows.comes(2, 300, at(60), WAITS));
        assert_eq!(windows.due(), Some(at(460)));
        assert!(windows.comes(1, 300, at(61), WAITS));
        assert_eq!(windows.due(), Some(at(71)));
    }

    #[test]
    fn what_is_here_by_now_is_not_asked_for() {
        let mut windows = wanted(1, 9, 1);
        let part = windows.next(|_, _| vec![(2, 3), (7, 9)]).unwrap();
        assert_eq!(part, Part { first: 2, last: 3, tries: 1 });
        windows.sent(part, at(0), WAITS);
        assert_eq!(windows.unanswered().collect::<Vec<_>>(), [(2, 3), (7, 9)]);
        windows.again(vec![(11, 12)], LOST_TRIES_MAX);
        assert_eq!(windows.rest(), Some(Part { first: 2, last: 9, tries: 1 }));
        let mut done = wanted(1, 9, 0);
        assert_eq!(done.next(|_, _| Vec::new()), None);
        assert!(done.is_idle() && done.rest().is_none());
    }
}
