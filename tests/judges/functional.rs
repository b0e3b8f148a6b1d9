//! IPA's functional tests, unmodified, as they are in its package; `shim/` lets them start Ferrite instead of IPA.
//!
//! They run as nobody, and so does whatever they start.

use super::agent_client::DISK;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use support::ipa::{ENVIRONMENT, add_tools, as_nobody};
use support::process::free_port;
use tempfile::TempDir;

#[test]
fn ipas_functional_tests_pass_against_ferrite() {
    let folder = TempDir::new().unwrap();
    let mut tests = tests_in(folder.path());
    let agent = folder.path().join("ferrite");
    copy(Path::new(env!("CARGO_BIN_EXE_ferrite")), &agent, 0o755);
    let shim = folder.path().join("shim/ironic_python_agent");
    fs::create_dir_all(&shim).unwrap();
    for file in ["__init__.py", "agent.py"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges/shim");
        copy(
            &source.join("ironic_python_agent").join(file),
            &shim.join(file),
            0o644,
        );
    }
    tests
        .env("PYTHONPATH", folder.path().join("shim"))
        .env("JUDGED_AGENT", agent);
    let told = passed(&mut tests);
    assert!(told.contains(": the agent starts version="), "{told}");
}

#[test]
fn ipas_functional_tests_pass_against_ipa() {
    let folder = TempDir::new().unwrap();
    let told = passed(&mut tests_in(folder.path()));
    assert!(!told.contains(": the agent starts version="), "{told}");
}

/// The line that runs them.
fn tests_in(folder: &Path) -> Command {
    let mut command = as_nobody(folder).unwrap();
    // IPA waits a minute for a disk otherwise.
    add_tools(folder, DISK).unwrap();
    command
        .arg(format!("{ENVIRONMENT}/bin/python"))
        .args(["-B", "-W", "ignore", "-m", "unittest", "--verbose"])
        .args(TESTS.map(|(module, _)| module))
        .env("TEST_PORT", free_port().to_string())
        .env("TEST_PORT_TLS", free_port().to_string())
        // In tenths of seconds: these machines are slow.
        .env("IPA_WAIT_TRIES", "600");
    command
}

/// All tests ran by name, and passed; what they and the agent said.
fn passed(tests: &mut Command) -> String {
    let output = tests.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    for (module, test) in TESTS {
        assert!(told.contains(&format!("({module}.{test})")), "{told}");
    }
    assert!(told.contains("\nRan 2 tests in "), "{told}");
    assert!(
        told.trim_end().ends_with("\nOK") || told.contains("\nOK\n"),
        "{told}"
    );
    told
}

fn copy(from: &Path, to: &Path, mode: u32) {
    fs::copy(from, to).unwrap();
    fs::set_permissions(to, Permissions::from_mode(mode)).unwrap();
}

/// Modules of IPA's package, and the one test of each; every test is many steps.
const TESTS: [(&str, &str); 2] = [
    (
        "ironic_python_agent.tests.functional.test_commands",
        "TestCommands.test_positive_get_post_commands",
    ),
    (
        "ironic_python_agent.tests.functional.test_tls",
        "TestTLSEnforcement.test_tls_version_enforcement",
    ),
];
