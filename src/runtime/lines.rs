//! Bytes into lines, with a bound. Owns what of a stream has not made a line yet; knows nothing of what a
//! line says.

/// Collects bytes and gives them back as lines without their line feed.
#[derive(Debug)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// How much of `bytes` was given back already.
    taken: usize,
    /// How much of `bytes` holds no line feed for sure.
    searched: usize,
    line_bytes_max: usize,
}

/// A line was longer than the bound. The stream cannot be trusted after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than {line_bytes_max} bytes")]
pub(super) struct LineTooLong {
    line_bytes_max: usize,
}

impl Lines {
    /// Takes lines of at most `line_bytes_max` bytes, the line feed included.
    #[must_use]
    pub fn new(line_bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), taken: 0, searched: 0, line_bytes_max }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.searched -= self.taken;
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`LineTooLong`], from then on for ever.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, LineTooLong> {
        let feed = self.bytes[self.searched..].iter().position(|&byte| byte == b'\n');
        let end = feed.map_or(self.bytes.len(), |at| self.searched + at + 1);
        if end - self.taken > self.line_bytes_max {
            return Err(LineTooLong { line_bytes_max: self.line_bytes_max });
        }
        self.searched = end;
        if feed.is_none() {
            return Ok(None);
        }
        let line = &self.bytes[self.taken..end - 1];
        self.taken = end;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drain(lines: &mut Lines) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            found.push(String::from_utf8(line.to_vec()).unwrap());
        }
        found
    }

    #[test]
    fn a_line_may_come_in_pieces_and_several_at_once() {
        let mut lines = Lines::new(16);
        lines.push(b"on");
        assert_eq!(drain(&mut lines), Vec::<String>::new());
        lines.push(b"e\ntwo\nthr");
        assert_eq!(drain(&mut lines), ["one", "two"]);
        lines.push(b"ee\n\n");
        assert_eq!(drain(&mut lines), ["three", ""]);
    }

    #[test]
    fn the_longest_line_passes_and_one_byte_more_does_not() {
        let mut lines = Lines::new(4);
        lines.push(b"abc\n");
        assert_eq!(drain(&mut lines), ["abc"]);
        lines.push(b"abcd");
        assert_eq!(lines.next_line(), Ok(None));
        lines.push(b"\n");
        assert!(lines.next_line().is_err());
        assert!(lines.next_line().is_err());
    }

    #[test]
    fn a_line_without_an_end_is_refused_before_it_ends() {
        let mut lines = Lines::new(4);
        lines.push(b"abcde");
        assert!(lines.next_line().is_err());
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_lines_are_the_same(
            text in "[a-c\n]{0,60}",
            cuts in proptest::collection::vec(1_usize..7, 0..30),
        ) {
            let mut lines = Lines::new(100);
            let mut found = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                lines.push(now);
                found.extend(drain(&mut lines));
                rest = later;
            }
            lines.push(rest);
            found.extend(drain(&mut lines));
            let mut expected: Vec<&str> = text.split('\n').collect();
            expected.pop();
            prop_assert_eq!(found, expected);
        }
    }
}
