//! Boot loaders that cannot be installed: nobody's agent may write nothing, whatever it is allowed.

use super::session::Session;
use serde_json::{Value, json};
use support::conductor::NODE;

/// What Ironic asks for after it wrote a whole-disk image for UEFI, with this said of failures.
fn request(ignored: Value) -> Value {
    json!({
        "root_uuid": NODE,
        "efi_system_part_uuid": null,
        "prep_boot_part_uuid": null,
        "target_boot_mode": "uefi",
        "ignore_bootloader_failure": ignored,
    })
}

#[tokio::test]
async fn a_failure_is_ignored_where_the_command_or_the_operator_says_so() {
    let name = "image.install_bootloader";
    let allowed = Session::start(&["--allow-installed-system"]).await;
    allowed.caller.failure(name, request(Value::Null)).await;
    let ignored = allowed.caller.result(name, request(json!(true))).await;
    assert_eq!(ignored, Value::Null);

    let arguments = ["--allow-installed-system", "--ignore_bootloader_failure"];
    let lenient = Session::start(&arguments).await;
    let ignored = lenient.caller.result(name, request(Value::Null)).await;
    assert_eq!(ignored, Value::Null);
    lenient.caller.failure(name, request(json!(false))).await;
}

#[tokio::test]
async fn a_refusal_is_never_ignored() {
    let session = Session::start(&[]).await;
    let error = session
        .caller
        .failure("image.install_bootloader", request(json!(true)))
        .await;
    let details = error["details"].as_str().unwrap();
    assert!(details.starts_with("refused: "), "{details}");
}
