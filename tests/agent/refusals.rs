//! What the agent does not do to a machine that was not booted for it.

use super::session::Session;
use super::steps::step;
use serde_json::json;
use support::conductor::NODE;

#[tokio::test]
async fn whatever_writes_is_refused_on_an_installed_system_and_the_agent_lives_on() {
    let mut session = Session::start(&[]).await;
    let image = json!({
        "id": "x",
        "urls": ["http://127.0.0.1:1/x"],
        "os_hash_algo": "sha256",
        "os_hash_value": "0".repeat(64),
        "image_type": "whole-disk",
    });
    let writing = json!({"step": "write_image", "interface": "deploy", "args": {"image_info": image, "configdrive": null}});
    let erasing = json!({"step": "erase_devices_metadata", "interface": "deploy"});
    let injecting = json!({
        "step": "inject_files", "interface": "deploy",
        "args": {"files": [{"path": "/etc/motd", "content": ""}]},
    });
    let commands = [
        ("clean.execute_clean_step", step(erasing.clone())),
        ("deploy.execute_deploy_step", step(erasing)),
        ("deploy.execute_deploy_step", step(writing.clone())),
        ("service.execute_service_step", step(writing)),
        ("deploy.execute_deploy_step", step(injecting.clone())),
        ("service.execute_service_step", step(injecting)),
        ("standby.prepare_image", json!({"image_info": image})),
        (
            "image.install_bootloader",
            json!({"root_uuid": NODE, "target_boot_mode": "uefi"}),
        ),
        ("standby.power_off", json!({})),
        ("standby.run_image", json!({})),
        ("rescue.finalize_rescue", json!({"rescue_password": "x"})),
        ("system.lockdown", json!({})),
    ];
    let many = commands.len();
    for (name, params) in commands {
        let error = session.caller.failure(name, params).await;
        assert_eq!(error["type"], "CommandExecutionError", "{name}");
        let details = error["details"].as_str().unwrap();
        assert!(
            details.starts_with(
                "refused: this machine was not booted into a ramdisk (its root file system is "
            ),
            "{name}: {details}"
        );
        assert!(
            details.ends_with("--allow-installed-system"),
            "{name}: {details}"
        );
    }
    assert_eq!(session.caller.list().await.len(), many);
    session
        .agent
        .until_told("commands that write will be refused")
        .await;
}
