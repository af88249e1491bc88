//! Names and texts of hypotheses that are no changes of accounts.

use super::edits::Edit;
use super::source::ReadingLoader;
use crate::json::MissingDelegate;

/// The loaders beside the one asked for. One that fills in reads a list that needs no filling in
/// as the one that does not, so those are tried only when the list could not be read.
pub(super) fn other_loaders(
    asked: ReadingLoader,
    was_read: bool,
) -> Vec<(&'static str, ReadingLoader)> {
    let fork = |ignore_missing, pad_app_state| ReadingLoader::Fork {
        ignore_missing,
        pad_app_state,
    };
    let daemon = |missing_delegate| ReadingLoader::Daemon { missing_delegate };
    let mut loaders = vec![
        ("loader-daemon", daemon(MissingDelegate::Itself)),
        (
            "loader-daemon-no-delegate",
            daemon(MissingDelegate::NoDelegate),
        ),
    ];
    match asked {
        ReadingLoader::Daemon { .. } => {
            loaders.push(("loader-fork", ReadingLoader::RELAXED));
        }
        ReadingLoader::Fork { .. } if !was_read => loaders.extend([
            ("ignore-missing", fork(true, false)),
            ("pad-app-state", fork(false, true)),
            ("ignore-missing-pad-app-state", fork(true, true)),
        ]),
        ReadingLoader::Fork { .. } => {}
    }
    loaders.retain(|(_, loader)| *loader != asked);
    loaders
}

/// Summary and advice of a loader's hypothesis.
pub(super) fn loader_texts(id: &str) -> (&'static str, &'static str) {
    match id {
        "loader-daemon" => (
            "the list as a daemon reads it",
            "read it with --loader daemon; a fork ledger must state every delegate",
        ),
        "loader-daemon-with-winner" => (
            "the list as a daemon reads it, with the genesis winner in front",
            "read it with --loader daemon --winner yes",
        ),
        "loader-daemon-no-delegate" => (
            "the list as a newer daemon reads it, which leaves delegates empty",
            "state every delegate in the list",
        ),
        "loader-daemon-no-delegate-with-winner" => (
            "the list as a newer daemon reads it, with the genesis winner in front",
            "state every delegate in the list and set add_genesis_winner",
        ),
        "loader-fork" => (
            "the list as the fork tool reads it, everything filled in",
            "read it with --loader fork",
        ),
        "ignore-missing" => (
            "the list with missing permissions and hashes filled in",
            "read it with --ignore-missing, and find out who dropped them",
        ),
        "pad-app-state" => (
            "the list with zkApp states extended",
            "read it with --pad-app-state, or migrate it first",
        ),
        _ => (
            "the list with everything filled in that the fork tool can fill in",
            "read it with --ignore-missing --pad-app-state, and find out who dropped what",
        ),
    }
}

/// Name, summary and advice of an edit.
pub(super) const fn edit_texts(edit: Edit) -> (&'static str, &'static str, &'static str) {
    match edit {
        Edit::Dropped => (
            "dropped-account",
            "the list without the account",
            "the account is too much here, or the other side lost it: compare with another export",
        ),
        Edit::Repeated => (
            "repeated-account",
            "the list with the account twice in a row",
            "the other side has the account twice: its list is wrong",
        ),
        Edit::Swapped => (
            "swapped-accounts",
            "the list with the account and the next one in each other's place",
            "one side does not keep the order of the export",
        ),
        Edit::Truncated => (
            "truncated-list",
            "the list up to the account, which is not part of it",
            "the other side's list was cut short, or two lists were joined here",
        ),
        Edit::Blanked => (
            "blank-account",
            "the list with an unused leaf in the place of the account",
            "the other side lost the account but kept its place",
        ),
        Edit::RepeatedAtEnd => (
            "repeated-at-end",
            "the list with the account once more at its end",
            "the other side has the account twice: its list is wrong",
        ),
    }
}
