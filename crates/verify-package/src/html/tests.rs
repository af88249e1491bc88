use super::*;
use crate::report::sample;

/// Elements that begin and end: enough to find a tag that was not closed, or text that was not
/// escaped.
#[track_caller]
fn assert_well_formed(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "before {rest:.100}");
            continue;
        }
        let name = tag.split_whitespace().next().unwrap();
        // Text in quotes is only text.
        let outside: String = tag.split('"').step_by(2).collect();
        for bad in ["src=", "href=", " on"] {
            assert!(!outside.contains(bad), "{tag}");
        }
        if !tag.ends_with('/') && !matches!(name, "!doctype" | "meta" | "br") {
            open.push(name);
        }
    }
    assert_eq!(open, [""; 0]);
}

#[test]
fn every_report_is_well_formed_and_self_contained() {
    for report in [sample::passed(), sample::failed(), sample::hostile()] {
        let page = page(&report);
        assert_well_formed(&page);
        for bad in [
            "<script", "<link", "<img", "<iframe", "<form", "<a ", "url(",
        ] {
            assert!(!page.contains(bad), "{bad}");
        }
        assert!(page.contains("content=\"default-src 'none'; style-src 'unsafe-inline';"));
        assert_eq!(page, super::page(&report), "the same bytes");
    }
}

#[test]
fn the_verdict_comes_first() {
    for (report, word) in [
        (sample::passed(), "PASSED"),
        (sample::failed(), "FAILED"),
        (sample::unreadable(), "UNREADABLE"),
    ] {
        let page = page(&report);
        let body = page.split("<main>").nth(1).unwrap();
        assert!(body.trim_start().starts_with("<header"), "{word}");
        assert!(body.find(word).unwrap() < body.find("</header>").unwrap());
        let class = if word == "PASSED" { "good" } else { "bad" };
        assert!(body.contains(&format!("<header class=\"{class}\"")));
    }
}

#[test]
fn failures_show_where_the_values_part() {
    let page = page(&sample::failed());
    assert!(page.contains("95844<mark>0</mark>"));
    assert!(page.contains("95844<mark>1</mark>"));
    assert!(page.contains("<details open><summary>Config "));
    assert!(page.contains("most on 20"), "the vesting curves differ");
    assert!(page.contains("cannot peer"));
}

#[test]
fn hostile_text_stays_text() {
    let page = page(&sample::hostile());
    assert!(!page.contains("<script"));
    assert!(!page.contains("onerror=\""));
    assert!(page.contains("&lt;script&gt;"));
    assert!(!page.contains('\u{202e}'), "direction marks");
    // Ten thousand characters without a blank are cut.
    assert!(!page.contains(&"x".repeat(TEXT_CHARS_MAX + 1)));
    assert!(page.contains(&"x".repeat(100)));
}
