//! What tests are told, and what they may do, while an answer is being sent.

use std::sync::Arc;

use crate::scenario::Action;

/// The moment a hook is called at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookEvent {
    /// The field the hook was set for.
    pub operation: String,
    /// Which request for that field it is, from 1.
    pub nth: u64,
    /// Bytes of the body handed to the operating system so far.
    pub body_bytes: u64,
}

/// A request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLog {
    /// Names of the top-level fields it asked for; none if it was no proper request.
    pub fields: Vec<String>,
    /// Slot of the clock when it came.
    pub slot: u32,
    /// What went wrong with it on purpose.
    pub fault: Option<Action>,
    /// HTTP status of the answer.
    pub status: u16,
    /// Bytes of the body handed to the operating system.
    pub body_bytes: u64,
    /// Whether the whole answer was.
    pub complete: bool,
}

impl RequestLog {
    /// The first field it asked for.
    #[must_use]
    pub fn operation(&self) -> &str {
        self.fields.first().map_or("", String::as_str)
    }
}

pub(super) struct Hook {
    pub(super) operation: String,
    /// Every request if absent.
    pub(super) nth: Option<u64>,
    pub(super) at_byte: u64,
    pub(super) call: Arc<dyn Fn(&HookEvent) + Send + Sync>,
}
