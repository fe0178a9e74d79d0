//! Counting, and the file shared by several servers.

use super::tally::Tally;
use super::*;

fn settled(language: &str, ms: u64, fate: Option<Fate>) -> Settled {
    let took = Duration::from_millis(ms);
    Settled { language: language.into(), class: Class::RestOfLine, took, fate, characters: 2 }
}

fn counted(fates: &[Option<Fate>]) -> Counts {
    let mut stats = Stats::new();
    fates.iter().for_each(|fate| stats.count(&settled("rust", 4, *fate)));
    stats.total()
}

#[test]
fn what_is_shown_is_the_sum_of_the_fates() {
    let counts =
        counted(&[None, Some(Fate::Accepted), Some(Fate::Partly), Some(Fate::Typed), Some(Fate::Dismissed)]);
    let Counts { offered, shown, accepted, partly_accepted, typed, dismissed, characters, latency } = counts;
    assert_eq!((offered, shown, characters), (5, 4, 10));
    assert_eq!([accepted, partly_accepted, typed, dismissed], [1; 4]);
    assert_eq!(latency.iter().sum::<u64>(), 5);
}

#[test]
fn latencies_are_told_by_the_bound_they_kept() {
    let mut stats = Stats::new();
    for ms in [0, 1, 4, 5, 6, 40, 40, 40, 900, 9999] {
        stats.count(&settled("rust", ms, None));
    }
    let total = stats.total();
    assert_eq!(
        [0.0, 0.5, 0.9, 1.0].map(|share| total.quantile_ms(share)),
        [Some(1), Some(7), Some(1000), None]
    );
    assert_eq!(Counts::default().quantile_ms(0.5), None);
}

#[test]
fn languages_are_names_and_not_too_many() {
    let mut stats = Stats::new();
    for odd in ["", "a b", "../x", &"x".repeat(33), "é"] {
        stats.count(&settled(odd, 1, None));
    }
    let names: Vec<&String> = stats.counts.keys().collect();
    assert_eq!(names, ["", "other"]);
    for n in 0..2 * LANGUAGES {
        stats.count(&settled(&n.to_string(), 1, None));
    }
    assert_eq!(stats.counts.len(), LANGUAGES);
    assert_eq!(stats.total().offered, 5 + 2 * LANGUAGES as u64);
}

#[test]
fn several_servers_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new/stats.json");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let tally = Tally::new(Some(file.clone()));
                for _ in 0..25 {
                    tally.count(settled("go", 1, Some(Fate::Accepted)));
                }
                tally.flush(Duration::from_secs(20));
            });
        }
    });
    assert_eq!(read(&file).unwrap().total().accepted, 100);
    reset(&file).unwrap();
    assert_eq!(read(&file).unwrap().total(), Counts::default());
    reset(&file).unwrap();
}

#[test]
fn a_file_that_cannot_be_written_costs_no_count_once_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cinnabar/stats.json");
    // No folder can be made where a file is.
    fs::write(folder.path().join("cinnabar"), "").unwrap();
    let tally = Tally::new(Some(file.clone()));
    tally.count(settled("go", 1, None));
    tally.flush(Duration::from_secs(20));
    fs::remove_file(folder.path().join("cinnabar")).unwrap();
    tally.count(settled("go", 1, None));
    tally.flush(Duration::from_secs(20));
    assert_eq!(read(&file).unwrap().total().offered, 2);
}

#[test]
fn a_file_of_another_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stats.json");
    for text in [r#"{"version":2,"since":0,"counts":{}}"#, "{"] {
        fs::write(&file, text).unwrap();
        assert!(add(&file, &Stats::new()).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_old_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stats.json");
    let mut one = Stats::new();
    one.count(&settled("go", 1, None));
    add(&file, &one).unwrap();
    std::os::unix::fs::symlink("/dev/full", file.with_extension("new")).unwrap();
    let error = add(&file, &one).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(read(&file).unwrap().total().offered, 1);
    // What was half written is gone.
    add(&file, &one).unwrap();
    assert_eq!(read(&file).unwrap().total().offered, 2);
}
