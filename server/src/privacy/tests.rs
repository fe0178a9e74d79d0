//! Rule 9: secrets are not read, and what is no secret is.

use std::fs;

use super::*;

#[test]
fn secrets_are_known_by_their_names() {
    let secret = [
        ".env",
        ".env.local",
        ".ENV",
        "prod.env",
        ".envrc",
        "deploy/.env.production",
        "server.pem",
        "tls/private.key",
        "cert.crt",
        "store.p12",
        "app.keystore",
        "passwords.kdbx",
        "id_rsa",
        "id_ed25519",
        "id_rsa.old",
        ".netrc",
        ".npmrc",
        ".pypirc",
        ".pgpass",
        ".git-credentials",
        ".aws/credentials",
        ".aws/config",
        ".ssh/config",
        ".docker/config.json",
        ".kube/config",
        "credentials",
        "Credentials.json",
        "secrets.yaml",
        "secret.toml",
        "service-account-prod.json",
        "serviceaccount.json",
        "x-firebase-adminsdk-1a.json",
        "terraform.tfstate",
        "terraform.tfstate.backup",
        "prod.tfvars",
        "prod.auto.tfvars.json",
        ".bash_history",
        ".python_history",
        "home/.gnupg/trustdb.txt",
        "master.key",
    ];
    let no_secret = [
        "env.py",
        "src/env.rs",
        ".env.example",
        ".env.sample",
        "environment.ts",
        "id_rsa.pub",
        "id_ed25519.pub",
        "key.rs",
        "keys.go",
        "monkey.py",
        "pem.rs",
        "credentials.py",
        "secrets.rs",
        "secret.go",
        "secrets.test.ts",
        "main.tf",
        "variables.tf",
        "tokens.json",
        "package.json",
        "npmrc.md",
        "history.py",
        "certificate.ts",
        "docker/config.json",
        "aws/config",
        "ssh/config.py",
        "Makefile",
        "a.asciidoc",
        "service.json",
    ];
    let privacy = Privacy::new(Vec::new());
    for (names, expected) in [(&secret[..], true), (&no_secret[..], false)] {
        for name in names {
            for path in [format!("/nowhere/project/{name}"), (*name).to_owned()] {
                assert_eq!(privacy.secret(Path::new(&path)).is_some(), expected, "{path}");
            }
        }
    }
}

/// A folder with files, and what may be read in it.
fn tree(files: &[(&str, &str)], roots: &[&str]) -> (tempfile::TempDir, PathBuf, Privacy) {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path().canonicalize().unwrap();
    for (name, text) in files {
        let path = top.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let roots = roots.iter().map(|root| top.join(root)).collect();
    (folder, top, Privacy { fresh: Duration::ZERO, ..Privacy::new(roots) })
}

#[test]
fn the_nearest_ignore_file_up_to_the_workspace_decides() {
    let (_folder, top, privacy) = tree(
        &[
            (".cinnabarignore", "*\n"),
            ("work/.cinnabarignore", "generated/\n/top.py\n*.sql\n!ok.sql\n!.env\n[\n"),
            ("work/inner/.cinnabarignore", "!keep.sql\n*.txt\n"),
        ],
        &["work"],
    );
    for (path, expected) in [
        ("work/a.py", false),
        ("work/generated/deep/a.py", true),
        ("work/generated.py", false),
        ("work/top.py", true),
        ("work/inner/top.py", false),
        ("work/a.sql", true),
        ("work/ok.sql", false),
        ("work/inner/a.sql", true),
        ("work/inner/keep.sql", false),
        ("work/inner/a.txt", true),
        ("work/a.txt", false),
        // No ignore file gives a secret away.
        ("work/.env", true),
        // Outside the workspace all folders above count.
        ("other/a.py", true),
    ] {
        assert_eq!(privacy.refuse_path(&top.join(path)).is_some(), expected, "{path}");
        assert_eq!(privacy.may_read(&top.join(path)), !expected, "{path}");
    }
    let told = privacy.refuse_path(&top.join("work/a.sql")).unwrap().to_string();
    assert!(told.contains(IGNORE_FILE) && told.contains("*.sql"), "{told}");
    fs::write(top.join("work/.cinnabarignore"), "a.py\n").unwrap();
    assert!(privacy.refuse_path(&top.join("work/a.py")).is_some(), "a changed file is read again");
    assert!(privacy.refuse_path(&top.join("work/a.sql")).is_none());
}

#[test]
fn what_git_ignores_is_completed_but_no_context() {
    let (_folder, top, privacy) = tree(
        &[
            (".gitignore", "*\n"),
            ("repo/.git/HEAD", ""),
            ("repo/.gitignore", "target/\n*.log\n"),
            ("repo/part/.gitignore", "!keep.log\n"),
        ],
        &["repo/part"],
    );
    for (path, context) in [
        ("repo/part/a.rs", true),
        ("repo/part/target/a.rs", false),
        ("repo/part/a.log", false),
        ("repo/part/keep.log", true),
    ] {
        assert_eq!(privacy.may_read(&top.join(path)), context, "{path}");
        assert_eq!(privacy.refuse_path(&top.join(path)), None, "{path}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_is_what_it_leads_to() {
    let (_folder, top, privacy) = tree(&[(".env", "A=1\n"), ("a.py", "")], &[""]);
    std::os::unix::fs::symlink(top.join(".env"), top.join("notes.py")).unwrap();
    std::os::unix::fs::symlink(top.join("a.py"), top.join("b.py")).unwrap();
    assert!(!privacy.may_read(&top.join("notes.py")));
    assert!(privacy.may_read(&top.join("b.py")));
}

#[test]
fn what_does_not_exist_is_no_trouble() {
    let privacy = Privacy::new(vec!["/nowhere/at/all".into()]);
    for path in ["/nowhere/at/all/a.py", "/nowhere/b.py", "relative.py", "", "/"] {
        assert!(privacy.may_read(Path::new(path)), "{path}");
    }
}

#[test]
fn patterns_of_the_settings_start_at_the_workspace() {
    let privacy = Privacy::new(vec!["/p".into()]);
    privacy.disable(&["*.min.js".into(), "/dist".into(), "a/**/b.py".into()]);
    for (path, expected) in [
        ("/p/x/a.min.js", true),
        ("/p/dist/a.py", true),
        ("/p/x/dist/a.py", false),
        ("/p/a/1/2/b.py", true),
        ("/p/b.py", false),
        ("/q/a.min.js", true),
    ] {
        assert_eq!(!privacy.may_read(Path::new(path)), expected, "{path}");
    }
    privacy.disable(&[]);
    assert!(privacy.may_read(Path::new("/p/dist/a.py")));
}
