//! Changes to bytes, from a seed: the same changes on every machine.

/// Random numbers (xorshift64*), the same for the same seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Numbers for a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Any number.
    pub const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`, 0 when that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }
}

/// Words of the formats, and numbers at the ends of types.
const WORDS: &[&[u8]] = &[
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"\"\"",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\\"",
    b"NaN",
    b"Infinity",
    b"-0",
    b"0",
    b"-1",
    b"1e3",
    b"1e999",
    b"1.0",
    b"1E-400",
    b"255",
    b"256",
    b"65535",
    b"65536",
    b"2147483648",
    b"4294967295",
    b"4294967296",
    b"18446744073709551615",
    b"18446744073709551616",
    b"9999999999",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\n",
    b" ",
    b"\t",
    b"\r\n",
    b"\0",
    b"../",
    b"/",
    b"./",
    b"..",
    b"#",
    b"=",
    b".",
    b"\"pk\":",
    b"\"zkapp\":",
    b"\"timing\":",
    b"\"accounts\":",
    b"\"ledger\":",
    b"\"token\":",
    b"\"fork_config\":",
    b"\"data\":",
    b"\"errors\":",
    b"\"epoch_data\":",
    b"\"token_symbol\":",
    b"\"permissions\":",
    b"\"nonce\":",
    b"ustar\0",
    b"ustar  \0",
    b"path=",
    b"size=",
    b"\xfe",
    b"\xfd",
    b"\xfc",
    b"\xff\xff\xff\xff",
    b"\x80\0\0\0",
    b"\0\0\0\0\0\0\0\0",
    b"77777777777\0",
    b"\x1f\x8b\x08",
];

/// Largest result.
const BYTES_MAX: usize = 64 << 10;

/// Changes `data` in one to eight places; `other` is what a part may be taken from.
#[must_use]
pub fn mutate(random: &mut Random, data: &[u8], other: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..1 + random.below(8) {
        change(random, &mut data, other);
        data.truncate(BYTES_MAX);
    }
    data
}

fn change(random: &mut Random, data: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(data.len() + 1);
    let length = match random.below(3) {
        0 => 1 + random.below(4),
        1 => 1 + random.below(64),
        _ => 1 + random.below(data.len()),
    };
    let end = (at + length).min(data.len());
    match random.below(11) {
        0 => {
            if let Some(byte) = data.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            let byte = random.next().to_le_bytes()[3];
            if let Some(place) = data.get_mut(at) {
                *place = byte;
            }
        }
        2 => {
            data.drain(at..end);
        }
        3 => {
            let copy = data[at..end].to_vec();
            let to = random.below(data.len() + 1);
            data.splice(to..to, copy);
        }
        4 | 5 => {
            let word = WORDS[random.below(WORDS.len())];
            data.splice(at..at, word.iter().copied());
        }
        6 => {
            let word = WORDS[random.below(WORDS.len())];
            let end = (at + word.len()).min(data.len());
            data.splice(at..end, word.iter().copied());
        }
        7 => {
            let from = random.below(other.len() + 1);
            let part = &other[from..(from + length).min(other.len())];
            data.splice(at..end, part.iter().copied());
        }
        8 => data.truncate(at),
        9 => change_number(random, data, at),
        _ => {
            let byte = random.next().to_le_bytes()[3];
            let times = 1 + random.below(300);
            data.splice(at..at, std::iter::repeat_n(byte, times));
        }
    }
}

/// Replaces the next decimal number by one that is odd, or too long.
fn change_number(random: &mut Random, data: &mut Vec<u8>, at: usize) {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let Some(start) = data[at..].iter().position(is_digit).map(|found| at + found) else {
        return;
    };
    let length = data[start..]
        .iter()
        .take_while(|byte| is_digit(byte))
        .count();
    let number: Vec<u8> = match random.below(6) {
        0 => vec![b'9'; 400],
        1 => b"0".to_vec(),
        2 => b"-1".to_vec(),
        3 => b"1e3".to_vec(),
        4 => u64::MAX.to_string().into_bytes(),
        _ => [b"0", &data[start..start + length]].concat(),
    };
    data.splice(start..start + length, number);
}
