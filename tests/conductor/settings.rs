//! What Ironic wants of its agents in the lookup's answer, by every generation of conductors.

use super::{client, config, look_up};
use ferrite::conductor::lookup::ConductorSettings;
use ferrite::tls::MinVersion;
use serde_json::{Value, json};
use std::time::Duration;
use support::conductor::{self, Answer, Conductor, NODE, TOKEN};

/// The settings after a lookup with this `config`, and those of the operator alone.
async fn settled(wanted: Value) -> (ConductorSettings, ConductorSettings) {
    let conductor = Conductor::start().await;
    conductor.on("GET /v1/lookup", [conductor::lookup_with(wanted)]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let found = look_up(&config, &client(&config)).await.unwrap();
    (found.settings, ConductorSettings::of(&config))
}

/// What every conductor says, with what this one says besides.
fn said(more: Value) -> Value {
    let mut config = json!({
        "metrics": {"backend": "noop", "prepend_host": false, "prepend_uuid": false,
                    "prepend_host_reverse": true, "global_prefix": null},
        "metrics_statsd": {"statsd_host": "localhost", "statsd_port": 8125},
        "heartbeat_timeout": 300,
        "agent_token": TOKEN,
        "agent_token_required": true,
    });
    let all = config.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    config
}

fn containers(file: Option<&str>) -> Value {
    let mut containers = json!({
        "allow_arbitrary_containers": false, "allowed_containers": [],
        "container_steps_file": "/etc/ironic-python-agent.d/mysteps.yaml",
        "runner": "podman", "pull_options": [], "run_options": ["--rm", "--network=host"],
    });
    if let Some(file) = file {
        containers["container_conf_file"] = json!(file);
    }
    containers
}

#[tokio::test]
async fn the_settings_of_all_eight_generations_are_understood() {
    let md5 = json!({"agent_md5_checksum_enable": true});
    let images = json!({
        "agent_md5_checksum_enable": true,
        "disable_deep_image_inspection": true,
        "permitted_image_formats": ["raw", "qcow2"],
    });
    let with = |base: &Value, key: &str, value: Value| {
        let mut base = base.clone();
        base[key] = value;
        base
    };
    let s2025_2 = with(
        &images,
        "agent_containers",
        containers(Some("/etc/containers/containers.conf")),
    );
    let s2026_1 = with(&s2025_2, "agent_skip_bmc_detect", json!(true));
    let mut s2026_2 = with(&s2026_1, "agent_containers", containers(None));
    s2026_2["enable_bios_bootloader_install"] = json!(true);
    s2026_2["tls_min_version"] = json!("1.3");
    s2026_2["tls_cipher_suites"] = Value::Null;
    // Each generation says what those before it said, and so many of the changes below come of it.
    let generations = [
        ("2023.1", json!({}), 0),
        ("2023.2", md5.clone(), 1),
        ("2024.1", md5, 1),
        ("2024.2", images.clone(), 2),
        ("2025.1", images, 2),
        ("2025.2", s2025_2, 2),
        ("2026.1", s2026_1, 3),
        ("2026.2", s2026_2, 4),
    ];
    let changes = [set_md5, set_images, set_bmc, set_2026_2];
    for (cycle, more, count) in generations {
        let (settings, mut wanted) = settled(said(more)).await;
        for change in &changes[..count] {
            change(&mut wanted);
        }
        assert_eq!(settings, wanted, "{cycle}");
    }
}

fn set_md5(settings: &mut ConductorSettings) {
    settings.md5_enabled = true;
}

fn set_images(settings: &mut ConductorSettings) {
    settings.disable_deep_image_inspection = true;
    settings.permitted_image_formats = vec!["raw".into(), "qcow2".into()];
}

fn set_bmc(settings: &mut ConductorSettings) {
    settings.skip_bmc_detect = true;
}

fn set_2026_2(settings: &mut ConductorSettings) {
    settings.enable_bios_bootloader_install = true;
    settings.tls_min_version = MinVersion::Tls13;
}

#[tokio::test]
async fn a_setting_of_the_wrong_kind_leaves_the_agents_own() {
    let wrong = json!({
        "agent_md5_checksum_enable": "perhaps",
        "disable_deep_image_inspection": null,
        "permitted_image_formats": "raw",
        "agent_containers": [7],
        "agent_skip_bmc_detect": 1,
        "enable_bios_bootloader_install": "yes",
        "tls_min_version": "2.0",
        "tls_cipher_suites": ["ECDHE-RSA-AES128-GCM-SHA256"],
        "agent_token_required": "no",
        "of_a_release_to_come": {"any": "thing"},
    });
    let (settings, own) = settled(said(wrong)).await;
    assert_eq!(settings, own);
}

#[tokio::test]
async fn cipher_suites_of_ironic_replace_the_operators() {
    let suites = "ECDHE-ECDSA-AES128-GCM-SHA256";
    let (settings, _) = settled(said(json!({"tls_cipher_suites": suites}))).await;
    assert_eq!(settings.tls_cipher_suites, Some(suites.parse().unwrap()));
}

#[tokio::test]
async fn the_lookup_of_old_has_its_one_setting_beside_the_node() {
    let conductor = Conductor::start().await;
    let old = json!({"node": {"uuid": NODE}, "heartbeat_timeout": 42});
    conductor.on("GET /v1/lookup", [Answer::json(200, &old)]);
    let config = config(&format!("ipa-api-url={}", conductor.url()));
    let found = look_up(&config, &client(&config)).await.unwrap();
    assert_eq!(
        found.settings,
        ConductorSettings {
            heartbeat_timeout: Duration::from_secs(42),
            ..ConductorSettings::of(&config)
        }
    );
}
