//! The container and the control member.

use std::collections::{BTreeMap, BTreeSet};

use crate::diff::side::Side;
use crate::diff::{Found, Part};

/// Compares the `ar` members and the compression.
pub(super) fn container(found: &mut Found, left: &Side, right: &Side) {
    let compressions = (left.compression.name(), right.compression.name());
    found.value(
        Part::Packing,
        "compression of the data archive",
        compressions.0,
        compressions.1,
    );
    // Without the compression, which is told already.
    let base = |name: &str| {
        let cut = name.find(".tar").map_or(name.len(), |at| at + 4);
        name[..cut].to_owned()
    };
    let names = |side: &Side| {
        let names = side.members.iter().map(|member| base(&member.name));
        names.collect::<Vec<_>>().join(", ")
    };
    found.value(
        Part::Container,
        "names and order of the members",
        &names(left),
        &names(right),
    );
    for (here, there) in left.members.iter().zip(&right.members) {
        let name = base(&here.name);
        if name != base(&there.name) {
            break;
        }
        found.value(
            Part::Container,
            format!("time of member `{name}`"),
            &here.mtime.to_string(),
            &there.mtime.to_string(),
        );
        found.value(
            Part::Container,
            format!("owner, group and mode of member `{name}`"),
            &here.attributes,
            &there.attributes,
        );
    }
}

/// Compares what is in the control member.
pub(super) fn control(found: &mut Found, left: &Side, right: &Side) {
    let names = |side: &Side| -> Vec<String> {
        let fields = side.control.fields();
        fields.map(|(name, _)| name.to_owned()).collect()
    };
    let (here, there) = (names(left), names(right));
    let only_right = there.iter().filter(|name| !here.contains(*name));
    for name in here.iter().chain(only_right) {
        let values = (left.control.get(name), right.control.get(name));
        if values.0 != values.1 {
            let what = format!("field `{name}`");
            found.add(Part::Control, what, values.0, values.1, Vec::new());
        }
    }
    if here != there {
        let order = "names and order of the fields";
        found.value(Part::Control, order, &here.join(", "), &there.join(", "));
    } else if left.control == right.control
        && left.control_files.get("control") != right.control_files.get("control")
    {
        found.add(
            Part::Control,
            "spelling of `control`",
            None,
            None,
            Vec::new(),
        );
    }
    let files: BTreeSet<&String> = left
        .control_files
        .keys()
        .chain(right.control_files.keys())
        .collect();
    for name in files {
        let contents = (left.control_files.get(name), right.control_files.get(name));
        match (name.as_str(), contents) {
            (_, (here, there)) if here == there => {}
            ("control", _) => {}
            ("md5sums", (Some(here), Some(there))) => md5sums(found, here, there),
            (_, (here, there)) => text(
                found,
                Part::Script,
                &format!("control file `{name}`"),
                here.map(Vec::as_slice),
                there.map(Vec::as_slice),
            ),
        }
    }
}

fn md5sums(found: &mut Found, left: &[u8], right: &[u8]) {
    let sums = |bytes: &[u8]| -> BTreeMap<String, String> {
        let text = String::from_utf8_lossy(bytes);
        let lines = text.lines().filter_map(|line| line.split_once("  "));
        lines
            .map(|(sum, path)| (path.to_owned(), sum.to_owned()))
            .collect()
    };
    let (here, there) = (sums(left), sums(right));
    if here == there {
        let what = "order or spelling of the lines";
        found.add(Part::Md5sums, what, None, None, Vec::new());
    }
    let paths: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    for path in paths {
        let sums = (here.get(path), there.get(path));
        if sums.0 != sums.1 {
            found.add(
                Part::Md5sums,
                format!("checksum of `{path}`"),
                sums.0.map(String::as_str),
                sums.1.map(String::as_str),
                Vec::new(),
            );
        }
    }
}

/// Reports a text by its first line that differs, anything else by its first byte.
pub(super) fn text(
    found: &mut Found,
    part: Part,
    what: &str,
    left: Option<&[u8]>,
    right: Option<&[u8]>,
) {
    let (Some(here), Some(there)) = (left, right) else {
        let size = |one: &[u8]| format!("{} bytes", one.len());
        let (left, right) = (left.map(size), right.map(size));
        found.add(part, what, left.as_deref(), right.as_deref(), Vec::new());
        return;
    };
    let (Ok(left), Ok(right)) = (std::str::from_utf8(here), std::str::from_utf8(there)) else {
        let pairs = here.iter().zip(there);
        let at = pairs.take_while(|(one, other)| one == other).count();
        let byte = |bytes: &[u8]| match bytes.get(at) {
            Some(byte) => format!("{byte:#04x}"),
            None => "the end".to_owned(),
        };
        found.value(
            part,
            format!("{what}, byte {at}"),
            &byte(here),
            &byte(there),
        );
        return;
    };
    let mut lines = (left.split('\n'), right.split('\n'));
    for number in 1_u64.. {
        match (lines.0.next(), lines.1.next()) {
            (Some(one), Some(other)) if one == other => {}
            (None, None) => return,
            (one, other) => {
                let what = format!("{what}, line {number}");
                found.add(part, what, one, other, Vec::new());
                return;
            }
        }
    }
}
