//! Opens and writes the data file, a redb database with a table of records.

use std::fmt::Display;
use std::fs;
use std::io::{self, Read};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, ReadOnlyTable, ReadableTable, Table, TableDefinition, TableError,
    WriteTransaction,
};
use tokio::sync::watch;

use super::load::{self, RecordSource, TakeRecord};
use super::record::{PIECE, RecordBatch, RecordValue};
use super::save;
use super::trial::TrialStorage;
use crate::world::World;

/// Version of the format of the records. Files of other versions are refused.
const VERSION: u64 = 1;

/// Identifies the file as a sandbox's. The key `version` holds [`VERSION`].
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("smtp2go-sandbox");

const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");

/// Size of redb's page cache in bytes. Small, because records are read only once, at the start.
const CACHE: usize = 16 * 1024 * 1024;

/// The data file of a running sandbox, and the thread that writes it.
pub(crate) struct DataFile {
    /// `None` after [`close`](Self::close).
    queue: Mutex<Option<mpsc::Sender<RecordBatch>>>,
    queued: AtomicU64,
    written: watch::Receiver<WriterProgress>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Progress of the writer thread.
#[derive(Default)]
struct WriterProgress {
    batches: u64,
    /// The error that ended the thread.
    error: Option<String>,
}

impl DataFile {
    /// Opens or creates the file, and loads its records into a new world.
    ///
    /// # Errors
    ///
    /// Fails if the file is in use, cannot be read or written, is damaged, or is not a data file of this
    /// version. The error names the file. The file is not changed.
    pub(crate) fn open(path: &Path, world: &mut World) -> io::Result<Self> {
        let name = path.display().to_string();
        let fail = |why: String| io::Error::other(format!("{name}: {why}"));
        check_head(path).map_err(&fail)?;
        // redb asserts some properties of the pages, so a damaged file can make it panic.
        let opened = panic::catch_unwind(AssertUnwindSafe(|| {
            let (database, storage) = open(path)?;
            let records = begin(&database)?;
            load::load(world, &records).map_err(|why| format!("a record is damaged: {why}"))?;
            storage.accept().map_err(text)?;
            Ok(database)
        }));
        let database = opened.unwrap_or_else(|_| Err(DAMAGED.to_owned()));
        let database = database.map_err(&fail)?;
        let (queue, batches) = mpsc::channel();
        let (progress, written) = watch::channel(WriterProgress::default());
        let thread = thread::Builder::new()
            .name("smtp2go-sandbox-data".to_owned())
            .spawn(move || write_all(&database, &name, &batches, &progress))?;
        let file = Self {
            queue: Mutex::new(Some(queue)),
            queued: AtomicU64::new(0),
            written,
            thread: Mutex::new(Some(thread)),
        };
        file.save(world);
        Ok(file)
    }

    /// Queues the changes of the locked world.
    pub(crate) fn save(&self, world: &mut World) {
        let Some(batch) = save::take(world) else {
            return;
        };
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.queued.fetch_add(1, Ordering::SeqCst);
        if let Some(queue) = &*queue {
            // If the thread has ended, `saved` returns its error.
            let _ = queue.send(batch);
        }
    }

    /// Waits until every batch that was queued before the call is written.
    pub(crate) async fn saved(&self) -> Result<(), String> {
        let queued = self.queued.load(Ordering::SeqCst);
        let mut written = self.written.clone();
        let reached =
            |written: &WriterProgress| written.error.is_some() || written.batches >= queued;
        match written.wait_for(reached).await {
            Ok(written) => match &written.error {
                Some(error) => Err(error.clone()),
                None => Ok(()),
            },
            Err(_) => Err("the data file is closed".to_owned()),
        }
    }

    /// Waits until writing fails, and returns the error.
    pub(crate) async fn failed(&self) -> String {
        let mut written = self.written.clone();
        let failed = written.wait_for(|written| written.error.is_some()).await;
        match failed.map(|written| written.error.clone()) {
            Ok(Some(error)) => error,
            _ => "the data file is closed".to_owned(),
        }
    }

    /// Writes the queued batches, and closes the file.
    pub(crate) fn close(&self) {
        let lock = || self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        drop(lock().take());
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // After a panic of the thread, `saved` returns an error, so nothing more is acknowledged.
            let _ = thread.join();
        }
    }
}

const NO_FILE: &str = "not a regular file; choose another file";
const DAMAGED: &str = "the file is damaged; move it away to start with a new one";
const FOREIGN: &str = "not a data file of smtp2go-sandbox, or one whose creation was interrupted; choose another file";

/// Checks that an existing file starts like a redb database, and is at least as long as its header
/// says. Writes nothing.
fn check_head(path: &Path) -> Result<(), String> {
    /// Length of redb's header in bytes. It starts with `MAGIC`, 3 other bytes and five numbers.
    const HEAD: u64 = 320;
    const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
    let about = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        about => about.map_err(text)?,
    };
    // Checked before opening, which waits for a writer if the path is a named pipe.
    if !about.is_file() {
        return Err(NO_FILE.to_owned());
    }
    let mut file = fs::File::open(path).map_err(text)?;
    let length = file.metadata().map_err(text)?.len();
    if length == 0 {
        return Ok(());
    }
    let mut head = [0; 32];
    let read = file.read_exact(&mut head);
    if let Err(error) = read
        && error.kind() != io::ErrorKind::UnexpectedEof
    {
        return Err(error.to_string());
    }
    if !head.starts_with(MAGIC) {
        return Err(FOREIGN.to_owned());
    }
    let number = |place: usize| {
        let bytes = head
            .get(place..place + 4)
            .and_then(|bytes| bytes.try_into().ok());
        u64::from(u32::from_le_bytes(bytes.unwrap_or_default()))
    };
    let [page, head_pages, most_pages, full, rest] = [12, 16, 20, 24, 28].map(number);
    let region = |pages: u64| match pages {
        0 => 0,
        pages => (head_pages + pages).saturating_mul(page),
    };
    let regions = full.saturating_mul(region(most_pages));
    let told = page.saturating_add(regions).saturating_add(region(rest));
    let told = told.max(HEAD);
    match length < told {
        true => Err(format!(
            "the file has {length} bytes of {told}: it is cut short; move it away to start with a new one"
        )),
        false => Ok(()),
    }
}

/// Opens the file. If it does not exist, creates it for its owner only: it holds keys and passwords.
fn open_private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Opens or creates the database, and locks its file. The file is not changed before the caller calls
/// `accept` on the storage.
fn open(path: &Path) -> Result<(Database, TrialStorage), String> {
    let file = open_private(path).map_err(text)?;
    let open = || {
        let storage = TrialStorage::new(FileBackend::new(file)?);
        let database = Database::builder()
            .set_cache_size(CACHE)
            .create_with_file_format_v3(true)
            .create_with_backend(storage.clone())?;
        Ok((database, storage))
    };
    open().map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => "another sandbox has the file open".to_owned(),
        DatabaseError::UpgradeRequired(_) => FOREIGN.to_owned(),
        DatabaseError::Storage(redb::StorageError::Io(error)) => error.to_string(),
        DatabaseError::Storage(_) => DAMAGED.to_owned(),
        error => error.to_string(),
    })
}

/// Checks the version and returns the table of records. Creates the tables in an empty database.
fn begin(database: &Database) -> Result<ReadOnlyTable<&'static str, &'static [u8]>, String> {
    let reading = database.begin_read().map_err(text)?;
    let version = match reading.open_table(ABOUT) {
        Ok(about) => about
            .get("version")
            .map_err(text)?
            .map(|version| version.value()),
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(_) => return Err(FOREIGN.to_owned()),
    };
    match version {
        Some(VERSION) => {}
        Some(other) => {
            return Err(format!(
                "the file has the format {other}, and this version of smtp2go-sandbox reads {VERSION}; \
                 choose another file"
            ));
        }
        None if reading.list_tables().map_err(text)?.next().is_none() => {
            let writing = database.begin_write().map_err(text)?;
            let mut about = writing.open_table(ABOUT).map_err(text)?;
            about.insert("version", VERSION).map_err(text)?;
            drop(about);
            writing.open_table(RECORDS).map_err(text)?;
            writing.commit().map_err(text)?;
        }
        None => return Err(FOREIGN.to_owned()),
    }
    let reading = database.begin_read().map_err(text)?;
    reading.open_table(RECORDS).map_err(text)
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// Returns the exclusive end of the range of keys with this prefix. The prefix ends with a slash.
fn end_of(prefix: &str) -> String {
    format!("{}0", prefix.trim_end_matches('/'))
}

impl RecordSource for ReadOnlyTable<&'static str, &'static [u8]> {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        let value = ReadableTable::get(self, key).map_err(text)?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    fn each(&self, prefix: &str, take: &mut TakeRecord<'_>) -> Result<(), String> {
        let records = self.range::<&str>(prefix..end_of(prefix).as_str());
        for record in records.map_err(text)? {
            let (key, value) = record.map_err(text)?;
            let rest = key.value().strip_prefix(prefix).unwrap_or_default();
            take(rest, value.value())?;
        }
        Ok(())
    }
}

/// Writes batches until the queue is closed or writing fails. One transaction writes all queued batches,
/// so that concurrent calls share an fsync.
fn write_all(
    database: &Database,
    name: &str,
    queue: &mpsc::Receiver<RecordBatch>,
    progress: &watch::Sender<WriterProgress>,
) {
    while let Ok(first) = queue.recv() {
        let mut batches = vec![first];
        batches.extend(queue.try_iter());
        let count = batches.len() as u64;
        let written = write(database, batches);
        let failed = written.is_err();
        progress.send_modify(|progress| match written {
            Ok(()) => progress.batches += count,
            Err(why) => progress.error = Some(format!("{name}: the file cannot be written: {why}")),
        });
        if failed {
            return;
        }
    }
}

fn write(database: &Database, batches: Vec<RecordBatch>) -> Result<(), String> {
    let writing = database.begin_write().map_err(text)?;
    for batch in batches {
        write_batch(&writing, batch)?;
    }
    writing.commit().map_err(text)
}

fn write_batch(writing: &WriteTransaction, batch: RecordBatch) -> Result<(), String> {
    if batch.cleared {
        writing.delete_table(RECORDS).map_err(text)?;
    }
    let mut table = writing.open_table(RECORDS).map_err(text)?;
    for (key, content) in batch.records {
        match content {
            RecordValue::Gone => drop(table.remove(key.as_str()).map_err(text)?),
            RecordValue::AllGone => table
                .retain_in::<&str, _>(key.as_str()..end_of(&key).as_str(), |_, _| false)
                .map_err(text)?,
            RecordValue::Json(json) => put(&mut table, &key, &json.map_err(text)?)?,
            RecordValue::Later(make) => put(&mut table, &key, &make().map_err(text)?)?,
            RecordValue::Body(body) => {
                for (place, piece) in body.chunks(PIECE).enumerate() {
                    put(&mut table, &format!("{key}{place:06}"), piece)?;
                }
            }
        }
    }
    Ok(())
}

fn put(table: &mut Table<'_, &str, &[u8]>, key: &str, value: &[u8]) -> Result<(), String> {
    drop(table.insert(key, value).map_err(text)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::tests::shared;

    /// Opens a database of another program, and one of another version.
    #[test]
    fn foreign_database_is_refused_and_not_changed() {
        const OTHER: TableDefinition<'_, &str, &str> = TableDefinition::new("other");
        const SAME_NAME: TableDefinition<'_, u64, u64> = TableDefinition::new("smtp2go-sandbox");
        type Fill = fn(&WriteTransaction);
        let make: [(Fill, &str); 3] = [
            (
                |writing| drop(writing.open_table(OTHER).unwrap()),
                "not a data file",
            ),
            (
                |writing| drop(writing.open_table(SAME_NAME).unwrap()),
                "not a data file",
            ),
            (
                |writing| {
                    let mut about = writing.open_table(ABOUT).unwrap();
                    about.insert("version", VERSION + 1).unwrap();
                },
                "the file has the format 2",
            ),
        ];
        for (number, (make, expected)) in make.into_iter().enumerate() {
            let name = format!("smtp2go-sandbox-{}-file-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let database = Database::create(&path).unwrap();
            let writing = database.begin_write().unwrap();
            make(&writing);
            writing.commit().unwrap();
            drop(database);
            let shared = shared(|_| {});
            let error = shared.open_data(&path).unwrap_err().to_string();
            let start = format!("{}: {expected}", path.display());
            assert!(error.starts_with(&start), "{error}");
            let database = Database::create(&path).unwrap();
            let reading = database.begin_read().unwrap();
            assert_eq!(reading.list_tables().unwrap().count(), 1, "{expected}");
            drop(database);
            fs::remove_file(&path).unwrap();
        }
    }
}
