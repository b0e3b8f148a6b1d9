//! Tests of the redactor: a corpus of real lines, and properties of any text.

use super::*;
use proptest::prelude::*;

const CORPUS: &str = include_str!("../../tests/fixtures/redact/corpus.txt");

#[test]
fn the_corpus_is_redacted_as_it_says() {
    let mut written = None;
    let (mut wrong, mut lines) = (Vec::new(), 0);
    for line in CORPUS.lines() {
        let (kind, text) = line.split_at(line.len().min(2));
        let (before, after) = match kind {
            "< " => {
                written = Some(text);
                continue;
            }
            "> " => (written.take().unwrap(), text),
            "= " => (text, text),
            _ => continue,
        };
        lines += 1;
        let got = redact(before);
        if got != after {
            wrong.push(format!("{before}\n  wanted {after}\n  got    {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lines > 70, "only {lines} lines");
}

/// Every known form of a secret; `§` is its position.
const FORMS: &[&str] = &[
    "/v1/commands/?agent_token=§&wait=true",
    "/?wait=true&agent%5ftoken=§",
    "/?next=%3Ftoken%3D§%26x",
    "ipa-agent-token=§",
    "quiet ipa-agent-token=\"§\" nofb",
    "{\"agent_token\": \"§\", \"a\": 1}",
    "{\"AGENT_TOKEN\":\"§\"}",
    "\"{\\\"agent_token\\\": \\\"§\\\"}\"",
    "{'agent_token': '§'}",
    "{'agent_token': u'§', 'a': b'x'}",
    "('X-Auth-Token', '§')",
    "agent_token: Some(\"§\")",
    "auth_token: §",
    "image_server_password = §",
    "\npassword = two words §\n",
    "passwd=§",
    "\"client_secret\" : \"§\"",
    "{\"oci_pull_secret\": \"§\"}",
    "image_pull_secret='§'",
    "{\"image_request_authorization\": \"Bearer §\"}",
    "Authorization: Bearer §",
    "Authorization: Basic §",
    "authorization=Basic §",
    "Bearer 0§",
    "Basic 0§",
    "{\"configdrive\": \"§\"}",
    "{\"configdrive\": {\"user_data\": \"§}\", \"x\": [\"§\"]}}",
    "'configdrive': b'§'",
    "https://me:§@host/x",
    "https://§:x@host:1/x",
    "https://h/o?temp_url_sig=§&temp_url_expires=§",
    "https://h/o?AWSAccessKeyId=§&Expires=§&Signature=§",
    "https://h/o?X-Amz-Credential=§&X-Amz-Security-Token=§&X-Amz-Signature=§",
    "https://h/o?X-Goog-Credential=§&X-Goog-Signature=§",
    "https://h/o?sv=§&se=§&sig=§",
    "http:\\/\\/me:§@h\\/x",
    "?url=http%3A%2F%2Fme%3A§%40h%2Fx",
    "?url=http%3a%2f%2fme%3a§%40h%2fx",
    "//me:§@h/x",
    "?temp_url_sig\\u003d§\\u0026temp_url_expires\\u003d§",
    "%253Ftemp_url_sig%253D§%2526sig%253D§",
    "?temp_url_sig&#61;§&amp;sig&#x3d;§",
    "\npassword:\n  §\n",
    "\npassword: |\n  two\n  words §\n",
    "<password>§</password>",
    "{\"name\": \"password\", \"value\": \"§\"}",
    "{\"snmp_community\": \"§\", \"credential\": \"§\"}",
    " eyJhbGciOi.eyJ§.§",
    "root:$6$salt$01234567890123§:1:",
    "-----BEGIN PRIVATE KEY-----\n§\n-----END PRIVATE KEY-----",
];

fn secret() -> impl Strategy<Value = String> {
    "Canary[A-Za-z0-9]{12,30}"
}

/// Generates texts that resemble secrets and their surroundings.
fn fragments() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("token"),
        Just("password"),
        Just("authorization"),
        Just("configdrive"),
        Just("="),
        Just(": "),
        Just("\""),
        Just("'"),
        Just("\\"),
        Just("{"),
        Just("}"),
        Just("("),
        Just("["),
        Just(" "),
        Just("\n"),
        Just("%3D"),
        Just("%26"),
        Just("://"),
        Just("@"),
        Just("/"),
        Just("?sig"),
        Just("&"),
        Just("Bearer "),
        Just("Basic"),
        Just("$6$aaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        Just("-----BEGIN PRIVATE KEY-----"),
        Just("-----END "),
        Just("******"),
        Just("[redacted]"),
        Just("true"),
        Just(","),
        Just("Ä"),
        Just("x1"),
        Just("//"),
        Just(":"),
        Just("%253D"),
        Just("%2F"),
        Just("%40"),
        Just("%25"),
        Just("\\u003d"),
        Just("&#61;"),
        Just("<token>"),
        Just("</"),
        Just("<![CDATA["),
        Just("]]>"),
        Just("name"),
        Just("value"),
        Just(": |\n"),
        Just("\\n"),
        Just("eyJ"),
        Just("."),
    ];
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_secret_in_a_known_form_never_comes_out(
        secret in secret(),
        form in prop::sample::select(FORMS),
        before in any::<String>(),
        after in any::<String>(),
    ) {
        let text = format!("{before} {} {after}", form.replace('§', &secret));
        let redacted = redact(&text);
        prop_assert!(!redacted.contains(&secret), "{text:?} became {redacted:?}");
    }

    #[test]
    fn redacting_twice_is_redacting_once(text in any::<String>(), fragments in fragments()) {
        for text in [text, fragments] {
            let once = redact(&text);
            prop_assert_eq!(redact(&once), once);
        }
    }

    #[test]
    fn a_secret_among_hostile_fragments_never_comes_out(secret in secret(), before in fragments()) {
        let redacted = redact(&format!("{before}\n{{\"agent_token\": \"{secret}\"}}\n"));
        prop_assert!(!redacted.contains(&secret), "{before:?} let through {redacted:?}");
    }
}

#[test]
fn much_hostile_text_is_read_in_one_go() {
    // A scanner that rereads the rest for each name takes minutes for each of these.
    for piece in [
        "token=(",
        "the token: (",
        "token=\"",
        "token=\\\"",
        "-----BEGIN PRIVATE",
        "-----BEGIN PRIVATE KEY-----",
        "$6$",
        "Basic ",
        "://@",
        "token: ",
        "%3D",
        "a",
        "%25",
        "&#",
        "\\",
        ":\\u002f\\u002f",
        ":%2F%2F",
        " //a:",
        "://%2F%2F:%252F%252F:",
        "eyJ.",
        "<token>",
        "<token ",
        "<token><![CDATA[",
        "token:\n ",
        "token: |\n ",
        "\"name\":\"token\",",
    ] {
        let redacted = redact(&piece.repeat(100_000));
        assert_eq!(redact(&redacted), redacted, "{piece}");
    }
    let nested = "the token: (".repeat(20_000) + &") ".repeat(20_000);
    assert!(redact(&nested).len() < nested.len());
}
