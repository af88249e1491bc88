//! What comes from outside: mails and files of any kind.

use proptest::prelude::*;
use release_policy::mail::Mail;
use release_policy::statement::Choice;
use release_policy::{Digest, Evidence, Log, Policy, Verified};

fn vote(mail: &str) -> Result<Choice, String> {
    Mail::parse(mail.as_bytes())?.vote().map(|vote| vote.choice)
}

#[test]
fn t12_a_vote_is_what_its_sender_wrote() {
    let proposal = Digest::of(b"proposal");
    let mail = |head: &str, body: &str| format!("From: A <a@example.org>\n{head}\n{body}");
    let said = format!("Proposal: {proposal}\nVote: APPROVE\n");
    assert_eq!(vote(&mail("", &said)), Ok(Choice::Approve));
    let parts = |type_: &str, encoding: &str, text: &str| {
        mail(
            "Content-Type: multipart/alternative; boundary=\"b\"\n",
            &format!(
                "--b\nContent-Type: text/html\n\n<p>Vote: REJECT</p>\n--b\nContent-Type: {type_}\nContent-Transfer-Encoding: {encoding}\n\n{text}\n--b--\n"
            ),
        )
    };
    assert_eq!(
        vote(&parts("text/plain; charset=utf-8", "7bit", &said)),
        Ok(Choice::Approve)
    );
    // A long line is broken in the middle of the digest.
    let (head, tail) = said.split_at(40);
    assert_eq!(
        vote(&parts(
            "text/plain",
            "quoted-printable",
            &format!("{head}=\n{tail}").replace("Vote:", "Vote=3A")
        )),
        Ok(Choice::Approve)
    );
    let refused = [
        (
            parts("text/plain", "base64", "Vm90ZQ=="),
            "no part of the mail is plain text",
        ),
        (
            parts("text/html", "7bit", &said),
            "no part of the mail is plain text",
        ),
        (
            mail("", &format!("{said}Vote: REJECT\n")),
            "says `vote` twice, differently",
        ),
        (mail("", &said.replace("Vote", "> Vote")), "no line `Vote:`"),
        (
            mail(
                "",
                &format!("Vote: APPROVE\n-----Original Message-----\nProposal: {proposal}\n"),
            ),
            "names no proposal",
        ),
        (mail("From: b@example.org\n", &said), "no single From"),
        (
            mail("", &said.replace("APPROVE", "YES")),
            "`YES` is no vote",
        ),
        (
            mail("", &said.replace("sha256:", "")),
            "is no proposal's digest",
        ),
        ("From: a@example.org".to_owned(), "no body"),
    ];
    for (mail, why) in refused {
        let found = vote(&mail).unwrap_err();
        assert!(found.contains(why), "{why}: {found}");
    }
}

#[test]
fn statements_are_read_strictly() {
    let read = |statement: serde_json::Value| {
        let statement = serde_json::to_vec(&statement).unwrap();
        Evidence::parse(&Verified {
            envelope: Digest::of(&statement),
            signers: Default::default(),
            statement,
        })
    };
    let own = |kind: &str, extra: &str| {
        serde_json::json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "x", "digest": {"gitCommit": crate::world::commit(1)}}],
            "predicateType": format!("https://github.com/forkpack/forkpack/attestation/{kind}/v1"),
            "predicate": {"for": {"release": "r", "stage": "*", "attempt": 0}, "at": "2026-01-01T00:00:00Z", "seen": {"kind": "visit", "data": {"note": "n"}}, extra: 1},
        })
    };
    assert!(
        read(own("observation", "at-all")).is_err(),
        "an unknown member"
    );
    assert!(
        read(own("observations", "at-all")).is_err(),
        "an unknown predicate"
    );
    let mut good = own("observation", "x");
    good["predicate"].as_object_mut().unwrap().remove("x");
    assert!(read(good.clone()).is_ok());
    for (pointer, value) in [
        (
            "/_type",
            serde_json::json!("https://in-toto.io/Statement/v0.1"),
        ),
        ("/predicate/seen/kind", serde_json::json!("dream")),
        (
            "/predicate/at",
            serde_json::json!("2026-01-01T01:00:00+01:00"),
        ),
        ("/subject/0/digest", serde_json::json!({"md5": "00"})),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(read(bad).is_err(), "{pointer}");
    }
}

proptest! {
    #[test]
    fn no_bytes_break_a_reader(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,200}") {
        if let Ok(mail) = Mail::parse(&bytes) {
            let _ = (mail.vote(), mail.came_through("x"));
        }
        let _ = Mail::parse(format!("From: a@b\nContent-Type: multipart/x; boundary=x\n\n--x\n{text}").as_bytes());
        let _ = Evidence::parse(&Verified { envelope: Digest::of(b""), signers: Default::default(), statement: bytes.clone() });
        let _ = (Log::parse(&text), Policy::parse(&text), Log::parse(&String::from_utf8_lossy(&bytes)));
    }
}
