//! The page of a release in a real browser, with hostile texts in its record.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::place::Place;

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

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
        eprintln!("NOT TESTED: pages in a browser, because there is no Chromium");
    }
    found
}

/// A page within a frame of a phone's size, measured from outside: the page itself runs no script.
#[test]
fn a61_pages_of_releases_can_be_read_on_a_phone() {
    let place = Place::built();
    let evil = "\"'><script>parent.broken=1</script><img/src=x/onerror='parent.broken=1'>";
    let mut approve = place.command("record approve --release r --stage publish --item go --key p1.pem --log-key log.pem --now 2026-01-01T00:04:00Z --by");
    approve.arg(evil);
    assert!(approve.output().unwrap().status.success());
    place.run("info-page --release r --out pages", 0);
    let page = fs::read_to_string(place.path("pages/r1.html")).unwrap();
    assert!(
        !page.contains("<script") && !page.contains("<img"),
        "nothing stays markup"
    );
    assert!(page.contains("&lt;script&gt;"));
    let Some(browser) = browser() else {
        return;
    };
    let index = fs::read_to_string(place.path("pages/index.html")).unwrap();
    assert!(index.contains("r1.html"), "the index leads to the release");
    for (name, page, header) in [
        ("the release", page, "rgb(9, 105, 218)"),
        ("the index", index, "rgb(87, 96, 106)"),
    ] {
        shown(&place, &browser, (name, header), &page);
    }
}

/// Measures a page in a frame of a phone's width.
fn shown(place: &Place, browser: &Path, (name, header): (&str, &str), page: &str) {
    let framed = page.replace('&', "&amp;").replace('"', "&quot;");
    let html = format!(
        "<!doctype html><meta charset=utf-8><body style=\"margin:0\">\
         <iframe id=frame style=\"border:0;width:390px;height:844px\" srcdoc=\"{framed}\"></iframe>\
         <script>window.addEventListener('load', () => {{\
           const inside = document.getElementById('frame').contentWindow;\
           for (const one of inside.document.querySelectorAll('details')) one.open = true;\
           const result = [inside.document.documentElement.scrollWidth, inside.innerWidth,\
             inside.getComputedStyle(inside.document.querySelector('header')).backgroundColor,\
             window.broken === 1, inside.document.querySelectorAll('script,img,link').length];\
           document.body.dataset.result = JSON.stringify(result); }});</script>"
    );
    place.write("wrapper.html", &html);
    let profile = tempfile::TempDir::new().unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--dump-dom",
            "--virtual-time-budget=5000",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", place.path("wrapper.html").display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let (_, rest) = dom
        .split_once("data-result=\"")
        .unwrap_or_else(|| panic!("{dom}"));
    let shown = &rest[..100.min(rest.len())];
    // A scroll bar takes its part of the width; nothing is wider than the window.
    let scroll: u32 = rest[1..].split(',').next().unwrap().parse().unwrap();
    assert!((300..=390).contains(&scroll), "{name}: {shown}");
    assert!(
        shown.contains(header),
        "{name}: the style was applied: {shown}"
    );
    assert!(shown.contains(",false,0]"), "{name}: nothing ran: {shown}");
}
