//! Texts made from a record: the announcement, and the frame of a postmortem.

use fork_worker::{Context, WorkerResult};
use serde::Serialize;

use crate::args::TextArgs;
use crate::directory::Release;
use crate::error::PromoteError;
use crate::info::info;
use crate::measure::IMAGE;

/// A text that was made.
#[derive(Serialize)]
struct Text<'a> {
    release: &'a str,
    text: &'a str,
}

impl TextArgs {
    pub(crate) fn announcement(&self, context: &Context) -> WorkerResult {
        self.make(context, announcement)
    }

    pub(crate) fn postmortem(&self, context: &Context) -> WorkerResult {
        self.make(context, postmortem)
    }

    fn make(
        &self,
        context: &Context,
        make: fn(&Release) -> Result<String, PromoteError>,
    ) -> WorkerResult {
        let release = self.release.read()?;
        let text = make(&release)?;
        let written = Text {
            release: release.id(),
            text: &text,
        };
        if let Some(path) = &self.output {
            fork_fs::write_atomic(path, text.as_bytes())?;
            context.emit(&format!("wrote  {}", path.display()), &written)?;
        } else {
            context.emit(&text, &written)?;
        }
        Ok(())
    }
}

/// One line of a text from outside: nothing in it begins a line of its own.
fn line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The text that announces a release.
pub(crate) fn announcement(release: &Release) -> Result<String, PromoteError> {
    let info = info(release)?;
    let Some(manifest) = &info.manifest else {
        return Err(PromoteError::usage(
            "there is no manifest, so there is nothing to announce",
            "record the manifest first",
        ));
    };
    let mut text = format!(
        "# {} {}\n\n{}: {}.\n\nCommit {}",
        line(&info.release),
        line(&manifest.version),
        line(&info.process),
        line(&info.stands),
        manifest.commit
    );
    if let Some(tag) = &manifest.tag {
        text.push_str(&format!(", tag {}", line(tag)));
    }
    text.push_str(".\n");
    if !manifest.artifact.is_empty() {
        text.push_str("\n## Artifacts\n\n");
        for artifact in &manifest.artifact {
            let what = if artifact.media_type == IMAGE {
                "image"
            } else {
                "file"
            };
            text.push_str(&format!(
                "- {} ({what}): {}\n",
                line(&artifact.name),
                artifact.digest
            ));
        }
    }
    let waived: Vec<_> = info.waivers.iter().filter(|waiver| waiver.used).collect();
    if !waived.is_empty() {
        text.push_str("\n## Accepted risks\n\n");
        for waiver in waived {
            text.push_str(&format!(
                "- {}: {}; risk: {}\n",
                line(&waiver.gate),
                line(&waiver.reason),
                line(&waiver.risk)
            ));
        }
    }
    text.push_str(&format!(
        "\n## Verify\n\nTake files by the digests above. The record of this release, by policy {} with keys {}:\n\n    promote-release audit --release {}\n",
        info.policy.digest, info.policy.keys, line(&info.release)
    ));
    Ok(text)
}

/// The order to end the networks that this release replaces. That it was carried out is another fact,
/// which whoever runs the networks signs.
pub(crate) fn retirement(release: &Release, target: &str) -> Result<String, PromoteError> {
    let keep = crate::effects::network(release)?;
    Ok(format!(
        "retire   every network of {} before {}\nkeep     {}\nuntil    no node of them runs, and their logs are archived\nrecord   promote-release record observe --kind retired --stage {}\n",
        line(target),
        line(&keep),
        line(&keep),
        line(target),
    ))
}

/// The frame of a postmortem: what the record knows, and the sections that people have to fill in.
/// An empty section is refused when the document is recorded, so the frame alone passes no gate.
pub(crate) fn postmortem(release: &Release) -> Result<String, PromoteError> {
    let info = info(release)?;
    let mut text = format!(
        "# Postmortem of {}: {}\n# From the record, {} entries, the last at {}.\n",
        line(&info.release),
        line(&info.stands),
        info.entries,
        info.as_of.map(|time| time.to_string()).unwrap_or_default()
    );
    let mut failed = 0;
    for stage in &info.stages {
        for attempt in &stage.attempts {
            let Some(failure) = &attempt.failure else {
                continue;
            };
            failed += 1;
            text.push_str(&format!(
                "#\n# {} attempt {}, entered {}: {}\n",
                stage.name,
                attempt.number,
                attempt.entered_at,
                line(failure)
            ));
            let about = format!("{} {}", stage.name, attempt.number);
            for fact in info.facts.iter().filter(|fact| fact.about == about) {
                text.push_str(&format!("#   {}  {}\n", fact.recorded_at, line(&fact.what)));
            }
        }
    }
    if info.standing == "stopped" {
        failed += 1;
    }
    if failed == 0 {
        text.push_str(
            "#\n# No attempt failed: a recap of a network that ended as it was meant to.\n",
        );
    }
    text.push_str(
        "\n# What went wrong, and whom it hurt.\nissues = \"\"\"\n\"\"\"\n\n\
         # What was done, by whom, and when.\nresponse = \"\"\"\n\"\"\"\n\n\
         # What is different next time.\nnext_plan = \"\"\"\n\"\"\"\n",
    );
    Ok(text)
}
