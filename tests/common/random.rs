//! Numbers that look random and are the same for the same seed (SplitMix64, Steele, Lea and Flood 2014).

/// A seeded source of numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The source that `seed` stands for.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A number below `limit`, as an index.
    pub fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(u64::try_from(limit).unwrap())).unwrap()
    }

    /// True this often in a thousand.
    pub fn per_mille(&mut self, often: u64) -> bool {
        self.below(1000) < often
    }

    /// The next 32 bits.
    pub fn u32(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }

    /// The next 16 bits.
    pub fn u16(&mut self) -> u16 {
        (self.next() >> 48) as u16
    }

    /// The next 8 bits.
    pub fn u8(&mut self) -> u8 {
        (self.next() >> 56) as u8
    }

    /// `length` bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.u8()).collect()
    }

    /// A line of `1..=longest` small letters, with its newline: never an empty line, which would close the connection.
    pub fn line(&mut self, longest: usize) -> Vec<u8> {
        let length = 1 + self.index(longest);
        let mut line: Vec<u8> = (0..length).map(|_| b'a' + self.u8() % 26).collect();
        line.push(b'\n');
        line
    }

    /// At least `length` bytes of such lines.
    pub fn lines(&mut self, length: usize, longest: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(length + longest + 1);
        while text.len() < length {
            text.extend(self.line(longest));
        }
        text
    }
}

/// What the server answers to `text`: every line reversed, its newline still at its end, as `rev` does.
pub fn reversed(text: &[u8]) -> Vec<u8> {
    let mut answer = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let (body, end) = match line {
            [body @ .., b'\n'] => (body, &b"\n"[..]),
            body => (body, &b""[..]),
        };
        answer.extend(body.iter().rev());
        answer.extend(end);
    }
    answer
}
