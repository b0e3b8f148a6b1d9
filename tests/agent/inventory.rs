//! `ferrite inventory`.

use serde_json::Value;
use support::process::run;

#[tokio::test]
async fn the_inventory_is_one_document_with_ironics_names() {
    let ended = run(&["inventory"], &[]).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let inventory: Value = serde_json::from_str(&ended.out).unwrap();
    let names: Vec<_> = inventory.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "bmc_address",
            "bmc_v6address",
            "boot",
            "cpu",
            "disks",
            "hostname",
            "interfaces",
            "memory",
            "system_vendor",
        ]
    );
    assert!(inventory["cpu"]["count"].as_u64().unwrap() > 0);
    assert!(inventory["memory"]["total"].as_u64().unwrap() > 0);
    assert_eq!(inventory["cpu"]["architecture"], std::env::consts::ARCH);
}
