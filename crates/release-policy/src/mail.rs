//! Mails as evidence: just enough of RFC 5322 and MIME to find one vote in one mail.
//!
//! A vote is two lines that the voter wrote, in the first `text/plain` part:
//!
//! ```text
//! Proposal: sha256:6b86…
//! Vote: APPROVE
//! ```
//!
//! Quoted lines (`>`) are what somebody else wrote and are dropped. What cannot be read with certainty
//! (two different votes, an encoding that is not known) is no vote, and the reason is given.

use crate::name::Digest;
use crate::statement::Choice;

/// Longest mail that is read, in bytes.
pub const MAIL_BYTES_MAX: usize = 1 << 20;
/// How deep parts may be nested.
const PARTS_DEPTH_MAX: usize = 4;

/// A vote as its mail has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailVote {
    /// The address in `From`, in lower case.
    pub from: String,
    /// The proposal it names.
    pub proposal: Digest,
    /// The vote.
    pub choice: Choice,
    /// Answers to the three questions, if given: is the risk worth acting on, is an alternative
    /// acceptable, is the fix riskier than waiting.
    pub answers: Option<Vec<bool>>,
}

/// A mail's headers and the text its sender wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    headers: Vec<(String, String)>,
    text: String,
}

impl Mail {
    /// Reads a mail.
    ///
    /// # Errors
    ///
    /// In words: what cannot be read.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAIL_BYTES_MAX {
            return Err(format!(
                "the mail has {} bytes, more than {MAIL_BYTES_MAX}",
                bytes.len()
            ));
        }
        let raw = std::str::from_utf8(bytes).map_err(|_| "the mail is not UTF-8".to_owned())?;
        let raw = raw.replace("\r\n", "\n");
        let (headers, body) = split(&raw)?;
        let text = plain(&headers, body, 0)?;
        Ok(Self { headers, text })
    }

    /// The value of a header that must be there once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        only(&self.headers, name)
    }

    /// Whether the list server of this name passed it on: `List-Id: … <name.domain>`.
    #[must_use]
    pub fn came_through(&self, list: &str) -> bool {
        let Some(value) = self.header("list-id") else {
            return false;
        };
        let id = value
            .rsplit_once('<')
            .map_or(value, |(_, rest)| rest)
            .trim_end_matches('>')
            .trim();
        id.eq_ignore_ascii_case(list)
            || id
                .split_once('.')
                .is_some_and(|(name, _)| name.eq_ignore_ascii_case(list))
    }

    /// The vote in it.
    ///
    /// # Errors
    ///
    /// In words: why there is none.
    pub fn vote(&self) -> Result<MailVote, String> {
        let value = self.header("from").ok_or("the mail has no single From")?;
        let address = value.rsplit_once('<').map_or(value, |(_, rest)| rest);
        let from = address.trim_end_matches('>').trim().to_ascii_lowercase();
        if !from.contains('@') || from.contains([',', ' ']) {
            return Err(format!("`{value}` is not one address"));
        }
        let proposal = self.said("proposal")?.ok_or("the mail names no proposal")?;
        let proposal = proposal
            .parse()
            .map_err(|_| format!("`{proposal}` is no proposal's digest"))?;
        let choice = self.said("vote")?.ok_or("the mail has no line `Vote:`")?;
        let choice = match choice.to_ascii_lowercase().as_str() {
            "approve" => Choice::Approve,
            "reject" => Choice::Reject,
            "withdraw" => Choice::Withdraw,
            "veto" => Choice::Veto,
            _ => return Err(format!("`{choice}` is no vote")),
        };
        let answers = self.said("answers")?.map(|line| {
            line.split(['/', ','])
                .map(|word| word.trim().eq_ignore_ascii_case("yes"))
                .collect()
        });
        Ok(MailVote {
            from,
            proposal,
            choice,
            answers,
        })
    }

    /// The one value of `Key: value` among the lines the sender wrote.
    fn said(&self, key: &str) -> Result<Option<&str>, String> {
        let mut found: Option<&str> = None;
        for line in self.text.lines() {
            let line = line.trim();
            // Below this line mail programs put what is quoted, some without any mark.
            if line.eq_ignore_ascii_case("-----original message-----") {
                break;
            }
            // The key of a quoted line begins with `>`, so it is never the one that is looked for.
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            if !name.trim().eq_ignore_ascii_case(key) {
                continue;
            }
            let value = value.trim();
            match found {
                Some(before) if before != value => {
                    return Err(format!("the mail says `{key}` twice, differently"));
                }
                _ => found = Some(value),
            }
        }
        Ok(found)
    }
}

type Headers = Vec<(String, String)>;

fn split(raw: &str) -> Result<(Headers, &str), String> {
    let (head, body) = raw.split_once("\n\n").ok_or("the mail has no body")?;
    let mut headers: Headers = Vec::new();
    for line in head.lines() {
        if line.starts_with([' ', '\t']) {
            let (_, value) = headers
                .last_mut()
                .ok_or("the mail begins with a continued line")?;
            value.push(' ');
            value.push_str(line.trim());
        } else if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        } else if !line.starts_with("From ") {
            return Err("a line among the headers is none".to_owned());
        }
    }
    Ok((headers, body))
}

fn only<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let mut values = headers
        .iter()
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.as_str());
    let first = values.next()?;
    // Two of them, and a mail program and this one might choose differently.
    if values.next().is_some() {
        None
    } else {
        Some(first)
    }
}

/// The first `text/plain` part, decoded.
fn plain(headers: &Headers, body: &str, depth: usize) -> Result<String, String> {
    let type_ = only(headers, "content-type").unwrap_or("text/plain");
    let media = type_
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    if media == "text/plain" {
        let encoding = only(headers, "content-transfer-encoding").unwrap_or("7bit");
        return match encoding.to_ascii_lowercase().as_str() {
            "7bit" | "8bit" => Ok(body.to_owned()),
            "quoted-printable" => quoted_printable(body),
            other => Err(format!(
                "the text is encoded as `{other}`, which is not read"
            )),
        };
    }
    if !media.starts_with("multipart/") || depth >= PARTS_DEPTH_MAX {
        return Err(format!("the mail has no plain text but `{media}`"));
    }
    let boundary = type_.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then(|| value.trim().trim_matches('"'))
    });
    let boundary = boundary
        .filter(|text| !text.is_empty())
        .ok_or("a multipart mail without boundary")?;
    let mark = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut part: Option<String> = None;
    for line in body.lines() {
        if line.trim_end() == mark || line.trim_end() == format!("{mark}--") {
            parts.extend(part.take());
            part = (line.trim_end() == mark).then(String::new);
        } else if let Some(text) = &mut part {
            text.push_str(line);
            text.push('\n');
        }
    }
    for text in &parts {
        // A part without headers begins with the blank line.
        let whole = if text.starts_with('\n') {
            format!("X: x\n{text}")
        } else {
            text.clone()
        };
        let (headers, body) = split(&whole)?;
        if let Ok(found) = plain(&headers, body, depth + 1) {
            return Ok(found);
        }
    }
    Err("no part of the mail is plain text".to_owned())
}

fn quoted_printable(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let joined = text.replace("=\n", "");
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'=' {
            let mut byte = [0];
            let digits = after
                .get(..2)
                .ok_or("a mail's text ends within a character")?;
            hex::decode_to_slice(digits, &mut byte)
                .map_err(|_| "a mail's text has a bad character")?;
            bytes.push(byte[0]);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| "a mail's text is not UTF-8".to_owned())
}
