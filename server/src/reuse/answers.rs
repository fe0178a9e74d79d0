//! The engine's last answers, for text that comes back: undone edits, a cursor that returns.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cinnabar_engine::{Completion, Finish, Request};

/// How many are kept; an answer is a few hundred bytes.
const KEPT: usize = 64;

/// Answers by what was asked, the one used last in front.
#[derive(Default)]
pub(crate) struct Answers {
    hasher: RandomState,
    recent: VecDeque<(u64, By, Completion)>,
}

/// Who asked for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The editor.
    Editor,
    /// Nobody yet: it was worked out ahead.
    Ahead,
}

impl By {
    /// What the log calls an answer that is found here.
    pub(crate) fn name(self) -> &'static str {
        match self {
            By::Editor => "memory",
            By::Ahead => "work ahead",
        }
    }
}

/// The answers, for a few assignments: the engine's thread adds those that it worked out ahead.
pub(crate) fn lock(answers: &Mutex<Answers>) -> MutexGuard<'_, Answers> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Answers {
    /// What a request's answer is kept under: all that the answer depends on and that differs between requests of one
    /// server.
    pub(crate) fn key(&self, request: &Request) -> u64 {
        let prompt = &request.prompt;
        let snippets: Vec<_> = prompt.snippets.iter().map(|snippet| (&snippet.path, &snippet.text)).collect();
        self.hasher.hash_one((snippets, &prompt.path, &prompt.prefix, &prompt.suffix, request.max_lines))
    }

    /// The answer to the same question.
    pub(crate) fn find(&mut self, key: u64) -> Option<(By, Completion)> {
        let at = self.recent.iter().position(|(other, ..)| *other == key)?;
        let answer = self.recent.remove(at)?;
        self.recent.push_front(answer);
        self.recent.front().map(|(_, by, completion)| (*by, completion.clone()))
    }

    /// Whether the answer is there.
    pub(crate) fn knows(&self, key: u64) -> bool {
        self.recent.iter().any(|(other, ..)| *other == key)
    }

    /// Keeps an answer, unless more time would have made it longer.
    pub(crate) fn keep(&mut self, key: u64, completion: &Completion, by: By) {
        if !matches!(completion.finish, Finish::Deadline | Finish::Enough) {
            self.recent.retain(|(other, ..)| *other != key);
            self.recent.push_front((key, by, completion.clone()));
            self.recent.truncate(KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use cinnabar_engine::{Counts, DocumentId, Prompt, Snippet, Timings};

    use super::*;

    fn request(prefix: &str) -> Request {
        Request::new(DocumentId(0), Prompt { prefix: prefix.into(), ..Prompt::default() })
    }

    fn completion(text: &str, finish: Finish) -> Completion {
        let (counts, timings) = (Counts::default(), Timings::default());
        Completion { text: text.into(), finish, mean_log_probability: 0.0, counts, timings }
    }

    #[test]
    fn the_same_question_has_the_same_answer() {
        let mut answers = Answers::default();
        let (mut one_line, mut informed) = (request("a"), request("a"));
        one_line.max_lines = Some(1);
        informed.prompt.snippets = vec![Snippet { path: "b".into(), text: "c".into() }];
        let questions = [request("a"), request("b"), one_line, informed];
        let [key, other, one_line, informed] = questions.map(|request| answers.key(&request));
        answers.keep(key, &completion("x", Finish::End), By::Editor);
        assert_eq!(answers.find(key), Some((By::Editor, completion("x", Finish::End))));
        assert_eq!([other, one_line, informed].map(|key| answers.find(key)), [None, None, None]);
        answers.keep(other, &completion("y", Finish::Deadline), By::Editor);
        assert_eq!(answers.find(other), None);
    }

    #[test]
    fn what_was_not_used_for_long_is_forgotten() {
        let mut answers = Answers::default();
        for n in 0..KEPT as u64 {
            answers.keep(n, &completion("x", Finish::End), By::Editor);
        }
        assert!(answers.find(0).is_some());
        answers.keep(KEPT as u64, &completion("x", Finish::End), By::Editor);
        assert!(answers.find(0).is_some() && answers.find(1).is_none());
    }
}
