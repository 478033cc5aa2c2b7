//! The tests of the Python package, against this server.

use std::path::Path;
use std::process::Command;

#[test]
fn the_tests_of_the_python_package_pass() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python");
    let tests = Command::new("python3")
        .args(["-B", "-W", "error::ResourceWarning", "-m", "unittest", "discover", "-s", ".", "-t", "."])
        .current_dir(&package)
        .env("PYTHONPATH", package.join("src"))
        .env("COUNTERPOINT_HTTP", env!("CARGO_BIN_EXE_counterpoint-http"))
        .output()
        .expect("python3 is installed");
    let shown = String::from_utf8_lossy(&tests.stderr);
    assert!(tests.status.success() && !shown.contains("skipped"), "{shown}");
}
