//! What is asked for over a connection: many requests at a time, so that a distant machine costs one wait and not many.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use openssh_sftp_client::file::File as RemoteFile;
use openssh_sftp_client::fs::Fs;
use tokio::io::AsyncSeek;

use super::Trouble;
use super::connection::Connection;
use crate::files::Draft;
use crate::remote::objects::{Listed, Pace, write_at};

/// Bytes of a request. OpenSSH's servers take 255 KiB, others less, and then it takes several.
const BLOCK: u64 = 255 << 10;

/// Requests of one operation that are under way at a time.
const IN_FLIGHT: usize = 24;

/// Where objects are written before they are renamed.
const DRAFTS: &str = "tmp";

/// The age of a draft, by the other machine's clock, whose writer is not at work any more.
const LEFT_OVER: Duration = Duration::from_secs(7 * 24 * 3600);

/// How deep folders of objects are looked into.
const MAX_DEPTH: usize = 4;

/// Where the bytes of an object come from.
pub(super) enum Source {
    Memory(Bytes),
    /// A file, and its size.
    File(File, u64),
}

impl Source {
    fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, size) => *size,
        }
    }

    fn block(&self, range: &Range<u64>) -> Result<Bytes, Trouble> {
        match self {
            Self::Memory(bytes) => Ok(bytes.slice(range.start as usize..range.end as usize)),
            Self::File(file, _) => {
                let mut block = vec![0; (range.end - range.start) as usize];
                file.read_exact_at(&mut block, range.start).map_err(Trouble::Input)?;
                Ok(block.into())
            }
        }
    }
}

fn blocks(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    range.step_by(BLOCK as usize).map(move |start| start..end.min(start + BLOCK))
}

/// Points a handle to a place in its file.
fn seek(file: &mut RemoteFile, offset: u64) -> Result<(), Trouble> {
    Pin::new(file).start_seek(std::io::SeekFrom::Start(offset)).map_err(|error| Trouble::Sftp(error.into()))
}

/// Reads one range with as many requests as the server needs for it.
async fn read_block(mut file: RemoteFile, range: Range<u64>) -> Result<BytesMut, Trouble> {
    let length = (range.end - range.start) as usize;
    let mut block = BytesMut::new();
    while block.len() < length {
        let missing = length - block.len();
        seek(&mut file, range.start + block.len() as u64)?;
        let answer = file.read(missing as u32, BytesMut::with_capacity(missing)).await?.ok_or(Trouble::Short)?;
        if answer.is_empty() || answer.len() > missing {
            return Err(Trouble::Short);
        }
        if block.is_empty() {
            block = answer;
        } else {
            block.extend_from_slice(&answer);
        }
    }
    Ok(block)
}

async fn write_block(mut file: RemoteFile, offset: u64, mut block: Bytes) -> Result<(), Trouble> {
    let mut offset = offset;
    while !block.is_empty() {
        seek(&mut file, offset)?;
        let count = file.write_zero_copy(&[block.clone()]).await?;
        offset += count as u64;
        drop(block.split_to(count));
    }
    Ok(())
}

pub(super) async fn read(connection: &Connection, root: &str, name: &str, range: Range<u64>) -> Result<Bytes, Trouble> {
    let file = connection.sftp.open(format!("{root}/{name}")).await?;
    let length = (range.end - range.start) as usize;
    let mut parts = stream::iter(blocks(range)).map(|range| read_block(file.clone(), range)).buffered(IN_FLIGHT);
    let mut content = BytesMut::new();
    while let Some(part) = parts.try_next().await? {
        if part.len() == length {
            return Ok(part.freeze());
        }
        content.reserve(length - content.len());
        content.extend_from_slice(&part);
    }
    Ok(content.freeze())
}

pub(super) async fn fetch(
    connection: &Connection,
    root: &str,
    name: &str,
    size: u64,
    output: &Draft,
    pace: &Pace<'_>,
) -> Result<(), Trouble> {
    let file = connection.sftp.open(format!("{root}/{name}")).await?;
    let parts = stream::iter(blocks(0..size)).map(|range| {
        let file = file.clone();
        async move {
            pace(range.end - range.start);
            Ok::<_, Trouble>((range.start, read_block(file, range).await?))
        }
    });
    let mut parts = parts.buffer_unordered(IN_FLIGHT);
    while let Some((offset, part)) = parts.try_next().await? {
        write_at(output, &part, offset).map_err(Trouble::Output)?;
    }
    Ok(())
}

pub(super) async fn size(connection: &Connection, root: &str, name: &str) -> Result<u64, Trouble> {
    Ok(connection.sftp.fs().metadata(format!("{root}/{name}")).await?.len().unwrap_or_default())
}

pub(super) async fn remove(connection: &Connection, root: &str, name: &str) -> Result<(), Trouble> {
    Ok(connection.sftp.fs().remove_file(format!("{root}/{name}")).await?)
}

/// The files in a folder and in those below it. Links are not followed.
pub(super) async fn list(connection: &Connection, root: &str, folder: &str) -> Result<Vec<Listed>, Trouble> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let mut fs = connection.sftp.fs();
        let mut entries = match fs.open_dir(format!("{root}/{folder}")).await.map_err(Trouble::from) {
            Ok(folder) => Box::pin(folder.read_dir()),
            Err(trouble) if trouble.is_not_found() => continue,
            Err(trouble) => return Err(trouble),
        };
        while let Some(entry) = entries.try_next().await? {
            let Some(name) = entry.filename().to_str().filter(|name| super::is_plain(name)) else { continue };
            let (name, metadata) = (format!("{folder}/{name}"), entry.metadata());
            match metadata.file_type() {
                Some(kind) if kind.is_dir() && depth < MAX_DEPTH => folders.push((name, depth + 1)),
                Some(kind) if kind.is_file() => found.push(Listed {
                    name,
                    size: metadata.len().unwrap_or_default(),
                    modified: metadata.modified().map(|time| i64::from(time.into_raw())),
                }),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Writes an object: whole or not at all.
pub(super) async fn put(
    connection: &Connection,
    root: &str,
    name: &str,
    source: &Source,
    pace: &Pace<'_>,
) -> Result<(), Trouble> {
    let draft = format!("{root}/{DRAFTS}/{}", uuid::Uuid::now_v7().simple());
    let written = write(connection, root, &draft, source, pace).await;
    let published = match written {
        Ok(()) => publish(connection, &draft, root, name, source.size()).await,
        Err(trouble) => Err(trouble),
    };
    if published.is_err() {
        // Where the connection is gone this fails too, and the draft is swept later.
        let _ = connection.sftp.fs().remove_file(&draft).await;
    }
    published
}

async fn write(
    connection: &Connection,
    root: &str,
    draft: &str,
    source: &Source,
    pace: &Pace<'_>,
) -> Result<(), Trouble> {
    let mut options = connection.sftp.options();
    options.write(true).read(true).create_new(true);
    let mut file = match options.open(draft).await.map_err(Trouble::from) {
        Err(trouble) if trouble.is_not_found() => {
            make_folder(&mut connection.sftp.fs(), &format!("{root}/{DRAFTS}")).await?;
            options.open(draft).await?
        }
        result => result?,
    };
    if connection.is_first_draft() {
        let now = file.metadata().await.ok().and_then(|metadata| metadata.modified());
        sweep(connection, root, now.map(|time| time.as_duration())).await;
    }
    let writes = stream::iter(blocks(0..source.size())).map(|range| {
        let file = file.clone();
        async move {
            pace(range.end - range.start);
            write_block(file, range.start, source.block(&range)?).await
        }
    });
    writes.buffer_unordered(IN_FLIGHT).try_collect::<()>().await?;
    if connection.sftp.support_fsync() {
        file.sync_all().await?;
    }
    Ok(file.close().await?)
}

/// Gives a draft its name. Where the server cannot replace a file in one step, one that is there and whole is as good,
/// for what lies in a folder is named by its content.
async fn publish(connection: &Connection, draft: &str, root: &str, name: &str, size: u64) -> Result<(), Trouble> {
    let place = format!("{root}/{name}");
    let mut fs = connection.sftp.fs();
    let renamed = match fs.rename(draft, &place).await.map_err(Trouble::from) {
        Err(trouble) if trouble.is_not_found() => {
            let folder = place.rsplit_once('/').map_or(root, |(folder, _)| folder);
            make_folder(&mut fs, folder).await?;
            fs.rename(draft, &place).await.map_err(Trouble::from)
        }
        result => result,
    };
    let Err(trouble) = renamed else { return Ok(()) };
    if trouble.answer().is_none() || connection.sftp.support_posix_rename() {
        return Err(trouble);
    }
    match fs.metadata(&place).await {
        Ok(metadata) if name.contains('/') && metadata.len() == Some(size) => Ok(fs.remove_file(draft).await?),
        Ok(_) => {
            fs.remove_file(&place).await?;
            Ok(fs.rename(draft, &place).await?)
        }
        Err(_) => Err(trouble),
    }
}

/// Makes a folder, and those above it that are not there.
async fn make_folder(fs: &mut Fs, folder: &str) -> Result<(), Trouble> {
    let ends = folder.char_indices().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| at);
    let mut missing = Vec::new();
    for end in ends.chain([folder.len()]).collect::<Vec<_>>().into_iter().rev() {
        match fs.metadata(&folder[..end]).await.map_err(Trouble::from) {
            Ok(_) => break,
            Err(trouble) if trouble.is_not_found() => missing.push(end),
            Err(trouble) => return Err(trouble),
        }
    }
    for end in missing.into_iter().rev() {
        let made = fs.create_dir(&folder[..end]).await;
        // Another client may have been faster.
        if made.is_err() && fs.metadata(&folder[..end]).await.is_err() {
            made?;
        }
    }
    Ok(())
}

/// Removes drafts of clients that were cut off long before `now`, the other machine's time.
async fn sweep(connection: &Connection, root: &str, now: Option<Duration>) {
    let (Some(now), Ok(drafts)) = (now, list(connection, root, DRAFTS).await) else { return };
    for draft in drafts {
        let Some(modified) = draft.modified.and_then(|time| u64::try_from(time).ok()) else { continue };
        if now.saturating_sub(Duration::from_secs(modified)) > LEFT_OVER {
            let _ = remove(connection, root, &draft.name).await;
        }
    }
}
