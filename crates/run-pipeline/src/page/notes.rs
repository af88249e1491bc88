//! Annotations on the page: of their Markdown, headings, tables and fenced blocks are shown as such, and
//! everything else as text. Nothing in them becomes markup of the page.

use std::fmt::Write as _;

use fork_worker::html::escaped;

use crate::annotations::Annotation;
use crate::report::RunReport;

/// Adds what the steps noted: calm notes folded, the others open and first.
pub(super) fn notes(page: &mut String, report: &RunReport) {
    if report.annotations.is_empty() {
        return;
    }
    let is_urgent = |note: &&Annotation| matches!(note.style.as_str(), "warning" | "error");
    let (urgent, calm): (Vec<&Annotation>, Vec<&Annotation>) =
        report.annotations.iter().partition(is_urgent);
    page.push_str("<h2>What the steps say</h2>\n");
    for (notes, open) in [(urgent, " open"), (calm, "")] {
        for one in notes {
            // Writing to a string cannot fail.
            let _ = writeln!(
                page,
                "<details class=\"note {}\"{open}><summary><b>{}</b> <small>{}</small></summary>\n{}</details>",
                class(&one.style),
                escaped(&one.context),
                escaped(&one.steps.join(", ")),
                body(&one.body),
            );
        }
    }
}

fn class(style: &str) -> &'static str {
    match style {
        "info" => "info",
        "success" => "success",
        "warning" => "warning",
        "error" => "error",
        _ => "",
    }
}

/// The body as HTML.
fn body(markdown: &str) -> String {
    let mut html = String::new();
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("### ") {
            let _ = writeln!(html, "<h3>{}</h3>", shown(heading));
        } else if line.starts_with("```") {
            let fence: String = line.chars().take_while(|c| *c == '`').collect();
            html.push_str("<pre>");
            for inside in lines.by_ref().take_while(|inside| *inside != fence) {
                html.push_str(&escaped(inside));
                html.push('\n');
            }
            html.push_str("</pre>\n");
        } else if is_row(line) && lines.peek().is_some_and(|next| next.starts_with("|---")) {
            lines.next();
            html.push_str("<div class=\"wide\"><table>\n");
            if cells(line).any(|cell| !cell.is_empty()) {
                row(&mut html, "th", line);
            }
            while let Some(line) = lines.next_if(|line| is_row(line)) {
                row(&mut html, "td", line);
            }
            html.push_str("</table></div>\n");
        } else if let Some(code) = line.strip_prefix("    ") {
            let _ = writeln!(html, "<pre>{}</pre>", escaped(code));
        } else if !line.trim().is_empty() {
            let _ = writeln!(html, "<p>{}</p>", shown(line));
        }
    }
    html
}

fn is_row(line: &str) -> bool {
    line.len() > 1 && line.starts_with('|') && line.ends_with('|')
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.trim_matches('|').split('|').map(str::trim)
}

fn row(html: &mut String, kind: &str, line: &str) {
    html.push_str("<tr>");
    for cell in cells(line) {
        let _ = write!(html, "<{kind}>{}</{kind}>", shown(cell));
    }
    html.push_str("</tr>\n");
}

/// A text with its numeric character references replaced, safe for HTML.
fn shown(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("&#") {
        plain.push_str(before);
        let reference = after.split_once(';').and_then(|(number, after)| {
            let character = number.parse::<u32>().ok().and_then(char::from_u32)?;
            (!character.is_control()).then_some((character, after))
        });
        match reference {
            Some((character, after)) => {
                plain.push(character);
                rest = after;
            }
            None => {
                plain.push_str("&#");
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    escaped(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_blocks_are_shown_as_such() {
        let html = body(
            "### migrate-ledger: done\n\n| role | s3&#95;data&#95;hash |\n|---|---|\n| genesis | a&#124;b |\n\n\
             ```text\n<b>| not a table |\n```\n    code & more\n0.2 s\n",
        );
        assert_eq!(
            html,
            "<h3>migrate-ledger: done</h3>\n<div class=\"wide\"><table>\n\
             <tr><th>role</th><th>s3_data_hash</th></tr>\n<tr><td>genesis</td><td>a|b</td></tr>\n\
             </table></div>\n<pre>&lt;b&gt;| not a table |\n</pre>\n<pre>code &amp; more</pre>\n<p>0.2 s</p>\n"
        );
        // A table of facts has no head.
        assert!(!body("|  |  |\n|---|---|\n| a | b |\n").contains("<th>"));
    }

    #[test]
    fn nothing_becomes_markup_of_the_page() {
        for text in [
            "<script>x</script>",
            "### <i>",
            "| <i> |\n|---|\n| &#60;i&#62; |",
            "```\n<i>",
            "    <i>",
            "&#60;i&#62; &#0; &#99999999999; &# &#x3c;i",
        ] {
            let html = body(text);
            assert!(!html.contains("<i") && !html.contains("<script"), "{html}");
        }
        assert_eq!(shown("&#0;&#;&#7;"), "&amp;#0;&amp;#;&amp;#7;");
    }
}
