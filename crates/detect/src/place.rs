//! Where a text stands, and whose language it is written in.

use clampd_model::{Surface, ToolCategory};

/// Where a text stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Prompt, parameter, answer or descriptor.
    pub surface: Surface,
    /// The tool's name; empty when there is none.
    pub tool: &'a str,
    /// The tool's kind; with [`ToolCategory::Other`] its name is asked.
    pub category: ToolCategory,
}

/// One string of a call.
#[derive(Clone, Copy, Debug)]
pub struct Leaf<'a> {
    /// The parameter's name; empty for bare text.
    pub name: &'a str,
    /// The text.
    pub text: &'a str,
}

const DATABASE_TOOLS: &[&str] = &[
    "sql",
    "database",
    "db",
    "query",
    "postgres",
    "mysql",
    "sqlite",
    "bigquery",
    "snowflake",
    "mongo",
    "mongodb",
    "collection",
    "elasticsearch",
    "firestore",
    "dynamodb",
];
const SHELL_TOOLS: &[&str] = &[
    "shell",
    "bash",
    "sh",
    "exec",
    "command",
    "cmd",
    "terminal",
    "powershell",
    "ssh",
];
const CODE_TOOLS: &[&str] = &[
    "code",
    "python",
    "javascript",
    "js",
    "node",
    "repl",
    "interpreter",
    "notebook",
    "jupyter",
];
const FILE_TOOLS: &[&str] = &[
    "file",
    "files",
    "fs",
    "filesystem",
    "path",
    "directory",
    "document",
];
const HTTP_TOOLS: &[&str] = &[
    "http", "https", "url", "fetch", "web", "browser", "request", "curl", "webhook", "api",
];
const MESSAGE_TOOLS: &[&str] = &[
    "email", "mail", "message", "sms", "slack", "chat", "notify", "tweet", "post",
];

const DATABASE_LEAVES: &[&str] = &[
    "sql",
    "query",
    "queries",
    "statement",
    "statements",
    "stmt",
    "where",
    "condition",
];
const SHELL_LEAVES: &[&str] = &[
    "command",
    "commands",
    "cmd",
    "script",
    "args",
    "argv",
    "arguments",
    "line",
    "code",
];
const CODE_LEAVES: &[&str] = &[
    "code",
    "source",
    "script",
    "program",
    "snippet",
    "cell",
    "expression",
    "content",
];

const PAYMENT_LEAVES: &[&str] = &["card", "iban", "account", "cc", "payment"];

impl Place<'_> {
    /// The tool's kind, told from its name when the catalogue does not say.
    pub(crate) fn kind(&self) -> ToolCategory {
        if self.category != ToolCategory::Other || self.tool.is_empty() {
            return self.category;
        }
        let kinds = [
            (ToolCategory::Code, CODE_TOOLS),
            (ToolCategory::Shell, SHELL_TOOLS),
            (ToolCategory::Database, DATABASE_TOOLS),
            (ToolCategory::Http, HTTP_TOOLS),
            (ToolCategory::File, FILE_TOOLS),
            (ToolCategory::Message, MESSAGE_TOOLS),
        ];
        let named = kinds
            .into_iter()
            .find(|(_, names)| has_word(self.tool, names));
        named.map_or(ToolCategory::Other, |(kind, _)| kind)
    }
}

impl Leaf<'_> {
    /// The kind of tool in whose own language the leaf is written, if in any: that of the tool
    /// that is called, which is of `kind`, or payment where a parameter's name asks for a card or an
    /// account. What an answer is named says nothing of whether it may be told.
    pub(crate) fn own_language(
        &self,
        surface: Surface,
        kind: ToolCategory,
    ) -> Option<ToolCategory> {
        if self.is_own_language(kind) {
            return Some(kind);
        }
        let is_asked_for = surface == Surface::Params && has_word(self.name, PAYMENT_LEAVES);
        is_asked_for.then_some(ToolCategory::Payment)
    }

    /// Whether the leaf is written in the own language of a tool of this kind: the query of a
    /// database tool, the command of a shell tool, the code of a code tool.
    fn is_own_language(&self, kind: ToolCategory) -> bool {
        let names = match kind {
            ToolCategory::Database => DATABASE_LEAVES,
            ToolCategory::Shell => SHELL_LEAVES,
            ToolCategory::Code => CODE_LEAVES,
            ToolCategory::Other | ToolCategory::Search => return false,
            ToolCategory::File
            | ToolCategory::Http
            | ToolCategory::Message
            | ToolCategory::Payment => return true,
        };
        self.name.is_empty() || has_word(self.name, names)
    }
}

/// Whether one of the words that `name` is made of (`run_sql`, `runSql`, `db.run-sql`) is listed.
fn has_word(name: &str, words: &[&str]) -> bool {
    let mut previous_lower = false;
    let mut start = 0;
    let listed = |part: Option<&str>| {
        part.is_some_and(|part| words.iter().any(|word| part.eq_ignore_ascii_case(word)))
    };
    for (at, c) in name.char_indices() {
        let hump = c.is_ascii_uppercase() && previous_lower;
        if hump || !c.is_ascii_alphanumeric() {
            if listed(name.get(start..at)) {
                return true;
            }
            start = if hump { at } else { at + c.len_utf8() };
        }
        previous_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    listed(name.get(start..))
}

#[cfg(test)]
mod tests {
    use clampd_model::{Surface, ToolCategory};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{Leaf, Place};

    #[test]
    fn a_tools_kind_is_told_from_its_name() {
        for (tool, kind) in [
            ("database.query", ToolCategory::Database),
            ("runSql", ToolCategory::Database),
            ("shell.exec", ToolCategory::Shell),
            ("code.exec", ToolCategory::Code),
            ("file.read", ToolCategory::File),
            ("http_fetch", ToolCategory::Http),
            ("send-email", ToolCategory::Message),
            ("user.lookup", ToolCategory::Other),
            ("", ToolCategory::Other),
        ] {
            let place = Place {
                surface: Surface::Params,
                tool,
                category: ToolCategory::Other,
            };
            assert_eq!(place.kind(), kind, "{tool}");
        }
    }

    #[test]
    fn a_card_is_asked_for_by_a_parameter_and_never_by_an_answer() {
        for (surface, own) in [
            (Surface::Params, Some(ToolCategory::Payment)),
            (Surface::Response, None),
        ] {
            let place = Place {
                surface,
                tool: "crm.lookup",
                category: ToolCategory::Other,
            };
            let leaf = Leaf {
                name: "card_number",
                text: "",
            };
            assert_eq!(leaf.own_language(surface, place.kind()), own, "{surface:?}");
        }
    }

    #[test]
    fn only_a_query_parameter_is_written_in_sql() {
        for (name, own) in [
            ("sql", true),
            ("", true),
            ("searchQuery", true),
            ("name", false),
        ] {
            assert_eq!(
                Leaf { name, text: "" }.is_own_language(ToolCategory::Database),
                own,
                "{name}"
            );
        }
    }
}
