//! The branches around the fork as one picture, for those who have to decide.
//!
//! One self-contained file: no script, no font, no other file. Slots go from left to right, each
//! branch has a lane, and nothing is told by colour alone.

use std::path::Path;

use fork_genesis::selection::Selection;
use fork_genesis::selection::tree::BlockTree;
use fork_types::StateHash;
use fork_types::document::DaemonView;

use crate::list::ListDocument;

mod html;
mod layout;
mod svg;

use layout::Layout;

/// Most blocks drawn, those nearest to the fork: what a browser shows at once, and more than the
/// 290 that a daemon can show on one chain.
const BLOCKS_MAX: usize = 400;

/// What a picture shows.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// The candidates and the daemons.
    pub document: &'a ListDocument,
    /// What every daemon showed.
    pub views: &'a [DaemonView],
    /// What the rule says, when it has numbers.
    pub selection: Option<&'a Selection>,
    /// Tip of the branch that is called `main`, when there is one.
    pub main_tip: Option<StateHash>,
}

/// The file a picture becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureForm {
    /// The picture alone.
    Svg,
    /// A page with the picture and tables.
    Html,
}

impl PictureForm {
    /// The form a file name asks for, if it is one.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        if extension.eq_ignore_ascii_case("svg") {
            Some(Self::Svg)
        } else if extension.eq_ignore_ascii_case("html") {
            Some(Self::Html)
        } else {
            None
        }
    }
}

impl Picture<'_> {
    /// Draws. The same input gives the same text.
    #[must_use]
    pub fn draw(&self, form: PictureForm) -> String {
        let tree = BlockTree::new(self.views);
        let layout = Layout::new(self, &tree);
        let svg = svg::draw(self, &tree, &layout);
        match form {
            PictureForm::Svg => svg,
            PictureForm::Html => html::page(self, &svg),
        }
    }
}

#[cfg(test)]
mod tests;
