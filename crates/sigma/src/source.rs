//! Where a Sigma rule looks (fields and log sources, after the Sigma taxonomy appendix), and where
//! that stands in the call of an agent.

use clampd_model::ToolCategory;

/// What a field of a log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// A text that a call carries whole: a command line, a query, a path.
    Whole,
    /// A part of such a text.
    Part,
    /// The program that runs, which a command names.
    Program,
    /// Something of the host, the account or the process tree, which no call carries.
    Elsewhere,
}

const WHOLE: &[&str] = &[
    "commandline",
    "processcommandline",
    "process.command_line",
    "command_line",
    "scriptblocktext",
    "payload",
    "c-uri",
    "url",
    "sql",
    "statement",
    "targetfilename",
];
const PART: &[&str] = &[
    "cs-uri-query",
    "cs-uri-stem",
    "cs-uri",
    "c-uri-query",
    "c-uri-stem",
    "c-uri-extension",
    "cs-host",
    "r-dns",
    "queryname",
    "query",
    "destinationhostname",
    "cs-body",
    "message",
];
const PROGRAM: &[&str] = &[
    "image",
    "originalfilename",
    "newprocessname",
    "process.executable",
    "exe",
];

impl Field {
    pub(crate) fn of(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let listed = |names: &[&str]| names.contains(&name.as_str());
        // A list of texts stands in no field: it is looked for in the whole message.
        if name.is_empty() || listed(PART) {
            Self::Part
        } else if listed(WHOLE) {
            Self::Whole
        } else if listed(PROGRAM) {
            Self::Program
        } else {
            Self::Elsewhere
        }
    }
}

/// The tools whose own language a rule of this log source is about; empty for every parameter.
pub(crate) fn tools(category: &str, product: &str, service: &str) -> &'static [ToolCategory] {
    const COMMANDS: &[ToolCategory] = &[ToolCategory::Shell, ToolCategory::Code];
    match (category, product, service) {
        ("process_creation" | "ps_script" | "ps_module" | "ps_classic_start", ..) => COMMANDS,
        (_, "linux" | "macos", "" | "auditd" | "bash" | "zsh" | "sudo") if category.is_empty() => {
            COMMANDS
        }
        (_, "windows", "powershell" | "powershell-classic") => COMMANDS,
        ("database", ..) | (_, "sql" | "mysql" | "postgresql", _) => &[ToolCategory::Database],
        ("file_event" | "file_access" | "file_change" | "file_delete" | "file_rename", ..) => {
            &[ToolCategory::File]
        }
        _ => &[],
    }
}

/// A tool and a parameter in whose own language an example can stand.
pub(crate) fn example_call(tool: ToolCategory) -> (&'static str, &'static str) {
    match tool {
        ToolCategory::Database => ("database.query", "sql"),
        ToolCategory::Code => ("code.exec", "code"),
        ToolCategory::File => ("file.read", "path"),
        _ => ("shell.exec", "command"),
    }
}
