//! What is on the shelf, and what of it goes into a prompt.

use std::fs;

use super::*;

/// A workspace with files, and who reads it.
struct Desk {
    folder: tempfile::TempDir,
    neighbours: Neighbours,
}

fn text(name: &str) -> String {
    format!(
        "fn {name}() {{\n    let one = {name}_one();\n    let two = {name}_two(one);\n    use_all(one, two)\n}}\n"
    )
}

impl Desk {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let roots = vec![folder.path().join("work")];
        let neighbours = Neighbours::new(Arc::new(Privacy::new(roots.clone())), roots);
        let desk = Desk { folder, neighbours };
        for (name, text) in files {
            let path = desk.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        match name.strip_prefix("../") {
            Some(outside) => self.folder.path().join(outside),
            None => self.folder.path().join("work").join(name),
        }
    }

    fn open(&self, name: &str, text: &str) {
        self.neighbours.opened(self.path(name), name.into(), Rope::from_str(text));
    }

    /// Waits until everything that it was told is done.
    fn read(&self) {
        let (done, told) = channel();
        self.neighbours.tell(Job::Tell(done));
        told.recv().unwrap();
    }

    /// Where the piece comes from that a document has in its prompt, its cursor among these words.
    fn source(&self, document: u64, name: &str, around: &str, behind: &str) -> Option<String> {
        self.read();
        let text = Rope::from_str(around);
        let (path, document) = (self.path(name), DocumentId(document));
        let snippet = self.neighbours.snippet(document, &path, &text, text.len_bytes(), behind);
        self.read();
        snippet.map(|snippet| snippet.path)
    }
}

#[test]
fn buffers_and_the_files_beside_them_are_read() {
    let desk = Desk::new(&[
        ("src/a.rs", &text("alpha")),
        ("src/b.rs", &text("beta")),
        ("src/c.py", &text("gamma")),
        ("other/d.rs", &text("delta")),
        ("../e.rs", &text("epsilon")),
    ]);
    desk.open("src/a.rs", &text("alpha"));
    desk.open("far/f.rs", &text("phi"));
    desk.open("../g.rs", &text("gimel"));
    let source = |word: &str| desk.source(word.len() as u64, "src/a.rs", &format!("{word}_one {word}"), word);
    assert_eq!(source("beta").as_deref(), Some("src/b.rs"));
    assert_eq!(source("phi").as_deref(), Some("far/f.rs"), "a buffer, wherever it is");
    assert_eq!(source("gimel").as_deref(), Some("../g.rs"));
    for (word, why) in [
        ("alpha", "itself"),
        ("gamma", "another language"),
        ("delta", "another folder"),
        ("epsilon", "outside of the workspace nothing is read by itself"),
    ] {
        assert_eq!(source(word), None, "{why}");
    }
}

#[test]
fn rule_9_what_is_excluded_is_no_neighbour() {
    let desk = Desk::new(&[
        (".git/HEAD", ""),
        (".gitignore", "made.rs\n"),
        (".cinnabarignore", "mine.rs\n"),
        ("made.rs", &text("made")),
        ("mine.rs", &text("mine")),
        ("secret.rs", &text("plain")),
        ("a.rs", ""),
    ]);
    desk.open("a.rs", "");
    desk.open("mine.rs", &text("mine"));
    desk.open("made.rs", &text("made"));
    let source = |word: &str, place: &str| desk.source(0, "a.rs", &format!("{word}_one {word}"), place);
    assert_eq!((source("made", "1"), source("mine", "2")), (None, None));
    assert_eq!(source("plain", "3").as_deref(), Some("secret.rs"));
    // What was used is looked at again.
    fs::write(desk.path(".cinnabarignore"), "*.rs\n").unwrap();
    std::thread::sleep(crate::privacy::FRESH);
    source("plain", "4");
    assert_eq!(source("plain", "5"), None);
}

#[test]
fn a_piece_stays_while_the_user_types_at_one_place() {
    let desk = Desk::new(&[]);
    desk.open("a.rs", &text("alpha"));
    desk.open("b.rs", &text("beta"));
    let source = |around: &str, behind: &str| desk.source(0, "c.rs", around, behind);
    assert_eq!(source("alpha_one alpha", "below").as_deref(), Some("a.rs"));
    assert_eq!(source("alpha_one alpha beta beta_one beta_two", "below").as_deref(), Some("a.rs"));
    assert_eq!(source("beta beta_one beta_two", "below").as_deref(), Some("a.rs"));
    assert_eq!(source("beta beta_one beta_two", "elsewhere").as_deref(), Some("b.rs"));
    // The first one is put in wherever the cursor is.
    assert_eq!(desk.source(1, "c.rs", "gamma_one", "below"), None);
    desk.open("d.rs", &text("gamma"));
    assert_eq!(desk.source(1, "c.rs", "gamma_one", "below").as_deref(), Some("d.rs"));
    desk.neighbours.closed(DocumentId(1));
    desk.neighbours.clear();
    assert_eq!(source("beta beta_one", "below"), None);
}

#[test]
fn a_file_that_changed_is_read_again_and_a_buffer_counts_as_it_is() {
    let desk = Desk::new(&[("a.rs", ""), ("b.rs", &text("beta"))]);
    desk.open("a.rs", "");
    let source = |word: &str, place: &str| desk.source(0, "a.rs", &format!("{word}_one {word}"), place);
    assert_eq!(source("beta", "1").as_deref(), Some("b.rs"));
    fs::write(desk.path("b.rs"), text("gamma")).unwrap();
    fs::File::options()
        .write(true)
        .open(desk.path("b.rs"))
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    source("beta", "2");
    assert_eq!(source("gamma", "3").as_deref(), Some("b.rs"));
    desk.neighbours.left(desk.path("b.rs"), "b.rs".into(), Rope::from_str(&text("delta")));
    assert_eq!(source("delta", "4").as_deref(), Some("b.rs"));
    assert_eq!(source("gamma", "5"), None);
}

#[test]
fn no_more_is_kept_than_fits() {
    let desk = Desk::new(&[]);
    for n in 0..=KEPT {
        desk.open(&format!("{n}.rs"), &text(&format!("name{n}x")));
    }
    assert_eq!(desk.source(0, "z.rs", "name0x_one name0x_two name0x", "1"), None);
    assert_eq!(desk.source(0, "z.rs", "name1x_one name1x", "2").as_deref(), Some("1.rs"));
    desk.open("large.rs", &text("large").repeat(2000));
    assert_eq!(desk.source(0, "z.rs", "large_one large_two", "3"), None);
}
