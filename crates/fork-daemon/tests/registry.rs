//! The registry client against a registry that does as it is told: what is right, what is a lie, what
//! breaks. A real registry is talked to in the tests of `package-image`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

mod fake;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fake::{Answer, Fake, Twist, answer};
use fork_daemon::registry::{
    Access, ImageReference, Push, Pushed, Referrers, Registry, RegistryError, RegistryOptions,
};
use fork_package::oci::{self, Digest, History, ImageConfig};
use fork_package::{Attributes, LayoutWriter, PackageError, Selection};
use fork_types::{Class, Fault};
use serde_json::json;

/// Incompressible bytes in a layer, more than fit into the buffers between two processes.
const LAYER_BYTES: usize = 3_000_000;
const REPOSITORY: &str = "mina/daemon";

fn noise(count: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(count)
    .collect()
}

/// A layout of one image and two attachments; digests of the image and of its large layer.
fn layout(root: &Path) -> (PathBuf, Digest, Digest) {
    let directory = root.join("layout");
    let writer = LayoutWriter::create(&directory).unwrap();
    let layer = writer
        .put_layer(|tar| -> Result<(), PackageError> {
            tar.append_bytes("x", Attributes::root(0o644, 1), &noise(LAYER_BYTES))
        })
        .unwrap();
    let mut config = ImageConfig::empty("amd64");
    config.push_layer(layer.diff_id.clone(), History::default());
    let layer_digest = layer.descriptor.digest.clone();
    let (_, image) = writer.put_manifest(&config, &[layer], "1").unwrap();
    let mut entries = vec![image.clone()];
    for kind in ["application/spdx+json", "application/vnd.in-toto+json"] {
        let content = format!("{{\"kind\":\"{kind}\"}}");
        let attached = writer.put_attachment(&image, kind, content.as_bytes(), BTreeMap::new());
        entries.push(attached.unwrap().0);
    }
    writer.put_index(entries).unwrap();
    (directory, image.digest, layer_digest)
}

fn options() -> RegistryOptions {
    RegistryOptions {
        request_timeout: Duration::from_secs(20),
        idle_timeout: Duration::from_secs(20),
        attempts_max: 3,
        backoff: Duration::from_millis(1),
        ..RegistryOptions::default()
    }
}

fn client(fake: &Fake) -> Registry {
    Registry::open(&fake.address, Access::Anonymous, options()).unwrap()
}

fn push(registry: &Registry, layout: &Path, tags: &[&str]) -> Result<Pushed, RegistryError> {
    let tags: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
    let push = Push {
        layout,
        selection: Selection::default(),
        repository: REPOSITORY,
        tags: &tags,
    };
    registry.push(&push, &|_| ())
}

fn pull(
    registry: &Registry,
    fake: &Fake,
    what: &str,
    directory: &Path,
) -> Result<Digest, RegistryError> {
    let name = format!("{}/{REPOSITORY}{what}", fake.address);
    let reference: ImageReference = name.parse().unwrap();
    let pulled = registry.pull(&reference, Selection::default(), true, directory, &|_| ());
    pulled.map(|pulled| pulled.digest)
}

/// The files of a directory and the digests of their contents.
fn files(directory: &Path) -> BTreeMap<PathBuf, Digest> {
    let listed = fork_fs::list_files(directory).unwrap().into_iter();
    let digest = |path: &Path| Digest::of(&std::fs::read(directory.join(path)).unwrap());
    listed
        .map(|(path, _)| (path.clone(), digest(&path)))
        .collect()
}

/// Whether two layouts hold the same; a registry may list attachments in another order.
fn assert_same(one: &Path, other: &Path) {
    let index = Path::new("index.json");
    let [one, other] = [one, other].map(|directory| {
        let mut files = files(directory);
        files.remove(index).unwrap();
        let text = std::fs::read(directory.join(index)).unwrap();
        let mut value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let entries = value["manifests"].as_array_mut().unwrap();
        entries.sort_by_key(|entry| entry["digest"].to_string());
        (files, value)
    });
    assert_eq!(one, other);
}

/// What is left of a failed pull: no blob that was not whole.
fn assert_nothing_half_written(directory: &Path) {
    for name in fork_fs::sorted_names(&directory.join("blobs/sha256")).unwrap() {
        let bytes = std::fs::read(directory.join("blobs/sha256").join(&name)).unwrap();
        assert_eq!(Digest::of(&bytes).hex(), name.to_str().unwrap());
    }
    assert!(!directory.join("index.json").exists());
}

#[test]
fn what_is_pushed_comes_back() {
    for keeps_list in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let (layout, digest, layer) = layout(root.path());
        let fake = Fake::start();
        fake.state.lock().unwrap().referrers = keeps_list;
        let registry = client(&fake);
        let pushed = push(&registry, &layout, &["unique", "1"]).unwrap();
        assert_eq!((pushed.blobs_sent, pushed.blobs_present), (5, 0));
        let how = if keeps_list {
            Referrers::Api
        } else {
            Referrers::Tag
        };
        assert_eq!(pushed.referrers, Some(how));

        // Everything an image names is there before it, and its tags are the last that appears.
        let stored: Vec<String> = fake
            .log()
            .iter()
            .filter_map(|line| Some(line.strip_prefix("PUT ")?.rsplit_once('/')?.1.to_owned()))
            .collect();
        let place = |name: &str| stored.iter().position(|one| one == name);
        assert_eq!(stored.iter().filter(|name| *name == "x").count(), 5);
        assert!(stored[..5].iter().all(|name| name == "x"), "{stored:?}");
        assert_eq!(place(&digest.to_string()), Some(5));
        assert_eq!(&stored[stored.len() - 2..], ["unique", "1"]);
        let list = digest.to_string().replace(':', "-");
        assert_eq!(place(&list).is_some(), !keeps_list, "{stored:?}");

        let again = push(&registry, &layout, &["unique", "1"]).unwrap();
        assert_eq!(
            (again.blobs_sent, again.blobs_present, again.bytes_sent),
            (0, 5, 0)
        );
        let tags = again.tags.iter().map(|tag| tag.before.as_ref());
        assert!(tags.into_iter().all(|before| before == Some(&digest)));

        let pulled = root.path().join("pulled");
        assert_eq!(pull(&registry, &fake, ":1", &pulled).unwrap(), digest);
        assert_same(&pulled, &layout);

        // A blob that is lost is sent again, and only that one.
        fake.state.lock().unwrap().blobs.remove(&layer.to_string());
        let third = push(&registry, &layout, &["1"]).unwrap();
        assert_eq!((third.blobs_sent, third.blobs_present), (1, 4));
    }
}

#[test]
fn attachments_of_others_stay() {
    let root = tempfile::tempdir().unwrap();
    let (layout, digest, _) = layout(root.path());
    let fake = Fake::start();
    let list = digest.to_string().replace(':', "-");
    let theirs = json!({
        "mediaType": oci::MANIFEST, "digest": format!("sha256:{}", "5".repeat(64)), "size": 5
    });
    let index = json!({"schemaVersion": 2, "mediaType": oci::INDEX, "manifests": [theirs]});
    fake.put(&list, oci::INDEX, index.to_string().as_bytes());
    push(&client(&fake), &layout, &["1"]).unwrap();
    let state = fake.state.lock().unwrap();
    let index: serde_json::Value = serde_json::from_slice(&state.manifests[&list].1).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 3);
    assert_eq!(index["manifests"][0], theirs);
    assert_eq!(
        index["manifests"][1]["artifactType"],
        "application/spdx+json"
    );
}

#[test]
fn a_tag_moves_only_when_told_so() {
    let root = tempfile::tempdir().unwrap();
    let (layout, digest, _) = layout(root.path());
    let fake = Fake::start();
    let registry = client(&fake);
    let manifest = json!({"schemaVersion": 2, "mediaType": oci::MANIFEST, "layers": []});
    let other = fake.put("1", oci::MANIFEST, manifest.to_string().as_bytes());

    let error = push(&registry, &layout, &["unique", "1"]).unwrap_err();
    assert_eq!(error.class(), Class::Wrong);
    let text = error.to_string();
    assert!(
        text.contains(&format!(
            "/{REPOSITORY}:1` names {other} already, not {digest}"
        )),
        "{text}"
    );
    assert!(
        fake.log().iter().all(|line| line.starts_with("GET ")),
        "{:?}",
        fake.log()
    );

    push(&registry, &layout, &["2"]).unwrap();
    let tags = ["new".to_owned(), "1".to_owned()];
    let promote = |from: Option<&Digest>| registry.promote(REPOSITORY, &digest, &tags, from);
    for from in [None, Some(&Digest::of(b""))] {
        let error = promote(from).unwrap_err();
        assert!(matches!(error, RegistryError::TagTaken { .. }), "{error}");
        // Neither is the free tag set.
        assert_eq!(registry.digest_of(REPOSITORY, "new").unwrap(), None);
        assert_eq!(registry.digest_of(REPOSITORY, "1").unwrap().unwrap(), other);
    }
    let outcome = promote(Some(&other)).unwrap();
    assert_eq!(
        (&outcome[0].before, &outcome[1].before),
        (&None, &Some(other.clone()))
    );
    assert_eq!(
        registry.digest_of(REPOSITORY, "1").unwrap().unwrap(),
        digest
    );
    let stored = fake.log().len();
    let again = promote(Some(&other)).unwrap();
    assert!(again.iter().all(|tag| tag.before.as_ref() == Some(&digest)));
    assert!(
        fake.log()[stored..]
            .iter()
            .all(|line| line.starts_with("GET "))
    );

    let missing = registry
        .promote(REPOSITORY, &Digest::of(b"x"), &tags, None)
        .unwrap_err();
    assert_eq!(missing.class(), Class::BadInput, "{missing}");
}

/// A blob's answer with something wrong.
fn blob(change: impl Fn(Vec<u8>) -> Vec<u8>, bytes: &[u8]) -> Answer {
    answer(200, &[], change(bytes.to_vec()))
}

#[test]
fn lies_are_found_out() {
    let root = tempfile::tempdir().unwrap();
    let (layout, digest, layer) = layout(root.path());
    let fake = Fake::start();
    let registry = client(&fake);
    push(&registry, &layout, &["1"]).unwrap();
    let (bytes, manifest) = {
        let state = fake.state.lock().unwrap();
        (
            state.blobs[&layer.to_string()].clone(),
            state.manifests["1"].1.clone(),
        )
    };
    let typed = |kind: &str, body: &[u8]| answer(200, &[("content-type", kind)], body);
    let flipped = |mut bytes: Vec<u8>| {
        bytes[LAYER_BYTES / 2] ^= 1;
        bytes
    };
    let shorter = |mut bytes: Vec<u8>| {
        bytes.pop();
        bytes
    };
    let longer = |mut bytes: Vec<u8>| {
        bytes.push(0);
        bytes
    };
    let zeros = format!("sha256:{}", "0".repeat(64));
    let with_digest = [
        ("content-type", oci::MANIFEST),
        ("docker-content-digest", zeros.as_str()),
    ];
    let change = |from: &str, to: &str| {
        let text = String::from_utf8(manifest.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        text.replacen(from, to, 1).into_bytes()
    };
    let by_tag = ":1".to_owned();
    let by_digest = format!("@{digest}");
    let wrong = Class::Wrong;
    let bad = Class::BadInput;
    let cases: Vec<(&str, &str, Twist, Class, &str)> = vec![
        (&by_tag, "blobs/", Twist::Answer(blob(flipped, &bytes)), wrong, "digest of blob"),
        (&by_tag, "blobs/", Twist::Answer(blob(shorter, &bytes)), wrong, "announced size of blob"),
        (&by_tag, "blobs/", Twist::Answer(blob(longer, &bytes)), wrong, "announced size of blob"),
        (&by_tag, "blobs/", Twist::Endless(blob(|b| b, &bytes)), wrong, "size of blob"),
        (&by_tag, "manifests/", Twist::Answer(answer(200, &with_digest, manifest.clone())), wrong, "digest of the manifest"),
        (&by_digest, "manifests/", Twist::Answer(typed(oci::MANIFEST, b"{}")), wrong, "digest of the manifest"),
        (&by_tag, "manifests/", Twist::Answer(typed("text/html", b"<html>")), bad, "no JSON object"),
        (&by_tag, "manifests/", Twist::Answer(typed("text/html", b"{}")), bad, "a manifest of type `text/html`"),
        (&by_tag, "manifests/", Twist::Answer(typed(oci::INDEX, &manifest)), bad, "sent as"),
        (&by_tag, "manifests/", Twist::Answer(typed(oci::MANIFEST, b"{}")), bad, "it is no manifest"),
        (&by_tag, "manifests/", Twist::Endless(typed(oci::MANIFEST, &[b' '; 4096])), bad, "more than 2097152 bytes"),
        (&by_tag, "manifests/", Twist::Answer(typed(oci::MANIFEST, &change("tar+gzip", "tar+zstd"))), bad, "tar+zstd is not supported"),
        (&by_tag, "manifests/", Twist::Answer(typed(oci::MANIFEST, &change(&format!("\"size\":{}", bytes.len()), "\"size\":99999999999999"))), bad, "the limit is"),
        (&by_tag, "manifests/", Twist::Answer(typed(oci::MANIFEST, &change(layer.hex(), "../../../../etc/passwd"))), bad, "it is no manifest"),
        (&by_tag, "manifests/", Twist::Answer(answer(302, &[("location", "ftp://example.org/")], "")), bad, "makes no sense"),
        (&by_tag, "referrers/", Twist::Answer(answer(200, &[], json!({"schemaVersion": 2, "manifests": [{"mediaType": oci::MANIFEST, "digest": digest.to_string(), "size": 1}]}).to_string())), bad, "is listed as attached to it and is not"),
    ];
    for (number, (what, part, twist, class, message)) in cases.into_iter().enumerate() {
        let layer = layer.to_string();
        let mut twist = Some(twist);
        fake.twist(move |request| {
            let hit =
                request.is("GET", part) && (part != "blobs/" || request.path.ends_with(&layer));
            twist.take_if(|_| hit)
        });
        let directory = root.path().join(number.to_string());
        let error = pull(&registry, &fake, what, &directory).unwrap_err();
        let mut text = error.to_string();
        if let Some(source) = std::error::Error::source(&error) {
            text.push_str(&format!(": {source}"));
        }
        assert!(text.contains(message), "{message}: {text}");
        assert_eq!(error.class(), class, "{text}");
        assert_nothing_half_written(&directory);
    }
    // And without a lie, it works.
    fake.straight();
    pull(&registry, &fake, &by_digest, &root.path().join("good")).unwrap();
}

#[test]
fn indexes_are_followed_to_one_image() {
    let root = tempfile::tempdir().unwrap();
    let (layout, digest, _) = layout(root.path());
    let fake = Fake::start();
    let registry = client(&fake);
    push(&registry, &layout, &["1"]).unwrap();
    let size = fake.state.lock().unwrap().manifests["1"].1.len();
    let entry = |digest: &Digest, size: usize, architecture: &str| {
        json!({"mediaType": oci::MANIFEST, "digest": digest.to_string(), "size": size,
               "platform": {"architecture": architecture, "os": "linux"}})
    };
    let other = Digest::of(b"other");
    let index = json!({"schemaVersion": 2, "mediaType": oci::INDEX, "manifests":
        [entry(&digest, size, "amd64"), entry(&other, 5, "arm64"), entry(&other, 5, "unknown")]});
    let top = fake.put("many", oci::INDEX, index.to_string().as_bytes());
    let wrong_size = json!({"schemaVersion": 2, "manifests": [entry(&digest, size + 1, "amd64")]});
    fake.put("size", oci::INDEX, wrong_size.to_string().as_bytes());
    let deep = |tag: &str, inner: &Digest, size: usize| {
        let inner = json!({"mediaType": oci::INDEX, "digest": inner.to_string(), "size": size});
        let text = json!({"schemaVersion": 2, "manifests": [inner]}).to_string();
        (fake.put(tag, oci::INDEX, text.as_bytes()), text.len())
    };
    let mut inner = (top.clone(), index.to_string().len());
    for level in 0..6 {
        inner = deep(&format!("deep{level}"), &inner.0, inner.1);
    }
    let pull = |tag: &str, architecture: Option<&str>| {
        let name = format!("{}/{REPOSITORY}:{tag}", fake.address);
        let selection = Selection {
            tag: None,
            architecture,
        };
        let directory = tempfile::tempdir_in(root.path()).unwrap();
        registry.pull(
            &name.parse().unwrap(),
            selection,
            false,
            directory.path(),
            &|_| (),
        )
    };
    let pulled = pull("many", Some("amd64")).unwrap();
    assert_eq!((pulled.digest, pulled.top_digest), (digest.clone(), top));
    assert_eq!(pull("deep2", Some("amd64")).unwrap().digest, digest);
    for (tag, architecture, message) in [
        ("many", None, "it holds 2 images"),
        ("many", Some("s390x"), "it holds no image"),
        ("many", Some("arm64"), "it is not there"),
        ("1", Some("arm64"), "it is for amd64, not arm64"),
        ("size", None, "size of sha256:"),
        ("deep5", Some("amd64"), "nested too deeply"),
        ("nothing", None, "it is not there"),
    ] {
        let error = pull(tag, architecture).unwrap_err();
        assert!(error.to_string().contains(message), "{tag}: {error}");
    }
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    for ranges in [true, false] {
        let root = tempfile::tempdir().unwrap();
        let (layout, _, layer) = layout(root.path());
        let fake = Fake::start();
        let registry = client(&fake);
        push(&registry, &layout, &["1"]).unwrap();
        fake.state.lock().unwrap().ranges = ranges;
        let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let noted = asked.clone();
        let name = layer.to_string();
        let mut cuts = [1_000_000, 1_500_000].into_iter();
        fake.twist(move |request| {
            if !request.is("GET", &name) {
                return None;
            }
            noted
                .lock()
                .unwrap()
                .push(request.header("range").map(str::to_owned));
            cuts.next().map(Twist::Cut)
        });
        let directory = root.path().join("pulled");
        pull(&registry, &fake, ":1", &directory).unwrap();
        assert_same(&directory, &layout);
        let from = |n: usize| Some(format!("bytes={n}-"));
        // Without ranges the second answer began at the start: it brought half a megabyte more.
        let third = if ranges { 2_500_000 } else { 1_500_000 };
        assert_eq!(*asked.lock().unwrap(), [None, from(1_000_000), from(third)]);

        // A line that always breaks is given up, and leaves nothing.
        let name = layer.to_string();
        fake.twist(move |request| request.is("GET", &name).then_some(Twist::Cut(10)));
        let directory = root.path().join("broken");
        let error = pull(&registry, &fake, ":1", &directory).unwrap_err();
        assert_eq!(error.class(), Class::Environment, "{error}");
        assert!(error.to_string().contains("(attempts: 3)"), "{error}");
        assert_nothing_half_written(&directory);
    }
}

#[test]
fn a_broken_upload_is_started_again() {
    let root = tempfile::tempdir().unwrap();
    let (layout, digest, _) = layout(root.path());
    let fake = Fake::start();
    let registry = client(&fake);
    fake.twist(|request| {
        request
            .is("PUT", "/uploads/")
            .then_some(Twist::HangUp(1_000_000))
    });
    let error = push(&registry, &layout, &["1"]).unwrap_err();
    assert_eq!(error.class(), Class::Environment, "{error}");
    assert!(error.hint().unwrap().contains("run the same command again"));
    // No manifest without its blobs, no tag without its manifest.
    assert!(fake.state.lock().unwrap().manifests.is_empty());

    let mut faults = 2;
    fake.twist(move |request| {
        let hit = faults > 0 && request.is("PUT", "/uploads/");
        faults -= i32::from(hit);
        hit.then_some(Twist::HangUp(1_000_000))
    });
    push(&registry, &layout, &["1"]).unwrap();
    assert_eq!(
        registry.digest_of(REPOSITORY, "1").unwrap().unwrap(),
        digest
    );
}

#[test]
fn what_the_registry_loses_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let (layout, digest, _) = layout(root.path());
    let fake = Fake::start();
    let registry = client(&fake);
    // It says yes and stores nothing.
    fake.twist(|request| {
        let yes = Twist::Answer(answer(201, &[], ""));
        request.is("PUT", "/uploads/").then_some(yes)
    });
    let error = push(&registry, &layout, &["1"]).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("does not have it"), "{error}: {source}");
    fake.twist(|request| {
        let yes = Twist::Answer(answer(201, &[], ""));
        request.is("PUT", "/manifests/1").then_some(yes)
    });
    let error = push(&registry, &layout, &["1"]).unwrap_err();
    assert_eq!(error.class(), Class::Wrong, "{error}");
    assert!(
        error
            .to_string()
            .contains(&format!("is missing, expected {digest}")),
        "{error}"
    );
}

#[test]
fn trouble_that_passes_is_waited_for() {
    let root = tempfile::tempdir().unwrap();
    let (layout, _, _) = layout(root.path());
    let fake = Fake::start();
    let registry = client(&fake);
    let mut left = BTreeMap::new();
    fake.twist(move |request| {
        let seen = left
            .entry(format!("{} {}", request.method, request.path))
            .or_insert(0);
        *seen += 1;
        // An upload is two requests.
        let status = if request.path.contains("/uploads/") {
            [503].get(*seen - 1)?
        } else {
            [503, 429].get(*seen - 1)?
        };
        Some(Twist::Answer(answer(*status, &[], "later")))
    });
    push(&registry, &layout, &["1"]).unwrap();
    let mut count = 0;
    fake.twist(move |_| {
        count += 1;
        assert!(count <= 3);
        Some(Twist::Answer(answer(500, &[], "never")))
    });
    let error = registry.digest_of(REPOSITORY, "1").unwrap_err();
    assert_eq!(error.class(), Class::Environment);
    let refused = Twist::Answer(answer(
        400,
        &[],
        r#"{"errors":[{"code":"X","message":"no\u001b!"}]}"#,
    ));
    let mut refused = Some(refused);
    fake.twist(move |_| refused.take());
    let error = registry.digest_of(REPOSITORY, "1").unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "the registry answered 400 Bad Request (X: no!)");
}

#[test]
fn silence_ends() {
    let root = tempfile::tempdir().unwrap();
    let (layout, _, layer) = layout(root.path());
    let fake = Fake::start();
    push(&client(&fake), &layout, &["1"]).unwrap();
    let impatient = RegistryOptions {
        request_timeout: Duration::from_millis(100),
        idle_timeout: Duration::from_millis(100),
        attempts_max: 1,
        ..options()
    };
    let registry = Registry::open(&fake.address, Access::Anonymous, impatient).unwrap();
    let pull = |name: &str| pull(&registry, &fake, ":1", &root.path().join(name)).unwrap_err();

    fake.twist(|_| Some(Twist::Silent));
    assert_eq!(pull("a").class(), Class::Environment);
    let name = layer.to_string();
    let bytes = fake.state.lock().unwrap().blobs[&name].clone();
    fake.twist(move |request| {
        let stalled = Twist::Stall(answer(200, &[], bytes.clone()), 1000);
        request.is("GET", &name).then_some(stalled)
    });
    let error = pull("b");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("nothing came for too long"), "{source}");
    assert_nothing_half_written(&root.path().join("b"));
    let body = vec![b' '; 1000];
    fake.twist(move |_| Some(Twist::Stall(answer(200, &[], body.clone()), 10)));
    assert_eq!(pull("c").class(), Class::Environment);

    fake.state.lock().unwrap().blobs.clear();
    fake.twist(|request| request.is("PUT", "/uploads/").then_some(Twist::Silent));
    let error = push(&registry, &layout, &["1"]).unwrap_err();
    assert_eq!(error.class(), Class::Environment, "{error}");
}

#[test]
fn nobody_there() {
    let options = RegistryOptions {
        attempts_max: 1,
        ..options()
    };
    // Bound and not listened to: nobody else can get the port meanwhile.
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    drop(socket);
    let registry = Registry::open(&address, Access::Anonymous, options).unwrap();
    let error = registry.digest_of("a", "1").unwrap_err();
    assert_eq!(error.class(), Class::Environment);
    assert!(
        error.to_string().contains("it cannot be reached"),
        "{error}"
    );
}

/// What may not show up anywhere but in `Authorization` headers.
const MARKER: &str = "hunter2-marker";

fn password() -> Access {
    Access::Password {
        user: "me".to_owned(),
        password: MARKER.to_owned(),
    }
}

#[test]
fn tokens_are_fetched_where_the_registry_says() {
    let root = tempfile::tempdir().unwrap();
    let (layout, digest, _) = layout(root.path());
    let fake = Fake::start();
    let realm = format!("http://{}/token?x=y", fake.address);
    let challenge = format!("Bearer realm=\"{realm}\",service=\"the registry\"");
    let queries = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = queries.clone();
    fake.twist(move |request| {
        if request.path == "/token" {
            // me:hunter2-marker
            assert_eq!(
                request.header("authorization"),
                Some("Basic bWU6aHVudGVyMi1tYXJrZXI=")
            );
            noted.lock().unwrap().push(request.query.clone());
            let body = r#"{"access_token":"token-marker","expires_in":60}"#;
            return Some(Twist::Answer(answer(200, &[], body)));
        }
        if request.header("authorization") == Some("Bearer token-marker") {
            return None;
        }
        let headers = [("www-authenticate", challenge.as_str())];
        Some(Twist::Answer(answer(401, &headers, "")))
    });
    let registry = Registry::open(&fake.address, password(), options()).unwrap();
    push(&registry, &layout, &["1"]).unwrap();
    assert_eq!(
        registry.digest_of(REPOSITORY, "1").unwrap().unwrap(),
        digest
    );
    let query = |rights: &str| {
        format!("x=y&service=the+registry&scope=repository%3Amina%2Fdaemon%3A{rights}")
    };
    // One token for reading, one for writing; both are kept.
    assert_eq!(
        *queries.lock().unwrap(),
        [query("pull"), query("pull%2Cpush")]
    );
}

#[test]
fn a_registry_that_says_no() {
    let fake = Fake::start();
    // What a server repeats of a request must not get into messages.
    let body = format!(
        r#"{{"errors":[{{"code":"DENIED","message":"not for {MARKER} (bWU6aHVudGVyMi1tYXJrZXI=)"}}]}}"#
    );
    let basic = |body: &str| answer(401, &[("www-authenticate", "Basic realm=x")], body);
    let bearer = |realm: &str| {
        let challenge = format!("Bearer realm=\"{realm}\"");
        answer(401, &[("www-authenticate", challenge.as_str())], "")
    };
    let token = Access::Token(MARKER.to_owned());
    let short = format!(r#"{{"errors":[{{"code":"DENIED","message":"not for {MARKER}"}}]}}"#);
    for (access, said, class, message) in [
        (
            password(),
            basic(&body),
            Class::Environment,
            "not for [hidden] ([hidden])",
        ),
        (
            password(),
            answer(403, &[], body.clone()),
            Class::Environment,
            "not for [hidden]",
        ),
        (token, basic(&short), Class::Environment, "not for [hidden]"),
        (
            Access::Anonymous,
            basic(""),
            Class::Environment,
            "wants a user and a password",
        ),
        (
            password(),
            answer(401, &[], ""),
            Class::Environment,
            "does not say which",
        ),
        (
            password(),
            bearer("http://192.0.2.1/token"),
            Class::BadInput,
            "token service is without TLS",
        ),
        (
            password(),
            bearer("no address"),
            Class::BadInput,
            "address of its token service",
        ),
    ] {
        let said = said.clone();
        fake.twist(move |_| Some(Twist::Answer(said.clone())));
        let registry = Registry::open(&fake.address, access, options()).unwrap();
        assert!(!format!("{registry:?}").contains(MARKER));
        let error = registry.digest_of(REPOSITORY, "1").unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        let text = format!(
            "{error}: {source} {error:?} {}",
            error.hint().unwrap_or_default()
        );
        assert!(text.contains(message), "{message}: {text}");
        assert!(
            !text.contains(MARKER) && !text.contains("bWU6aHVudGVyMi1tYXJrZXI"),
            "{text}"
        );
        assert_eq!(error.class(), class, "{text}");
    }
    let anonymous = Registry::open(&fake.address, Access::Anonymous, options()).unwrap();
    let realm = format!("http://{}/token", fake.address);
    for (body, message) in [
        (format!("{{\"tokem\":\"{MARKER}\"}}"), "gives no token"),
        (MARKER.to_owned(), "gives no token"),
        (
            format!("{{\"token\":\"{}\"}}", "x".repeat(70_000)),
            "more than 65536 bytes",
        ),
    ] {
        let challenge = bearer(&realm);
        fake.twist(move |request| {
            Some(Twist::Answer(match request.path.as_str() {
                "/token" => answer(200, &[], body.clone()),
                _ => challenge.clone(),
            }))
        });
        let error = anonymous.digest_of(REPOSITORY, "1").unwrap_err();
        let text = format!("{} {error:?}", std::error::Error::source(&error).unwrap());
        assert!(text.contains(message) && !text.contains(MARKER), "{text}");
    }
}

#[test]
fn credentials_stay_with_their_registry() {
    let root = tempfile::tempdir().unwrap();
    let (layout, _, _) = layout(root.path());
    let (fake, elsewhere) = (Fake::start(), Fake::start());
    let place = elsewhere.address.clone();
    fake.twist(move |request| {
        if request.header("authorization").is_none() {
            let headers = [("www-authenticate", "Basic realm=x")];
            return Some(Twist::Answer(answer(401, &headers, "")));
        }
        if request.is("POST", "/uploads/") || request.is("GET", "/blobs/") {
            let status = if request.method == "POST" { 202 } else { 307 };
            let location = format!("http://{place}{}", request.path);
            return Some(Twist::Answer(answer(
                status,
                &[("location", &location)],
                "",
            )));
        }
        None
    });
    let theirs = fake.state.clone();
    elsewhere.twist(move |request| {
        assert_eq!(request.header("authorization"), None);
        if request.method == "GET" {
            let digest = request.path.rsplit('/').next().unwrap();
            let bytes = theirs.lock().unwrap().blobs[digest].clone();
            return Some(Twist::Answer(answer(200, &[], bytes)));
        }
        None
    });
    let registry = Registry::open(&fake.address, password(), options()).unwrap();
    // The blobs end up elsewhere, where the registry does not look.
    push(&registry, &layout, &["1"]).unwrap_err();
    assert_eq!(elsewhere.log().len(), 1);
    let blobs = std::mem::take(&mut elsewhere.state.lock().unwrap().blobs);
    assert_eq!(blobs.len(), 1);
    for path in files(&layout.join("blobs/sha256")).into_keys() {
        let name = format!("sha256:{}", path.display());
        let bytes = std::fs::read(layout.join("blobs/sha256").join(path)).unwrap();
        fake.state.lock().unwrap().blobs.insert(name, bytes);
    }
    push(&registry, &layout, &["1"]).unwrap();
    pull(&registry, &fake, ":1", &root.path().join("pulled")).unwrap();
    assert!(elsewhere.log().len() > 4);
}
