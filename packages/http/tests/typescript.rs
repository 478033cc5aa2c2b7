//! The tests of the TypeScript package, against this server.

use std::path::Path;
use std::process::Command;

#[test]
fn the_tests_of_the_typescript_package_pass() {
    let tests = Command::new("node")
        .args(["--test", "tests/"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../typescript"))
        .env("COUNTERPOINT_HTTP", env!("CARGO_BIN_EXE_counterpoint-http"))
        .output()
        .expect("node is installed");
    let shown = String::from_utf8_lossy(&tests.stdout);
    assert!(tests.status.success() && shown.contains("\n# skipped 0"), "{shown}");
}
