//! Pages for people: one of each release, and an index. Self-contained, without scripts, made from the
//! record alone; every text from outside is escaped.

use fork_fs::create_dir_all;
use fork_worker::html::escaped;
use fork_worker::{Context, WorkerResult};
use release_policy::Outcome;
use serde::Serialize;

use crate::args::InfoPageArgs;
use crate::deciding::effect_word;
use crate::directory::Release;
use crate::error::PromoteError;
use crate::info::{Info, info};

/// Largest page that is compared with what is there, in bytes.
pub(crate) const PAGE_BYTES_MAX: u64 = 64 << 20;
/// What a page may load: nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
const STYLE: &str = "\
:root{color-scheme:light dark}\
*{box-sizing:border-box}\
body{margin:0;font:16px/1.5 system-ui,sans-serif;background:#fff;color:#1f2328}\
header{padding:1rem;color:#fff;background:#57606a}\
header.released{background:#1a7f37}header.failed,header.stopped{background:#cf222e}\
header.on-its-way{background:#0969da}\
header h1{margin:0;font-size:1.4rem;overflow-wrap:anywhere}header p{margin:.2rem 0 0;overflow-wrap:anywhere}\
main{max-width:64rem;margin:0 auto;padding:0 1rem 3rem}\
h2{margin:2rem 0 .5rem;font-size:1.1rem;border-bottom:1px solid #d0d7de}\
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #d0d7de55}\
code,pre{font:.85em/1.5 ui-monospace,monospace;overflow-wrap:anywhere}\
pre{white-space:pre-wrap;background:#818b981f;padding:.75rem;margin:0}\
.ALLOW,.met{color:#1a7f37}.DENY,.unmet{color:#cf222e}.PEND,.waived{color:#9a6700}\
summary{cursor:pointer}.waiver{border-left:4px solid #9a6700;padding-left:.75rem;margin:.5rem 0}\
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}\
.ALLOW,.met{color:#3fb950}.DENY,.unmet{color:#f85149}.PEND,.waived{color:#d29922}a{color:#4493f8}}";

/// What was written.
#[derive(Serialize)]
struct Written {
    pages: Vec<String>,
}

impl InfoPageArgs {
    pub(crate) fn run(&self, context: &Context) -> WorkerResult {
        let mut releases = Vec::new();
        for path in &self.release {
            let info = info(&Release::read(path)?)?;
            if releases
                .iter()
                .any(|other: &Info| other.release == info.release)
            {
                return Err(PromoteError::usage(
                    format!("two releases are called `{}`", info.release),
                    "write their pages to different directories",
                )
                .into());
            }
            releases.push(info);
        }
        let written = write_all(&self.out, &releases)?;
        let lines: Vec<String> = written
            .iter()
            .map(|name| format!("wrote  {}", self.out.join(name).display()))
            .collect();
        context.emit(&lines.join("\n"), &Written { pages: written })?;
        Ok(())
    }
}

/// Writes the pages of releases and the index; returns their names.
pub(crate) fn write_all(
    out: &std::path::Path,
    releases: &[Info],
) -> Result<Vec<String>, PromoteError> {
    create_dir_all(out)?;
    let mut written = Vec::new();
    let mut put = |name: String, text: &str| -> Result<(), PromoteError> {
        fork_fs::write_atomic(&fork_fs::child(out, &name)?, text.as_bytes())?;
        written.push(name);
        Ok(())
    };
    for info in releases {
        put(format!("{}.html", info.release), &page(info))?;
        let mut json = serde_json::to_string_pretty(info).map_err(PromoteError::Json)?;
        json.push('\n');
        put(format!("{}.json", info.release), &json)?;
    }
    put("index.html".to_owned(), &index(releases))?;
    Ok(written)
}

/// The page of a release.
pub(crate) fn release_page(release: &Release) -> Result<String, PromoteError> {
    Ok(page(&info(release)?))
}

fn frame(title: &str, header: &str, main: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{header}\n<main>\n{main}</main>\n</body>\n</html>\n",
        escaped(title)
    )
}

fn index(releases: &[Info]) -> String {
    let mut rows = String::new();
    for info in releases {
        let version = info
            .manifest
            .as_ref()
            .map_or("", |manifest| manifest.version.as_str());
        rows.push_str(&format!(
            "<tr><td><a href=\"{name}.html\">{name}</a></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            escaped(version),
            escaped(&info.process),
            escaped(&info.stands),
            info.as_of.map(|time| time.to_string()).unwrap_or_default(),
            name = escaped(&info.release),
        ));
    }
    let main = format!(
        "<h2>Releases</h2>\n<div class=\"wide\"><table>\n<tr><th>release</th><th>version</th><th>process</th><th>stands</th><th>as of</th></tr>\n{rows}</table></div>\n"
    );
    frame("Releases", "<header><h1>Releases</h1></header>", &main)
}

/// A table; cells are HTML.
fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return "<p>none</p>\n".to_owned();
    }
    let head: String = heads
        .iter()
        .map(|head| format!("<th>{head}</th>"))
        .collect();
    let body: String = rows
        .iter()
        .map(|row| {
            let cells: String = row.iter().map(|cell| format!("<td>{cell}</td>")).collect();
            format!("<tr>{cells}</tr>\n")
        })
        .collect();
    format!("<div class=\"wide\"><table>\n<tr>{head}</tr>\n{body}</table></div>\n")
}

fn code(text: impl ToString) -> String {
    format!("<code>{}</code>", escaped(&text.to_string()))
}

fn lines(texts: &[String]) -> String {
    texts.iter().map(code).collect::<Vec<_>>().join("<br>")
}

fn page(info: &Info) -> String {
    let version = info
        .manifest
        .as_ref()
        .map_or("no manifest yet", |manifest| manifest.version.as_str());
    let header = format!(
        "<header class=\"{}\"><h1>{} {}</h1><p>{}: {}</p></header>",
        info.standing,
        escaped(&info.release),
        escaped(version),
        escaped(&info.process),
        escaped(&info.stands)
    );
    let sections = [
        ("Release", facts_of(info)),
        ("Stages", stages(info)),
        ("Artifacts", artifacts(info)),
        ("Waived", waivers(info)),
        ("Who approved", approvals(info)),
        ("Votes", votes(info)),
        ("Decisions", decisions(info)),
        ("Done after decisions", actions(info)),
        ("Recorded facts", recorded(info)),
        ("Keys", keys(info)),
        ("How to verify", verify(info)),
    ];
    let main: String = sections
        .iter()
        .map(|(title, body)| format!("<h2>{title}</h2>\n{body}"))
        .collect();
    frame(&format!("{} {version}", info.release), &header, &main)
}

fn facts_of(info: &Info) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    if let Some(manifest) = &info.manifest {
        row("version", code(&manifest.version));
        if let Some(tag) = &manifest.tag {
            row("tag", code(tag));
        }
        row("kind", escaped(&manifest.kind));
        row("commit", code(&manifest.commit));
        row("built", escaped(&manifest.built_at.to_string()));
        if let Some(base) = &manifest.base {
            row("base", code(base));
        }
        if !manifest.feature.is_empty() {
            row("features", escaped(&manifest.feature.join(", ")));
        }
        if !manifest.fix_set.is_empty() {
            row("fixes", lines(&manifest.fix_set));
        }
    }
    row(
        "policy",
        format!("{} {}", code(&info.policy.id), code(info.policy.digest)),
    );
    if !info.policy.options.is_empty() {
        row("options", escaped(&info.policy.options.join(", ")));
    }
    row("file of keys", code(info.policy.keys));
    row(
        "record",
        format!("{} entries, the last {}", info.entries, code(info.log)),
    );
    let as_of = info.as_of.map(|time| time.to_string()).unwrap_or_default();
    row("as of", escaped(&as_of));
    table(&["", ""], &rows)
}

fn stages(info: &Info) -> String {
    let mut rows = Vec::new();
    for stage in &info.stages {
        if stage.attempts.is_empty() {
            rows.push(vec![
                escaped(&stage.name),
                String::new(),
                "not yet".to_owned(),
                String::new(),
                String::new(),
            ]);
        }
        for attempt in &stage.attempts {
            let mut what = escaped(attempt.progress);
            if attempt.closed {
                what.push_str(", closed");
            }
            if let Some(failure) = &attempt.failure {
                what.push_str(&format!(
                    " <span class=\"unmet\">{}</span>",
                    escaped(failure)
                ));
            }
            rows.push(vec![
                escaped(&stage.name),
                attempt.number.to_string(),
                what,
                attempt.entered_at.to_string(),
                attempt
                    .passed_at
                    .map(|time| time.to_string())
                    .unwrap_or_default(),
            ]);
        }
    }
    table(&["stage", "attempt", "state", "entered", "passed"], &rows)
}

fn artifacts(info: &Info) -> String {
    let Some(manifest) = &info.manifest else {
        return table(&[], &[]);
    };
    let rows: Vec<Vec<String>> = manifest
        .artifact
        .iter()
        .map(|artifact| {
            let mut digests = code(artifact.digest);
            if let Some(payload) = artifact.payload {
                digests.push_str(&format!("<br>content {}", code(payload)));
            }
            vec![
                code(&artifact.name),
                digests,
                artifact.size.to_string(),
                escaped(&artifact.media_type),
            ]
        })
        .collect();
    table(&["name", "digest", "bytes", "media type"], &rows)
}

fn waivers(info: &Info) -> String {
    let mut text = String::new();
    for waiver in &info.waivers {
        let hits = if waiver.hits.is_empty() {
            String::new()
        } else {
            format!(" for {}", escaped(&waiver.hits.join(", ")))
        };
        text.push_str(&format!(
            "<div class=\"waiver\"><strong>{}</strong>{hits}, {}: {}<br>risk: {}<br>until {}, signed by {}</div>\n",
            escaped(&waiver.gate),
            if waiver.used { "used" } else { "not used" },
            escaped(&waiver.reason),
            escaped(&waiver.risk),
            waiver.expires,
            lines(&waiver.signed_by),
        ));
    }
    if text.is_empty() {
        text.push_str("<p>nothing</p>\n");
    }
    text
}

fn approvals(info: &Info) -> String {
    let rows: Vec<Vec<String>> = info
        .approvals
        .iter()
        .map(|one| {
            let about = if one.stage == "*" {
                "the code".to_owned()
            } else {
                format!("{} {}", escaped(&one.stage), one.attempt)
            };
            vec![
                format!("{} {}", escaped(&one.item), escaped(&one.verdict)),
                escaped(&one.by),
                about,
                one.at.to_string(),
                lines(&one.signed_by),
            ]
        })
        .collect();
    table(&["what", "by", "about", "when", "signed by"], &rows)
}

fn votes(info: &Info) -> String {
    let Some(vote) = &info.vote else {
        return "<p>none</p>\n".to_owned();
    };
    let rows: Vec<Vec<String>> = vote
        .votes
        .iter()
        .map(|(voter, choice)| vec![escaped(voter), escaped(choice)])
        .collect();
    let approvals = vote
        .votes
        .values()
        .filter(|choice| *choice == "approve")
        .count();
    let mut text = format!(
        "<p>{approvals} of {} approve, {}. Proposal {}</p>\n",
        vote.electorate,
        if vote.won {
            "which is enough"
        } else {
            "which is not enough"
        },
        code(vote.proposal)
    );
    text.push_str(&table(&["voter", "vote"], &rows));
    if !vote.ignored.is_empty() {
        text.push_str(&format!("<p>not counted: {}</p>\n", lines(&vote.ignored)));
    }
    text
}

fn decisions(info: &Info) -> String {
    let mut text = String::new();
    for one in &info.decisions {
        let decision = &one.decision;
        let rows: Vec<Vec<String>> = decision
            .gates
            .iter()
            .map(|gate| {
                let (class, what) = match gate.outcome {
                    Outcome::Met => ("met", "met".to_owned()),
                    Outcome::Unmet => ("unmet", format!("not met, {}", effect_word(gate.effect))),
                    Outcome::Waived => ("waived", "waived".to_owned()),
                    Outcome::NotAsked => ("", "not asked".to_owned()),
                };
                let mut reason = Vec::new();
                if !gate.expected.is_empty() {
                    reason.push(format!("expected {}", escaped(&gate.expected)));
                }
                if !gate.found.is_empty() {
                    reason.push(format!("found {}", escaped(&gate.found)));
                }
                let evidence: Vec<String> = gate.evidence.iter().map(ToString::to_string).collect();
                vec![
                    escaped(&gate.id),
                    format!("<span class=\"{class}\">{what}</span>"),
                    reason.join("<br>"),
                    lines(&evidence),
                ]
            })
            .collect();
        text.push_str(&format!(
            "<details><summary><strong class=\"{verdict}\">{verdict}</strong> {} {}, attempt {}, {} (entry {})</summary>\n{}</details>\n",
            decision.point.name(),
            escaped(&decision.stage),
            decision.attempt,
            decision.now,
            one.entry,
            table(&["rule", "", "", "evidence"], &rows),
            verdict = one.verdict,
        ));
    }
    if text.is_empty() {
        text.push_str("<p>none</p>\n");
    }
    text
}

fn actions(info: &Info) -> String {
    let rows: Vec<Vec<String>> = info
        .actions
        .iter()
        .map(|one| {
            let done = match &one.done {
                Some(result) => escaped(result),
                None => "<span class=\"PEND\">not yet</span>".to_owned(),
            };
            vec![
                escaped(&one.action),
                one.executor.to_owned(),
                code(&one.target),
                done,
            ]
        })
        .collect();
    table(&["action", "by", "target", "result"], &rows)
}

fn recorded(info: &Info) -> String {
    let rows: Vec<Vec<String>> = info
        .facts
        .iter()
        .map(|one| {
            vec![
                one.entry.to_string(),
                escaped(&one.what),
                escaped(&one.about),
                one.recorded_at.to_string(),
                code(one.envelope),
            ]
        })
        .collect();
    let table = table(&["entry", "what", "about", "recorded", "envelope"], &rows);
    format!(
        "<details><summary>{} facts</summary>\n{table}</details>\n",
        rows.len()
    )
}

fn keys(info: &Info) -> String {
    let rows: Vec<Vec<String>> = info
        .keys
        .iter()
        .map(|(role, keys)| {
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            vec![escaped(role), lines(&keys)]
        })
        .collect();
    table(&["role", "keys"], &rows)
}

fn verify(info: &Info) -> String {
    let mut commands = "# an artifact is what this page says\n".to_owned();
    for artifact in info.manifest.iter().flat_map(|manifest| &manifest.artifact) {
        if artifact.media_type == crate::measure::IMAGE {
            commands.push_str(&format!("# image: pull it by {}\n", artifact.digest));
        } else {
            commands.push_str(&format!(
                "echo '{}  {}' | sha256sum --check\n",
                artifact.digest.hex(),
                artifact.name.replace('\'', "_")
            ));
        }
    }
    commands.push_str(&format!(
        "\n# the record holds, and every decision follows from it\n\
         sha256sum policy.toml  # {}\n\
         sha256sum keys.toml    # {}\n\
         promote-release audit --release {} --expect-policy policy.toml --expect-keys keys.toml\n",
        info.policy.digest.hex(),
        info.policy.keys.hex(),
        info.release
    ));
    format!(
        "<p>Take policy and keys from where you trust them, not from beside this page.</p>\n<pre>{}</pre>\n",
        escaped(&commands)
    )
}
