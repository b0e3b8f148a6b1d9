//! Servers that fail, redirect, or want credentials.

use crate::lab::{Lab, MIB, fields, gpt_image, info, noise, sha256};
use crate::server::{Answer, Server, dripping, silent_after};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrite::imaging::{BasicAuth, download};
use ferrite::secret::Secret;
use ferrite::tls::client::Bundle;
use flate2::Compression;
use flate2::write::GzEncoder;
use rcgen::{BasicConstraints, CertificateParams, IsCa};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn header<'a>(request: &'a [String], name: &str) -> Option<&'a str> {
    request.iter().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

#[test]
fn a_verdict_is_not_questioned() {
    for status in [401, 403, 404] {
        let lab = Lab::new(4 * MIB);
        let server = Server::start(move |_| Answer::Status(status));
        let error = lab
            .write(&info(&server.url("x.img?sig=hush"), Some("raw"), b""))
            .unwrap_err();
        assert_eq!(error.class.name(), "ImageDownloadError");
        let url = server.url("x.img");
        assert_eq!(
            error.details,
            format!(
                "Download of image image-1 failed: URL: {url}; Error: Received status code {status} from {url}, expected 200. \
                 Response body: sorry"
            )
        );
        assert_eq!(server.requests().len(), 1);
        lab.assert_untouched();
    }
}

/// As object stores do that refuse a signature, and proxies that show what they were sent.
#[test]
fn a_server_is_quoted_without_what_it_was_shown() {
    let lab = Lab::new(4 * MIB);
    let pair = STANDARD.encode("user:p\"ssw0rd");
    let body = format!(
        "<SignatureProvided>5igCanary</SignatureProvided>, {pair}, {{\"got\": \"p\\\"ssw0rd\"}}"
    );
    let server = Server::start(move |_| Answer::Refusal(403, body.clone()));
    let mut info = info(&server.url("x.img?X-Amz-Sig=5igCanary"), Some("raw"), b"");
    for (name, value) in [
        ("image_server_auth_strategy", "http_basic"),
        ("image_server_user", "user"),
        ("image_server_password", "p\"ssw0rd"),
    ] {
        info.insert(name.into(), value.into());
    }
    let error = lab.write(&info).unwrap_err();
    let (_, told) = error.details.split_once("Response body: ").unwrap();
    let right = "<SignatureProvided>******</SignatureProvided>, ******, {\"got\": \"******\"}";
    assert_eq!(told, right);
}

/// Whoever is shown a password may put it into whatever is quoted of him.
#[test]
fn no_error_of_a_redirect_holds_what_its_server_was_shown() {
    let (encoded, password) = ("5chem%65-%2bCanary", "5cheme-+Canary");
    let header = STANDARD.encode(format!("user:{password}"));
    let failed = |url: &str, error: &str| {
        format!("Download of image image-1 failed: URL: {url}; Error: {error}")
    };
    let refused = |status: &str, from: &str, body: &str| {
        format!("Received status code {status} from {from}, expected 200. Response body: {body}")
    };
    for by_url in [true, false] {
        for (location, body, place) in [
            (
                None,
                format!("no {password}, no {encoded}, no {header}"),
                "{}/x.img",
            ),
            (
                Some(format!("/denied/{password}")),
                "sorry".into(),
                "{}/denied/******",
            ),
            (
                Some(format!("/denied/{}", password.to_uppercase())),
                "sorry".into(),
                "a place that {}/x.img redirects to",
            ),
            (Some(format!("c{password}:/x")), String::new(), ""),
        ] {
            let lab = Lab::new(4 * MIB);
            let (to, told) = (location.clone(), body.clone());
            let server = Server::start(move |number| match (number, to.clone()) {
                (0, Some(location)) => Answer::Redirect(location),
                _ => Answer::Refusal(404, told.clone()),
            });
            let url = server.url("x.img");
            let info = if by_url {
                info(
                    &server.url_with(&format!("user:{encoded}"), "x.img"),
                    Some("raw"),
                    b"",
                )
            } else {
                let mut info = info(&url, Some("raw"), b"");
                for (name, value) in [
                    ("image_server_auth_strategy", "http_basic"),
                    ("image_server_user", "user"),
                    ("image_server_password", password),
                ] {
                    info.insert(name.into(), value.into());
                }
                info
            };
            let error = lab.write(&info).unwrap_err();
            let origin = server.url("");
            let place = place.replace("{}", origin.trim_end_matches('/'));
            let right = match (&*body, location) {
                ("", _) => "the place cannot be fetched from: it redirects to a URL that is neither http nor https".into(),
                (body, Some(_)) => refused("404", &place, body),
                (_, None) if by_url => refused("404", &place, "no ******, no ******, no ******"),
                (_, None) => refused("404", &place, &format!("no ******, no {encoded}, no ******")),
            };
            assert_eq!(error.details, failed(&url, &right));
        }
    }
}

#[test]
fn trouble_is_tried_again() {
    let lab = Lab::new(8 * MIB);
    let image = gpt_image(6 * MIB);
    let body = Arc::new(image.clone());
    let server = Server::start(move |number| match number {
        0 => Answer::Status(503),
        1 => Answer::CutOff(Arc::clone(&body), 5 * MIB),
        _ => Answer::Image(Arc::clone(&body)),
    });
    lab.write(&info(&server.url("x.img"), Some("raw"), &image))
        .unwrap();
    assert_eq!(server.requests().len(), 3);
    assert!(lab.disk_bytes()[..image.len()] == image);
}

/// The time limit ends the pause: without one there would be a second request.
#[test]
fn between_two_tries_is_a_pause() {
    let mut lab = Lab::new(8 * MIB);
    lab.settings.interval = Duration::from_secs(3600);
    lab.settings.max_duration = Some(Duration::from_millis(300));
    let image = gpt_image(6 * MIB);
    let body = Arc::new(image.clone());
    let troubled = || {
        let body = Arc::clone(&body);
        Server::start(move |number| match number {
            0 => Answer::Status(503),
            _ => Answer::Image(Arc::clone(&body)),
        })
    };
    let (images, sums, unasked) = (troubled(), troubled(), Server::of(&image));
    let by_sums = fields(json!({
        "id": "x", "urls": [unasked.url("x.img")], "disk_format": "raw", "checksum": sums.url("SHA256SUMS"),
    }));
    let image = info(&images.url("x.img"), Some("raw"), &image);
    for (info, server, class) in [
        (image, images, "ImageDownloadTimeoutError"),
        (by_sums, sums, "ImageDownloadError"),
    ] {
        let error = lab.write(&info).unwrap_err();
        assert_eq!(error.class.name(), class, "{error}");
        assert!(server.requests().len() < 2);
    }
    assert!(unasked.requests().is_empty());
    lab.assert_untouched();
}

#[test]
fn a_damaged_transfer_is_repaired_by_one_more() {
    let lab = Lab::new(8 * MIB);
    let image = gpt_image(6 * MIB);
    let body = Arc::new(image.clone());
    let mut damaged = image.clone();
    damaged[5 * MIB] ^= 1;
    let damaged = Arc::new(damaged);
    let server = Server::start(move |number| match number {
        0 => Answer::Image(Arc::clone(&damaged)),
        _ => Answer::Image(Arc::clone(&body)),
    });
    lab.write(&info(&server.url("x.img"), Some("raw"), &image))
        .unwrap();
    assert!(lab.disk_bytes()[..image.len()] == image);
}

#[test]
fn the_next_url_has_its_turn() {
    let lab = Lab::new(8 * MIB);
    let image = gpt_image(6 * MIB);
    let missing = Server::start(|_| Answer::Status(404));
    let broken = Server::start(|_| Answer::Status(500));
    let good = Server::of(&image);
    let mut info = info("", Some("raw"), &image);
    // A port nobody listens on, a verdict, a server in trouble, and then a good one.
    info.insert(
        "urls".into(),
        json!([
            "http://127.0.0.1:9/x",
            missing.url("x"),
            broken.url("x"),
            good.url("x")
        ]),
    );
    lab.write(&info).unwrap();
    assert_eq!(
        (
            missing.requests().len(),
            broken.requests().len(),
            good.requests().len()
        ),
        (1, 3, 1)
    );
}

#[test]
fn a_redirect_to_another_server_takes_no_credentials_along() {
    let lab = Lab::new(8 * MIB);
    let image = gpt_image(6 * MIB);
    let other = Server::of(&image);
    let away = other.url("far.img");
    let (near, far) = ("/near.img".to_owned(), away);
    let server = Server::start(move |number| match number {
        0 => Answer::Redirect(near.clone()),
        _ => Answer::Redirect(far.clone()),
    });
    let mut info = info(&server.url("x.img"), Some("raw"), &image);
    info.insert(
        "image_request_authorization".into(),
        STANDARD.encode("Bearer hush").into(),
    );
    lab.write(&info).unwrap();
    let [first, second] = &server.requests()[..] else {
        panic!("two requests to the first server");
    };
    assert_eq!(header(first, "authorization"), Some("Bearer hush"));
    assert_eq!(header(second, "authorization"), Some("Bearer hush"));
    assert_eq!(header(&other.requests()[0], "authorization"), None);
    assert_eq!(header(first, "accept-encoding"), Some("identity"));
}

#[test]
fn the_same_machine_by_another_name_is_another_server() {
    let lab = Lab::new(8 * MIB);
    let image = gpt_image(6 * MIB);
    let body = Arc::new(image.clone());
    let place = Arc::new(Mutex::new(String::new()));
    let to = Arc::clone(&place);
    let server = Server::start(move |number| match number {
        0 => Answer::Redirect(to.lock().unwrap().clone()),
        _ => Answer::Image(Arc::clone(&body)),
    });
    *place.lock().unwrap() = server.url_by_name("y.img");
    let mut info = info(&server.url("x.img"), Some("raw"), &image);
    for (name, value) in [
        ("image_server_auth_strategy", "http_basic"),
        ("image_server_user", "user"),
        ("image_server_password", "hush"),
    ] {
        info.insert(name.into(), value.into());
    }
    lab.write(&info).unwrap();
    let requests = server.requests();
    assert_eq!(
        header(&requests[0], "authorization"),
        Some("Basic dXNlcjpodXNo")
    );
    assert_eq!(header(&requests[1], "authorization"), None);
}

/// A server that redirects its first request to a place that is known later, and then gives an image.
fn redirecting(image: &[u8]) -> (Arc<Mutex<String>>, Server) {
    let body = Arc::new(image.to_vec());
    let place = Arc::new(Mutex::new(String::new()));
    let to = Arc::clone(&place);
    let server = Server::start(move |number| match number {
        0 => Answer::Redirect(to.lock().unwrap().clone()),
        _ => Answer::Image(Arc::clone(&body)),
    });
    (place, server)
}

/// The `Authorization` headers that a server was shown.
fn authorizations(server: &Server) -> Vec<Option<String>> {
    let requests = server.requests();
    let shown = requests
        .iter()
        .map(|request| header(request, "authorization").map(str::to_owned));
    shown.collect()
}

#[test]
fn credentials_in_a_url_go_along_to_the_same_server_and_to_no_other() {
    let lab = Lab::new(8 * MIB);
    let image = gpt_image(6 * MIB);
    let basic = Some("Basic dXNlcjpwQHc=".to_owned());

    let (place, server) = redirecting(&image);
    *place.lock().unwrap() = server.url("y.img");
    let url = server.url_with("user:p%40w", "x.img");
    lab.write(&info(&url, Some("raw"), &image)).unwrap();
    assert_eq!(authorizations(&server), [basic.clone(), basic.clone()]);

    // The place that is redirected to may have its own.
    let (place, server) = redirecting(&image);
    *place.lock().unwrap() = server.url_with("other:p%40w", "y.img");
    let url = server.url_with("user:p%40w", "x.img");
    lab.write(&info(&url, Some("raw"), &image)).unwrap();
    let other = Some("Basic b3RoZXI6cEB3".to_owned());
    assert_eq!(authorizations(&server), [basic.clone(), other]);

    // By another name it is another server; and what it leads to is its doing, not the first one's.
    let (place, server) = redirecting(&image);
    let (away, other) = redirecting(&image);
    *place.lock().unwrap() = other.url_by_name("x.img");
    *away.lock().unwrap() = server.url("y.img");
    let url = server.url_with("user:p%40w", "x.img");
    lab.write(&info(&url, Some("raw"), &image)).unwrap();
    assert_eq!(authorizations(&server), [basic, None]);
    assert_eq!(authorizations(&other), [None]);
}

#[test]
fn an_authorization_of_the_image_goes_to_no_other_server_for_its_checksum() {
    let image = gpt_image(6 * MIB);
    let sums = format!("{}  x.img\n", sha256(&image));
    let header = json!({"image_request_authorization": STANDARD.encode("Bearer hush")});
    let pair = json!({
        "image_server_auth_strategy": "http_basic",
        "image_server_user": "user",
        "image_server_password": "hush",
    });
    for (given, shown) in [(header, "Bearer hush"), (pair, "Basic dXNlcjpodXNo")] {
        let lab = Lab::new(8 * MIB);
        let body = Arc::new(image.clone());
        let text = Arc::new(sums.clone().into_bytes());
        let server = Server::start(move |number| match number {
            1 => Answer::Image(Arc::clone(&text)),
            _ => Answer::Image(Arc::clone(&body)),
        });
        let elsewhere = Server::of(sums.as_bytes());
        for checksum in [elsewhere.url("SUMS"), server.url("SUMS")] {
            let mut info = fields(json!({
                "id": "x", "urls": [server.url("x.img")], "disk_format": "raw", "checksum": checksum,
            }));
            info.extend(fields(given.clone()));
            lab.write(&info).unwrap();
        }
        let shown = Some(shown.to_owned());
        assert_eq!(authorizations(&elsewhere), [None]);
        assert_eq!(
            authorizations(&server),
            [shown.clone(), shown.clone(), shown]
        );
    }
}

#[test]
fn the_operators_credentials_of_image_servers_go_to_those_of_checksums_too() {
    let mut lab = Lab::new(8 * MIB);
    lab.settings.basic_auth = Some(BasicAuth {
        user: Some("user".into()),
        password: Some(Secret::new("hush".into())),
    });
    let image = gpt_image(6 * MIB);
    let (server, sums) = (Server::of(&image), Server::of(sha256(&image).as_bytes()));
    let info = fields(json!({
        "id": "x", "urls": [server.url("x.img")], "disk_format": "raw", "checksum": sums.url("x"),
    }));
    lab.write(&info).unwrap();
    let shown = || [Some("Basic dXNlcjpodXNo".to_owned())];
    assert_eq!(authorizations(&server), shown());
    assert_eq!(authorizations(&sums), shown());
}

#[test]
fn a_redirect_in_raw_utf_8_is_followed() {
    let lab = Lab::new(8 * MIB);
    let image = gpt_image(6 * MIB);
    let body = Arc::new(image.clone());
    let server = Server::start(move |number| match number {
        0 => Answer::Redirect("/größe x.img?für=1".into()),
        _ => Answer::Image(Arc::clone(&body)),
    });
    lab.write(&info(&server.url("x.img"), Some("raw"), &image))
        .unwrap();
    assert_eq!(
        server.requests()[1][0],
        "GET /gr%C3%B6%C3%9Fe%20x.img?f%C3%BCr=1 HTTP/1.1"
    );
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Downloads a small thing that comes with this encoding.
fn small_encoded(
    encoding: &'static str,
    body: Vec<u8>,
    limit: usize,
) -> Result<Vec<u8>, download::Error> {
    let lab = Lab::new(MIB);
    let body = Arc::new(body);
    let server = Server::start(move |_| Answer::Encoded(encoding, Arc::clone(&body)));
    download::fetch_bytes(&server.url("x"), limit, &lab.settings.network, &lab.cancel)
}

#[test]
fn content_that_is_not_encoded_is_taken_however_the_server_says_so() {
    let image = gpt_image(6 * MIB);
    for encoding in ["identity", "Identity", "IDENTITY", "", "identity, identity"] {
        let lab = Lab::new(8 * MIB);
        let body = Arc::new(image.clone());
        let server = Server::start(move |_| Answer::Encoded(encoding, Arc::clone(&body)));
        lab.write(&info(&server.url("x.img"), Some("raw"), &image))
            .unwrap();
        assert_eq!(
            small_encoded(encoding, b"small".to_vec(), 5).unwrap(),
            b"small"
        );
    }
}

#[test]
fn a_small_thing_in_gzip_is_decoded_within_its_limit() {
    for encoding in ["gzip", "x-gzip", "GZip", "identity, gzip"] {
        let content = small_encoded(encoding, gzip(b"small"), 100).unwrap();
        assert_eq!(content, b"small", "{encoding}");
    }
    // Several members are one content, and padding behind them is none.
    let members = [gzip(b"sm"), gzip(b"all"), vec![0; 512]].concat();
    assert_eq!(small_encoded("gzip", members, 1000).unwrap(), b"small");

    let bomb = gzip(&vec![0; 2 * MIB]);
    assert_eq!(
        small_encoded("gzip", bomb.clone(), 2 * MIB).unwrap(),
        vec![0; 2 * MIB]
    );
    assert!(matches!(
        small_encoded("gzip", bomb, 2 * MIB - 1),
        Err(download::Error::TooLarge { limit, .. }) if limit == 2 * MIB - 1
    ));
}

#[test]
fn what_is_not_the_announced_gzip_or_another_encoding_is_refused() {
    let whole = gzip(b"small");
    let cut = whole[..whole.len() - 1].to_vec();
    for body in [b"small".to_vec(), vec![], cut] {
        let error = small_encoded("gzip", body, 100).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("/x does not send the gzip that it announces"),
            "{error}"
        );
    }
    for encoding in ["br", "deflate", "gzip, gzip"] {
        let error = small_encoded(encoding, gzip(b"small"), 100).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("a Content-Encoding that was not asked for"),
            "{error}"
        );
    }
    // An image's checksum is of what is sent.
    let lab = Lab::new(4 * MIB);
    let body = Arc::new(gzip(b"image"));
    let server = Server::start(move |_| Answer::Encoded("gzip", Arc::clone(&body)));
    let error = lab
        .write(&info(&server.url("x"), Some("raw"), b"image"))
        .unwrap_err();
    assert!(
        error
            .details
            .ends_with("a Content-Encoding that was not asked for"),
        "{error}"
    );
    lab.assert_untouched();
}

#[test]
fn an_image_is_found_in_a_checksum_file_by_its_plain_name() {
    let lab = Lab::new(8 * MIB);
    let image = gpt_image(6 * MIB);
    let server = Server::of(&image);
    let sums = format!("{}  größe 1.img\n{}  x\n", sha256(&image), "a".repeat(64));
    let sums = Server::of(&[&b"# caf\xe9\n"[..], sums.as_bytes()].concat());
    let info = fields(json!({
        "id": "x", "urls": [server.url("gr%C3%B6%c3%9fe%201.img")], "disk_format": "raw", "checksum": sums.url("SUMS"),
    }));
    lab.write(&info).unwrap();
    assert!(lab.disk_bytes()[..image.len()] == image);
}

#[test]
fn redirects_lead_to_http_alone_and_not_for_ever() {
    for to in ["file:///etc/passwd", "ftp://127.0.0.1/x", "/again"] {
        let lab = Lab::new(4 * MIB);
        let server = Server::start(move |_| Answer::Redirect(to.into()));
        let error = lab
            .write(&info(&server.url("x"), Some("raw"), b""))
            .unwrap_err();
        assert_eq!(error.class.name(), "ImageDownloadError", "{to}");
        lab.assert_untouched();
    }
}

#[test]
fn a_small_download_over_tls_goes_nowhere_in_clear() {
    // What is in clear between two places over TLS can be another's as well.
    let target = Server::start_tls(|_| Answer::Image(Arc::new(b"small".to_vec())));
    let back = target.url("small");
    let in_clear = Server::start(move |_| Answer::Redirect(back.clone()));
    let away = in_clear.url("x");
    let first = Server::start_tls(move |_| Answer::Redirect(away.clone()));
    let mut lab = Lab::new(MIB);
    lab.settings.network.tls.insecure = true;
    let small = |url: &str| download::fetch_bytes(url, 100, &lab.settings.network, &lab.cancel);
    let error = small(&first.url("x?sig=hush")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} redirects from https to http", first.url("x"))
    );
    assert_eq!((in_clear.requests(), target.requests()), (vec![], vec![]));

    // From clear to TLS is no loss, and one place over TLS may lead to another.
    assert_eq!(small(&in_clear.url("x")).unwrap(), b"small");
    let to_tls = target.url("small");
    let second = Server::start_tls(move |_| Answer::Redirect(to_tls.clone()));
    assert_eq!(small(&second.url("x")).unwrap(), b"small");
}

#[test]
fn an_image_server_is_accepted_by_its_own_certificate_that_calls_itself_an_authority() {
    // What `openssl req -x509` makes.
    let params = |host: &str| {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let start = |host| {
        let image = Arc::new(gpt_image(6 * MIB));
        Server::start_certified(&params(host), move |_| Answer::Image(Arc::clone(&image)))
    };
    let (server, own) = start("127.0.0.1");
    let (other, others) = start("127.0.0.1");
    let (elsewhere, elsewheres) = start("192.0.2.1");
    for (server, cafile, reason) in [
        (&server, &own, None),
        (&server, &others, Some("BadSignature")),
        (&other, &own, Some("BadSignature")),
        (&elsewhere, &elsewheres, Some("not valid for name")),
    ] {
        let mut lab = Lab::new(8 * MIB);
        lab.settings.retries = 0;
        let bundle = Bundle::new("ca.pem", cafile.clone().into_bytes());
        lab.settings.network.tls.authorities = Some(bundle);
        let outcome = lab.write(&info(
            &server.url("x.img"),
            Some("raw"),
            &gpt_image(6 * MIB),
        ));
        match (outcome, reason) {
            (Ok(_), None) => {}
            (Err(error), Some(reason)) => assert!(error.details.contains(reason), "{error}"),
            (outcome, reason) => panic!("{outcome:?} instead of {reason:?}"),
        }
    }
}

#[test]
fn an_image_over_tls_may_come_from_a_mirror_in_clear() {
    let image = gpt_image(6 * MIB);
    let mirror = Server::of(&image);
    let away = mirror.url("x.img");
    let server = Server::start_tls(move |_| Answer::Redirect(away.clone()));
    let mut lab = Lab::new(8 * MIB);
    lab.settings.network.tls.insecure = true;
    // Its checksum came another way.
    lab.write(&info(&server.url("x.img"), Some("raw"), &image))
        .unwrap();
    assert!(lab.disk_bytes()[..image.len()] == image);
}

#[test]
fn an_image_server_whose_name_nobody_knows_is_named_in_one_clause() {
    let mut lab = Lab::new(4 * MIB);
    lab.settings.retries = 0;
    let error = lab
        .write(&info("http://images.lab/x.img", Some("raw"), b""))
        .unwrap_err();
    assert_eq!(
        error.details,
        "Download of image image-1 failed: URL: http://images.lab/x.img; Error: requesting http://images.lab/x.img: cannot \
         resolve images.lab: no name server is known (/etc/resolv.conf): give one by DHCP, by router advertisement or with \
         ip= on the kernel command line"
    );
    lab.assert_untouched();
}

#[test]
fn the_time_limit_counts_from_the_very_start() {
    let mut lab = Lab::new(4 * MIB);
    lab.settings.max_duration = Some(Duration::from_millis(300));
    let (keep, server) = silent_after(&noise(1000), 500);
    let error = lab
        .write(&info(&server.url("x"), Some("raw"), b""))
        .unwrap_err();
    assert_eq!(error.class.name(), "ImageDownloadTimeoutError");
    drop(keep);
}

#[test]
fn a_silent_server_is_given_up() {
    let mut lab = Lab::new(4 * MIB);
    lab.settings.network.timeout = Duration::from_millis(300);
    lab.settings.retries = 0;
    let (keep, server) = silent_after(&noise(1000), 500);
    let error = lab
        .write(&info(&server.url("x"), Some("raw"), b""))
        .unwrap_err();
    assert_eq!(error.class.name(), "ImageDownloadError");
    assert!(error.details.contains("was silent"), "{error}");
    drop(keep);
}

#[test]
fn the_checksum_may_be_in_a_file_beside_the_image() {
    let lab = Lab::new(8 * MIB);
    let image = gpt_image(6 * MIB);
    let server = Server::of(&image);
    let sums = format!(
        "{}  other.img\n{}  x.img\n",
        "b".repeat(64),
        sha256(&image).to_uppercase()
    );
    let sums = Server::of(sums.as_bytes());
    let info = fields(json!({
        "id": "x", "urls": [server.url("x.img")], "disk_format": "raw", "checksum": sums.url("SHA256SUMS"),
    }));
    lab.write(&info).unwrap();
    assert!(lab.disk_bytes()[..image.len()] == image);
}

#[test]
fn without_a_checksum_that_counts_nothing_is_downloaded() {
    let lab = Lab::new(4 * MIB);
    let server = Server::of(b"x");
    for (algorithm, value) in [
        ("md5", "a".repeat(32)),
        ("sha512", "a".repeat(64)),
        ("crc32", "00".into()),
    ] {
        let info = fields(json!({
            "id": "x", "urls": [server.url("x")], "os_hash_algo": algorithm, "os_hash_value": Value::from(value),
        }));
        let error = lab.write(&info).unwrap_err();
        assert_eq!(error.class.name(), "RESTError", "{algorithm}");
        assert!(
            error.details.starts_with("Unable to verify image x"),
            "{error}"
        );
    }
    assert!(server.requests().is_empty());
    lab.assert_untouched();
}

#[test]
fn a_nodes_proxy_is_used_and_its_exceptions_are_not() {
    let image = gpt_image(6 * MIB);
    let (proxy, direct) = (Server::of(&image), Server::of(&image));
    let here = direct.host_and_port();
    for (url, no_proxy) in [
        ("http://images.invalid/x.img".to_owned(), ""),
        (direct.url("x.img"), "example.org,127.0.0.1"),
        (direct.url("x.img"), &format!("example.org, {here}")),
        // Another port, or another host at that port.
        (
            "http://images.invalid/x.img".to_owned(),
            &format!("images.invalid:8080,{here}"),
        ),
    ] {
        let lab = Lab::new(8 * MIB);
        let mut info = info(&url, Some("raw"), &image);
        info.insert("proxies".into(), json!({"http": proxy.url("")}));
        info.insert("no_proxy".into(), no_proxy.into());
        lab.write(&info).unwrap();
    }
    let lines = |server: &Server| -> Vec<String> {
        let requests = server.requests();
        requests.iter().map(|request| request[0].clone()).collect()
    };
    assert_eq!(
        lines(&proxy),
        ["GET http://images.invalid/x.img HTTP/1.1"; 2]
    );
    assert_eq!(lines(&direct), ["GET /x.img HTTP/1.1"; 2]);
}

#[test]
fn small_things_have_a_limit() {
    let lab = Lab::new(4 * MIB);
    let content = noise(1000);
    let server = Server::of(&content);
    let network = &lab.settings.network;
    assert_eq!(
        download::fetch_bytes(&server.url("x"), 1000, network, &lab.cancel).unwrap(),
        content
    );
    assert!(matches!(
        download::fetch_bytes(&server.url("x"), 999, network, &lab.cancel),
        Err(download::Error::TooLarge { limit: 999, .. })
    ));
}

#[test]
fn a_small_download_that_drips_ends_without_a_retry() {
    let lab = Lab::new(MIB);
    let (_keep, server) = dripping();
    let mut network = lab.settings.network.clone();
    network.timeout = Duration::from_secs(1);
    let again = (9, Duration::ZERO);
    let error =
        download::fetch_bytes_with_retry(&server.url("x"), 100, &network, again, &lab.cancel)
            .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} did not send its content within 1 s: that is slower than 65536 bytes a second",
            server.url("x")
        )
    );
    assert_eq!(server.requests().len(), 1);
}
