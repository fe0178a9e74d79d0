//! Where settings are read from on this machine.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::keys::{KEYS, Kind};
use super::{Layers, Problems, Source};

/// The project's file, in a folder of the workspace.
pub(crate) const PROJECT_FILE: &str = ".cinnabar.toml";

/// What a server is started with: everything that is the machine's or the user's, and none of it in a test.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The user's file.
    pub user_file: Option<PathBuf>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Settings from the command line, by their names.
    pub command_line: Map<String, Value>,
    /// Where is counted what becomes of suggestions.
    pub counts: Option<PathBuf>,
}

impl Setup {
    /// That of the user who runs this program.
    pub(crate) fn of_this_user(command_line: Map<String, Value>) -> Self {
        Setup {
            user_file: user_file(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            command_line,
            counts: crate::stats::default_file(),
        }
    }

    /// What all sources but the editor say for a workspace with these folders, and what is wrong with each.
    pub(crate) fn layers(&self, roots: &[PathBuf]) -> (Layers, Vec<(Source, Problems)>) {
        let mut layers = Layers::default();
        let mut problems = Vec::new();
        for (source, read) in self.files(roots) {
            problems.push((source, read.set(source, &mut layers)));
        }
        let mut set = |source, given: Value| problems.push((source, layers.set(source, Some(given))));
        set(Source::Environment, self.environment());
        set(Source::CommandLine, Value::Object(self.command_line.clone()));
        (layers, problems)
    }

    /// What the files say, the user's and those of the folders.
    pub(crate) fn files(&self, roots: &[PathBuf]) -> [(Source, Read); 2] {
        let projects: Vec<PathBuf> = roots.iter().map(|root| root.join(PROJECT_FILE)).collect();
        [(Source::User, Read::all(self.user_file.as_slice())), (Source::Project, Read::all(&projects))]
    }

    /// Where those files are, or would be.
    pub(crate) fn paths(&self, roots: &[PathBuf]) -> Vec<PathBuf> {
        self.user_file.iter().cloned().chain(roots.iter().map(|root| root.join(PROJECT_FILE))).collect()
    }

    /// Text is taken as it is; numbers, switches, lists and maps are written as in JSON.
    fn environment(&self) -> Value {
        let given = KEYS.iter().filter_map(|key| {
            let variable = variable(key.name);
            let (_, text) =
                self.environment.iter().find(|(name, text)| *name == variable && !text.is_empty())?;
            let is_text = matches!(key.kind, Kind::Path | Kind::Device | Kind::Choice(_));
            let value = if is_text { None } else { serde_json::from_str(text).ok() };
            Some((key.name.to_owned(), value.unwrap_or_else(|| Value::String(text.clone()))))
        });
        Value::Object(given.collect())
    }
}

/// What one source's files say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Read {
    given: Map<String, Value>,
    unreadable: Vec<String>,
}

impl Read {
    /// Of several files, maps are joined and lists add up; of everything else the first file that says something wins.
    fn all(files: &[PathBuf]) -> Self {
        let mut all = Read::default();
        for file in files {
            match read(file) {
                Ok(given) => given.into_iter().flatten().for_each(|(name, value)| all.join(name, value)),
                Err(error) => all.unreadable.push(error),
            }
        }
        all
    }

    fn join(&mut self, name: String, value: Value) {
        match (self.given.get_mut(&name), value) {
            (None, value) => drop(self.given.insert(name, value)),
            (Some(Value::Object(before)), Value::Object(value)) => {
                value.into_iter().for_each(|(name, value)| _ = before.entry(name).or_insert(value));
            }
            (Some(Value::Array(before)), Value::Array(value)) => before.extend(value),
            (Some(_), _) => {}
        }
    }

    /// Makes it a layer; what is wrong with it.
    pub(crate) fn set(self, source: Source, layers: &mut Layers) -> Problems {
        let mut problems = layers.set(source, Some(Value::Object(self.given)));
        problems.bad.extend(self.unreadable);
        problems
    }
}

/// Where the user's settings are.
pub(crate) fn user_file() -> Option<PathBuf> {
    Some(directories::BaseDirs::new()?.config_dir().join("cinnabar").join("config.toml"))
}

/// The environment variable of a setting.
pub(crate) fn variable(name: &str) -> String {
    let words = name.chars().flat_map(|c| {
        let gap = c.is_ascii_uppercase().then_some('_');
        gap.into_iter().chain([c.to_ascii_uppercase()])
    });
    format!("CINNABAR_{}", words.collect::<String>())
}

/// A file's settings; `None` if there is no file.
fn read(file: &Path) -> Result<Option<Map<String, Value>>, String> {
    let name = file.display();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(format!("{name} cannot be read: {error}")),
    };
    toml::from_str(&text).map(Some).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        format!("{name} cannot be read: line {line}: {}", error.message())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_are_named_after_the_settings() {
        assert_eq!(variable("maxTokens"), "CINNABAR_MAX_TOKENS");
        assert_eq!(variable("model"), "CINNABAR_MODEL");
    }

    #[test]
    fn every_source_is_read_and_later_ones_win() {
        let folder = tempfile::tempdir().unwrap();
        let user = folder.path().join("config.toml");
        std::fs::write(&user, "block = 8\nmaxTokens = 1\ndeadlineMs = 11\nmode = \"causal\"\n").unwrap();
        std::fs::write(folder.path().join(PROJECT_FILE), "maxTokens = 2\nminProbability = 0.5\n").unwrap();
        let variables = [
            ("CINNABAR_MIN_PROBABILITY", "0.75"),
            ("CINNABAR_LANGUAGES", "{\"go\": false}"),
            ("CINNABAR_DEVICE", ""),
            ("CINNABAR_LOG", "trace"),
            ("CINNABAR_DEADLINE_MS", "22"),
        ];
        let setup = Setup {
            user_file: Some(user),
            environment: variables.map(|(name, value)| (name.into(), value.into())).into(),
            command_line: json!({ "deadlineMs": 33 }).as_object().unwrap().clone(),
            counts: None,
        };
        let (layers, problems) = setup.layers(&[folder.path().into()]);
        assert!(problems.iter().all(|(_, problems)| *problems == Problems::default()), "{problems:?}");
        let settings = layers.resolve();
        assert_eq!((settings.block, settings.max_tokens), (8, 2));
        assert_eq!((settings.min_probability, settings.deadline.as_millis()), (0.75, 33));
        assert!(!settings.suggests_in("go") && settings.suggests_in("rust"));
        assert_eq!(layers.origins()["maxTokens"].1, Source::Project);
    }

    #[test]
    fn every_folder_of_the_workspace_has_a_say() {
        let folder = tempfile::tempdir().unwrap();
        let roots = ["a", "none", "b"].map(|name| folder.path().join(name));
        for (name, text) in [
            ("a", "maxTokens = 2\ndisabledGlobs = [\"x\"]\nlanguages = { go = false }\n"),
            (
                "b",
                "maxTokens = 3\nminProbability = 0.5\ndisabledGlobs = [\"y\"]\nlanguages = { lua = false }\n",
            ),
        ] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join(PROJECT_FILE), text).unwrap();
        }
        let (layers, problems) = Setup::default().layers(&roots);
        assert!(problems.iter().all(|(_, problems)| *problems == Problems::default()), "{problems:?}");
        let settings = layers.resolve();
        assert_eq!((settings.max_tokens, settings.min_probability), (2, 0.5));
        assert_eq!(settings.disabled_globs, ["x", "y"]);
        assert!(["go", "lua"].iter().all(|language| !settings.suggests_in(language)));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let user = folder.path().join("config.toml");
        std::fs::write(&user, "block = 8\n= 3\n").unwrap();
        let setup = Setup {
            user_file: Some(user),
            environment: vec![("CINNABAR_BLOCK".into(), "many".into())],
            ..Setup::default()
        };
        let (layers, problems) = setup.layers(&[folder.path().join("vanished")]);
        let told: Vec<String> = problems.iter().filter_map(|(source, p)| p.message(*source)).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("config.toml cannot be read: line 2"), "{told:?}");
        assert!(told[1].contains("block must be 8, 16, 32 or 64, not \"many\""), "{told:?}");
        assert_eq!(layers.resolve(), Settings::default());
    }

    use super::super::Settings;
}
