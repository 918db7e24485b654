//! Lines of a stream, reversed, however the stream was cut into pieces.

/// The longest line that is kept whole; a longer one is reversed in pieces of this size, so that a peer that never sends
/// a newline cannot make us store without bound.
const MAX_LINE_BYTES: usize = 1024 * 1024;

/// Room that is kept for the next line: that of a long one is given back.
const KEPT_BYTES: usize = 4096;

/// What to do after the answer is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Then {
    /// Wait for more.
    GoOn,
    /// Close: there was an empty line.
    Close,
}

/// The unfinished line at the end of what has been received.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    state: LineState,
    alphabet: Alphabet,
}

/// What the lines of the stream consist of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Alphabet {
    /// Characters in UTF-8, as far as was seen.
    #[default]
    Utf8,
    /// Octets: there was a line that is no UTF-8, so that another one which happens to be is not taken for text.
    Octets,
}

/// Whether a part of the present line has been answered already.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum LineState {
    /// None was: a newline here makes an empty line.
    #[default]
    Whole,
    /// The line is longer than a piece.
    InPieces,
}

impl Lines {
    /// Takes the next octets of the stream; returns what to answer and whether an empty line was among them, after
    /// which nothing is looked at.
    pub(super) fn push(&mut self, octets: &[u8]) -> (Vec<u8>, Then) {
        let mut answer = Vec::with_capacity(octets.len());
        for part in octets.split_inclusive(|&octet| octet == b'\n') {
            let (text, newline) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            if newline && self.line.is_empty() && self.state == LineState::Whole && text.len() <= MAX_LINE_BYTES {
                // All of the line is here: it need not be kept first.
                if text.is_empty() {
                    return (answer, Then::Close);
                }
                self.alphabet.reverse_into(text, &mut answer);
                answer.push(b'\n');
                continue;
            }
            self.extend(text, &mut answer);
            if !newline {
                continue;
            }
            self.reverse_into(&mut answer);
            answer.push(b'\n');
            self.state = LineState::Whole;
        }
        (answer, Then::GoOn)
    }

    /// The answer to a last line that has no newline; empty when there is none.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let mut answer = Vec::with_capacity(self.line.len());
        self.reverse_into(&mut answer);
        answer
    }

    /// Adds text to the present line; what is longer than a piece is answered.
    fn extend(&mut self, mut text: &[u8], answer: &mut Vec<u8>) {
        while self.line.len() + text.len() > MAX_LINE_BYTES {
            let (head, tail) = text.split_at(MAX_LINE_BYTES.saturating_sub(self.line.len()));
            self.line.extend_from_slice(head);
            self.reverse_into(answer);
            self.state = LineState::InPieces;
            text = tail;
        }
        self.line.extend_from_slice(text);
    }

    /// Appends the present line reversed, and begins the next one.
    fn reverse_into(&mut self, answer: &mut Vec<u8>) {
        self.alphabet.reverse_into(&self.line, answer);
        self.line.clear();
        self.line.shrink_to(KEPT_BYTES);
    }
}

impl Alphabet {
    /// Appends a line reversed, as `rev` does: by characters in a text, by octets in other streams.
    fn reverse_into(&mut self, line: &[u8], answer: &mut Vec<u8>) {
        if *self == Self::Utf8 && !line.is_ascii() {
            match std::str::from_utf8(line) {
                Ok(text) => {
                    let mut buffer = [0; 4];
                    for character in text.chars().rev() {
                        answer.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                    }
                    return;
                }
                Err(_) => *self = Self::Octets,
            }
        }
        let start = answer.len();
        answer.extend_from_slice(line);
        if let Some(reversed) = answer.get_mut(start..) {
            reversed.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole answer to a stream, and whether it closed.
    fn echo(pieces: &[&[u8]]) -> (Vec<u8>, Then) {
        let mut lines = Lines::default();
        let mut answer = Vec::new();
        for piece in pieces {
            let (part, then) = lines.push(piece);
            answer.extend(part);
            if then == Then::Close {
                return (answer, then);
            }
        }
        answer.extend(lines.finish());
        (answer, Then::GoOn)
    }

    #[test]
    fn each_line_is_reversed_and_keeps_its_newline() {
        assert_eq!(echo(&[b"abc\nde\n"]), (b"cba\ned\n".to_vec(), Then::GoOn));
    }

    #[test]
    fn the_cut_into_pieces_makes_no_difference() {
        // The last of these is no text from its second line on.
        for whole in [
            "hello, world\nsecond line\nthird".as_bytes(),
            "añ\nñññ\n\nx\n".as_bytes(),
            b"\xc3\xb1a\n\xff\n\xc3\xb1a\n",
        ] {
            let (answer, then) = echo(&[whole]);
            for cut in 0..whole.len() {
                let (head, tail) = whole.split_at(cut);
                assert_eq!(echo(&[head, tail]), (answer.clone(), then), "cut at {cut}");
            }
        }
    }

    #[test]
    fn an_unterminated_last_line_is_answered_at_the_end() {
        assert_eq!(echo(&[b"ab\ncd"]), (b"ba\ndc".to_vec(), Then::GoOn));
    }

    #[test]
    fn an_empty_line_closes_and_what_follows_is_not_answered() {
        assert_eq!(echo(&[b"ab\n\ncd\n"]), (b"ba\n".to_vec(), Then::Close));
        assert_eq!(echo(&[b"\n"]), (Vec::new(), Then::Close));
        assert_eq!(echo(&[b"ab\n", b"\n"]), (b"ba\n".to_vec(), Then::Close));
        assert_eq!(echo(&[b"ab", b"\n"]), (b"ba\n".to_vec(), Then::GoOn));
    }

    #[test]
    fn a_line_of_the_limit_is_whole_and_one_octet_more_is_in_pieces() {
        let mut line: Vec<u8> = (0..MAX_LINE_BYTES).map(|i| b'a' + (i % 26) as u8).collect();
        let mut reversed: Vec<u8> = line.iter().rev().copied().collect();
        line.push(b'\n');
        reversed.push(b'\n');
        assert!(echo(&[&line]).0 == reversed);

        line.insert(MAX_LINE_BYTES, b'!');
        let mut in_pieces: Vec<u8> = line[..MAX_LINE_BYTES].iter().rev().copied().collect();
        in_pieces.extend(b"!\n");
        assert!(echo(&[&line]).0 == in_pieces);
    }

    #[test]
    fn the_newline_after_a_full_piece_is_no_empty_line() {
        let mut lines = Lines::default();
        let (answer, _) = lines.push(&vec![b'a'; MAX_LINE_BYTES + 1]);
        assert_eq!(answer.len(), MAX_LINE_BYTES);
        assert_eq!(lines.push(b"\n"), (b"a\n".to_vec(), Then::GoOn));
        assert_eq!(lines.push(b"\n"), (Vec::new(), Then::Close));
    }

    #[test]
    fn characters_stay_whole_and_other_octets_are_reversed_as_they_are() {
        assert_eq!(echo(&["añb\n".as_bytes()]).0, "bña\n".as_bytes());
        assert_eq!(echo(&[b"a\xffb\n"]).0, b"b\xffa\n");
    }

    #[test]
    fn a_stream_that_is_no_text_is_reversed_by_octets_from_then_on() {
        let stream = ["añ\n".as_bytes(), b"\xff\n", "añ\n".as_bytes()].concat();
        assert_eq!(echo(&[&stream]).0, ["ña\n".as_bytes(), b"\xff\n", b"\xb1\xc3a\n"].concat());
    }
}
