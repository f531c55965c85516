//! `cargo xtask peers`: what the host is tried with by the tests, and nothing else uses: the
//! official clients of Windmill's API, the SDKs of CloudEvents and Standard Webhooks, two servers
//! of object storage, and the proxy of the example in
//! `deploy/`.
//!
//! Everything goes into `target/peers`, in the versions that `tests/peers` pins.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::apt;
use crate::packages::{self, Built};
use crate::steps::step;

/// A server of object storage, and its version. Arguments of `cargo install`.
const S3S: [&str; 5] = ["s3s-fs", "--version", "0.14.1", "--features", "binary"];

/// Installs what is missing.
pub(crate) fn ensure(root: &Path) -> Result<()> {
    let (asked, folder) = (root.join("tests/peers"), root.join("target/peers"));
    packages::python(&asked.join("requirements.txt"), &folder.join("python"))?;
    let node = folder.join("node");
    if packages::node(&asked, &node)? {
        // The tests' own programs, which find their packages by where they seem to lie.
        std::os::unix::fs::symlink(&asked, node.join("programs"))
            .context("could not link the tests' programs")?;
    }
    packages::cargo(root, &S3S, Built::Quickly, &folder.join("cargo"))?;
    if !folder.join("caddy/usr/bin/caddy").is_file() {
        // Unpacked and not installed: Debian's package would start a server on port 80.
        step("unpacking caddy", || apt::unpack("caddy", &folder.join("caddy")))?;
    }
    Ok(())
}
