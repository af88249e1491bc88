//! What was done, looked at again: by whoever promotes once more, and by an audit.

use std::collections::BTreeMap;

use fork_sign::SecretKey;
use release_policy::Digest;
use release_policy::action::{Planned, plan};
use release_policy::log::Body;

use super::{Effects, Performed, manifest_of, name_of, path_of, values, write};
use crate::deciding::Asked;
use crate::directory::Release;
use crate::error::PromoteError;
use crate::measure;

/// What the result of an effect that is a file begins with.
pub(super) const WROTE: &str = "wrote ";

/// The actions that are done and that no later one has replaced or is about to: a branch is moved again
/// and again.
fn standing(release: &Release) -> Result<Vec<Planned>, PromoteError> {
    let planned = plan(&release.policy, &release.log, &release.store)
        .map_err(|source| release.state_error(source))?;
    let mut last: BTreeMap<(&'static str, String), Planned> = BTreeMap::new();
    for one in planned {
        last.insert((name_of(one.executor), one.target.clone()), one);
    }
    let all = last.into_values();
    Ok(all.filter(|one| one.done.is_some()).collect())
}

/// The digest of the file that was written, where the effect is one.
fn written(planned: &Planned) -> Option<Digest> {
    planned.done.as_deref()?.strip_prefix(WROTE)?.parse().ok()
}

/// What is wrong with the file of an effect.
fn file_differs(
    release: &Release,
    planned: &Planned,
    expected: Digest,
) -> Result<Option<String>, PromoteError> {
    let path = path_of(release, planned)?;
    if !fork_fs::exists(&path) {
        return Ok(Some(format!("`{}` is not there", path.display())));
    }
    let found = fork_fs::sha256_file(&path)?.sha256;
    Ok((found != expected.hex()).then(|| {
        let shown = path.display();
        format!("`{shown}` is sha256:{found}, {expected} was written")
    }))
}

/// Files of effects that are not what the record says was written.
pub(crate) fn differences(release: &Release) -> Result<Vec<String>, PromoteError> {
    let mut wrong = Vec::new();
    for planned in standing(release)? {
        if let Some(expected) = written(&planned) {
            wrong.extend(file_differs(release, &planned, expected)?);
        }
    }
    Ok(wrong)
}

impl Effects {
    /// Looks again at what was done when this was allowed, and does again what is not so any more. A
    /// message that was sent cannot be unsent, and is not sent twice: there it only says so.
    pub(crate) fn repair(
        &self,
        release: &mut Release,
        asked: &Asked<'_>,
        key: &SecretKey,
    ) -> Result<Vec<Performed>, PromoteError> {
        let here = |one: &Planned| one.stage == asked.stage && one.point == asked.point;
        let mut performed = Vec::new();
        for planned in standing(release)?.into_iter().filter(here) {
            let executor = name_of(planned.executor);
            let say = |result: String| Performed {
                action: planned.id.clone(),
                executor,
                target: planned.target.clone(),
                result,
            };
            let result = if let Some(expected) = written(&planned) {
                if file_differs(release, &planned, expected)?.is_none() {
                    continue;
                }
                write(release, &planned)?
            } else if let Some(program) = self.program(&planned.id, planned.executor) {
                let values = {
                    let state = release.state()?;
                    let manifest = manifest_of(release, &state, &planned)?;
                    let artifacts = &asked.artifacts;
                    let places = measure::find(manifest, &artifacts.named, &artifacts.directories)?;
                    super::unchanged(release, manifest, &places)?;
                    values(release, manifest, &planned, &places)?
                };
                if program.is_so(executor, &planned.target, &values)? {
                    continue;
                }
                if planned.executor == release_policy::policy::Executor::Announce {
                    return Err(PromoteError::Effect {
                        what: executor.to_owned(),
                        target: planned.target.clone(),
                        problem:
                            "it is recorded as done, and is not to be found any more; it is not \
                                  sent twice"
                                .to_owned(),
                    });
                }
                program.perform(executor, &planned.target, &values)?
            } else {
                performed.push(say(
                    "done; nobody is named who could look again (--effects)".to_owned(),
                ));
                continue;
            };
            let body = Body::Acted {
                action: planned.id.clone(),
                key: planned.key,
                result: result.clone(),
            };
            release.append(asked.now, body, key)?;
            performed.push(say(format!("was not so any more; again: {result}")));
        }
        Ok(performed)
    }
}
