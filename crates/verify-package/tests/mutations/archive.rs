//! Packages and images taken apart and put together again, good or bad.

use std::fs;
use std::io::Read;
use std::path::Path;

use fork_package::ar;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::case::{gunzip, gzip};

/// The entries of a tar, with their headers as they are.
#[derive(Clone, Default)]
pub struct Tar(pub Vec<(tar::Header, Vec<u8>)>);

impl Tar {
    pub fn read(bytes: &[u8]) -> Self {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().unwrap().raw(true);
        Self(
            entries
                .map(|entry| {
                    let mut entry = entry.unwrap();
                    let mut content = Vec::new();
                    entry.read_to_end(&mut content).unwrap();
                    (entry.header().clone(), content)
                })
                .collect(),
        )
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (header, content) in &self.0 {
            builder.append(header, content.as_slice()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// Position of the entry whose name ends so, slashes at the end aside.
    pub fn find(&self, end: &str) -> usize {
        let position = self.0.iter().position(|(header, _)| {
            let name = String::from_utf8(header.path_bytes().into_owned()).unwrap();
            name.trim_end_matches('/').ends_with(end)
        });
        position.unwrap_or_else(|| panic!("{end}"))
    }

    /// Changes a header and its checksum.
    pub fn header(&mut self, end: &str, change: impl FnOnce(&mut tar::Header)) {
        let position = self.find(end);
        let header = &mut self.0[position].0;
        change(header);
        header.set_cksum();
    }

    /// Replaces the content of a file.
    pub fn content(&mut self, end: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let position = self.find(end);
        let (header, content) = &mut self.0[position];
        change(content);
        header.set_size(content.len() as u64);
        header.set_cksum();
    }

    /// Puts something else in the place of a file; the name stays.
    pub fn replace(&mut self, end: &str, kind: tar::EntryType, link: &str) {
        self.content(end, Vec::clear);
        self.header(end, |header| {
            header.set_entry_type(kind);
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        });
    }

    /// Appends an entry; the name is taken as it is.
    pub fn add(&mut self, name: &str, kind: tar::EntryType, mode: u32, content: &[u8]) {
        let mut header = tar::Header::new_ustar();
        if name.len() > 100 {
            header.set_path(name).unwrap();
        } else {
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        }
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.push((header, content.to_vec()));
    }

    /// A link of this text.
    pub fn link(&mut self, name: &str, kind: tar::EntryType, target: &str) {
        self.add(name, kind, 0o777, &[]);
        let header = &mut self.0.last_mut().unwrap().0;
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
    }
}

/// The members of a package file: name and content.
pub struct DebParts(pub Vec<(String, Vec<u8>)>);

impl DebParts {
    pub fn read(mut input: &[u8]) -> Self {
        ar::read_magic(&mut input).unwrap();
        let mut members = Vec::new();
        while let Some(member) = ar::next_member(&mut input).unwrap() {
            let mut content = vec![0; member.bytes as usize];
            input.read_exact(&mut content).unwrap();
            ar::skip_padding(&mut input, member.bytes).unwrap();
            members.push((member.name, content));
        }
        Self(members)
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut output = ar::MAGIC.to_vec();
        for (name, content) in &self.0 {
            let length = content.len() as u64;
            ar::write_member(&mut output, name, 0, length, &mut content.as_slice()).unwrap();
        }
        output
    }

    fn member(&mut self, name: &str) -> &mut Vec<u8> {
        let member = self.0.iter_mut().find(|(found, _)| found == name);
        &mut member.unwrap().1
    }

    fn tar(&mut self, name: &str, change: impl FnOnce(&mut Tar)) {
        let member = self.member(name);
        let mut tar = Tar::read(&gunzip(member));
        change(&mut tar);
        *member = gzip(&tar.bytes());
    }

    pub fn control(&mut self, change: impl FnOnce(&mut Tar)) {
        self.tar("control.tar.gz", change);
    }

    pub fn data(&mut self, change: impl FnOnce(&mut Tar)) {
        self.tar("data.tar.gz", change);
    }

    /// Replaces a text in whichever control file has it.
    pub fn replace_control(&mut self, from: &str, to: &str) {
        self.control(|tar| {
            let mut found = false;
            for (header, content) in &mut tar.0 {
                let text = String::from_utf8(content.clone()).unwrap();
                found |= text.contains(from);
                *content = text.replacen(from, to, 1).into_bytes();
                header.set_size(content.len() as u64);
                header.set_cksum();
            }
            assert!(found, "{from}");
        });
    }

    /// Adds a control file.
    pub fn control_file(&mut self, name: &str, content: &str) {
        self.control(|tar| {
            let name = format!("./{name}");
            tar.add(&name, tar::EntryType::Regular, 0o755, content.as_bytes());
        });
    }
}

/// An image of an OCI layout: its config and its layers, lowest first.
pub struct Oci {
    config: Value,
    pub layers: Vec<Tar>,
    /// Changes the bytes of the last layer's blob after everything was named by its digest.
    pub damage: Option<fn(&mut Vec<u8>)>,
    /// Names the uncompressed last layer by another digest.
    pub wrong_diff_id: bool,
}

impl Oci {
    pub fn read(layout: &Path) -> Self {
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap();
            let name = digest.strip_prefix("sha256:").unwrap();
            fs::read(layout.join("blobs/sha256").join(name)).unwrap()
        };
        let parse = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).unwrap();
        let index = parse(fs::read(layout.join("index.json")).unwrap());
        let manifest = parse(blob(&index["manifests"][0]));
        let layers = manifest["layers"].as_array().unwrap();
        Self {
            config: parse(blob(&manifest["config"])),
            layers: layers
                .iter()
                .map(|layer| Tar::read(&gunzip(&blob(layer))))
                .collect(),
            damage: None,
            wrong_diff_id: false,
        }
    }

    /// Puts a new layer on top.
    pub fn add_layer(&mut self, change: impl FnOnce(&mut Tar)) {
        let mut tar = Tar::default();
        change(&mut tar);
        self.layers.push(tar);
    }

    /// The layer with the package.
    pub fn package(&mut self) -> &mut Tar {
        self.layers.last_mut().unwrap()
    }

    pub fn write(&mut self, layout: &Path) {
        let blobs = layout.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        let sha256 = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
        let put = |media_type: &str, bytes: &[u8], damage: Option<fn(&mut Vec<u8>)>| {
            let digest = sha256(bytes);
            let mut bytes = bytes.to_vec();
            let size = bytes.len();
            if let Some(damage) = damage {
                damage(&mut bytes);
            }
            fs::write(blobs.join(&digest), &bytes).unwrap();
            json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size})
        };
        let mut layers = Vec::new();
        let mut diff_ids = Vec::new();
        for (number, layer) in self.layers.iter().enumerate() {
            let is_last = number + 1 == self.layers.len();
            let tar = layer.bytes();
            let mut diff_id = sha256(&tar);
            if is_last && self.wrong_diff_id {
                diff_id = "0".repeat(64);
            }
            diff_ids.push(format!("sha256:{diff_id}"));
            layers.push(put(
                "application/vnd.oci.image.layer.v1.tar+gzip",
                &gzip(&tar),
                self.damage.filter(|_| is_last),
            ));
        }
        self.config["rootfs"]["diff_ids"] = diff_ids.into();
        self.config.as_object_mut().unwrap().remove("history");
        let config = put(
            "application/vnd.oci.image.config.v1+json",
            &serde_json::to_vec(&self.config).unwrap(),
            None,
        );
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers,
        });
        let manifest = put(media_type, &serde_json::to_vec(&manifest).unwrap(), None);
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [manifest],
        });
        fs::write(layout.join("index.json"), index.to_string()).unwrap();
        fs::write(
            layout.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
    }
}
