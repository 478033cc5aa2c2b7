//! The server as the protocol's Python SDK sees it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python in which the SDK is installed: one that is told, or one made for these tests, once.
fn python() -> PathBuf {
    if let Some(told) = std::env::var_os("MCP_PYTHON") {
        return told.into();
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mcp-python");
    let python = folder.join("bin/python");
    let installed = |python: &Path| {
        Command::new(python).args(["-c", "import mcp, httpx2"]).output().is_ok_and(|out| out.status.success())
    };
    if !installed(&python) {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).status().expect("python3 is installed");
        assert!(made.success(), "a virtual environment cannot be made");
        let pip = Command::new(&python).args(["-m", "pip", "install", "--quiet", "mcp==2.3.0"]).status().unwrap();
        assert!(pip.success(), "the SDK cannot be installed");
    }
    python
}

#[test]
fn a_client_that_we_did_not_write_gets_on_with_it() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client.py");
    let out = Command::new(python()).arg(script).arg(env!("CARGO_BIN_EXE_counterpoint-mcp")).output().unwrap();
    let (said, erred) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success() && said.contains("all as it should be"), "{said}\n{erred}");
}
