//! What operators make of tools and of the descriptors that servers tell of them.

use crate::words::words;

words! {
    /// What an operator made of it.
    #[derive(Default)]
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
    pub enum Approval {
        /// Nobody has decided yet: it is refused.
        Pending = "pending",
        /// It is good.
        #[default]
        Approved = "approved",
        /// It is refused.
        Rejected = "rejected",
    }
}

/// A descriptor that a server told of a tool, where it is not one that the tool is pinned to: a mark in
/// the audit event of the exchange, by which the control plane hears of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToldDescriptor {
    /// The tool.
    pub tool: String,
    /// SHA-256 of the descriptor's canonical JSON, 64 characters of lower-case hex.
    pub sha256: String,
    /// Whether the tool is pinned to none yet, so that this one was trusted.
    pub is_first: bool,
}

/// What the mark begins with, where the descriptor was trusted.
const FIRST: &str = "descriptor-first";
/// What it begins with, where it was withheld.
const DRIFT: &str = "descriptor-drift";

impl ToldDescriptor {
    /// The mark that says so.
    pub fn to_mark(&self) -> String {
        let word = if self.is_first { FIRST } else { DRIFT };
        format!("{word}:{}:{}", self.sha256, self.tool)
    }

    /// Reads a mark; `None` for one that says something else.
    pub fn parse(mark: &str) -> Option<Self> {
        let (word, rest) = mark.split_once(':')?;
        let is_first = match word {
            FIRST => true,
            DRIFT => false,
            _ => return None,
        };
        let (sha256, tool) = rest.split_once(':')?;
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let is_hash = sha256.len() == 64 && sha256.bytes().all(is_hex);
        (is_hash && crate::Tool::is_name(tool)).then(|| Self {
            tool: tool.to_owned(),
            sha256: sha256.to_owned(),
            is_first,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ToldDescriptor;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_nothing_else_is_one() {
        for is_first in [true, false] {
            let told = ToldDescriptor {
                tool: "files/read:v1".to_owned(),
                sha256: "0a".repeat(32),
                is_first,
            };
            assert_eq!(ToldDescriptor::parse(&told.to_mark()), Some(told));
        }
        let hash = "0a".repeat(32);
        for mark in [
            "exempted:sql-drop-table".to_owned(),
            format!("descriptor-drift:{hash}:"),
            format!("descriptor-drift:{hash}:a b"),
            format!("descriptor-drift:{}:t", "0A".repeat(32)),
            format!("descriptor-drift:{}:t", "0a".repeat(31)),
            "descriptor-drift".to_owned(),
        ] {
            assert_eq!(ToldDescriptor::parse(&mark), None, "{mark}");
        }
    }
}
