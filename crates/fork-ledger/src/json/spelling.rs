//! Accounts in all the spellings JSON has, good and bad, for tests of readers.

use super::write::write_account_json;
use crate::account::Account;

/// A source of choices.
pub struct Choices(pub u64);

impl Choices {
    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        // SplitMix64: tests need many choices of one seed, not good ones.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// JSON as written.
#[derive(Clone, Debug)]
enum Node {
    Object(Vec<(Vec<u8>, Node)>),
    List(Vec<Node>),
    /// Anything else, strings with their quotes.
    Other(Vec<u8>),
}

impl Node {
    /// Parses what [`write_account_json`] prints.
    fn parse(text: &mut &[u8]) -> Self {
        match text[0] {
            b'{' => {
                let mut members = Vec::new();
                while text[0] != b'}' {
                    *text = &text[1..];
                    let name = scalar(text);
                    *text = &text[1..];
                    members.push((name, Self::parse(text)));
                }
                *text = &text[1..];
                Self::Object(members)
            }
            b'[' => {
                let mut items = Vec::new();
                while text[0] != b']' {
                    *text = &text[1..];
                    items.push(Self::parse(text));
                }
                *text = &text[1..];
                Self::List(items)
            }
            _ => Self::Other(scalar(text)),
        }
    }

    fn write(&self, choices: &mut Choices, out: &mut Vec<u8>) {
        match self {
            Self::Object(members) => {
                out.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    blanks(choices, out);
                    out.extend_from_slice(name);
                    blanks(choices, out);
                    out.push(b':');
                    blanks(choices, out);
                    value.write(choices, out);
                    blanks(choices, out);
                }
                out.push(b'}');
            }
            Self::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    blanks(choices, out);
                    item.write(choices, out);
                }
                out.push(b']');
            }
            Self::Other(text) => out.extend_from_slice(text),
        }
    }

    /// Changes the spelling, and with `wild` the meaning too.
    fn vary(&mut self, choices: &mut Choices, wild: bool) {
        match self {
            Self::Object(members) => {
                for (name, value) in &mut *members {
                    value.vary(choices, wild);
                    if choices.once_in(40) {
                        escape(name, choices);
                    }
                    if wild && choices.once_in(30) {
                        *value = odd_value(choices);
                    }
                }
                if choices.once_in(2) {
                    for index in (1..members.len()).rev() {
                        members.swap(index, choices.below(index + 1));
                    }
                }
                if wild && choices.once_in(8) && !members.is_empty() {
                    members.remove(choices.below(members.len()));
                }
                if wild && choices.once_in(20) && !members.is_empty() {
                    members.push(members[choices.below(members.len())].clone());
                }
                if choices.once_in(10) {
                    let name = [&b"\"note\""[..], b"\"sk\"", b"\"Balance\"", b"\"\""];
                    members.push((name[choices.below(4)].to_vec(), odd_value(choices)));
                }
            }
            Self::List(items) => {
                for item in &mut *items {
                    item.vary(choices, wild);
                }
                if wild && choices.once_in(10) {
                    items.pop();
                }
            }
            Self::Other(text) => {
                let is_number =
                    text.len() > 2 && text[1..text.len() - 1].iter().all(u8::is_ascii_digit);
                if choices.once_in(60) {
                    escape(text, choices);
                } else if wild && is_number && choices.once_in(4) {
                    let name = [&b"Since_genesis"[..], b"Global_slot_span"][choices.below(2)];
                    *text = [b"[\"", name, b"\",", text, b"]"].concat();
                } else if wild && choices.once_in(12) {
                    text.make_ascii_uppercase();
                } else if is_number && choices.once_in(10) {
                    text.insert(1, b'0');
                }
            }
        }
    }
}

fn scalar(text: &mut &[u8]) -> Vec<u8> {
    let is_string = text[0] == b'"';
    let mut end = 1;
    while if is_string {
        text[end] != b'"'
    } else {
        !b",}]".contains(&text[end])
    } {
        end += if text[end] == b'\\' { 2 } else { 1 };
    }
    let (scalar, rest) = text.split_at(end + usize::from(is_string));
    *text = rest;
    scalar.to_vec()
}

fn blanks(choices: &mut Choices, out: &mut Vec<u8>) {
    while choices.once_in(6) {
        out.push(b" \n\t\r"[choices.below(4)]);
    }
}

/// Writes one character of a string as an escape.
fn escape(string: &mut Vec<u8>, choices: &mut Choices) {
    if string.len() < 3 || string[0] != b'"' {
        return;
    }
    let index = 1 + choices.below(string.len() - 2);
    let byte = string[index];
    if byte.is_ascii_alphanumeric() && string[index - 1] != b'\\' && !string.contains(&b'\\') {
        string.splice(index..=index, format!("\\u{byte:04x}").into_bytes());
    }
}

fn odd_value(choices: &mut Choices) -> Node {
    const VALUES: [&str; 16] = [
        "null",
        "null",
        "0",
        "-1.5e3",
        "true",
        "\"\"",
        "\"signature\"",
        "\"1\"",
        "\"4294967296\"",
        "\"18446744074\"",
        "{}",
        "[]",
        r#"[{"a":[]},{"pk":"}, {"},{"b":"\"]"}]"#,
        r#""\\\"}],[{""#,
        r#"{"auth":"none","txn_version":"1"}"#,
        "\"2mzbV7WevxLuchs2dAMY4vQBS6XttnCUF8Hvks4XNBQ5qiSGGBQf\"",
    ];
    Node::Other(VALUES[choices.below(VALUES.len())].into())
}

/// The text of `account` in some spelling; `wild` ones may mean something else or nothing.
pub fn spelled(account: &Account, choices: &mut Choices, wild: bool) -> Vec<u8> {
    let mut compact = Vec::new();
    write_account_json(account, &mut compact);
    if choices.once_in(4) {
        return compact;
    }
    let mut node = Node::parse(&mut &compact[..]);
    node.vary(choices, wild);
    let mut text = Vec::new();
    node.write(choices, &mut text);
    text
}

/// Breaks a text in one place.
pub fn damage(text: &mut Vec<u8>, choices: &mut Choices) {
    const BYTES: &[u8] = b"{}[],:\"\\ \n0aZ\x00\x7f\xff";
    if text.is_empty() {
        return;
    }
    let index = choices.below(text.len());
    match choices.below(5) {
        0 => text.truncate(index),
        1 => text[index] ^= 1 << choices.below(8),
        2 => text[index] = BYTES[choices.below(BYTES.len())],
        3 => text.insert(index, BYTES[choices.below(BYTES.len())]),
        _ => drop(text.remove(index)),
    }
}

/// A list of accounts as a document.
pub fn document(texts: &[Vec<u8>], choices: &mut Choices) -> Vec<u8> {
    const PREAMBLES: [&str; 5] = ["", "", "\n", "Generating ledger {}…\nand so on ", " \r\n\t"];
    let mut document = PREAMBLES[choices.below(5)].as_bytes().to_vec();
    document.push(b'[');
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            document.push(b',');
        }
        blanks(choices, &mut document);
        document.extend_from_slice(text);
        blanks(choices, &mut document);
    }
    document.push(b']');
    blanks(choices, &mut document);
    document
}
