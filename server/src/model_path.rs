//! Finds the model: where the user says, else in a checkout, beside the binary, in the user's data directory.

use std::fmt;
use std::path::{Path, PathBuf};

/// The default model in a checkout.
const SHIPPED: &str = "model/cinnabar-135m";

/// No model, and where it was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// Each place with the reason it was passed over.
    pub places: Vec<(PathBuf, String)>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "no model found; looked at")?;
        for (path, reason) in &self.places {
            writeln!(f, "  {}: {reason}", path.display())?;
        }
        write!(f, "  hint: pass --model PATH or set CINNABAR_MODEL to a GGUF file or a folder that holds one")
    }
}

impl std::error::Error for NotFound {}

/// The GGUF file to load, the first shard if there are several. With `chosen` (the option, the environment variable
/// or the editor's setting) only that place counts: a wrong path must not quietly give another model.
pub fn find(chosen: Option<&Path>) -> Result<PathBuf, NotFound> {
    match chosen {
        Some(path) => first_of([path.to_owned()]),
        None => first_of(Surroundings::of_this_process().folders()),
    }
}

/// What the default places are derived from.
#[derive(Debug, Clone, Default)]
struct Surroundings {
    /// This program's file.
    executable: Option<PathBuf>,
    /// A package of the workspace, when cargo started us.
    package: Option<PathBuf>,
    /// The user's data directory.
    data: Option<PathBuf>,
}

impl Surroundings {
    fn of_this_process() -> Self {
        let executable = std::env::current_exe().ok();
        Surroundings {
            // A link from a bin folder leads back to where the program and its model were installed.
            executable: executable.map(|e| e.canonicalize().unwrap_or(e)),
            package: std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from),
            data: directories::BaseDirs::new().map(|dirs| dirs.data_dir().to_owned()),
        }
    }

    /// Folders in the order they are tried, each once.
    fn folders(&self) -> Vec<PathBuf> {
        let beside = self.executable.as_deref().and_then(Path::parent);
        let mut folders: Vec<PathBuf> = Vec::new();
        if let Some(beside) = beside {
            // target/<profile>/cinnabar or target/<triple>/<profile>/deps/test lie at most this deep in a checkout.
            let checkout = beside.ancestors().take(6).find(|root| root.join("Cargo.toml").is_file());
            folders.extend(checkout.map(|root| root.join(SHIPPED)));
        }
        folders.extend(self.package.as_deref().and_then(Path::parent).map(|root| root.join(SHIPPED)));
        if let Some(beside) = beside {
            folders.push(beside.join("model"));
            folders.extend(beside.parent().map(|prefix| prefix.join("share/cinnabar/model")));
        }
        folders.extend(self.data.as_deref().map(|data| data.join("cinnabar/model")));
        let mut seen = std::collections::HashSet::new();
        folders.retain(|folder| seen.insert(folder.clone()));
        folders
    }
}

fn first_of(candidates: impl IntoIterator<Item = PathBuf>) -> Result<PathBuf, NotFound> {
    let mut places = Vec::new();
    for path in candidates {
        match resolve(&path) {
            Ok(file) => return Ok(file),
            Err(reason) => places.push((path, reason)),
        }
    }
    Err(NotFound { places })
}

/// The file that `path` stands for: itself, the first shard of its set, or the one model in the folder.
fn resolve(path: &Path) -> Result<PathBuf, String> {
    let metadata = path.metadata().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".into(),
        _ => error.to_string(),
    })?;
    if !metadata.is_dir() {
        return Ok(first_shard(path));
    }
    let entries = path.read_dir().map_err(|error| error.to_string())?;
    let mut models: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| file.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf")))
        .map(|file| first_shard(&file))
        .collect();
    models.sort();
    models.dedup();
    match models.as_slice() {
        [model] => Ok(model.clone()),
        [] => Err("holds no .gguf file".into()),
        several => {
            let names: Vec<_> = several.iter().filter_map(|m| m.file_name()?.to_str()).collect();
            Err(format!("holds several models, name one: {}", names.join(", ")))
        }
    }
}

/// `x-00002-of-00003.gguf` belongs to the set that `x-00001-of-00003.gguf` opens.
fn first_shard(path: &Path) -> PathBuf {
    let first = || {
        let (stem, count) = path.file_stem()?.to_str()?.rsplit_once("-of-")?;
        let (name, number) = stem.rsplit_once('-')?;
        let digits = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
        let extension = path.extension()?.to_str()?;
        (digits(number) && digits(count))
            .then(|| path.with_file_name(format!("{name}-00001-of-{count}.{extension}")))
    };
    first().unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &Path, name: &str) -> PathBuf {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "").unwrap();
        path
    }

    #[test]
    fn a_path_is_a_file_a_shard_or_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let single = touch(dir.path(), "one/a.gguf");
        assert_eq!(find(Some(&single)), Ok(single.clone()));
        assert_eq!(find(Some(&dir.path().join("one"))), Ok(single));

        let first = touch(dir.path(), "two/b-00001-of-00002.gguf");
        let second = touch(dir.path(), "two/b-00002-of-00002.gguf");
        touch(dir.path(), "two/tokenizer.json");
        assert_eq!(find(Some(&second)), Ok(first.clone()));
        assert_eq!(find(Some(&dir.path().join("two"))), Ok(first));
    }

    #[test]
    fn errors_name_the_place_and_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let check = |path: &Path, reason: &str| {
            let message = find(Some(path)).unwrap_err().to_string();
            assert!(message.contains(&format!("{}: {reason}", path.display())), "{message}");
            assert!(message.contains("CINNABAR_MODEL"), "{message}");
        };
        check(&dir.path().join("missing"), "does not exist");
        check(dir.path(), "holds no .gguf file");
        touch(dir.path(), "a.gguf");
        touch(dir.path(), "b.gguf");
        check(dir.path(), "holds several models, name one: a.gguf, b.gguf");
    }

    #[test]
    fn a_checkout_comes_first_then_the_binary_then_the_users_data() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        touch(root, "checkout/Cargo.toml");
        let around = |executable: &str| Surroundings {
            executable: Some(root.join(executable)),
            package: None,
            data: Some(root.join("data")),
        };
        let built = around("checkout/target/x86_64-unknown-linux-gnu/release/cinnabar");
        assert_eq!(built.folders()[0], root.join("checkout/model/cinnabar-135m"));
        let installed = around("usr/bin/cinnabar");
        let expected = ["usr/bin/model", "usr/share/cinnabar/model", "data/cinnabar/model"];
        assert_eq!(installed.folders(), expected.map(|p| root.join(p)));

        let shared = touch(root, "usr/share/cinnabar/model/m.gguf");
        let own = touch(root, "data/cinnabar/model/m.gguf");
        assert_eq!(first_of(installed.folders()), Ok(shared.clone()));
        std::fs::remove_file(shared).unwrap();
        assert_eq!(first_of(installed.folders()), Ok(own.clone()));
        std::fs::remove_file(own).unwrap();
        assert_eq!(first_of(installed.folders()).unwrap_err().places.len(), 3);
    }

    #[test]
    fn cargo_names_the_checkout_of_a_distant_target_folder() {
        let around = Surroundings {
            executable: Some("/far/release/cinnabar".into()),
            package: Some("/checkout/server".into()),
            data: None,
        };
        assert_eq!(around.folders()[0], Path::new("/checkout/model/cinnabar-135m"));
    }

    #[test]
    fn only_a_shard_number_is_replaced() {
        for name in ["a-00002-of-2.gguf", "a-2-of-00002.gguf", "of-.gguf", "a.gguf", "-of-00002.gguf"] {
            assert_eq!(first_shard(Path::new(name)), Path::new(name));
        }
    }
}
