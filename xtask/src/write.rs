//! Last stage: writes all files or none, or compares them with the disk.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::refine::Files;

/// Folders with only generated files: any other file in them is an orphan.
const GENERATED: [&str; 4] = [
    "smtp2go-sdk/src/generated",
    "smtp2go-types/src/generated",
    "smtp2go-sandbox/src/generated",
    "tests/src/generated",
];

/// A file that differs from the generated one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drift {
    /// The content of the file differs.
    Stale(String),
    /// The file does not exist.
    Missing(String),
    /// The file is on disk, but is no longer generated.
    Orphaned(String),
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stale(path) => write!(f, "stale: {path}"),
            Self::Missing(path) => write!(f, "missing: {path}"),
            Self::Orphaned(path) => write!(f, "orphaned: {path}"),
        }
    }
}

/// Compares `files` with the files below `root`. Changes nothing.
///
/// # Errors
///
/// If a file exists but can't be read.
pub fn compare(root: &Path, files: &Files) -> io::Result<Vec<Drift>> {
    let mut drift = Vec::new();
    for (path, text) in files {
        match std::fs::read(root.join(path)) {
            Ok(found) if found == text.as_bytes() => {}
            Ok(_) => drift.push(Drift::Stale(path.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                drift.push(Drift::Missing(path.clone()));
            }
            Err(error) => return Err(at(&root.join(path), &error)),
        }
    }
    drift.extend(orphans(root, files)?.into_iter().map(Drift::Orphaned));
    drift.sort();
    Ok(drift)
}

/// Writes files that differ and removes orphans. Returns the changes.
///
/// First writes every file to a temporary file beside it, and renames these once all of them are on
/// disk.
///
/// # Errors
///
/// If a file can't be written. Existing files are unchanged, unless one of the renames fails.
pub fn write(root: &Path, files: &Files) -> io::Result<Vec<Drift>> {
    let drift = compare(root, files)?;
    let mut ready = Vec::new();
    for change in &drift {
        let (Drift::Stale(path) | Drift::Missing(path)) = change else {
            continue;
        };
        let target = root.join(path);
        let folder = target.parent().unwrap_or(root);
        std::fs::create_dir_all(folder).map_err(|error| at(folder, &error))?;
        let mut file = tempfile::Builder::new()
            .prefix(".regen-")
            .tempfile_in(folder)
            .map_err(|error| at(folder, &error))?;
        file.write_all(files[path].as_bytes())
            .map_err(|error| at(&target, &error))?;
        ready.push((file, target));
    }
    for (file, target) in ready {
        // A temporary file is private to its owner; a source file is not.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let permissions = std::fs::Permissions::from_mode(0o644);
            file.as_file()
                .set_permissions(permissions)
                .map_err(|error| at(&target, &error))?;
        }
        file.persist(&target)
            .map_err(|error| at(&target, &error.error))?;
    }
    for change in &drift {
        if let Drift::Orphaned(path) = change {
            std::fs::remove_file(root.join(path)).map_err(|error| at(&root.join(path), &error))?;
        }
    }
    Ok(drift)
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn orphans(root: &Path, files: &Files) -> io::Result<BTreeSet<String>> {
    let mut orphans = BTreeSet::new();
    let mut folders: Vec<PathBuf> = GENERATED.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at(&folder, &error)),
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let relative = path.strip_prefix(root).unwrap_or(&path);
            let name: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            let name = name.join("/");
            if !files.contains_key(&name) {
                orphans.insert(name);
            }
        }
    }
    Ok(orphans)
}
