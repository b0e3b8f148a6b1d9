//! An agent that may end its machine by nobody's leave.

use super::session::Session;
use serde_json::json;

#[tokio::test]
async fn a_machine_that_cannot_be_ended_is_told_of_and_stays() {
    let etc = tempfile::tempdir().unwrap();
    let session = Session::start_in_ramdisk(etc.path(), &[]).await;
    for command in ["standby.power_off", "standby.run_image"] {
        assert_eq!(
            session.caller.failure(command, json!({})).await,
            json!({
                "type": "SystemRebootError",
                "code": 500,
                "message": "Error rebooting system",
                "details": "this process may neither tell the kernel to end the machine (it has no CAP_SYS_BOOT) nor press \
                            its emergency key (/proc/sysrq-trigger)",
            })
        );
    }
    assert_eq!(session.caller.list().await.len(), 2);
}
