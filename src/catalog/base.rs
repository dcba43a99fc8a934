//! The database: opening it, and making another one where it is of no use.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::files::{self, FileLock, Wait};
use crate::id::CommitId;

/// Any change of what is in the database takes another number.
const VERSION: i64 = 2;
/// How long another process may write before this one does without the file.
const PATIENCE: Duration = Duration::from_secs(10);
/// Key numbers are above the bits of a block's number.
pub(super) const BLOCK_BITS: u32 = 32;

const SCHEMA: &str = "
    -- The commit whose runs these are, and how many; no row before the first.
    CREATE TABLE state (tip BLOB NOT NULL, runs INTEGER NOT NULL);
    -- A run, whole: its id, its record in bytes, and the environment that it shares with others.
    CREATE TABLE runs (
        row INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, record BLOB NOT NULL, environment INTEGER NOT NULL
    );
    CREATE TABLE environments (environment INTEGER PRIMARY KEY, texts BLOB NOT NULL UNIQUE);
    -- Records that cannot be read, and why.
    CREATE TABLE problems (id BLOB PRIMARY KEY, problem TEXT NOT NULL);
    -- The fields that runs have, and the values of 256 runs each: `place` is the key and the block.
    CREATE TABLE keys (key INTEGER PRIMARY KEY, kind INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (kind, name));
    CREATE TABLE cells (place INTEGER PRIMARY KEY, cells BLOB NOT NULL);
";

/// Why the database did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum BaseError {
    /// It holds what was never put there.
    #[error("the cache of runs is damaged")]
    Damaged,
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    #[error(transparent)]
    Lock(#[from] files::LockError),
    #[error(transparent)]
    File(#[from] files::FileError),
}

impl BaseError {
    /// Whether another database in its place would be better.
    pub(super) fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};

        match self {
            Self::Damaged => true,
            // What has no code of its own is a statement that does not fit the tables.
            Self::Database(rusqlite::Error::SqliteFailure(error, _)) => {
                matches!(error.code, DatabaseCorrupt | NotADatabase | Unknown)
            }
            // The rest is rows and values that were never put there.
            Self::Database(_) => true,
            Self::Lock(_) | Self::File(_) => false,
        }
    }
}

/// A database, in its file or in memory.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) connection: Connection,
    /// Which file it is; none in memory.
    pub(super) inode: Option<u64>,
}

impl Base {
    /// The database in a file, made if it is not there, and made anew if it is of another version or damaged.
    pub(super) fn in_file(place: &Path) -> Result<Self, BaseError> {
        match Self::open(place) {
            Err(error) if error.is_damage() => Self::renew(place, None),
            result => result,
        }
    }

    /// A new database in place of a damaged one: of one that cannot be opened, or of the file that was found to be
    /// damaged when it was read.
    pub(super) fn renew(place: &Path, damaged: Option<u64>) -> Result<Self, BaseError> {
        {
            let _alone = FileLock::exclusive(&lock_of(place), Wait::UpTo(PATIENCE))?;
            // Another process may have been here first.
            let is_same = damaged.is_some() && inode_of(place) == damaged;
            if is_same || Self::connect(place).is_err_and(|error| error.is_damage()) {
                for name in ["", "-wal", "-shm"] {
                    files::remove_file(&with_suffix(place, name))?;
                }
            }
        }
        Self::open(place)
    }

    fn open(place: &Path) -> Result<Self, BaseError> {
        // Between opening the database and opening its log nobody may put another in its place.
        let _shared = FileLock::shared(&lock_of(place), Wait::UpTo(PATIENCE))?;
        Self::connect(place)
    }

    fn connect(place: &Path) -> Result<Self, BaseError> {
        let connection = Connection::open(place)?;
        connection.busy_timeout(PATIENCE)?;
        // Closing the last connection would remove the log by its name, which may be that of another database by then.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        // Before the first table is made, and without effect after.
        connection.pragma_update(None, "page_size", 8192)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "normal")?;
        Ok(Self { inode: inode_of(place), ..Self::set_up(connection)? })
    }

    /// A database that goes with this value.
    pub(super) fn in_memory() -> Result<Self, BaseError> {
        Self::set_up(Connection::open_in_memory()?)
    }

    fn set_up(mut connection: Connection) -> Result<Self, BaseError> {
        connection.set_prepared_statement_cache_capacity(32);
        connection.pragma_update(None, "cache_size", -16_384)?;
        if version(&connection)? != VERSION {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            match version(&transaction)? {
                0 => {
                    transaction.execute_batch(SCHEMA)?;
                    transaction.pragma_update(None, "user_version", VERSION)?;
                    transaction.commit()?;
                }
                VERSION => {}
                _ => return Err(BaseError::Damaged),
            }
        }
        let base = Self { connection, inode: None };
        base.tip()?;
        Ok(base)
    }

    /// The commit whose runs are here.
    pub(super) fn tip(&self) -> Result<Option<CommitId>, BaseError> {
        tip(&self.connection)
    }
}

/// The commit whose runs a database has.
pub(super) fn tip(connection: &Connection) -> Result<Option<CommitId>, BaseError> {
    let bytes: Option<[u8; 20]> =
        connection.prepare_cached("SELECT tip FROM state")?.query_row([], |row| row.get(0)).optional()?;
    Ok(bytes.map(CommitId::from_bytes))
}

/// How many runs a database has.
pub(super) fn count(connection: &Connection) -> Result<usize, BaseError> {
    let count: Option<i64> =
        connection.prepare_cached("SELECT runs FROM state")?.query_row([], |row| row.get(0)).optional()?;
    usize::try_from(count.unwrap_or_default()).map_err(|_| BaseError::Damaged)
}

/// Bytes with a checksum of them and of where they are kept: SQLite itself does not notice a flipped bit.
pub(super) fn sealed(mut bytes: Vec<u8>, place: i64) -> Vec<u8> {
    let sum = checksum(&bytes, place);
    bytes.extend_from_slice(&sum);
    bytes
}

/// The bytes that were sealed for this place.
pub(super) fn unsealed(mut bytes: Vec<u8>, place: i64) -> Result<Vec<u8>, BaseError> {
    let Some((content, sum)) = bytes.split_last_chunk::<4>() else { return Err(BaseError::Damaged) };
    if *sum != checksum(content, place) {
        return Err(BaseError::Damaged);
    }
    bytes.truncate(bytes.len() - 4);
    Ok(bytes)
}

fn checksum(bytes: &[u8], place: i64) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize().to_le_bytes()
}

fn version(connection: &Connection) -> Result<i64, BaseError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

fn inode_of(place: &Path) -> Option<u64> {
    place.metadata().ok().map(|metadata| metadata.ino())
}

/// Whoever opens the database holds this lock together with others, and whoever removes it alone.
fn lock_of(place: &Path) -> PathBuf {
    with_suffix(place, ".lock")
}

fn with_suffix(place: &Path, suffix: &str) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
