//! `cargo xtask dist`: builds the packages of a sandbox release for use without Rust.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::licenses;
use crate::spec::tools::{self, at, read, run, write};

const NAME: &str = "smtp2go-sandbox";
/// The version of all packages in the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Files of the sandbox's folder that are packaged with the program.
const DOCUMENTS: [&str; 5] = [
    "README.md",
    "REFERENCE.md",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
];

/// The licences of the libraries in the program. Each package has this file.
const THIRD_PARTY: &str = "THIRD-PARTY-LICENSES";

/// Builds the program, an archive, packages for npm and pip, an image and SHA256SUMS, and writes them to
/// `dist` in the target folder.
///
/// # Errors
///
/// Fails if the host is not linux-x64, or if a build fails.
pub fn dist(root: &Path) -> Result<(), String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("the packages have a program for linux-x64: build them there".to_owned());
    }
    let sandbox = root.join(NAME);
    let target = tools::target(root);
    let out = target.join("dist");
    let work = target.join("dist-work");
    fresh(&out)?;
    fresh(&work)?;

    let program = build(root, &target)?;
    let licenses = licenses::third_party(root, NAME)?;
    let folder = archive(&sandbox, &program, &licenses, &work, &out)?;
    npm(&sandbox, &folder, &work, &out)?;
    run(Command::new("python3")
        .arg(sandbox.join("packaging/pypi/wheels.py"))
        .args([VERSION.as_ref(), folder.as_os_str(), out.as_os_str()]))?;
    image(&folder, &work, &out)?;
    sums(&out)
}

/// Builds the program as a static binary. The flag applies only to the program, because procedural
/// macros can't be linked statically.
fn build(root: &Path, target: &Path) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // By default, the crate getrandom looks up the function `getrandom` in shared libraries. A static
    // program has none, and the fallback needs /dev/urandom. This flag links the function.
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let flags = format!("{flags} --cfg getrandom_backend=\"linux_getrandom\"");
    run(Command::new(cargo)
        .args(["rustc", "--release", "--locked", "--package", NAME])
        .args(["--bin", NAME, "--"])
        .args(["-C", "target-feature=+crt-static", "-C", "strip=symbols"])
        .env("RUSTFLAGS", flags)
        .current_dir(root))?;
    Ok(target.join("release").join(NAME))
}

/// Writes the archive, and returns the folder that it contains.
fn archive(
    sandbox: &Path,
    program: &Path,
    licenses: &str,
    work: &Path,
    out: &Path,
) -> Result<PathBuf, String> {
    let name = format!("{NAME}-{VERSION}-linux-x64");
    let folder = work.join(&name);
    fresh(&folder)?;
    copy(program, &folder.join(NAME))?;
    write(&folder.join(THIRD_PARTY), licenses)?;
    for document in DOCUMENTS {
        copy(&sandbox.join(document), &folder.join(document))?;
    }
    copy(
        &sandbox.join("packaging/Dockerfile"),
        &folder.join("Dockerfile"),
    )?;
    run(Command::new("tar")
        // Reproducible: the same files give the same bytes.
        .args([
            "--sort=name",
            "--mtime=@0",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
        ])
        .arg("--mode=u=rwX,go=rX")
        .args(["--use-compress-program=gzip -n", "-cf"])
        .arg(out.join(format!("{name}.tar.gz")))
        .args(["-C".as_ref(), work.as_os_str(), name.as_ref()]))?;
    Ok(folder)
}

fn npm(sandbox: &Path, folder: &Path, work: &Path, out: &Path) -> Result<(), String> {
    let sources = sandbox.join("packaging/npm");
    let package = work.join("npm");
    fresh(&package)?;
    let manifest = read(&sources.join("package.json"))?;
    let mut manifest: Value = serde_json::from_str(&manifest)
        .map_err(|error| format!("packaging/npm/package.json: {error}"))?;
    manifest["version"] = VERSION.into();
    write(&package.join("package.json"), format!("{manifest:#}\n"))?;
    copy(&sources.join("launch.js"), &package.join("launch.js"))?;
    for file in DOCUMENTS.into_iter().chain([THIRD_PARTY, NAME]) {
        copy(&folder.join(file), &package.join(file))?;
    }
    run(Command::new("npm")
        .args(["pack", "--silent", "--pack-destination"])
        .args([out, &package])
        .current_dir(work))
}

/// Writes an image for `docker load` and `podman load`. Skipped with a message if buildah does not work
/// here.
#[allow(clippy::print_stderr)]
fn image(folder: &Path, work: &Path, out: &Path) -> Result<(), String> {
    let buildah = |arguments: &[&str]| {
        let mut command = Command::new("buildah");
        // Works without a kernel module and in containers without privileges.
        command.args(["--storage-driver", "vfs"]);
        command.arg("--root").arg(work.join("images"));
        command.arg("--runroot").arg(work.join("containers"));
        command.args(arguments);
        command
    };
    let probe = tools::stdout(&mut buildah(&["from", "scratch"]));
    if let Err(error) = probe {
        let line = error.lines().next_back().unwrap_or_default();
        eprintln!("no image: buildah does not work here: {line}");
        return Ok(());
    }
    // The OCI format has no health checks.
    run(
        buildah(&["build", "--isolation", "chroot", "--format", "docker"])
            .args(["--quiet", "--timestamp", "0", "--tag", NAME])
            .arg(folder),
    )?;
    let file = out.join(format!("{NAME}-{VERSION}-image.tar"));
    let file = format!("docker-archive:{}:{NAME}:{VERSION}", file.display());
    run(buildah(&["push", "--quiet", NAME]).arg(file))
}

fn sums(out: &Path) -> Result<(), String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(out).map_err(|error| at(out, &error))? {
        files.push(entry.map_err(|error| at(out, &error))?.path());
    }
    files.sort();
    let mut sums = String::new();
    for file in files {
        let bytes = fs::read(&file).map_err(|error| at(&file, &error))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        sums += &format!("{:x}  {name}\n", Sha256::digest(bytes));
    }
    write(&out.join("SHA256SUMS"), sums)
}

/// Makes an empty folder.
fn fresh(folder: &Path) -> Result<(), String> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| at(folder, &error))?;
    }
    fs::create_dir_all(folder).map_err(|error| at(folder, &error))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map_or_else(|error| Err(at(from, &error)), |_| Ok(()))
}
