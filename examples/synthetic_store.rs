//! How the store's index grows, measured on stores that have everything but the bytes.
//!
//! `cargo run --release --example synthetic_store -- FOLDER [CHUNKS…]` makes a store of that many chunks for each number:
//! packs of the real size whose entries are holes of sparse files, with real footers. A terabyte is some sixteen million
//! chunks, and takes less than a gigabyte of the disk. Then it measures, each in a process of its own: making the index
//! from the packs, opening it for a first look-up, look-ups of what is there and of what is not, planning a collection
//! when half of the chunks are in use, and one more pack.

#![allow(clippy::disallowed_methods, reason = "the stores that it makes are thrown away")]

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};
use std::{env, hint};

use git_ml::id::Digest;
use git_ml::store::{Live, PruneOptions, Store};

const CHUNK: u32 = 64 << 10;
/// What zstd leaves of random floats.
const STORED: u32 = 60_900;
const HEADER: u64 = 46;
/// Chunks of a pack of about 64 MiB.
const PER_PACK: u64 = 1100;
const HITS: u64 = 100_000;
const MISSES: u64 = 1000;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["--measure", step, folder, chunks] => measure(step, Path::new(folder), chunks.parse()?),
        [folder, ref chunks @ ..] if !folder.starts_with('-') => {
            let chunks = if chunks.is_empty() { &["100000", "1000000", "10000000"] } else { chunks };
            println!("| chunks | content | packs | index | step | time | peak memory |");
            println!("| ---: | ---: | ---: | ---: | --- | ---: | ---: |");
            chunks.iter().try_for_each(|number| grow(Path::new(folder), number))
        }
        _ => Err("use: synthetic_store FOLDER [CHUNKS…]".into()),
    }
}

/// Makes a store of that many chunks and measures it.
fn grow(folder: &Path, number: &str) -> Outcome {
    let chunks: u64 = number.parse()?;
    let root = folder.join(format!("store-{chunks}"));
    let packs = chunks.div_ceil(PER_PACK);
    fs::create_dir_all(root.join("packs"))?;
    for pack in 0..packs {
        let first = pack * PER_PACK;
        make_pack(&root, first..chunks.min(first + PER_PACK))?;
    }
    let mut shape = Vec::new();
    for step in ["make the index", "first look-up", "look-ups", "misses", "plan a collection", "one more pack"] {
        if step == "one more pack" {
            make_pack(&root, chunks..chunks + PER_PACK)?;
        }
        let run = Command::new(env::current_exe()?).args(["--measure", step]).arg(&root).arg(number).output()?;
        if !run.status.success() {
            return Err(String::from_utf8_lossy(&run.stderr).into_owned().into());
        }
        if shape.is_empty() {
            let content = format!("{:.0} GiB", (chunks * u64::from(CHUNK)) as f64 / f64::from(1 << 30));
            let index = format!("{:.1} MiB", folder_bytes(&root.join("index"))? as f64 / f64::from(1 << 20));
            shape = vec![number.to_owned(), content, packs.to_string(), index];
        }
        println!("| {} | {}", shape.join(" | "), String::from_utf8(run.stdout)?.trim_end());
        shape.fill(String::new());
    }
    fs::remove_dir_all(root)?;
    Ok(())
}

/// A pack whose entries are holes: what an index is made of is all there.
fn make_pack(root: &Path, chunks: std::ops::Range<u64>) -> Outcome {
    let mut footer = Vec::new();
    for chunk in chunks.clone() {
        footer.extend([0, 1]);
        footer.extend(CHUNK.to_le_bytes());
        footer.extend(STORED.to_le_bytes());
        footer.extend(digest(chunk).as_bytes());
        footer.extend(0u32.to_le_bytes());
    }
    let name = blake3::hash(&footer);
    let end = 8 + (chunks.end - chunks.start) * (HEADER + u64::from(STORED));
    let file = File::create(root.join("packs").join(format!("{}.pack", name.to_hex())))?;
    file.write_all_at(b"GMLPACK1", 0)?;
    let mut tail = footer.clone();
    tail.extend((footer.len() as u64).to_le_bytes());
    tail.extend(name.as_bytes());
    tail.extend(b"GMLPEND1");
    Ok(file.write_all_at(&tail, end)?)
}

fn digest(chunk: u64) -> Digest {
    Digest::of(&chunk.to_le_bytes())
}

/// One step in a process of its own, so that its peak of memory is its own.
fn measure(step: &str, root: &Path, chunks: u64) -> Outcome {
    let started = Instant::now();
    let store = Store::open(root)?;
    let told = match step {
        "make the index" => {
            store.rebuild_index()?;
            seconds(started)
        }
        "first look-up" => {
            found(&store, 0, true)?;
            seconds(started)
        }
        "look-ups" => {
            found(&store, 0, true)?;
            let started = Instant::now();
            // As far apart as they can be, so that no cache of a neighbour helps.
            let step = (chunks / HITS).max(1) | 1;
            (0..HITS).try_for_each(|number| found(&store, number * step % chunks, true))?;
            each(started, HITS)
        }
        "misses" => {
            found(&store, 0, true)?;
            let started = Instant::now();
            (0..MISSES).try_for_each(|number| found(&store, u64::MAX - number, false))?;
            each(started, MISSES)
        }
        "plan a collection" => {
            let mut live = Live::default();
            for chunk in (0..chunks).filter(|chunk| chunk % 2 == 0) {
                live.add_content(&store, &digest(chunk))?;
            }
            let marked = started.elapsed().as_secs_f64();
            let options = PruneOptions { now: SystemTime::now(), grace: Duration::ZERO, max_unused: 0.0 };
            let plan = store.plan_prune(&live, &options)?;
            assert_eq!(plan.sum(|pack| pack.used), plan.sum(|pack| pack.used + pack.unused) / 2);
            format!("{marked:.1} s to mark, then {:.1} s", started.elapsed().as_secs_f64() - marked)
        }
        _ => {
            found(&store, chunks + 1, true)?;
            seconds(started)
        }
    };
    let mut stdout = std::io::stdout().lock();
    Ok(writeln!(stdout, "{step} | {told} | {} |", peak()?)?)
}

fn found(store: &Store, chunk: u64, should: bool) -> Outcome {
    match hint::black_box(store.contains(&digest(chunk))?) == should {
        true => Ok(()),
        false => Err(format!("chunk {chunk} is {}", if should { "missing" } else { "there" }).into()),
    }
}

fn seconds(started: Instant) -> String {
    format!("{:.3} s", started.elapsed().as_secs_f64())
}

fn each(started: Instant, count: u64) -> String {
    format!("{:.1} µs each", started.elapsed().as_secs_f64() * 1e6 / count as f64)
}

fn peak() -> Result<String, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak is told")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim_end().parse()?;
    Ok(format!("{:.0} MiB", kib / 1024.0))
}

fn folder_bytes(folder: &Path) -> Result<u64, Box<dyn Error>> {
    let sizes = fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.len()));
    sizes.sum::<Result<u64, std::io::Error>>().map_err(Into::into)
}
