//! Lua's patterns, as `string.find` and its like take them. They are done anew here because those of the C library
//! cannot be stopped: a pattern like `a*a*a*a*b` takes years on a short text. Owns matching; knows nothing of Lua values.

/// A match, as byte offsets from 0; `end` is the first byte after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Match {
    pub start: usize,
    pub end: usize,
    pub captures: Vec<Capture>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Capture {
    Text { start: usize, end: usize },
    Position(usize),
}

/// Why nothing can be said about a match.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum PatternError {
    #[error("{0}")]
    Malformed(String),
    /// More steps were needed than were given.
    #[error("it takes too many steps")]
    Steps,
}

/// Captures in one pattern, as in the reference implementation.
const CAPTURES_MAX: usize = 32;
/// Nested attempts, as in the reference implementation: each takes a frame of the stack.
const DEPTH_MAX: usize = 200;

type Result<T> = std::result::Result<T, PatternError>;

/// Whether a `^` that begins the pattern holds it to where the search begins, or is a letter like any other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Holds,
    Letter,
}

/// The first match of `pattern` that begins at `from` or later and does not end at `not_at`. Takes from `steps` what it
/// cost, also when it fails.
pub(super) fn search(
    text: &[u8],
    pattern: &[u8],
    from: usize,
    not_at: Option<usize>,
    anchor: Anchor,
    steps: &mut u64,
) -> Result<Option<Match>> {
    let is_anchored = anchor == Anchor::Holds && pattern.first() == Some(&b'^');
    let pattern = if is_anchored { &pattern[1..] } else { pattern };
    let last = if is_anchored { from } else { text.len() };
    for start in from..=last {
        let mut matcher = Matcher { text, pattern, captures: Vec::new(), depth: 0, steps };
        if let Some(end) = matcher.attempt(start, 0)?
            && not_at != Some(end)
        {
            let captures = matcher.finished()?;
            return Ok(Some(Match { start, end, captures }));
        }
    }
    Ok(None)
}

/// Where `wanted` first stands in `text` from `from` on, in as many steps as both are long (Knuth, Morris, Pratt).
pub(super) fn find_plain(text: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    if wanted.is_empty() {
        return Some(from);
    }
    let mut borders = vec![0; wanted.len()];
    let mut length = 0;
    for at in 1..wanted.len() {
        while length > 0 && wanted[at] != wanted[length] {
            length = borders[length - 1];
        }
        length += usize::from(wanted[at] == wanted[length]);
        borders[at] = length;
    }
    length = 0;
    for (at, byte) in text.iter().enumerate().skip(from) {
        while length > 0 && *byte != wanted[length] {
            length = borders[length - 1];
        }
        length += usize::from(*byte == wanted[length]);
        if length == wanted.len() {
            return Some(at + 1 - length);
        }
    }
    None
}

struct Matcher<'a> {
    text: &'a [u8],
    pattern: &'a [u8],
    captures: Vec<Open>,
    depth: usize,
    steps: &'a mut u64,
}

#[derive(Clone, Copy)]
struct Open {
    start: usize,
    length: Length,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Unfinished,
    Position,
    Bytes(usize),
}

impl Matcher<'_> {
    /// Matches the pattern from `p` on against the text from `s` on; where the match ends.
    fn attempt(&mut self, s: usize, p: usize) -> Result<Option<usize>> {
        if self.depth == DEPTH_MAX {
            return Err(malformed("pattern too complex"));
        }
        self.depth += 1;
        let end = self.attempt_here(s, p);
        self.depth -= 1;
        end
    }

    fn attempt_here(&mut self, mut s: usize, mut p: usize) -> Result<Option<usize>> {
        loop {
            self.step()?;
            let Some(&item) = self.pattern.get(p) else { return Ok(Some(s)) };
            let next = self.pattern.get(p + 1).copied();
            match (item, next) {
                (b'(', Some(b')')) => return self.open_capture(s, p + 2, Length::Position),
                (b'(', _) => return self.open_capture(s, p + 1, Length::Unfinished),
                (b')', _) => return self.close_capture(s, p + 1),
                (b'$', None) => return Ok((s == self.text.len()).then_some(s)),
                (b'%', Some(b'b')) => {
                    let Some(after) = self.balanced(s, p + 2)? else { return Ok(None) };
                    (s, p) = (after, p + 4);
                }
                (b'%', Some(b'f')) => {
                    let Some(after) = self.frontier(s, p + 2)? else { return Ok(None) };
                    p = after;
                }
                (b'%', Some(digit)) if digit.is_ascii_digit() => {
                    let Some(after) = self.again(s, digit)? else { return Ok(None) };
                    (s, p) = (after, p + 2);
                }
                _ => {
                    let class_end = self.class_end(p)?;
                    let is_here = self.is_single(s, p, class_end);
                    match (self.pattern.get(class_end), is_here) {
                        (Some(b'*'), _) => return self.expand_most(s, p, class_end),
                        (Some(b'-'), _) => return self.expand_least(s, p, class_end),
                        (Some(b'+'), true) => return self.expand_most(s + 1, p, class_end),
                        (Some(b'?'), true) => {
                            if let Some(end) = self.attempt(s + 1, class_end + 1)? {
                                return Ok(Some(end));
                            }
                            p = class_end + 1;
                        }
                        (Some(b'?'), false) => p = class_end + 1,
                        (_, true) => (s, p) = (s + 1, class_end),
                        (_, false) => return Ok(None),
                    }
                }
            }
        }
    }

    fn step(&mut self) -> Result<()> {
        *self.steps = self.steps.checked_sub(1).ok_or(PatternError::Steps)?;
        Ok(())
    }

    /// As often as it goes, then less often.
    fn expand_most(&mut self, s: usize, p: usize, class_end: usize) -> Result<Option<usize>> {
        let mut count = 0;
        while self.is_single(s + count, p, class_end) {
            self.step()?;
            count += 1;
        }
        loop {
            if let Some(end) = self.attempt(s + count, class_end + 1)? {
                return Ok(Some(end));
            }
            let Some(fewer) = count.checked_sub(1) else { return Ok(None) };
            count = fewer;
        }
    }

    /// As seldom as it goes, then more often.
    fn expand_least(&mut self, mut s: usize, p: usize, class_end: usize) -> Result<Option<usize>> {
        loop {
            if let Some(end) = self.attempt(s, class_end + 1)? {
                return Ok(Some(end));
            }
            if !self.is_single(s, p, class_end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn open_capture(&mut self, s: usize, p: usize, length: Length) -> Result<Option<usize>> {
        if self.captures.len() == CAPTURES_MAX {
            return Err(malformed("too many captures"));
        }
        let count = self.captures.len();
        self.captures.push(Open { start: s, length });
        let end = self.attempt(s, p)?;
        if end.is_none() {
            self.captures.truncate(count);
        }
        Ok(end)
    }

    fn close_capture(&mut self, s: usize, p: usize) -> Result<Option<usize>> {
        let open = self.captures.iter().rposition(|capture| capture.length == Length::Unfinished);
        let Some(open) = open else { return Err(malformed("invalid pattern capture")) };
        self.captures[open].length = Length::Bytes(s - self.captures[open].start);
        let end = self.attempt(s, p)?;
        if end.is_none() {
            self.captures[open].length = Length::Unfinished;
        }
        Ok(end)
    }

    /// `%b()`: from here to where the two letters at `p` balance.
    fn balanced(&mut self, s: usize, p: usize) -> Result<Option<usize>> {
        let (Some(&open), Some(&close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return Err(malformed("malformed pattern (missing arguments to '%b')"));
        };
        if self.text.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1_usize;
        for at in s + 1..self.text.len() {
            self.step()?;
            let byte = self.text[at];
            if byte == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(at + 1));
                }
            } else if byte == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// `%f[set]`: where the pattern goes on, if a set begins here.
    fn frontier(&mut self, s: usize, p: usize) -> Result<Option<usize>> {
        if self.pattern.get(p) != Some(&b'[') {
            return Err(malformed("missing '[' after '%f' in pattern"));
        }
        let class_end = self.class_end(p)?;
        let before = s.checked_sub(1).map_or(0, |at| self.text[at]);
        let here = self.text.get(s).copied().unwrap_or(0);
        let begins = !self.is_in_set(before, p, class_end - 1) && self.is_in_set(here, p, class_end - 1);
        Ok(begins.then_some(class_end))
    }

    /// `%1`: what was captured, once more.
    fn again(&mut self, s: usize, digit: u8) -> Result<Option<usize>> {
        let number = usize::from(digit - b'0');
        let capture = number.checked_sub(1).and_then(|at| self.captures.get(at));
        let Some(Open { start, length: Length::Bytes(length) }) = capture.copied() else {
            return Err(PatternError::Malformed(format!("invalid capture index %{number}")));
        };
        for _ in 0..length / 16 {
            self.step()?;
        }
        let is_same = self.text.get(s..s + length) == Some(&self.text[start..start + length]);
        Ok(is_same.then_some(s + length))
    }

    /// Where the single item that begins at `p` ends in the pattern.
    fn class_end(&self, p: usize) -> Result<usize> {
        match self.pattern[p] {
            b'%' if p + 1 >= self.pattern.len() => Err(malformed("malformed pattern (ends with '%')")),
            b'%' => Ok(p + 2),
            b'[' => {
                let mut at = p + 1;
                if self.pattern.get(at) == Some(&b'^') {
                    at += 1;
                }
                // A ] that comes first is one of the set.
                loop {
                    let Some(&letter) = self.pattern.get(at) else {
                        return Err(malformed("malformed pattern (missing ']')"));
                    };
                    at += if letter == b'%' { 2 } else { 1 };
                    if self.pattern.get(at) == Some(&b']') {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    fn is_single(&self, s: usize, p: usize, class_end: usize) -> bool {
        let Some(&byte) = self.text.get(s) else { return false };
        match self.pattern[p] {
            b'.' => true,
            b'%' => is_in_class(byte, self.pattern[p + 1]),
            b'[' => self.is_in_set(byte, p, class_end - 1),
            letter => letter == byte,
        }
    }

    /// Whether `byte` is in the set between the brackets at `open` and `close`.
    fn is_in_set(&self, byte: u8, open: usize, close: usize) -> bool {
        let mut at = open + 1;
        let is_negated = self.pattern[at] == b'^';
        at += usize::from(is_negated);
        while at < close {
            let letter = self.pattern[at];
            if letter == b'%' {
                if is_in_class(byte, self.pattern[at + 1]) {
                    return !is_negated;
                }
                at += 2;
            } else if self.pattern[at + 1] == b'-' && at + 2 < close {
                if (letter..=self.pattern[at + 2]).contains(&byte) {
                    return !is_negated;
                }
                at += 3;
            } else {
                if letter == byte {
                    return !is_negated;
                }
                at += 1;
            }
        }
        is_negated
    }

    fn finished(&self) -> Result<Vec<Capture>> {
        let finish = |open: &Open| match open.length {
            Length::Unfinished => Err(malformed("unfinished capture")),
            Length::Position => Ok(Capture::Position(open.start)),
            Length::Bytes(length) => Ok(Capture::Text { start: open.start, end: open.start + length }),
        };
        self.captures.iter().map(finish).collect()
    }
}

/// The classes of the C locale.
fn is_in_class(byte: u8, class: u8) -> bool {
    let is_in = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => matches!(byte, b' ' | b'\t'..=b'\r'),
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        _ => return class == byte,
    };
    is_in != class.is_ascii_uppercase()
}

fn malformed(what: &str) -> PatternError {
    PatternError::Malformed(what.to_owned())
}
