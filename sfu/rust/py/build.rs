//! Embeds a hash of the sources, so that Python can refuse an extension that was built from older ones.
//!
//! `sfu/engine/native.py` computes the same hash: SHA-256 over every file under `association/src`, `core/src` and `py/src` and
//! the `Cargo.lock` of the workspace, in the order of their paths; of each the path, its length in bytes, and its bytes.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sha2::{Digest, Sha256};

const SOURCES: [&str; 4] = ["Cargo.lock", "association/src", "core/src", "py/src"];

fn main() -> io::Result<()> {
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let workspace = package.parent().unwrap_or(&package);
    let mut files = Vec::new();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
        collect(workspace, source, &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for name in files {
        let bytes = fs::read(workspace.join(&name))?;
        hash.update(format!("{name}\0{}\0", bytes.len()));
        hash.update(&bytes);
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("cargo::rustc-env=TING_SOURCE_HASH={hex}");
    Ok(())
}

/// Adds `name` (a file, or all files below a folder) with `/` between the parts of each path.
fn collect(workspace: &Path, name: &str, files: &mut Vec<String>) -> io::Result<()> {
    let path = workspace.join(name);
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            let child = entry?.file_name();
            collect(workspace, &format!("{name}/{}", child.to_string_lossy()), files)?;
        }
    } else if path.is_file() {
        files.push(name.to_owned());
    }
    Ok(())
}
