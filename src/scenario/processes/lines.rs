//! The lines of the trace, in the order in which the fleet learns of them. Owns their numbers, and that their times never go
//! back.

use std::collections::VecDeque;

use crate::base::Time;
use crate::check::{Line, LineNumber, Name, What};

#[derive(Default)]
pub(super) struct Lines {
    written: LineNumber,
    last: Time,
    kept: VecDeque<Line>,
}

impl Lines {
    /// Adds a line. What was heard before another line was written and is taken in after it gets that one's time.
    pub fn write(&mut self, at: Time, node: Option<Name>, cause: Option<LineNumber>, what: What) -> LineNumber {
        self.written += 1;
        self.last = self.last.max(at);
        self.kept.push_back(Line { n: self.written, at: self.last, node, cause, what });
        self.written
    }

    pub fn poll(&mut self) -> Option<Line> {
        self.kept.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_from_one_and_their_times_never_go_back() {
        let mut lines = Lines::default();
        for at in [5, 3, 9] {
            lines.write(Time::from_micros(at), None, None, What::Paused);
        }
        let told: Vec<_> = std::iter::from_fn(|| lines.poll()).map(|line| (line.n, line.at.as_micros())).collect();
        assert_eq!(told, [(1, 5), (2, 5), (3, 9)]);
    }
}
