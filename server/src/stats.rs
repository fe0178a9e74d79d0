//! What became of suggestions, counted in one small file of the user's. Numbers only: no text, path or name.
//!
//! A shown suggestion is accepted, partly accepted, typed in full, or dismissed: something else was suggested in its
//! place, or its document was closed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::class::Class;
use crate::offers::{Fate, Settled};

pub(crate) mod tally;

/// Upper bounds of the latency histogram's intervals in milliseconds; one more interval has none.
pub(crate) const BOUNDS_MS: [u64; 19] =
    [1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 2000];
/// The file's layout.
const VERSION: u32 = 1;
/// Languages told apart; a client that invents more of them counts as `other`.
const LANGUAGES: usize = 100;

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stats {
    version: u32,
    /// When counting began, in seconds since 1970.
    pub(crate) since: u64,
    /// By the protocol's language id and by class.
    pub(crate) counts: BTreeMap<String, BTreeMap<Class, Counts>>,
}

/// Suggestions of one language and class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    /// Sent to an editor.
    pub(crate) offered: u64,
    /// Of those, shown: the sum of the four that follow.
    pub(crate) shown: u64,
    pub(crate) accepted: u64,
    pub(crate) partly_accepted: u64,
    pub(crate) typed: u64,
    pub(crate) dismissed: u64,
    /// Characters accepted, in whole suggestions and in parts.
    pub(crate) characters: u64,
    /// Of those offered: how many took at most [`BOUNDS_MS`] from the request to the answer, each interval on its own.
    pub(crate) latency: Vec<u64>,
}

impl Stats {
    /// Nothing was counted yet.
    fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Stats { version: VERSION, since, counts: BTreeMap::new() }
    }

    /// Counts what became of a suggestion.
    pub(crate) fn count(&mut self, settled: &Settled) {
        let mut language = settled.language.as_str();
        let named = language.len() <= 32
            && language.bytes().all(|b| b.is_ascii_alphanumeric() || b"+#._-".contains(&b));
        if !named || (self.counts.len() >= LANGUAGES && !self.counts.contains_key(language)) {
            language = "other";
        }
        let counts = self.counts.entry(language.to_owned()).or_default().entry(settled.class).or_default();
        counts.add(&Counts::of(settled));
    }

    /// All languages and classes together.
    pub(crate) fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.counts.values().flat_map(BTreeMap::values).for_each(|counts| total.add(counts));
        total
    }

    fn add(&mut self, other: &Stats) {
        for (language, classes) in &other.counts {
            for (class, counts) in classes {
                self.counts.entry(language.clone()).or_default().entry(*class).or_default().add(counts);
            }
        }
    }
}

impl Counts {
    fn of(settled: &Settled) -> Self {
        let mut counts = Counts { offered: 1, characters: settled.characters as u64, ..Counts::default() };
        if let Some(fate) = settled.fate {
            counts.shown = 1;
            *match fate {
                Fate::Accepted => &mut counts.accepted,
                Fate::Partly => &mut counts.partly_accepted,
                Fate::Typed => &mut counts.typed,
                Fate::Dismissed => &mut counts.dismissed,
            } = 1;
        }
        let interval = BOUNDS_MS.partition_point(|&bound| Duration::from_millis(bound) < settled.took);
        counts.latency = vec![0; BOUNDS_MS.len() + 1];
        counts.latency[interval] = 1;
        counts
    }

    fn add(&mut self, other: &Counts) {
        self.offered += other.offered;
        self.shown += other.shown;
        self.accepted += other.accepted;
        self.partly_accepted += other.partly_accepted;
        self.typed += other.typed;
        self.dismissed += other.dismissed;
        self.characters += other.characters;
        self.latency.resize(BOUNDS_MS.len() + 1, 0);
        for (sum, n) in self.latency.iter_mut().zip(&other.latency) {
            *sum += n;
        }
    }

    /// The bound in milliseconds that this share of the answers kept; `None` if they were slower than the last one,
    /// or there are none.
    pub(crate) fn quantile_ms(&self, share: f64) -> Option<u64> {
        let all: u64 = self.latency.iter().sum();
        let wanted = ((all as f64 * share).ceil() as u64).max(1);
        let mut so_far = 0;
        let at = self.latency.iter().position(|n| {
            so_far += n;
            so_far >= wanted
        })?;
        BOUNDS_MS.get(at).copied()
    }
}

/// Where the counts of this user are kept.
pub(crate) fn default_file() -> Option<PathBuf> {
    let dirs = directories::BaseDirs::new()?;
    let folder = dirs.state_dir().unwrap_or(dirs.data_local_dir());
    Some(folder.join("cinnabar").join("stats.json"))
}

/// What was counted so far; nothing if there is no file.
pub(crate) fn read(file: &Path) -> io::Result<Stats> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Stats::new()),
        Err(error) => return Err(error),
    };
    let stats: Stats = serde_json::from_str(&text)?;
    if stats.version != VERSION {
        let message = format!("layout {} is not known to this version of Cinnabar", stats.version);
        return Err(io::Error::new(ErrorKind::InvalidData, message));
    }
    Ok(stats)
}

/// Adds to what was counted. Readers see the file before or after; servers wait for one another.
fn add(file: &Path, new: &Stats) -> io::Result<()> {
    let _lock = lock(file)?;
    let mut stats = read(file)?;
    stats.add(new);
    let beside = file.with_extension("new");
    let written = fs::write(&beside, serde_json::to_vec(&stats)?).and_then(|()| fs::rename(&beside, file));
    written.inspect_err(|_| {
        // Half a file on a full disk would only be in the way.
        let _ = fs::remove_file(&beside);
    })
}

/// Forgets what was counted.
pub(crate) fn reset(file: &Path) -> io::Result<()> {
    if !file.exists() {
        return Ok(());
    }
    let _lock = lock(file)?;
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Held by the one who changes the file. The lock is a file of its own, since the counts' file is replaced; the
/// system frees it when its holder dies.
fn lock(file: &Path) -> io::Result<File> {
    fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
    let lock = File::options().create(true).write(true).truncate(false).open(file.with_extension("lock"))?;
    lock.lock()?;
    Ok(lock)
}

#[cfg(test)]
mod tests;
