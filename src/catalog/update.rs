//! Bringing the database up to date with the recorded runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::base::{BLOCK_BITS, Base, BaseError, sealed, tip, unsealed};
use super::cells::{Block, ROWS};
use super::record::{decode, encode, encode_texts};
use crate::id::{CommitId, RunId};
use crate::run::{ChangedRecord, Run, RunError};

/// Why an update did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpdateError {
    /// The runs cannot be read, which is to be told.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The cache failed, which others can stand in for.
    #[error(transparent)]
    Base(#[from] BaseError),
}

impl From<rusqlite::Error> for UpdateError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Base(error.into())
    }
}

/// Reads the records that changed from a commit, or all, to another.
type Changed<'c> = &'c dyn Fn(Option<&CommitId>, &CommitId) -> Result<Vec<ChangedRecord>, RunError>;

/// Brings a database from where it is to the commit that the runs are at.
pub(super) fn update(base: &mut Base, now: Option<CommitId>, changed: Changed<'_>) -> Result<(), UpdateError> {
    if base.tip()? == now {
        return Ok(());
    }
    // Whoever comes second waits, and finds the work done.
    let transaction = base.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = tip(&transaction)?;
    if before == now {
        return Ok(());
    }
    let changes = match (before, now) {
        // What cannot be compared, as the old commit is not here any more, is read anew.
        (Some(before), Some(now)) => changed(Some(&before), &now).ok(),
        _ => None,
    };
    let changes = match (changes, now) {
        (Some(changes), _) => changes,
        (None, now) => {
            for table in ["state", "runs", "environments", "problems", "keys", "cells"] {
                transaction.execute(&format!("DELETE FROM {table}"), [])?;
            }
            now.map(|now| changed(None, &now)).transpose()?.unwrap_or_default()
        }
    };
    apply(&transaction, changes)?;
    transaction.execute("DELETE FROM state", [])?;
    if let Some(now) = now {
        transaction.execute("INSERT INTO state SELECT ?1, count(*) FROM runs", [now.as_bytes()])?;
    }
    transaction.commit()?;
    Ok(())
}

/// Brings the changes in, and makes the columns of the blocks they touch.
fn apply(transaction: &Transaction<'_>, changes: Vec<ChangedRecord>) -> Result<(), UpdateError> {
    let mut records = Vec::new();
    let mut gone = Vec::new();
    let mut forget = transaction.prepare("DELETE FROM problems WHERE id = ?1")?;
    let mut problem = transaction.prepare("INSERT OR REPLACE INTO problems VALUES (?1, ?2)")?;
    for (run_id, record) in changes {
        forget.execute([run_id.as_bytes()])?;
        match record {
            Ok(Some(run)) => records.push(run),
            Ok(None) => gone.push(run_id),
            // A record that was valid before is not, and is not shown as it was.
            Err(RunError::Malformed { problem: text, .. }) => {
                problem.execute(params![run_id.as_bytes(), text])?;
                gone.push(run_id);
            }
            // What the disk does not give now it may give later.
            Err(error) => return Err(error.into()),
        }
    }
    // Runs that are next to each other in time are next to each other in rows.
    records.sort_by_key(|run| (run.started, run.id));

    let mut writer = Writer::new(transaction)?;
    for run_id in gone {
        writer.remove(&run_id)?;
    }
    for run in &records {
        writer.put(run)?;
    }
    writer.finish(&records)
}

/// Writes rows, and remembers what that means for the columns.
struct Writer<'t> {
    transaction: &'t Transaction<'t>,
    next_row: i64,
    environments: HashMap<Vec<u8>, i64>,
    keys: HashMap<(u8, String), i64>,
    /// The blocks that have to be made anew, with the columns they had.
    blocks: BTreeMap<i64, BTreeSet<(u8, String)>>,
    /// The rows of the runs that were put, by their places in what was put.
    rows: Vec<i64>,
}

impl<'t> Writer<'t> {
    fn new(transaction: &'t Transaction<'t>) -> Result<Self, UpdateError> {
        let next_row = transaction.query_row("SELECT coalesce(max(row) + 1, 0) FROM runs", [], |row| row.get(0))?;
        let mut keys = HashMap::new();
        let mut statement = transaction.prepare("SELECT kind, name, key FROM keys")?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            keys.insert((row.get(0)?, row.get(1)?), row.get(2)?);
        }
        Ok(Self {
            transaction,
            next_row,
            environments: HashMap::new(),
            keys,
            blocks: BTreeMap::new(),
            rows: Vec::new(),
        })
    }

    fn row_of(&self, run_id: &RunId) -> Result<Option<i64>, UpdateError> {
        let mut statement = self.transaction.prepare_cached("SELECT row FROM runs WHERE id = ?1")?;
        Ok(statement.query_row([run_id.as_bytes()], |row| row.get(0)).optional()?)
    }

    /// Remembers a block, before anything in it changes.
    fn touch(&mut self, row: i64) -> Result<(), UpdateError> {
        let block = row / ROWS as i64;
        if !self.blocks.contains_key(&block) {
            let columns = self.block(block)?.into_columns().map(|(kind, name, _)| (kind, name));
            self.blocks.insert(block, columns.collect());
        }
        Ok(())
    }

    fn remove(&mut self, run_id: &RunId) -> Result<(), UpdateError> {
        if let Some(row) = self.row_of(run_id)? {
            self.touch(row)?;
            self.transaction.prepare_cached("DELETE FROM runs WHERE row = ?1")?.execute([row])?;
        }
        Ok(())
    }

    fn put(&mut self, run: &Run) -> Result<(), UpdateError> {
        let row = match self.row_of(&run.id)? {
            Some(row) => row,
            None => {
                self.next_row += 1;
                self.next_row - 1
            }
        };
        self.touch(row)?;
        let environment = self.environment(run)?;
        self.transaction.prepare_cached("INSERT OR REPLACE INTO runs VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            row,
            run.id.as_bytes(),
            sealed(encode(run), row),
            environment
        ])?;
        self.rows.push(row);
        Ok(())
    }

    fn environment(&mut self, run: &Run) -> Result<i64, UpdateError> {
        let texts = encode_texts(&run.environment);
        if let Some(known) = self.environments.get(&texts) {
            return Ok(*known);
        }
        self.transaction.prepare_cached("INSERT OR IGNORE INTO environments (texts) VALUES (?1)")?.execute([&texts])?;
        let mut statement = self.transaction.prepare_cached("SELECT environment FROM environments WHERE texts = ?1")?;
        let number = statement.query_row([&texts], |row| row.get(0))?;
        self.environments.insert(texts, number);
        Ok(number)
    }

    fn key(&mut self, kind: u8, name: &str) -> Result<i64, UpdateError> {
        let wanted = (kind, name.to_owned());
        if let Some(key) = self.keys.get(&wanted) {
            return Ok(*key);
        }
        let mut statement = self.transaction.prepare_cached("INSERT INTO keys (kind, name) VALUES (?1, ?2)")?;
        let key = statement.insert(params![kind, name])?;
        self.keys.insert(wanted, key);
        Ok(key)
    }

    /// The columns of a block as its records have them.
    fn block(&self, block: i64) -> Result<Block, UpdateError> {
        let mut columns = Block::default();
        for (row, run) in records(self.transaction, block)? {
            columns.add(slot_of(row), &run);
        }
        Ok(columns)
    }

    /// Makes the columns of what changed. `put` are the runs that were put, in that order.
    fn finish(mut self, put: &[Run]) -> Result<(), UpdateError> {
        let rows: BTreeMap<i64, &Run> = self.rows.iter().copied().zip(put).collect();
        for (block, before) in std::mem::take(&mut self.blocks) {
            let first = block * ROWS as i64;
            let ours = rows.range(first..first + ROWS as i64);
            // A block of which every run was put is at hand; it need not be read again.
            let all: i64 = self
                .transaction
                .prepare_cached("SELECT count(*) FROM runs WHERE row >= ?1 AND row < ?2")?
                .query_row([first, first + ROWS as i64], |row| row.get(0))?;
            let columns = if ours.clone().count() as i64 == all {
                let mut columns = Block::default();
                ours.for_each(|(row, run)| columns.add(slot_of(*row), run));
                columns
            } else {
                self.block(block)?
            };
            let mut gone = before;
            for (kind, name, cells) in columns.into_columns() {
                let place = self.key(kind, &name)? << BLOCK_BITS | block;
                gone.remove(&(kind, name));
                self.transaction
                    .prepare_cached("INSERT OR REPLACE INTO cells VALUES (?1, ?2)")?
                    .execute(params![place, sealed(cells, place)])?;
            }
            for (kind, name) in gone {
                let place = self.key(kind, &name)? << BLOCK_BITS | block;
                self.transaction.prepare_cached("DELETE FROM cells WHERE place = ?1")?.execute([place])?;
            }
        }
        Ok(())
    }
}

/// Where a row is in its block.
fn slot_of(row: i64) -> u8 {
    (row % ROWS as i64) as u8
}

/// The records of a block, without their environments.
fn records(connection: &Connection, block: i64) -> Result<Vec<(i64, Run)>, BaseError> {
    let first = block * ROWS as i64;
    let mut statement =
        connection.prepare_cached("SELECT row, record FROM runs WHERE row >= ?1 AND row < ?2 ORDER BY row")?;
    let mut found = statement.query([first, first + ROWS as i64])?;
    let mut records = Vec::new();
    while let Some(row) = found.next()? {
        let number = row.get(0)?;
        let run = decode(&unsealed(row.get(1)?, number)?, BTreeMap::new()).ok_or(BaseError::Damaged)?;
        records.push((number, run));
    }
    Ok(records)
}
