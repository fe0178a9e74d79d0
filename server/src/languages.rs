//! The languages whose syntax is known. One more is one more row.

use tree_sitter::Language as Grammar;

/// A language as editors name it, and what its grammar calls things.
#[derive(Debug)]
pub(crate) struct Language {
    /// The protocol's language ids.
    pub(crate) ids: &'static [&'static str],
    /// Endings of file names, for text that comes without a language id.
    pub(crate) endings: &'static [&'static str],
    grammar: fn() -> Grammar,
    /// Kinds of nodes that hold prose: comments.
    pub(crate) comments: &'static [&'static str],
    /// Kinds of nodes that hold the text of a string.
    pub(crate) strings: &'static [&'static str],
}

impl Language {
    /// The grammar.
    pub(crate) fn grammar(&self) -> Grammar {
        (self.grammar)()
    }
}

/// The language of a document, by the protocol's id, else by the ending of its name.
pub(crate) fn find(id: &str, path: &str) -> Option<&'static Language> {
    let by_id = LANGUAGES.iter().find(|language| language.ids.contains(&id));
    by_id.or_else(|| {
        let ending = path.rsplit_once('.')?.1;
        LANGUAGES.iter().find(|language| language.endings.contains(&ending))
    })
}

const JAVASCRIPT_STRINGS: &[&str] = &["string", "template_string", "regex"];

/// Every language.
pub(crate) const LANGUAGES: &[Language] = &[
    Language {
        ids: &["python"],
        endings: &["py", "pyi"],
        grammar: || tree_sitter_python::LANGUAGE.into(),
        comments: &["comment"],
        strings: &["string_content"],
    },
    Language {
        ids: &["rust"],
        endings: &["rs"],
        grammar: || tree_sitter_rust::LANGUAGE.into(),
        comments: &["line_comment", "block_comment"],
        strings: &["string_content", "char_literal"],
    },
    Language {
        ids: &["typescript"],
        endings: &["ts", "mts", "cts"],
        grammar: || tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
        comments: &["comment"],
        strings: JAVASCRIPT_STRINGS,
    },
    Language {
        ids: &["typescriptreact"],
        endings: &["tsx"],
        grammar: || tree_sitter_typescript::LANGUAGE_TSX.into(),
        comments: &["comment"],
        strings: JAVASCRIPT_STRINGS,
    },
    Language {
        ids: &["javascript", "javascriptreact"],
        endings: &["js", "jsx", "mjs", "cjs"],
        grammar: || tree_sitter_javascript::LANGUAGE.into(),
        comments: &["comment"],
        strings: JAVASCRIPT_STRINGS,
    },
    Language {
        ids: &["go"],
        endings: &["go"],
        grammar: || tree_sitter_go::LANGUAGE.into(),
        comments: &["comment"],
        strings: &["interpreted_string_literal", "raw_string_literal", "rune_literal"],
    },
    Language {
        ids: &["c"],
        endings: &["c", "h"],
        grammar: || tree_sitter_c::LANGUAGE.into(),
        comments: &["comment"],
        strings: &["string_literal", "char_literal", "system_lib_string"],
    },
    Language {
        ids: &["cpp"],
        endings: &["cpp", "cc", "cxx", "hpp", "hh", "hxx"],
        grammar: || tree_sitter_cpp::LANGUAGE.into(),
        comments: &["comment"],
        strings: &["string_literal", "raw_string_literal", "char_literal", "system_lib_string"],
    },
    Language {
        ids: &["java"],
        endings: &["java"],
        grammar: || tree_sitter_java::LANGUAGE.into(),
        comments: &["line_comment", "block_comment"],
        strings: &["string_literal", "character_literal"],
    },
    Language {
        ids: &["lua"],
        endings: &["lua"],
        grammar: || tree_sitter_lua::LANGUAGE.into(),
        comments: &["comment"],
        strings: &["string_content"],
    },
    Language {
        ids: &["shellscript", "bash", "sh"],
        endings: &["sh", "bash"],
        grammar: || tree_sitter_bash::LANGUAGE.into(),
        comments: &["comment"],
        strings: &["string_content", "raw_string", "heredoc_body"],
    },
    Language {
        ids: &["html"],
        endings: &["html", "htm"],
        grammar: || tree_sitter_html::LANGUAGE.into(),
        comments: &["comment"],
        strings: &["text"],
    },
    Language {
        ids: &["css"],
        endings: &["css"],
        grammar: || tree_sitter_css::LANGUAGE.into(),
        comments: &["comment"],
        strings: &["string_value"],
    },
    Language {
        ids: &["json", "jsonc"],
        endings: &["json"],
        grammar: || tree_sitter_json::LANGUAGE.into(),
        comments: &["comment"],
        strings: &["string_content"],
    },
    Language {
        ids: &["toml"],
        endings: &["toml"],
        grammar: || tree_sitter_toml_ng::LANGUAGE.into(),
        comments: &["comment"],
        strings: &["string"],
    },
    Language {
        ids: &["yaml"],
        endings: &["yaml", "yml"],
        grammar: || tree_sitter_yaml::LANGUAGE.into(),
        comments: &["comment"],
        strings: &["double_quote_scalar", "single_quote_scalar", "block_scalar"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_find_their_language() {
        let cases = [
            ("python", "x", Some("python")),
            ("plaintext", "a/b.tsx", Some("typescriptreact")),
            ("", "conf.d/x.yml", Some("yaml")),
            ("cobol", "x.cbl", None),
            ("", "Makefile", None),
        ];
        for (id, path, expected) in cases {
            assert_eq!(find(id, path).map(|language| language.ids[0]), expected, "{id} {path}");
        }
    }

    /// A kind that the grammar does not have would never match: a typing error, or a grammar that moved on.
    #[test]
    fn every_kind_exists_in_its_grammar() {
        for language in LANGUAGES {
            let grammar = language.grammar();
            let kinds = [language.comments, language.strings].concat();
            for kind in kinds {
                assert_ne!(grammar.id_for_node_kind(kind, true), 0, "{}: {kind}", language.ids[0]);
            }
        }
    }
}
