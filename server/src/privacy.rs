//! What may be read: secrets, and what the user's ignore files name, are neither completed nor read into a prompt.

use std::collections::HashMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

pub(crate) mod verdicts;

/// The user's own list of what is not to be read, in the syntax of .gitignore.
pub(crate) const IGNORE_FILE: &str = ".cinnabarignore";

/// Files that hold secrets, in the syntax of .gitignore, in any case of letters; braces hold alternatives. No setting and no ignore file makes them readable: a
/// repository must not be able to.
const SECRETS: &[&str] = &[
    // Environments, but not the examples that are made to be read.
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    "!.env.example",
    "!.env.sample",
    "!.env.template",
    "!.env.dist",
    // Private keys and certificates.
    "*.pem",
    "*.key",
    "*.p8",
    "*.p12",
    "*.pfx",
    "*.der",
    "*.crt",
    "*.cer",
    "*.ppk",
    "*.asc",
    "*.gpg",
    "*.pgp",
    "*.age",
    "*.ovpn",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "!id_*.pub",
    // Stores of keys and passwords.
    "*.jks",
    "*.bks",
    "*.keystore",
    "*.keychain",
    "*.keychain-db",
    "*.kdb",
    "*.kdbx",
    "*.mobileprovision",
    // Names and passwords of programs.
    ".netrc",
    "_netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".htpasswd",
    ".git-credentials",
    ".dockercfg",
    "**/.docker/config.json",
    ".vault-token",
    ".s3cfg",
    ".boto",
    ".aws/",
    ".ssh/",
    ".gnupg/",
    ".kube/",
    "kubeconfig",
    "*.kubeconfig",
    "credentials",
    "{credentials,.credentials,secret,secrets}.{json,yml,yaml,toml,ini,cfg,conf,properties,xml,txt,csv}",
    ".secrets",
    "application_default_credentials.json",
    "service{-,_}account*.json",
    "serviceaccount*.json",
    "*-adminsdk-*.json",
    "local.settings.json",
    // The state of infrastructure, and what is given to it.
    "*.tfstate",
    "*.tfstate.*",
    "*.tfvars",
    "*.tfvars.json",
    // What was typed into shells.
    ".*_history",
];

/// Why a file is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Excluded {
    /// It holds secrets, by its name: the rule.
    Secret(String),
    /// An ignore file names it: that file and the rule.
    Ignored(PathBuf, String),
    /// The settings name it: the rule.
    Disabled(String),
    /// Its disk has not answered yet.
    Unknown,
}

impl fmt::Display for Excluded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Excluded::Secret(rule) => write!(out, "may hold secrets ({rule})"),
            Excluded::Unknown => out.write_str("its disk has not answered yet"),
            Excluded::Disabled(rule) => write!(out, "the settings exclude it ({rule})"),
            Excluded::Ignored(file, rule) => write!(out, "{} excludes it ({rule})", file.display()),
        }
    }
}

/// How long what was read of a folder is believed.
pub(crate) const FRESH: Duration = Duration::from_secs(1);

/// Answers whether files may be read. Any thread may ask; ignore files are read anew when they may have changed.
pub(crate) struct Privacy {
    secrets: Gitignore,
    /// From the settings.
    disabled: RwLock<Gitignore>,
    /// Folders of the workspace: above them no ignore file counts.
    roots: Vec<PathBuf>,
    /// Held for a look-up, or for reading a folder's ignore files.
    folders: Mutex<HashMap<PathBuf, (Instant, Arc<Folder>)>>,
    fresh: Duration,
}

/// What a folder says of the files in and below it.
struct Folder {
    ours: Option<Gitignore>,
    git: Option<Gitignore>,
    is_checkout: bool,
}

impl Privacy {
    /// For a workspace with these folders.
    pub(crate) fn new(roots: Vec<PathBuf>) -> Self {
        let mut secrets = GitignoreBuilder::new("");
        let _ = secrets.case_insensitive(true);
        for rule in SECRETS {
            secrets.add_line(None, rule).expect("because a test reads each");
        }
        let secrets = secrets.build().expect("because a test reads all");
        Privacy {
            secrets,
            disabled: RwLock::new(Gitignore::empty()),
            roots,
            folders: Mutex::default(),
            fresh: FRESH,
        }
    }

    /// Excludes what the settings' patterns name, and no longer what earlier ones did.
    pub(crate) fn disable(&self, globs: &[String]) {
        let mut rules = GitignoreBuilder::new("");
        for glob in globs {
            // They were checked as settings.
            let _ = rules.add_line(None, glob);
        }
        let rules = rules.build().unwrap_or_else(|_| Gitignore::empty());
        *self.disabled.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// What a file's name says, wherever it is; no disk is asked.
    fn refuse_name(&self, path: &Path) -> Option<Excluded> {
        self.secret(path).or_else(|| self.disabled(path))
    }

    /// Whether a file may be read as context for another one.
    pub(crate) fn may_read(&self, path: &Path) -> bool {
        self.refuse_path(path).is_none() && !self.is_git_ignored(path)
    }

    fn refuse_path(&self, path: &Path) -> Option<Excluded> {
        let refuse = |path: &Path| self.refuse_name(path).or_else(|| self.ignored(path));
        refuse(path).or_else(|| {
            // A harmless name may link to something else.
            let real = path.canonicalize().ok().filter(|real| real != path)?;
            refuse(&real)
        })
    }

    fn secret(&self, path: &Path) -> Option<Excluded> {
        let found = self.secrets.matched_path_or_any_parents(below(path, Path::new("")), false);
        found.is_ignore().then(|| Excluded::Secret(found.inner().map_or("", |g| g.original()).to_owned()))
    }

    fn disabled(&self, path: &Path) -> Option<Excluded> {
        let rules = self.disabled.read().unwrap_or_else(PoisonError::into_inner);
        let root = self.root_of(path).unwrap_or(Path::new(""));
        let found = rules.matched_path_or_any_parents(below(path, root), false);
        found.is_ignore().then(|| Excluded::Disabled(found.inner().map_or("", |g| g.original()).to_owned()))
    }

    /// The nearest ignore file that says something of the file decides.
    fn ignored(&self, path: &Path) -> Option<Excluded> {
        let root = self.root_of(path);
        for folder in path.ancestors().skip(1) {
            if let Some(rules) = &self.folder(folder).ours {
                let found = rules.matched_path_or_any_parents(below(path, folder), false);
                if found.is_ignore() {
                    let rule = found.inner().map_or("", |glob| glob.original()).to_owned();
                    return Some(Excluded::Ignored(folder.join(IGNORE_FILE), rule));
                }
                if found.is_whitelist() {
                    return None;
                }
            }
            if root == Some(folder) {
                break;
            }
        }
        None
    }

    fn is_git_ignored(&self, path: &Path) -> bool {
        for at in path.ancestors().skip(1) {
            let folder = self.folder(at);
            if let Some(rules) = &folder.git {
                let found = rules.matched_path_or_any_parents(below(path, at), false);
                if !found.is_none() {
                    return found.is_ignore();
                }
            }
            if folder.is_checkout {
                break;
            }
        }
        false
    }

    /// The innermost folder of the workspace that holds the file.
    fn root_of(&self, path: &Path) -> Option<&Path> {
        let roots = self.roots.iter().filter(|root| path.starts_with(root));
        roots.max_by_key(|root| root.components().count()).map(PathBuf::as_path)
    }

    fn folder(&self, path: &Path) -> Arc<Folder> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, folder)) = folders.get(path)
            && read.elapsed() < self.fresh
        {
            return Arc::clone(folder);
        }
        let folder = Arc::new(Folder::read(path));
        folders.insert(path.to_owned(), (Instant::now(), Arc::clone(&folder)));
        folder
    }
}

impl Folder {
    fn read(path: &Path) -> Self {
        let rules = |name: &str| {
            let file = path.join(name);
            let mut rules = GitignoreBuilder::new("");
            // A line that cannot be read costs only itself.
            file.is_file().then(|| rules.add(&file)).flatten().inspect(|error| {
                tracing::warn!(file = %file.display(), %error, "an ignore file");
            });
            rules.build().ok().filter(|rules| !rules.is_empty())
        };
        Folder { ours: rules(IGNORE_FILE), git: rules(".gitignore"), is_checkout: path.join(".git").exists() }
    }
}

/// A path from a folder on, or from the root of the file system.
fn below(path: &Path, folder: &Path) -> PathBuf {
    let inside = path.strip_prefix(folder).unwrap_or(path);
    inside.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

#[cfg(test)]
mod tests;
