//! The real oslo.config, with IPA's own table of options, as the judge of ours: the same files, arguments, variables and kernel
//! arguments come to the same values.
//!
//! Needs IPA's virtual environment: `make lab`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and asks Python"
)]

mod case;
mod generated;

use case::{Case, judged};
use serde_json::json;

/// Options of oslo.config itself, and of its command line.
const OF_OSLO: &[&str] = &[
    "DEFAULT.config_file",
    "DEFAULT.config_dir",
    "DEFAULT.config_source",
    "DEFAULT.shell_completion",
];

#[test]
fn every_option_of_ipas_is_known_with_its_default() {
    let case = Case::default();
    let oslo = &judged(&[&case])[0];
    let ours = case.ours().unwrap();
    let mut wrong = Vec::new();
    for (name, value) in oslo.values().unwrap() {
        if OF_OSLO.contains(&name.as_str()) {
            continue;
        }
        match ours.get(&name) {
            None => wrong.push(format!("{name} is not known")),
            Some(own)
                if own.has_effect && !own.is(&value) && !DEFAULTS.contains(&name.as_str()) =>
            {
                wrong.push(format!("{name} is {:?}, not {value}", own.value));
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Defaults that are meant to differ: our log tells milliseconds and the time zone.
const DEFAULTS: &[&str] = &["DEFAULT.log_date_format"];

#[test]
fn the_same_sources_come_to_the_same_values() {
    let cases = generated::cases(300);
    let oslo = judged(&cases.iter().collect::<Vec<_>>());
    for (case, oslo) in cases.iter().zip(&oslo) {
        let Ok(values) = oslo.values() else {
            panic!("oslo.config takes no such case: {oslo:?}\n{case:#?}");
        };
        let ours = case
            .ours()
            .unwrap_or_else(|error| panic!("{error}\n{case:#?}"));
        for (name, own) in &ours {
            let Some(value) = values.get(name) else {
                continue; // Ours alone.
            };
            // Defaults of what changes nothing, or is meant to differ, are not compared.
            let differs = !own.has_effect || DEFAULTS.contains(&name.as_str());
            let compared = own.is_set || !differs;
            assert!(
                !compared || own.is(value),
                "{name}: {own:?}, not {value}\n{case:#?}"
            );
        }
    }
}

/// A list that guards something must not fall back to its default where somebody emptied it.
#[test]
fn an_empty_list_is_a_value_as_there() {
    let usual = "etc/ironic-python-agent.conf";
    let cases = [
        (
            Case::default().file(usual, "[DEFAULT]\npermitted_image_formats ="),
            "DEFAULT.permitted_image_formats",
        ),
        (
            Case::default().variable("OS_DEFAULT__PERMITTED_IMAGE_FORMATS", ""),
            "DEFAULT.permitted_image_formats",
        ),
        (
            Case::default().argument("--permitted_image_formats="),
            "DEFAULT.permitted_image_formats",
        ),
        (
            Case::default().file(usual, "[mdns]\nallowed_overrides ="),
            "mdns.allowed_overrides",
        ),
    ];
    let oslo = judged(&cases.each_ref().map(|(case, _)| case));
    for ((case, name), oslo) in cases.iter().zip(&oslo) {
        assert_eq!(oslo.values().unwrap()[*name], json!([]), "{case:#?}");
        assert!(case.ours().unwrap()[*name].is(&json!([])), "{case:#?}");
    }
}

#[test]
fn what_oslo_config_refuses_is_refused() {
    let file = |text: &str| Case::default().file("etc/ironic-python-agent.conf", text);
    let cases = [
        file("[DEFAULT]\nlisten_port = x"),
        file("[DEFAULT]\nlisten_port = 65536"),
        file("[DEFAULT]\nip_lookup_attempts = 0"),
        file("[DEFAULT]\ninsecure = maybe"),
        file("[DEFAULT]\ntls_min_version = 1.1"),
        file("[DEFAULT]\ntls_certificate_curve = p1"),
        file("[DEFAULT]\nadvertise_protocol = ftp"),
        file("[DEFAULT]\napi_url = ftp://a"),
        file("[DEFAULT]\ninject_files_priority = 100"),
        file("[mdns]\nlookup_attempts = 0"),
        file("[mdns]\nuse_mdns = 2"),
        file("[DEFAULT]\nnetwork_interface = $nosuch"),
        file("[DEFAULT]\nnetwork_interface = $mdns"),
        file("[DEFAULT]\nnetwork_interface = $listen_host.x"),
        file("[DEFAULT]\nnetwork_interface = $DEFAULT.listen_port"),
        file("[DEFAULT]\nnetwork_interface = ${mdns.nosuch}"),
        file("[DEFAULT]\nntp_server = $network_interface\nnetwork_interface = $ntp_server"),
        file("listen_port = 1"),
        file("[DEFAULT]\nlisten_port"),
        file("[DEFAULT]\n = 1"),
        file("[DEFAULT\n"),
        file("[]\n"),
        file("[DEFAULT]\nnetwork_interface = a\n\n b"),
        file("[DEFAULT]\nnetwork_interface = a\n# c\n b"),
        Case::default().argument("--config-file=@/none.conf"),
        Case::default().argument("--config-dir=@/none.d"),
        Case::default().argument("--listen_port=x"),
        Case::default().variable("OS_DEFAULT__LISTEN_PORT", "x"),
        Case::default().variable("OS_MDNS__LOOKUP_ATTEMPTS", "0"),
        Case::default().kernel("ipa-listen-port=x"),
        Case::default().kernel("ipa-tls-min-version=1"),
    ];
    let oslo = judged(&cases.iter().collect::<Vec<_>>());
    for (case, oslo) in cases.iter().zip(&oslo) {
        assert!(oslo.refuses(), "oslo.config takes it: {case:#?}");
        assert!(case.ours().is_err(), "it is taken: {case:#?}");
    }
}

/// Where ours differs from oslo.config, and on purpose: what it comes to there, and here.
#[test]
fn the_differences_are_these() {
    let usual = "etc/ironic-python-agent.conf";
    let port = "[DEFAULT]\nlisten_port = 2";
    let differences = [
        // There the variable wins as soon as a file has the option too; here the command line is always the strongest.
        (
            Case::default()
                .file(usual, port)
                .variable("OS_DEFAULT__LISTEN_PORT", "3")
                .argument("--listen_port=4"),
            ("DEFAULT.listen_port", json!(3), json!(4)),
        ),
        // There a file that is named after an option beats it.
        (
            Case::default()
                .file("x.conf", port)
                .argument("--listen_port=4")
                .argument("--config-file=@/x.conf"),
            ("DEFAULT.listen_port", json!(2), json!(4)),
        ),
        // There an empty value is one, or ends the agent; here it is none, as templates mean it, but in a list.
        (
            Case::default().file(usual, "[DEFAULT]\nlisten_port ="),
            ("DEFAULT.listen_port", json!(null), json!(9999)),
        ),
        (
            Case::default()
                .kernel("ipa-advertise-host=k")
                .file(usual, "[DEFAULT]\nadvertise_host ="),
            ("DEFAULT.advertise_host", json!(""), json!(null)),
        ),
        // There a list keeps empty words.
        (
            Case::default().file(usual, "[DEFAULT]\npermitted_image_formats = a,,b,"),
            (
                "DEFAULT.permitted_image_formats",
                json!(["a", "", "b"]),
                json!(["a", "b"]),
            ),
        ),
    ];
    let cases: Vec<&Case> = differences.iter().map(|(case, _)| case).collect();
    for ((case, (name, there, here)), oslo) in differences.iter().zip(judged(&cases)) {
        assert_eq!(&oslo.values().unwrap()[*name], there, "{case:#?}");
        assert!(case.ours().unwrap()[*name].is(here), "{case:#?}");
    }
}

/// What ours takes and oslo.config does not.
#[test]
fn ours_is_no_stricter_and_sometimes_milder() {
    let usual = "etc/ironic-python-agent.conf";
    let cases = [
        (
            Case::default().file(usual, "[DEFAULT]\ninsecure = t"),
            "DEFAULT.insecure",
            json!(true),
        ),
        (
            Case::default().argument("--listen-port=7"),
            "DEFAULT.listen_port",
            json!(7),
        ),
        (
            Case::default().kernel("ipa-insecure="),
            "DEFAULT.insecure",
            json!(false),
        ),
    ];
    let judged = judged(&cases.iter().map(|(case, _, _)| case).collect::<Vec<_>>());
    for ((case, name, here), oslo) in cases.iter().zip(&judged) {
        assert!(oslo.refuses(), "{case:#?}");
        assert!(case.ours().unwrap()[*name].is(here), "{case:#?}");
    }
}
