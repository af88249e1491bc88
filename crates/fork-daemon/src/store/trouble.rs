//! Tells what went wrong from what the client library says.
//!
//! The library keeps the status of an answer in types of its own and shows it only in its messages,
//! so it is read from there. Should the wording change, an answer is taken for a passing trouble:
//! it is then asked a few times too often, within the deadline.

use std::error::Error;
use std::time::Duration;

use super::error::{Cause, Trouble};
use super::secrets::Secrets;

/// Parts of the addresses at which the clouds hand out credentials to their own machines.
const CREDENTIAL_PLACES: [&str; 6] = [
    "169.254.169.254",
    "169.254.170.2",
    "/latest/api/token",
    "/latest/meta-data/",
    "/computeMetadata/",
    "metadata.google.internal",
];

/// What the library says when it sends nothing, or follows an answer nowhere.
const REFUSALS: [&str; 5] = [
    "redirect without LOCATION",
    "URL scheme is not allowed",
    "not yet implemented",
    "not supported",
    "invalid path",
];

/// What went wrong with one request.
#[derive(Debug)]
pub(super) struct Diagnosis {
    pub(super) trouble: Trouble,
    /// Whether the same request may be answered later.
    pub(super) passing: bool,
    pub(super) cause: Cause,
}

/// A request that was given up after `deadline`.
pub(super) fn no_answer(deadline: Duration) -> Diagnosis {
    Diagnosis {
        trouble: Trouble::Unreachable,
        passing: true,
        cause: Cause(format!("no answer within {deadline:?}")),
    }
}

/// A body that ended before its announced length.
pub(super) fn cut_short() -> Diagnosis {
    Diagnosis {
        trouble: Trouble::Unreachable,
        passing: true,
        cause: Cause("the answer ended too early".to_owned()),
    }
}

/// Settings that the client cannot be set up with.
pub(super) fn settings(error: &object_store::Error, secrets: &Secrets) -> Cause {
    // A JSON error quotes what it found, which may be a part of a private key.
    if causes(error).any(|cause| cause.is::<serde_json::Error>()) {
        return Cause("the credentials are no JSON of the kind that is expected".to_owned());
    }
    Cause(secrets.clean(&deepest(error)))
}

/// A request that failed.
pub(super) fn diagnose(error: &object_store::Error, secrets: &Secrets) -> Diagnosis {
    let text = error.to_string();
    let status = status(&text);
    let (trouble, passing) = match status {
        Some(status) => answered(status, &text),
        None => unanswered(&text, &deepest(error)),
    };
    let cause = match status {
        Some(status) => answer(status, &text),
        None => deepest(error),
    };
    Diagnosis {
        trouble,
        passing,
        cause: Cause(secrets.clean(&cause)),
    }
}

/// What an answer means, and whether another may come later.
fn answered(status: u16, text: &str) -> (Trouble, bool) {
    if asks_for_credentials(text) {
        return (Trouble::Credentials, true);
    }
    match status {
        404 if text.contains("NoSuchBucket") => (Trouble::NoBucket, false),
        404 => (Trouble::Missing, false),
        // Two conditional writes at the same time: the service has one of them try again.
        409 => (Trouble::Unreachable, true),
        // Google answers a condition that does not hold with 412 as Amazon does; 304 is older.
        304 | 412 => (Trouble::Exists, false),
        401 | 403 => (Trouble::Denied, false),
        // 501: the service lacks what is asked; it will lack it in a minute, too.
        501 => (Trouble::Refused, false),
        408 | 429 | 500.. => (Trouble::Unreachable, true),
        _ => (Trouble::Refused, false),
    }
}

/// What it means that there is no answer. `deepest` may say what no message around it repeats.
fn unanswered(text: &str, deepest: &str) -> (Trouble, bool) {
    if asks_for_credentials(text) {
        (Trouble::Credentials, true)
    } else if REFUSALS
        .iter()
        .any(|refusal| text.contains(refusal) || deepest.contains(refusal))
    {
        (Trouble::Refused, false)
    } else {
        (Trouble::Unreachable, true)
    }
}

fn asks_for_credentials(text: &str) -> bool {
    CREDENTIAL_PLACES.iter().any(|place| text.contains(place))
}

/// The HTTP status in a message.
fn status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

/// What the service said, from the XML it said it in.
fn answer(status: u16, text: &str) -> String {
    let said: Vec<&str> = ["Code", "Message"]
        .iter()
        .filter_map(|tag| element(text, tag))
        .collect();
    if said.is_empty() {
        format!("the service answered with status {status}")
    } else {
        format!(
            "the service answered with status {status}: {}",
            said.join(": ")
        )
    }
}

fn element<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    let (content, _) = rest.split_once("</")?;
    Some(content)
}

fn causes<'a>(error: &'a object_store::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let first: &'a (dyn Error + 'static) = error;
    std::iter::successors(Some(first), |cause: &&'a (dyn Error + 'static)| {
        (*cause).source()
    })
}

/// The innermost cause: the library's messages repeat theirs, this one is the whole story.
fn deepest(error: &object_store::Error) -> String {
    causes(error)
        .last()
        .map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Secrets {
        Secrets::of(std::iter::empty())
    }

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic {
            store: "S3",
            source: text.to_owned().into(),
        }
    }

    #[test]
    fn statuses_decide_what_is_tried_again() {
        for (status, passing) in [
            (500, true),
            (503, true),
            (501, false),
            (429, true),
            (408, true),
            (400, false),
            (301, false),
            (404, false),
            (409, true),
            (412, false),
        ] {
            let text = format!("Server returned non-2xx status code: {status} X: ");
            assert_eq!(
                diagnose(&generic(&text), &none()).passing,
                passing,
                "{status}"
            );
        }
        assert!(diagnose(&generic("anything else"), &none()).passing);
        let error = generic("PUT http://169.254.169.254/latest/api/token: timed out");
        assert_eq!(diagnose(&error, &none()).trouble, Trouble::Credentials);
    }

    #[test]
    fn what_the_service_said_is_kept_and_nothing_else() {
        let text = "Server returned non-2xx status code: 400 Bad Request: <Error><Code>Bad</Code>\
                    <Message>Not so.</Message><StringToSign>abc</StringToSign></Error>";
        let diagnosis = diagnose(&generic(text), &none());
        assert_eq!(
            diagnosis.cause.to_string(),
            "the service answered with status 400: Bad: Not so."
        );
    }
}
