//! One line of the input: what is to be judged, and where it stands.

use std::borrow::Cow;

use clampd_guard::parse_strict;
use clampd_model::Surface;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// A line as judged.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// Given back as it came; `null` where there is none.
    pub(super) id: &'a RawValue,
    pub(super) surface: Surface,
    pub(super) tool: Option<Cow<'a, str>>,
    pub(super) judged: Judged<'a>,
}

/// What is judged of a line.
#[derive(Debug)]
pub(super) enum Judged<'a> {
    /// A text by itself.
    Text(Cow<'a, str>),
    /// Every text in these parameters, or in this answer.
    Values(Value),
}

/// A line as written. Other fields are whoever wrote it's own.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    surface: Option<Cow<'a, str>>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OnlyId<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

impl<'a> Line<'a> {
    /// Reads a line. A call's `params` go before its `text`, where both are there; any other
    /// surface's `text` goes before its `params`.
    pub(super) fn read(line: &'a [u8]) -> Result<Self, String> {
        let written: Written<'a> = serde_json::from_slice(line).map_err(|e| describe(&e))?;
        let surface = match written.surface.as_deref() {
            Some("call") => Surface::Params,
            Some("input") => Surface::Prompt,
            Some("output") => Surface::Response,
            Some(other) => {
                let shown: String = other.chars().take(40).collect();
                return Err(format!(
                    "`surface` must be call, input or output, not `{shown}`"
                ));
            }
            None => return Err("`surface` is required: call, input or output".to_owned()),
        };
        let text_first = surface != Surface::Params;
        let judged = match (written.text, written.params) {
            (Some(text), None) => Judged::Text(text),
            (Some(text), Some(_)) if text_first => Judged::Text(text),
            (_, Some(params)) => {
                if written.tool.is_none() && surface == Surface::Params {
                    return Err("`tool` is required with `params`".to_owned());
                }
                let params = parse_strict(params.get().as_bytes());
                Judged::Values(params.map_err(|e| e.replacen("body", "`params`", 1))?)
            }
            (None, None) if text_first => return Err("`text` is required".to_owned()),
            (None, None) => return Err("`tool` and `params`, or `text`, are required".to_owned()),
        };
        Ok(Self {
            id: written.id.unwrap_or(RawValue::NULL),
            surface,
            tool: written.tool,
            judged,
        })
    }
}

/// The id of a line that could not be read, where at least that can be; else `null`.
pub(super) fn id_of(line: &[u8]) -> &RawValue {
    let read: Result<OnlyId<'_>, _> = serde_json::from_slice(line);
    read.ok().and_then(|line| line.id).unwrap_or(RawValue::NULL)
}

/// What is wrong, with nothing of what was read in it but names of fields.
fn describe(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let column = error.column();
    match error.classify() {
        Category::Eof => format!("line ends too early (column {column})"),
        Category::Data if error.to_string().starts_with("duplicate field") => {
            "line has the same field twice".to_owned()
        }
        Category::Data => {
            format!(
                "line must be an object whose `surface`, `text` and `tool` are strings (column {column})"
            )
        }
        _ => format!("line is not JSON (column {column})"),
    }
}
