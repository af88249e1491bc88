use super::*;
use crate::list::sample;
use crate::list::stock::Stock;

fn draw(stock: Stock, form: PictureForm) -> String {
    let listing = sample::listing(stock);
    let document = listing.document();
    listing.picture(&document).draw(form)
}

fn usual() -> Stock {
    sample::stock(sample::views(sample::CHAIN_END - 5))
}

/// Elements that begin and end, as far as a picture has any: enough to find a tag that was not
/// closed, or text that was not escaped.
#[track_caller]
fn assert_well_formed(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        let name = |tag: &'_ str| tag.split_whitespace().next().unwrap().len();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "before {:.100}", rest);
        } else if !tag.ends_with('/') && !tag.starts_with("!doctype") && !tag.starts_with("meta") {
            open.push(&tag[..name(tag)]);
        }
    }
    assert_eq!(open, [""; 0]);
}

#[test]
fn names_decide_the_form() {
    let form = |name: &str| PictureForm::of(Path::new(name));
    assert_eq!(form("a/fork.svg"), Some(PictureForm::Svg));
    assert_eq!(form("fork.HTML"), Some(PictureForm::Html));
    for bad in ["fork.png", "fork", "svg", ".svg", ""] {
        assert_eq!(form(bad), None, "{bad}");
    }
}

#[test]
fn everything_that_matters_is_drawn() {
    let svg = draw(usual(), PictureForm::Svg);
    assert_well_formed(&svg);
    for part in [
        "slot_tx_end 413500",
        "slot_chain_end 413560",
        "clock 413555",
        ">main<",
        ">branch 2<",
        ">branch 3<",
        "▲ seed-1, seed-2<",
        "▲ seed-3<",
        "▲ seed-4<",
        "prefers-color-scheme: dark",
    ] {
        assert!(svg.contains(part), "{part}");
    }
    // The rule's block is 300015: stored, ringed and named in the first line.
    let hash = sample::hash(1015).to_string();
    assert!(svg.contains(&format!("so far it would be 300015 {hash}")));
    assert_eq!(
        svg.matches("<g class=\"block stored leading\"><title>")
            .count(),
        1
    );
    assert!(svg.contains(&format!(
        "<g class=\"block stored leading\"><title>block 300015\nstate hash {hash}\n"
    )));
    assert!(svg.contains("\nstored and verified\non the best chain of seed-1, seed-2, seed-3\n"));
    // Every block once; those with transactions have a dot, beside three of the legend.
    let seen = sample::views(0);
    let blocks = BlockTree::new(&seen).blocks();
    let filled = blocks.iter().filter(|block| !block.is_empty()).count();
    assert_eq!(svg.matches("\nstate hash ").count(), blocks.len());
    assert_eq!(svg.matches("class=\"dot\"").count(), filled + 3);
    assert!(!svg.contains("class=\"alarmed\""));
}

#[test]
fn nothing_else_is_loaded_and_nothing_runs() {
    for form in [PictureForm::Svg, PictureForm::Html] {
        let text = draw(usual(), form);
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for bad in ["<script", "http", "url(", "@import", "src=", "href=", " on"] {
            let found = text.match_indices(bad).any(|(at, _)| {
                // ` on` begins a handler's name, as in `onclick=`, not a word.
                bad != " on"
                    || text[at + 3..].starts_with(|c: char| c.is_ascii_lowercase())
                        && text[at + 3..]
                            .split(['=', ' ', '<', '\n'])
                            .next()
                            .is_some_and(|word| text[at + 3 + word.len()..].starts_with('='))
            });
            assert!(!found, "{bad}");
        }
    }
}

#[test]
fn names_cannot_break_out() {
    let mut stock = usual();
    let evil = "x\"><script>alert('&')</script>\u{1}";
    stock.views[3].name = evil.to_owned();
    for candidate in &mut stock.candidates {
        candidate.captured.daemon = evil.to_owned();
    }
    for form in [PictureForm::Svg, PictureForm::Html] {
        let text = draw(sample::stock(stock.views.clone()), form);
        assert_well_formed(&text);
        assert!(!text.contains("<script"));
        assert!(!text.contains('\u{1}'));
        assert!(text.contains("x&quot;&gt;&lt;script&gt;"));
    }
    let page = draw(stock, PictureForm::Html);
    assert!(!page.contains("<script"));
}

#[test]
fn a_page_has_the_table_and_the_reasons() {
    let page = draw(usual(), PictureForm::Html);
    assert_well_formed(&page);
    assert!(page.starts_with("<!doctype html>"));
    assert_eq!(page.matches("<svg ").count(), 1);
    let rows = page.matches("<td class=\"number\">3000").count();
    assert_eq!(rows, 16 + 4, "candidates and daemons");
    assert!(page.contains("<tr class=\"chosen\"><td class=\"number\">300015</td>"));
    assert!(page.contains("this branch ends at 300022"));
    assert!(page.contains("5 slots until slot_chain_end 413560"));
}

#[test]
fn blocks_that_must_not_be_are_marked() {
    let mut stock = usual();
    let last = stock.views[1].blocks.last_mut().unwrap();
    last.commands = 1;
    stock.views.remove(0);
    let svg = draw(stock, PictureForm::Svg);
    assert_eq!(svg.matches("class=\"alarmed\"").count(), 1);
    assert!(svg.contains("no fork block; the rule refuses 300015"));
}

#[test]
fn a_block_that_is_not_verified_is_hollow() {
    let whole = draw(usual(), PictureForm::Svg);
    let mut stock = usual();
    sample::break_ledger(&mut stock, 0, fork_types::Role::Genesis);
    let broken = draw(stock, PictureForm::Svg);
    let stored = |svg: &str| svg.matches("\"block stored").count();
    assert_eq!(stored(&broken) + 1, stored(&whole));
    assert!(broken.contains("\nstored, but not verified\n"));
}

#[test]
fn a_large_tree_is_cut_far_from_the_fork() {
    let blocks: Vec<_> = (0..1000_u32)
        .map(|index| {
            let number = 10_000 + u64::from(index);
            sample::block(number, number - 1, 1 + index, sample::TX_END - 990 + index)
        })
        .collect();
    let views = vec![sample::view("a", &blocks, sample::TX_END + 10)];
    let svg = draw(sample::stock(views), PictureForm::Svg);
    assert_well_formed(&svg);
    assert_eq!(svg.matches("\nstate hash ").count(), BLOCKS_MAX);
    assert!(svg.contains("600 blocks farther from the fork are not drawn"));
    // The newest of them is drawn, and the oldest is not.
    assert!(svg.contains("<title>block 1000\n"));
    assert!(!svg.contains("<title>block 1\n"));
}

#[test]
fn there_is_a_picture_without_anything_to_draw() {
    for form in [PictureForm::Svg, PictureForm::Html] {
        let text = draw(sample::stock(Vec::new()), form);
        assert_well_formed(&text);
        assert!(text.contains("the stop slots are not known"));
    }
    // Without stop slots there is a tree all the same.
    let mut views = sample::views(sample::CHAIN_END);
    for view in &mut views {
        view.stop = fork_types::document::SeenStopSlots::default();
    }
    let svg = draw(sample::stock(views), PictureForm::Svg);
    assert_well_formed(&svg);
    assert!(!svg.contains(">slot_tx_end"));
    assert!(svg.contains(">main<"));
}

#[test]
fn the_order_of_daemons_changes_nothing() {
    let mut views = sample::views(sample::CHAIN_END - 5);
    let one = draw(sample::stock(views.clone()), PictureForm::Svg);
    views.reverse();
    assert!(draw(sample::stock(views), PictureForm::Svg) == one);
}
