//! Somebody who types a piece of real code (pure): which key comes next, and when.
//!
//! What is typed is cut out of a real file, so what follows each cursor is known. Keys come after 100 to 250 ms, sometimes
//! a wrong one that is taken back, and some lines are thought about before they are begun. A line break brings the next
//! line's indentation, as it does in editors.

use std::time::Duration;

use fastrand::Rng;

/// Characters that are typed in one place.
const LENGTH: usize = 160;
/// Milliseconds between keys.
const BETWEEN_KEYS: (u64, u64) = (100, 250);
/// Milliseconds before some lines are begun, and the share of these lines.
const THINKING: (u64, u64) = (600, 1500);
const THOUGHT_ABOUT: f64 = 0.4;
/// How lines start that are no code in most languages.
const COMMENTS: [char; 5] = ['/', '#', '*', '"', '-'];
/// Share of keys that are wrong.
const WRONG: f64 = 0.03;

/// A place in a file: `typed` is what will be written between `before` and `after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scene {
    pub(super) path: String,
    pub(super) before: String,
    pub(super) typed: String,
    pub(super) after: String,
}

impl Scene {
    /// A place in a file, chosen by `rng`: it starts in a line's code and ends with a line. `None` if the file has no
    /// line that is indented.
    pub(super) fn choose(path: &str, text: &str, rng: &mut Rng) -> Option<Self> {
        let mut starts = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let indent = line.len() - line.trim_start().len();
            if indent > 0 && line.trim().len() > 3 && !line.trim().starts_with(COMMENTS) {
                starts.push(at + indent);
            }
            at += line.len();
        }
        let start = *rng.choice(&starts)?;
        let far = (start..=text.len().min(start + LENGTH)).rev().find(|&at| text.is_char_boundary(at))?;
        let end = text[far..].find('\n').map_or(text.len(), |n| far + n);
        let end = start + text[start..end].trim_end().len();
        let (before, typed, after) = (&text[..start], &text[start..end], &text[end..]);
        Some(Scene { path: path.into(), before: before.into(), typed: typed.into(), after: after.into() })
    }
}

/// What the next key does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// Text is inserted at the cursor.
    Insert(String),
    /// The character before the cursor goes.
    Backspace,
}

/// Types a scene's text, mistakes included.
pub(super) struct Typist {
    rng: Rng,
    scene: Scene,
    /// Bytes of `scene.typed` that stand in the buffer.
    done: usize,
    /// A wrong character stands behind them.
    mistaken: bool,
}

impl Typist {
    pub(super) fn new(scene: Scene, rng: Rng) -> Self {
        Typist { rng, scene, done: 0, mistaken: false }
    }

    /// The time before the next key.
    pub(super) fn pause(&mut self) -> Duration {
        let written = &self.scene.typed[..self.done];
        let begins_line = written.rsplit('\n').next().is_some_and(|line| line.trim().is_empty());
        let thinks = begins_line && self.done > 0 && !self.mistaken && self.rng.f64() < THOUGHT_ABOUT;
        let (least, most) = if thinks { THINKING } else { BETWEEN_KEYS };
        Duration::from_millis(self.rng.u64(least..=most))
    }

    /// The next key; `None` when all is typed.
    pub(super) fn press(&mut self) -> Option<Key> {
        if std::mem::take(&mut self.mistaken) {
            return Some(Key::Backspace);
        }
        let rest = &self.scene.typed[self.done..];
        let first = rest.chars().next()?;
        self.mistaken = first.is_alphanumeric() && self.rng.f64() < WRONG;
        if self.mistaken {
            return Some(Key::Insert(if first == 'q' { "w" } else { "q" }.into()));
        }
        let key = match first {
            '\n' | '\r' => rest[..rest.len() - rest.trim_start().len()].to_owned(),
            _ => first.into(),
        };
        self.done += key.len();
        Some(Key::Insert(key))
    }

    /// A suggestion was accepted: so many bytes more stand in the buffer.
    pub(super) fn accepted(&mut self, bytes: usize) {
        self.done = (self.done + bytes).min(self.scene.typed.len());
    }

    /// What is still to be written behind the cursor; `None` after a mistake and at the end.
    pub(super) fn to_come(&self) -> Option<&str> {
        let rest = &self.scene.typed[self.done..];
        (!self.mistaken && !rest.is_empty()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "def f():\n    a = 1\n    if a:\n        return a\n\n\ndef g():\n    pass\n";

    /// Types a scene to its end. The buffer, and the number of keys that were taken back.
    fn write(scene: &Scene, seed: u64) -> (String, usize) {
        let mut typist = Typist::new(scene.clone(), Rng::with_seed(seed));
        let (mut text, mut taken_back) = (scene.before.clone(), 0);
        while let Some(key) = typist.press() {
            match key {
                Key::Insert(new) => text.push_str(&new),
                Key::Backspace => {
                    text.pop();
                    taken_back += 1;
                }
            }
            let to_come = typist.to_come();
            let whole = |rest| format!("{text}{rest}{}", scene.after);
            assert!(to_come.is_none_or(|rest| whole(rest) == CODE), "{text:?}");
        }
        (text + &scene.after, taken_back)
    }

    #[test]
    fn a_scene_ends_as_the_file_was() {
        let mut taken_back = 0;
        for seed in 0..50 {
            let scene = Scene::choose("a.py", CODE, &mut Rng::with_seed(seed)).unwrap();
            assert!(scene.before.ends_with(' ') && scene.after.starts_with('\n'), "{scene:?}");
            let (text, mistakes) = write(&scene, seed);
            assert_eq!(text, CODE);
            taken_back += mistakes;
        }
        assert!(taken_back > 10, "{taken_back}");
    }

    #[test]
    fn what_is_accepted_is_not_typed() {
        let scene = Scene { path: "a".into(), before: "x".into(), typed: "yz\n".into(), after: "!".into() };
        let mut typist = Typist::new(scene, Rng::with_seed(0));
        typist.accepted(2);
        assert_eq!(typist.to_come(), Some("\n"));
        assert_eq!(typist.press(), Some(Key::Insert("\n".into())));
        assert_eq!(typist.press(), None);
    }

    #[test]
    fn a_file_without_indented_lines_has_no_scene() {
        assert_eq!(Scene::choose("a", "x = 1\ny = 2\n", &mut Rng::with_seed(0)), None);
    }
}
