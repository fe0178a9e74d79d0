//! The engine's last answers, for text that comes back: undone edits, a cursor that returns.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use cinnabar_engine::{Completion, Finish, Request};

/// How many are kept; an answer is a few hundred bytes.
const KEPT: usize = 64;

/// Answers by what was asked, the one used last in front.
pub(crate) struct Answers {
    hasher: RandomState,
    recent: VecDeque<(u64, Completion)>,
}

impl Answers {
    /// None yet.
    pub(crate) fn new() -> Self {
        Answers { hasher: RandomState::new(), recent: VecDeque::new() }
    }

    /// What a request's answer is kept under: all that the answer depends on and that differs between requests of one
    /// server.
    pub(crate) fn key(&self, request: &Request) -> u64 {
        let prompt = &request.prompt;
        self.hasher.hash_one((&prompt.path, &prompt.prefix, &prompt.suffix, request.max_lines))
    }

    /// The answer to the same question.
    pub(crate) fn find(&mut self, key: u64) -> Option<Completion> {
        let at = self.recent.iter().position(|(other, _)| *other == key)?;
        let answer = self.recent.remove(at)?;
        self.recent.push_front(answer);
        self.recent.front().map(|(_, completion)| completion.clone())
    }

    /// Keeps an answer, unless more time would have made it longer.
    pub(crate) fn keep(&mut self, key: u64, completion: &Completion) {
        if completion.finish != Finish::Deadline {
            self.recent.retain(|(other, _)| *other != key);
            self.recent.push_front((key, completion.clone()));
            self.recent.truncate(KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use cinnabar_engine::{Counts, DocumentId, Prompt, Timings};

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
        let mut answers = Answers::new();
        let mut one_line = request("a");
        one_line.max_lines = Some(1);
        let [key, other, one_line] = [request("a"), request("b"), one_line].map(|r| answers.key(&r));
        answers.keep(key, &completion("x", Finish::End));
        assert_eq!(answers.find(key), Some(completion("x", Finish::End)));
        assert_eq!((answers.find(other), answers.find(one_line)), (None, None));
        answers.keep(other, &completion("y", Finish::Deadline));
        assert_eq!(answers.find(other), None);
    }

    #[test]
    fn what_was_not_used_for_long_is_forgotten() {
        let mut answers = Answers::new();
        for n in 0..KEPT as u64 {
            answers.keep(n, &completion("x", Finish::End));
        }
        assert!(answers.find(0).is_some());
        answers.keep(KEPT as u64, &completion("x", Finish::End));
        assert!(answers.find(0).is_some() && answers.find(1).is_none());
    }
}
