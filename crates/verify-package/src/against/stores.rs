//! The tarballs, and the accounts in them.

use fork_store::{Comparison, Difference, StoreReader, compare_stores, stored_root};
use fork_types::{Era, Role};

use super::{Found, Side};
use crate::config::ConfigView;
use crate::report::{Effect, Part};
use crate::subject::error_text;

/// Differences of a kind that are kept.
const KEPT_MAX: usize = 3;

/// How the stores of a ledger compare.
pub(super) enum Content {
    /// The tarballs are the same bytes.
    SameBytes,
    /// The stores hold the same entries.
    SameEntries,
    /// They do not.
    Different(Box<Different>),
    /// Why nobody knows.
    Unknown(String),
}

/// Two stores that differ.
pub(super) struct Different {
    comparison: Comparison,
    roots: [String; 2],
}

/// Compares the stores of a role, entry by entry.
pub(super) fn content(here: &Side<'_>, there: &Side<'_>, role: Role, target: Era) -> Content {
    let compared = || {
        let ((left_path, left), (right_path, right)) = (here.tarball(role)?, there.tarball(role)?);
        if left == right {
            return Ok(Content::SameBytes);
        }
        let left = open(here, left_path)?;
        let right = open(there, right_path)?;
        let depth = target.depth();
        let comparison = compare_stores((&left, target), (&right, target), depth, KEPT_MAX)
            .map_err(|error| error_text(&error))?;
        if comparison.is_equal() {
            return Ok(Content::SameEntries);
        }
        let root = |store: &StoreReader| {
            let root = stored_root(store, depth).ok().flatten();
            root.map_or_else(|| "no root".to_owned(), |root| root.to_string())
        };
        let roots = [root(&left), root(&right)];
        Ok(Content::Different(Box::new(Different {
            comparison,
            roots,
        })))
    };
    compared().unwrap_or_else(Content::Unknown)
}

fn open(side: &Side<'_>, path: &str) -> Result<StoreReader, String> {
    let of = |problem: &str| format!("`{}`: {problem}", side.subject.name);
    let tarball = side.tarballs.get(path);
    let tarball = tarball.ok_or_else(|| of("the tarball was not unpacked"))?;
    if tarball.gzip_problem.is_some() {
        return Err(of("the tarball's gzip stream is damaged"));
    }
    StoreReader::open(tarball.directory()).map_err(|error| of(&error_text(&error)))
}

/// Reports a ledger: its tarball, then what is in it.
pub(super) fn compare(
    found: &mut Found,
    here: &Side<'_>,
    there: &Side<'_>,
    role: Role,
    content: Content,
) {
    let tarballs = match (here.tarball(role), there.tarball(role)) {
        (Ok(left), Ok(right)) => Some((left, right)),
        _ => None,
    };
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    if let Some(((left_path, left), (right_path, right))) = tarballs
        && (left != right || name(left_path) != name(right_path))
    {
        let (effect, meaning) = match &content {
            Content::SameBytes => (
                Effect::Disagree,
                "the same bytes under another name, so one of the daemons does not find them",
            ),
            Content::SameEntries => (
                Effect::Harmless,
                "packed or compressed differently; both hold the same entries",
            ),
            Content::Different(_) => (Effect::Disagree, "they hold different entries"),
            Content::Unknown(_) => (Effect::Disagree, "what one of them holds is not known"),
        };
        let text = |path: &str, digest: &str| format!("{} SHA3-256 {digest}", name(path));
        found.differs(
            format!("tarball.{role}"),
            Part::Ledgers,
            (
                &text(left_path, &left.sha3_256),
                &text(right_path, &right.sha3_256),
            ),
            effect,
            meaning,
        );
    }
    match content {
        Content::SameBytes | Content::SameEntries => {}
        Content::Unknown(why) => found.gap(Part::Ledgers, format!("the {role} ledgers: {why}")),
        Content::Different(different) => stores(found, here, there, role, &different),
    }
}

fn stores(found: &mut Found, here: &Side<'_>, there: &Side<'_>, role: Role, different: &Different) {
    let named = |side: &Side<'_>| {
        side.config
            .ok()
            .and_then(|config: &ConfigView| config.root(role))
    };
    let [left, right] = &different.roots;
    let (effect, meaning) = if left != right {
        (
            Effect::CannotPeer,
            "the genesis ledgers' roots are inputs of the chain id",
        )
    } else if named(here) == named(there) {
        (
            Effect::Disagree,
            "both show a daemon the same root, so the nodes peer, and then do not agree",
        )
    } else {
        (Effect::Disagree, "the stores hold different entries")
    };
    let comparison = &different.comparison;
    let first = first(comparison);
    let (input, values) = match first {
        Some(first) => (format!("store.{role}, {}", first.entry), values(first)),
        None => (format!("store.{role}"), (left.clone(), right.clone())),
    };
    let difference = found.differs(
        input,
        Part::Ledgers,
        (&values.0, &values.1),
        effect,
        meaning,
    );
    if left != right {
        difference.detail.push(format!("root {left} and {right}"));
    }
    difference.detail.push(format!(
        "{} entries differ, {} are only in the verified package, {} only in the second",
        comparison.changed, comparison.only_left, comparison.only_right
    ));
    for one in comparison.differences.iter().filter(|one| is_account(one)) {
        for field in &one.fields {
            difference.detail.push(format!("{}: {field}", one.entry));
        }
        if one.fields.is_empty() {
            let (here, there) = values_of(one);
            difference
                .detail
                .push(format!("{}: {here} -> {there}", one.entry));
        }
    }
    for line in &mut difference.detail {
        *line = fork_worker::text::clipped(line, super::VALUE_CHARS_MAX);
    }
}

/// The first account that differs, or else the first entry of another kind.
fn first(comparison: &Comparison) -> Option<&Difference> {
    let mut all = comparison.differences.iter();
    all.find(|one| is_account(one))
        .or_else(|| comparison.differences.first())
}

fn is_account(difference: &Difference) -> bool {
    difference.entry.starts_with("account ")
}

/// The first member that differs, with its name.
fn values(difference: &Difference) -> (String, String) {
    match difference.fields.first() {
        Some(field) => (
            format!("{} {}", field.field, field.left),
            format!("{} {}", field.field, field.right),
        ),
        None => values_of(difference),
    }
}

fn values_of(difference: &Difference) -> (String, String) {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "absent".to_owned());
    (value(&difference.left), value(&difference.right))
}
