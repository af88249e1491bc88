//! Reports in a real browser, at the size of a phone and of a desk.
//!
//! Needs Chromium; where there is none the test says so and passes, unless `CI` is set.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{Made, Opened, Run};
use tempfile::TempDir;
use verify_package::{ReportDocument, page};

/// Names that distributions give it.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

const EVIL: &str =
    "\"'><script>parent.broken=1</script><img src=x onerror='parent.broken=1'>\u{202e}";

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found = BROWSERS
        .iter()
        .flat_map(|name| directories.iter().map(move |one| one.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "Chromium is missing: scripts/install-deps installs it"
        );
        eprintln!("NOT TESTED: reports in a browser, because there is no Chromium");
    }
    found
}

/// What the browser says about a page in a window.
#[derive(Debug)]
struct Seen {
    measured: Value,
    /// Lines of its console.
    console: Vec<String>,
}

/// Shows a page in a frame of the size and measures it from outside, so that the page itself needs
/// no script, and its own policy holds.
fn show(browser: &PathBuf, page: &str, (width, height): (u32, u32)) -> Seen {
    let directory = TempDir::new().unwrap();
    let wrapper = directory.path().join("wrapper.html");
    let framed = page.replace('&', "&amp;").replace('"', "&quot;");
    let html = format!(
        "<!doctype html><meta charset=utf-8><body style=\"margin:0\">\
         <iframe id=frame style=\"border:0;width:{width}px;height:{height}px\" srcdoc=\"{framed}\"></iframe>\
         <script>window.addEventListener('load', () => {{\
           const inside = document.getElementById('frame').contentWindow;\
           const page = inside.document;\
           for (const one of page.querySelectorAll('details')) one.open = true;\
           const wide = [...page.querySelectorAll('main *')].filter((one) => \
             !one.closest('.wide') && !one.closest('svg') && \
             one.getBoundingClientRect().right > inside.innerWidth + 0.5);\
           const verdict = page.querySelector('header h1').getBoundingClientRect();\
           const texts = [...page.querySelectorAll('svg')].flatMap((svg) => \
             [...svg.querySelectorAll('text')].filter((one) => {{\
               const box = one.getBBox(); const view = svg.viewBox.baseVal;\
               return box.x < 0 || box.x + box.width > view.width + 1; }}));\
           const result = {{\
             scroll: page.documentElement.scrollWidth, width: inside.innerWidth,\
             wide: wide.slice(0, 5).map((one) => one.outerHTML.slice(0, 200)),\
             cut: texts.slice(0, 5).map((one) => one.outerHTML),\
             verdict: [verdict.top, verdict.bottom, page.querySelector('header h1').textContent],\
             ground: inside.getComputedStyle(page.querySelector('header')).backgroundColor,\
             requests: inside.performance.getEntriesByType('resource').map((one) => one.name),\
             active: page.querySelectorAll('script, img, iframe, object, embed, link, a').length,\
             broken: window.broken === 1, charts: page.querySelectorAll('svg').length,\
             failures: page.querySelectorAll('.failure').length }};\
           const out = document.createElement('pre'); out.id = 'result';\
           out.textContent = 'RESULT' + btoa(unescape(encodeURIComponent(JSON.stringify(result)))) + 'END';\
           document.body.replaceChildren(out); }});</script>"
    );
    fs::write(&wrapper, html).unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--enable-logging=stderr",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            directory.path().join("profile").display()
        ))
        .arg(format!("--window-size={},{}", width + 100, height + 100))
        .arg(format!("file://{}", wrapper.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr);
    let encoded = dom
        .split("RESULT")
        .nth(1)
        .and_then(|rest| rest.split("END").next());
    let Some(encoded) = encoded else {
        panic!("the browser measured nothing: {log}");
    };
    let json = base64(encoded);
    Seen {
        measured: serde_json::from_slice(&json).unwrap(),
        console: log
            .lines()
            .filter(|line| line.contains("CONSOLE"))
            .map(str::to_owned)
            .collect(),
    }
}

fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| *byte != b'=')
        .map(value)
        .collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit));
        let bits = bits << (6 * (4 - group.len()));
        let all = bits.to_be_bytes();
        bytes.extend_from_slice(&all[1..group.len()]);
    }
    bytes
}

/// The report with something hostile in every text that is no hash, name of a role or the like.
fn hostile(report: &ReportDocument) -> ReportDocument {
    fn pointers(value: &Value, path: &str, all: &mut Vec<String>) {
        match value {
            Value::String(_) => all.push(path.to_owned()),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    pointers(item, &format!("{path}/{index}"), all);
                }
            }
            Value::Object(members) => {
                for (name, value) in members {
                    pointers(value, &format!("{path}/{name}"), all);
                }
            }
            _ => {}
        }
    }
    let mut value = serde_json::to_value(report).unwrap();
    let mut all = Vec::new();
    pointers(&value, "", &mut all);
    let mut changed = 0;
    for (number, pointer) in all.iter().enumerate() {
        // Identifiers keep their group.
        if pointer.ends_with("/id") || pointer == "/format" || pointer.starts_with("/series") {
            continue;
        }
        let place = value.pointer_mut(pointer).unwrap();
        let old = place.clone();
        let long = "x".repeat(number % 7 * 300);
        *place = format!("{EVIL}{long}{}", old.as_str().unwrap()).into();
        if serde_json::from_value::<ReportDocument>(value.clone()).is_err() {
            *value.pointer_mut(pointer).unwrap() = old;
        } else {
            changed += 1;
        }
    }
    assert!(changed > 100, "{changed}");
    serde_json::from_value(value).unwrap()
}

/// A passing report, a failing one that is compared with a good package, and a hostile one.
fn reports() -> Vec<(&'static str, ReportDocument)> {
    let made = Made::once("verify-browser");
    let deb = made.deb();
    let deb = deb.to_str().unwrap();
    let passing = Run::new(made, "--deb", deb).report();
    assert_eq!(passing.failed, 0);
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("changed.deb");
    let mut opened = Opened::read(&made.deb());
    opened.config(|config| {
        config["ledger"]["add_genesis_winner"] = true.into();
        config["genesis"]["genesis_state_timestamp"] = "2030-01-01T00:00:00Z".into();
    });
    opened.write(&path);
    let mut run = Run::new(made, "--deb", path.to_str().unwrap());
    run.more
        .extend(["--against".to_owned(), format!("deb:{deb}")]);
    let failing = run.report();
    assert!(failing.failed > 2);
    // A wrong genesis time moves the curve.
    let curves = &failing.series.ledgers[0];
    assert_ne!(curves.before.locked_nanomina, curves.after.locked_nanomina);
    let hostile = hostile(&failing);
    vec![
        ("passing", passing),
        ("failing", failing),
        ("hostile", hostile),
    ]
}

#[test]
fn reports_can_be_read_on_a_phone_and_on_a_desk() {
    let Some(browser) = browser() else {
        return;
    };
    let kept = std::env::var_os("FORKPACK_KEEP_PAGES").map(PathBuf::from);
    for (name, report) in reports() {
        let html = page(&report);
        if let Some(kept) = &kept {
            fs::write(kept.join(format!("{name}.html")), &html).unwrap();
        }
        for size in [(390, 844), (1280, 900)] {
            let seen = show(&browser, &html, size);
            let measured = &seen.measured;
            let number = |name: &str| measured[name].as_f64().unwrap();
            assert_eq!(number("width"), f64::from(size.0), "{name} {size:?}");
            assert!(
                number("scroll") <= number("width"),
                "{name} {size:?}: {measured:#}"
            );
            assert_eq!(measured["wide"], Value::Array(vec![]), "{name} {size:?}");
            assert_eq!(measured["cut"], Value::Array(vec![]), "{name} {size:?}");
            let top = measured["verdict"][0].as_f64().unwrap();
            let bottom = measured["verdict"][1].as_f64().unwrap();
            assert!(
                top >= 0.0 && bottom <= 300.0,
                "{name} {size:?}: {measured:#}"
            );
            let word = if name == "passing" {
                "PASSED"
            } else {
                "FAILED"
            };
            assert!(measured["verdict"][2].as_str().unwrap().contains(word));
            let ground = if name == "passing" {
                "rgb(26, 127, 55)"
            } else {
                "rgb(207, 34, 46)"
            };
            assert_eq!(
                measured["ground"], ground,
                "{name}: the style was not applied"
            );
            assert_eq!(measured["requests"], Value::Array(vec![]), "{name}");
            assert_eq!(measured["active"], 0, "{name}");
            assert_eq!(measured["broken"], false, "{name}");
            assert!(
                measured["charts"].as_u64().unwrap() >= 4,
                "{name}: {measured:#}"
            );
            assert_eq!(seen.console, [""; 0], "{name} {size:?}");
        }
    }
}

#[test]
fn the_measuring_notices_what_it_must() {
    let Some(browser) = browser() else {
        return;
    };
    let bad = format!(
        "<!doctype html><main><header><h1>x</h1></header><p style=\"width:900px\">wide</p>\
         {EVIL}<svg viewBox=\"0 0 10 10\"><text>far too long for ten</text></svg></main>"
    );
    let seen = show(&browser, &bad, (390, 844));
    let measured = &seen.measured;
    assert!(measured["scroll"].as_f64().unwrap() > 390.0);
    assert_ne!(measured["wide"], Value::Array(vec![]));
    assert_ne!(measured["cut"], Value::Array(vec![]));
    assert_eq!(measured["broken"], true);
    assert_ne!(measured["active"], 0);
    // A policy that holds is told to the console.
    let policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'\">";
    let seen = show(&browser, &format!("{policy}{bad}"), (390, 844));
    assert_eq!(seen.measured["broken"], false);
    assert!(!seen.console.is_empty());
}
