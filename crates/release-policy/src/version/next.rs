//! The next name of a release.

use serde::{Deserialize, Serialize};

use super::{Grammar, Suffix, Version, VersionError};

/// What a change does to those who use the software.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Repairs something.
    Fix,
    /// Adds something.
    Feature,
    /// Others must adapt.
    Breaking,
}

fn after(number: u32, version: &Version) -> Result<u32, VersionError> {
    number
        .checked_add(1)
        .ok_or_else(|| VersionError::Overflow(version.to_string()))
}

fn expect_release(base: &Version, grammar: Grammar) -> Result<(), VersionError> {
    if base.grammar() == grammar && base.is_final() && base.numbers().len() == 3 {
        Ok(())
    } else {
        Err(VersionError::Needs {
            grammar,
            needs: "a release to start from, such as `0.4.18`",
        })
    }
}

/// The next name of a Splice bugfix release on top of `base`.
///
/// Before 1.0 it is the first free of `-bugfix.preview`, `-bugfix.preview.1`, …, of the next patch;
/// from 1.0 on it is the next free patch.
///
/// # Errors
///
/// Fails when `base` is no release, and before 1.0 when the next patch is released already.
pub fn splice(base: &Version, existing: &[Version]) -> Result<Version, VersionError> {
    expect_release(base, Grammar::SpliceBugfix)?;
    let raised = |patch| {
        Version::new(
            Grammar::SpliceBugfix,
            vec![base.numbers()[0], base.numbers()[1], patch],
            Suffix::Final,
        )
    };
    let mut next = raised(after(base.numbers()[2], base)?);
    if !base.is_before_one() {
        while existing.contains(&next) {
            next = raised(after(next.numbers()[2], base)?);
        }
        return Ok(next);
    }
    if existing.contains(&next) {
        return Err(VersionError::Taken {
            taken: next.to_string(),
        });
    }
    let mut preview = next.with(Suffix::Preview(None));
    let mut count = 0;
    while existing.contains(&preview) {
        count = after(count, base)?;
        preview = next.with(Suffix::Preview(Some(count)));
    }
    Ok(preview)
}

/// The next candidate of the Mithril release `release`: one after the greatest, counted as numbers.
///
/// # Errors
///
/// Fails when `release` is no release of that grammar.
pub fn mithril_candidate(release: &Version, existing: &[Version]) -> Result<Version, VersionError> {
    expect_release(release, Grammar::MithrilPrerelease)?;
    let greatest = existing
        .iter()
        .filter(|version| version.release() == *release)
        .filter_map(|version| match version.suffix() {
            Suffix::Candidate(number) => Some(*number),
            _ => None,
        })
        .max();
    Ok(release.with(Suffix::Candidate(after(greatest.unwrap_or(0), release)?)))
}

/// The release after `base` for these changes: the greatest kind decides, lower numbers become 0.
///
/// # Errors
///
/// Fails when `base` is no release or there are no changes.
pub fn bumped(base: &Version, changes: &[ChangeKind]) -> Result<Version, VersionError> {
    let grammar = of_spacemesh(base);
    expect_release(base, grammar)?;
    let greatest = changes.iter().max().ok_or(VersionError::Needs {
        grammar,
        needs: "at least one kind of change",
    })?;
    let (major, minor, patch) = (base.numbers()[0], base.numbers()[1], base.numbers()[2]);
    let numbers = match greatest {
        ChangeKind::Breaking => vec![after(major, base)?, 0, 0],
        ChangeKind::Feature => vec![major, after(minor, base)?, 0],
        ChangeKind::Fix => vec![major, minor, after(patch, base)?],
    };
    Ok(Version::new(grammar, numbers, Suffix::Final))
}

/// Which of the two grammars a version of Spacemesh has.
fn of_spacemesh(version: &Version) -> Grammar {
    match version.grammar() {
        Grammar::SemverPre => Grammar::SemverPre,
        _ => Grammar::SemverBuildNumber,
    }
}

/// The build that follows `failures` failed deployments of builds that began with `first`: one build
/// number more for each, or, where a version has one build only, one patch more for each.
///
/// # Errors
///
/// Fails when a number would not fit.
pub fn build_after(first: &Version, failures: u32) -> Result<Version, VersionError> {
    let raised = |number: u32| {
        number
            .checked_add(failures)
            .ok_or_else(|| VersionError::Overflow(first.to_string()))
    };
    if of_spacemesh(first) == Grammar::SemverBuildNumber {
        return Ok(first.release().with(Suffix::Build(raised(1)?)));
    }
    let mut numbers = first.numbers().to_vec();
    if let Some(patch) = numbers.get_mut(2) {
        *patch = raised(*patch)?;
    }
    Ok(Version::new(Grammar::SemverPre, numbers, Suffix::Pre))
}

/// The next build of a Spacemesh release: `+1`, and after a failed deployment one more; `-pre` where a
/// version has one build only.
///
/// # Errors
///
/// Fails when the number would not fit, or the only build is there already.
pub fn build(release: &Version, existing: &[Version]) -> Result<Version, VersionError> {
    if release.grammar() == Grammar::SemverPre {
        expect_release(release, Grammar::SemverPre)?;
        let build = release.with(Suffix::Pre);
        if existing.contains(&build) {
            return Err(VersionError::Taken {
                taken: build.to_string(),
            });
        }
        return Ok(build);
    }
    expect_release(release, Grammar::SemverBuildNumber)?;
    let greatest = existing
        .iter()
        .filter(|version| version.release() == *release)
        .filter_map(|version| match version.suffix() {
            Suffix::Build(number) => Some(*number),
            _ => None,
        })
        .max();
    Ok(release.with(Suffix::Build(after(greatest.unwrap_or(0), release)?)))
}

/// The next Optimism upgrade: one after the greatest.
///
/// # Errors
///
/// Fails when the number would not fit.
pub fn upgrade(existing: &[Version]) -> Result<Version, VersionError> {
    let greatest = existing
        .iter()
        .filter(|version| version.numbers().len() == 1)
        .max_by_key(|version| version.numbers()[0]);
    let number = match greatest {
        Some(version) => after(version.numbers()[0], version)?,
        None => 1,
    };
    Ok(Version::new(
        Grammar::OpUpgrade,
        vec![number],
        Suffix::Final,
    ))
}

/// The next Mithril release of a week: one patch after the greatest of that week, candidates
/// included, because a rejected one moves the patch.
///
/// # Errors
///
/// Fails when `year_week` is none, such as `2560`.
pub fn year_week(year_week: &str, existing: &[Version]) -> Result<Version, VersionError> {
    let first = Grammar::MithrilYyww.parse(&format!("{year_week}.0"))?;
    let greatest = existing
        .iter()
        .filter(|version| version.grammar() == Grammar::MithrilYyww)
        .filter(|version| version.numbers()[0] == first.numbers()[0])
        .map(|version| version.numbers()[1])
        .max();
    let patch = match greatest {
        Some(patch) => after(patch, &first)?,
        None => 0,
    };
    Ok(Version::new(
        Grammar::MithrilYyww,
        vec![first.numbers()[0], patch],
        Suffix::Final,
    ))
}
