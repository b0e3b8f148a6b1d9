//! Steps and small commands of an agent in a session, by their whole answers.

use super::session::Session;
use serde_json::{Value, json};
use support::conductor::NODE;

/// A step as the conductor runs it.
pub(crate) fn step(step: Value) -> Value {
    json!({"step": step, "node": {"uuid": NODE}, "ports": []})
}

#[tokio::test]
async fn the_steps_are_offered_as_ironic_reads_them() {
    let session = Session::start(&["--inject_files_priority", "7"]).await;
    let offered = |step: &str| json!({"step": step, "priority": 0, "interface": "deploy", "reboot_requested": false});
    let mut erase = offered("erase_devices_metadata");
    let mut inject = offered("inject_files");
    inject["priority"] = json!(7);
    inject["argsinfo"] = json!({"files": {"required": false}, "verify_ca": {"required": false}});
    let (deploy, service) = (
        json!([erase, offered("write_image"), inject]),
        json!([offered("write_image"), inject]),
    );
    erase["priority"] = json!(99);
    erase["abortable"] = json!(true);
    for (phase, steps) in [
        ("clean", json!([erase])),
        ("deploy", deploy),
        ("service", service),
    ] {
        let params = json!({"node": {"uuid": NODE}, "ports": []});
        let name = format!("{phase}.get_{phase}_steps");
        let mut result = session.caller.result(&name, params).await;
        let offers = &mut result[format!("{phase}_steps")]["GenericHardwareManager"];
        for step in offers.as_array_mut().unwrap() {
            for argument in ["files", "verify_ca"] {
                // What people read is the table's own matter.
                if let Some(about) = step.pointer_mut(&format!("/argsinfo/{argument}")) {
                    let text = about.as_object_mut().unwrap().remove("description");
                    assert!(text.unwrap().as_str().unwrap().len() > 40);
                }
            }
        }
        assert_eq!(
            result,
            json!({
                format!("{phase}_steps"): {"GenericHardwareManager": steps},
                "hardware_manager_version": {"generic_hardware_manager": "1.2"},
            })
        );
    }
}

#[tokio::test]
async fn before_an_image_there_is_nothing_to_tell_and_nothing_to_flush() {
    let session = Session::start(&[]).await;
    let caller = &session.caller;
    assert_eq!(
        caller
            .result("standby.get_partition_uuids", json!({}))
            .await,
        json!({})
    );
    assert_eq!(caller.result("standby.sync", json!({})).await, Value::Null);
}

#[tokio::test]
async fn what_is_not_there_is_answered_as_ipa_does() {
    let session = Session::start(&[]).await;
    for (name, status, text) in [
        (
            "iscsi.start_iscsi_target",
            404,
            "Not found: Extension with id iscsi not found.",
        ),
        (
            "standby.dance",
            400,
            "Invalid command: Unknown command: dance",
        ),
        (
            "sync",
            400,
            "Invalid command: Command name must be of the form <extension>.<name>",
        ),
    ] {
        let answer = session.caller.post(name, json!({})).await;
        let fault = json!({"faultcode": "Client", "faultstring": text});
        assert_eq!(answer, (status, fault));
    }
    assert_eq!(session.caller.list().await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_unknown_step_fails_alone() {
    let session = Session::start(&[]).await;
    for phase in ["clean", "deploy", "service"] {
        let name = format!("{phase}.execute_{phase}_step");
        assert_eq!(
            session
                .caller
                .failure(&name, step(json!({"step": "run"})))
                .await,
            json!({
                "type": "HardwareManagerMethodNotFound",
                "code": 500,
                "message": "No HardwareManager found to handle method",
                "details": "Could not find method: run",
            })
        );
    }
    assert_eq!(session.caller.list().await.len(), 3);
}

#[tokio::test]
async fn a_step_without_a_name_is_told_of() {
    let session = Session::start(&[]).await;
    let params = step(json!({"interface": "deploy", "args": {"token": "hush"}}));
    let error = session
        .caller
        .failure("clean.execute_clean_step", params)
        .await;
    assert_eq!(
        error,
        json!({
            "type": "CommandExecutionError",
            "code": 500,
            "message": "Command execution failed",
            "details": "Malformed clean_step, no \"step\" key: [\"args\", \"interface\"]",
        })
    );
}

#[tokio::test]
async fn arguments_beside_the_step_reach_it_and_the_steps_own_win() {
    let session = Session::start(&[]).await;
    let details = async |args: Value| {
        let mut params = step(json!({"step": "write_image", "args": args}));
        params["image_info"] = json!("beside");
        let name = "deploy.execute_deploy_step";
        let error = session.caller.failure(name, params).await;
        error["details"].as_str().unwrap().to_owned()
    };
    let wrong = "write_image: the argument image_info must be an object";
    assert_eq!(details(Value::Null).await, wrong);
    let own = details(json!({"image_info": {"id": "x"}})).await;
    assert_ne!(own, wrong);
}

#[tokio::test]
async fn steps_of_other_hardware_managers_are_not_run() {
    let session = Session::start(&[]).await;
    for phase in ["clean", "deploy", "service"] {
        let mut params = step(json!({"step": "write_image"}));
        params[format!("{phase}_version")] = json!({"generic_hardware_manager": "1.1"});
        let record = session
            .caller
            .run(&format!("{phase}.execute_{phase}_step"), params)
            .await;
        assert_eq!(record["command_status"], "CLEAN_VERSION_MISMATCH");
        assert_eq!(
            record["command_error"],
            json!({
                "type": "VersionMismatch",
                "code": 409,
                "message": "Hardware managers version mismatch, reload agent with correct version",
                "details": "Current versions: {\"generic_hardware_manager\":\"1.2\"}, \
                            versions used by ironic: {\"generic_hardware_manager\":\"1.1\"}",
            })
        );
        assert_eq!(record["command_result"], Value::Null);
    }
}

#[tokio::test]
async fn a_bad_parameter_fails_its_command_and_the_list_stays_readable() {
    let session = Session::start(&[]).await;
    let caller = &session.caller;
    for (name, params, details) in [
        (
            "standby.sync",
            json!({"colour": "red"}),
            "standby.sync: there is no parameter colour",
        ),
        (
            "clean.get_clean_steps",
            json!({"node": NODE, "ports": []}),
            "clean.get_clean_steps: the parameter node must be an object, not a string",
        ),
        (
            "clean.get_clean_steps",
            json!({"node": {}, "ports": []}),
            "the parameter node has no uuid",
        ),
        (
            "deploy.execute_deploy_step",
            json!({"node": {"uuid": NODE}, "ports": []}),
            "deploy.execute_deploy_step: the parameter step is missing",
        ),
        (
            "clean.execute_clean_step",
            step(json!({"step": "erase_devices_metadata", "args": {"colour": "red"}})),
            "erase_devices_metadata: there is no argument colour",
        ),
        (
            "clean.execute_clean_step",
            step(json!({"step": "erase_devices_metadata", "args": ["red"]})),
            "erase_devices_metadata: the step's args must be an object or null",
        ),
        (
            "deploy.execute_deploy_step",
            step(json!({"step": "write_image", "args": {"image_info": "x"}})),
            "write_image: the argument image_info must be an object",
        ),
    ] {
        assert_eq!(
            caller.failure(name, params).await,
            json!({
                "type": "InvalidCommandParamsError",
                "code": 400,
                "message": "Invalid command parameters",
                "details": details,
            })
        );
    }
    let states: Vec<_> = caller
        .list()
        .await
        .into_iter()
        .map(|mut r| r["command_status"].take())
        .collect();
    assert_eq!(states, vec!["FAILED"; 7]);
}

#[tokio::test]
async fn an_image_that_is_none_is_refused_before_anything_is_recorded() {
    let session = Session::start(&[]).await;
    let params = json!({"image_info": {"id": "x", "urls": ["http://192.0.2.1/x"]}});
    let (status, fault) = session.caller.post("standby.prepare_image", params).await;
    assert_eq!(status, 400, "{fault}");
    assert!(
        fault["faultstring"]
            .as_str()
            .unwrap()
            .starts_with("Invalid command parameters: "),
        "{fault}"
    );
    assert_eq!(session.caller.list().await, Vec::<Value>::new());
}
