//! Whether an answer works: the benchmark's own tests, run on the completed file.

use anyhow::Result;

use super::cases::{Case, Tests};
use super::sandbox::Sandbox;

/// What the tests say of a text, and why they failed; nothing where there are none, or none may be run.
pub(crate) fn check(
    case: &Case,
    text: &str,
    sandbox: Option<&Sandbox>,
) -> Result<Option<Result<(), String>>> {
    let file = format!("{}{text}{}", case.prefix, case.suffix);
    match (&case.tests, sandbox) {
        (Some(Tests::SameText), _) => {
            let plain = |text: &str| text.split_whitespace().collect::<String>();
            let same = plain(text) == plain(&case.middle);
            Ok(Some(same.then_some(()).ok_or_else(|| "another text".into())))
        }
        (Some(Tests::Script(script)), Some(sandbox)) => script_passes(sandbox, &file, script).map(Some),
        (Some(Tests::Trials(trials)), Some(sandbox)) => {
            for trial in trials {
                let ran = sandbox.run(&file, &trial.input)?;
                if let Some(failure) = ran.failure {
                    return Ok(Some(Err(failure)));
                }
                let words = |text: &str| text.split_whitespace().map(String::from).collect::<Vec<_>>();
                if !trial.output.iter().any(|output| words(output) == words(&ran.stdout)) {
                    return Ok(Some(Err("another output".into())));
                }
            }
            Ok(Some(Ok(())))
        }
        (None, _) | (_, None) => Ok(None),
    }
}

/// Runs a script behind a file. It has passed when it came to its end: a file that leaves early proves nothing.
fn script_passes(sandbox: &Sandbox, file: &str, script: &str) -> Result<Result<(), String>> {
    const END: &str = "every test has passed";
    let ran = sandbox.run(&format!("{file}\n{script}\nprint({END:?})\n"), "")?;
    Ok(match ran.failure {
        Some(failure) => Err(failure),
        None if ran.stdout.ends_with(&format!("{END}\n")) => Ok(()),
        None => Err("left before the tests were through".into()),
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::cases::Trial;
    use super::super::sandbox::Isolation;
    use super::*;

    #[test]
    fn answers_are_tested() {
        let sandbox = Sandbox::new(Isolation::Limits).unwrap();
        let script = Tests::Script("assert f(2) == 4\n".into());
        let trial = |input: &str, output: &str| Trial {
            input: input.into(),
            output: vec!["0".into(), output.into()],
        };
        let trials = Tests::Trials(vec![trial("2", "4\n"), trial("3", "6")]);
        let function = ("def f(n):\n    return ", "\n");
        let program = ("n = int(input())\nprint(", ")\n");
        let cases = [
            // around, tests, answer, failure
            (function, &script, "n * 2", None),
            (function, &script, "n", Some("AssertionError")),
            (function, &script, "n n", Some("SyntaxError")),
            (function, &script, "exit(0)", Some("left before")),
            (program, &trials, "n * 2", None),
            (program, &trials, "n + 2", Some("another output")),
            (program, &trials, "m", Some("NameError")),
            (function, &Tests::SameText, "n  *\n2", None),
            (function, &Tests::SameText, "2 * n", Some("another text")),
        ];
        for ((prefix, suffix), tests, answer, failure) in cases {
            let case = Case {
                prefix: prefix.into(),
                suffix: suffix.into(),
                middle: "n * 2".into(),
                tests: Some(tests.clone()),
                ..Case::default()
            };
            match (check(&case, answer, Some(&sandbox)).unwrap().unwrap(), failure) {
                (Ok(()), None) => {}
                (Err(found), Some(word)) => assert!(found.contains(word), "{answer}: {found}"),
                (found, wanted) => panic!("{answer}: {found:?}, expected {wanted:?}"),
            }
            let unrun = check(&case, answer, None).unwrap();
            assert_eq!(unrun.is_some(), *tests == Tests::SameText, "nothing is run without leave");
        }
    }
}
