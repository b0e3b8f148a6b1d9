//! The real oslo.policy as the judge of ours: the same rules, credentials and targets come to the same answers.
//!
//! Needs the library's virtual environment: `make lab`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::print_stderr,
    reason = "a test fails by panicking, and asks Python"
)]

mod attributes;
mod dice;
mod files;
mod generated;
mod judges;
mod python;
mod sample;

use dice::Dice;
use ferrite::policy;
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

#[test]
fn the_sample_is_what_the_real_generator_writes_and_is_read_as_it_is_meant() {
    let judged = sample::judged();
    assert_eq!(judged["sample"], policy::sample());
    for default in policy::DEFAULTS {
        let read = &judged["read"][default.name];
        assert_eq!(read["text"], default.check, "{}", default.name);
        assert_eq!(read["is_same"], true, "{}", default.name);
    }
    let read = judged["read"].as_object().unwrap();
    assert_eq!(read.len(), policy::DEFAULTS.len());
}

/// What a chunk of questions is about.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Formats,
    Literals,
    Policies,
}

const SUBJECTS: [Subject; 3] = [Subject::Formats, Subject::Literals, Subject::Policies];

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    asked: usize,
    allowed: usize,
    /// Questions with a rule that is not accepted, which are not compared.
    refused: usize,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.allowed += other.allowed;
        self.refused += other.refused;
    }

    /// Asserts that questions were compared, with both answers, and that some but few were refused.
    fn assert_telling(self, subject: Subject) {
        let allowed = self.allowed * 100 / self.asked;
        assert!((10..=90).contains(&allowed), "{subject:?}: {self:?}");
        assert!(self.refused > 0, "{subject:?}: {self:?}");
        assert!(self.refused * 100 <= self.asked, "{subject:?}: {self:?}");
    }
}

#[test]
fn a_hundred_thousand_questions_have_the_same_answers() {
    let counts = compare(1, [12_500, 12_500, 75_000], 12_500, "answer");
    for (subject, count) in SUBJECTS.into_iter().zip(counts) {
        eprintln!("{subject:?}: {count:?}");
        count.assert_telling(subject);
    }
}

#[test]
fn files_over_registered_rules_come_to_the_same() {
    let (judged, allowed) = files::compare(1, 3_000);
    assert!(judged > 1_000, "{judged}");
    let allowed = allowed * 100 / judged;
    assert!((10..=90).contains(&allowed), "{allowed} %");
}

/// `make test-policy-oracle`.
#[test]
#[ignore = "takes half an hour: `make test-policy-oracle` runs it"]
fn ten_million_questions_have_the_same_answers() {
    let seed = std::env::var("SEED").map_or(2, |seed| seed.parse().unwrap());
    let start = Instant::now();
    let counts = compare(seed, [1_000_000, 1_500_000, 7_500_000], 50_000, "hasten");
    eprintln!("seed {seed}, {} s", start.elapsed().as_secs());
    eprintln!("| subject | questions | allowed | refused | differences |");
    eprintln!("|---|---|---|---|---|");
    for (subject, count) in SUBJECTS.into_iter().zip(counts) {
        let Count {
            asked,
            allowed,
            refused,
        } = count;
        eprintln!("| {subject:?} | {asked} | {allowed} | {refused} | 0 |");
        count.assert_telling(subject);
    }
}

/// Asks both judges in chunks, as many at a time as there are cores; any difference ends it.
fn compare(seed: u64, sizes: [usize; 3], chunk: usize, mode: &str) -> [Count; 3] {
    let mut chunks = Vec::new();
    for (subject, size) in sizes.into_iter().enumerate() {
        for number in 0..size.div_ceil(chunk) {
            chunks.push((subject, seed << 32 | (subject as u64) << 24 | number as u64));
        }
    }
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let counted: Vec<[Count; 3]> = std::thread::scope(|scope| {
        let work = || {
            let mut counts = [Count::default(); 3];
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some((subject, seed)) = chunks.get(at) else {
                    return counts;
                };
                let questions = questions(SUBJECTS[*subject], *seed, chunk);
                counts[*subject].add(same(&questions, *seed, mode));
                if mode != "answer" {
                    eprintln!("{} of {} chunks were compared", at + 1, chunks.len());
                }
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    let mut sums = [Count::default(); 3];
    for counts in counted {
        for (sum, count) in sums.iter_mut().zip(counts) {
            sum.add(count);
        }
    }
    sums
}

fn questions(subject: Subject, seed: u64, count: usize) -> File {
    let mut dice = Dice::new(seed);
    let lines = (0..count).map(|_| match subject {
        Subject::Formats => python::format(&mut dice),
        Subject::Literals => python::literal(&mut dice),
        Subject::Policies => generated::question(&mut dice),
    });
    let file = judges::file_of(lines);
    match subject {
        Subject::Formats | Subject::Literals => judges::made(file),
        Subject::Policies => file,
    }
}

/// Compares the answers to all questions whose rules are accepted.
fn same(questions: &File, seed: u64, mode: &str) -> Count {
    let ours = judges::of_ferrite(questions);
    let oslo = judges::of_oslo(questions, mode);
    assert_eq!(ours.len(), oslo.len(), "seed {seed}");
    let differs = |(oslo, ours): (&bool, &Option<bool>)| ours.is_some_and(|ours| ours != *oslo);
    if oslo.iter().zip(&ours).any(differs) {
        let lines = judges::lines(questions);
        let differ = lines.iter().zip(oslo.iter().zip(&ours));
        let mut differ: Vec<String> = differ
            .filter(|(_, answers)| differs(*answers))
            .map(|(line, (oslo, _))| format!("oslo.policy says {oslo}: {line}"))
            .collect();
        // The shortest say the most.
        differ.sort_by_key(String::len);
        let count = differ.len();
        differ.truncate(10);
        panic!("{count} differences (seed {seed}):\n{}", differ.join("\n"));
    }
    let count = |wanted| ours.iter().filter(|answer| **answer == wanted).count();
    Count {
        asked: ours.len(),
        allowed: count(Some(true)),
        refused: count(None),
    }
}
