//! The database's storage. It leaves the file unchanged until the file's content was checked.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use redb::StorageBackend;
use redb::backends::FileBackend;

/// A file, and the changes to it that are not accepted yet. redb marks and repairs a file while it opens
/// it; if the file then proves to be damaged, these changes are dropped. Clones share the file.
#[derive(Clone, Debug)]
pub(super) struct TrialStorage(Arc<TrialState>);

#[derive(Debug)]
struct TrialState {
    file: FileBackend,
    /// In order. `None` once they were accepted: later changes go to the file at once.
    changes: RwLock<Option<Vec<FileChange>>>,
}

#[derive(Debug)]
enum FileChange {
    Write(u64, Vec<u8>),
    Resize(u64),
    Sync { eventual: bool },
}

impl TrialStorage {
    pub(super) fn new(file: FileBackend) -> Self {
        Self(Arc::new(TrialState {
            file,
            changes: RwLock::new(Some(Vec::new())),
        }))
    }

    /// Writes the changes so far to the file. Keeps their order, so that a crash meanwhile leaves a
    /// file that redb can repair. Later changes are written at once.
    pub(super) fn accept(&self) -> io::Result<()> {
        let state = &self.0;
        let mut changes = state
            .changes
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for change in changes.take().into_iter().flatten() {
            match change {
                FileChange::Write(offset, data) => state.file.write(offset, &data)?,
                FileChange::Resize(length) => state.file.set_len(length)?,
                FileChange::Sync { eventual } => state.file.sync_data(eventual)?,
            }
        }
        Ok(())
    }

    /// Stores a change until the changes are accepted. Once they are, writes it to the file at once.
    fn change(
        &self,
        keep: impl FnOnce() -> FileChange,
        make: impl FnOnce(&FileBackend) -> io::Result<()>,
    ) -> io::Result<()> {
        let state = &self.0;
        let is_accepted = {
            let changes = state.changes.read();
            changes.unwrap_or_else(PoisonError::into_inner).is_none()
        };
        if is_accepted {
            return make(&state.file);
        }
        let changes = state.changes.write();
        match &mut *changes.unwrap_or_else(PoisonError::into_inner) {
            Some(changes) => {
                changes.push(keep());
                Ok(())
            }
            None => make(&state.file),
        }
    }
}

impl StorageBackend for TrialStorage {
    fn len(&self) -> io::Result<u64> {
        let changes = self.0.changes.read();
        let changes = changes.unwrap_or_else(PoisonError::into_inner);
        let resized = changes.iter().flatten().rev();
        let mut resized = resized.filter_map(|change| match change {
            FileChange::Resize(length) => Some(*length),
            _ => None,
        });
        resized.next().map_or_else(|| self.0.file.len(), Ok)
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let state = &self.0;
        {
            let changes = state.changes.read();
            let changes = changes.unwrap_or_else(PoisonError::into_inner);
            if let Some(changes) = &*changes {
                return read_changed(&state.file, changes, offset, len);
            }
        }
        state.file.read(offset, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|| FileChange::Resize(len), |file| file.set_len(len))
    }

    fn sync_data(&self, eventual: bool) -> io::Result<()> {
        self.change(
            || FileChange::Sync { eventual },
            |file| file.sync_data(eventual),
        )
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(
            || FileChange::Write(offset, data.to_vec()),
            |file| file.write(offset, data),
        )
    }
}

/// Reads from a file as if the changes were made.
fn read_changed(
    file: &FileBackend,
    changes: &[FileChange],
    offset: u64,
    len: usize,
) -> io::Result<Vec<u8>> {
    let end = offset.saturating_add(len as u64);
    let mut length = file.len()?;
    // The index in what is read of a place in the file.
    let index = |place: u64| {
        let place = place.clamp(offset, end) - offset;
        usize::try_from(place).unwrap_or(len)
    };
    let in_file = index(length);
    let mut bytes = file.read(offset, in_file)?;
    bytes.resize(len, 0);
    for change in changes {
        match change {
            FileChange::Resize(new) => {
                length = *new;
                if let Some(cut) = bytes.get_mut(index(length)..) {
                    cut.fill(0);
                }
            }
            FileChange::Write(start, data) => {
                let until = start.saturating_add(data.len() as u64);
                length = length.max(until);
                let (from, to) = (index(*start), index(until));
                let skipped = usize::try_from(offset.saturating_sub(*start)).unwrap_or(usize::MAX);
                let part = data.get(skipped..).unwrap_or_default();
                if let Some(target) = bytes.get_mut(from..to)
                    && let Some(part) = part.get(..target.len())
                {
                    target.copy_from_slice(part);
                }
            }
            FileChange::Sync { .. } => {}
        }
    }
    match end <= length {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn changes_are_read_back_and_reach_the_file_when_they_are_accepted() {
        let name = format!("smtp2go-sandbox-{}-trial", std::process::id());
        let path = std::env::temp_dir().join(name);
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut expected: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..)).collect();
            fs::write(&path, &expected).unwrap();
            let before = expected.clone();
            let options = fs::OpenOptions::new().read(true).write(true).open(&path);
            let storage = TrialStorage::new(FileBackend::new(options.unwrap()).unwrap());
            let accepted_at = random.usize(..12);
            for step in 0..12 {
                if step == accepted_at {
                    assert_eq!(fs::read(&path).unwrap(), before, "seed {seed}");
                    storage.accept().unwrap();
                }
                let length = expected.len();
                if random.bool() {
                    let new = random.usize(..60);
                    expected.resize(new, 0);
                    storage.set_len(new as u64).unwrap();
                } else if length > 0 {
                    let start = random.usize(..length);
                    let end = random.usize(start..=length);
                    random.fill(&mut expected[start..end]);
                    storage.write(start as u64, &expected[start..end]).unwrap();
                }
                storage.sync_data(false).unwrap();
                let length = expected.len();
                assert_eq!(storage.len().unwrap(), length as u64, "seed {seed}");
                let start = random.usize(..=length);
                let end = random.usize(start..=length);
                let read = storage.read(start as u64, end - start).unwrap();
                assert_eq!(read, expected[start..end], "seed {seed}");
                assert!(storage.read(start as u64, length - start + 1).is_err());
            }
            assert_eq!(fs::read(&path).unwrap(), expected, "seed {seed}");
        }
        fs::remove_file(&path).unwrap();
    }
}
