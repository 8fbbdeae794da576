//! `clampd agent boundaries`: what an agent may use at most, and when and where it may act.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::named;
use crate::{
    Outcome, control_plane::ControlPlane, error::CliError, global::Global, output::Output,
    table::printable,
};

/// What `agent boundaries` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum BoundariesVerb {
    /// Show an agent's own boundaries; what is not among them, its proxies' default bounds
    Show {
        /// Its id, or the beginning of it
        id: String,
    },
    /// Set some of an agent's boundaries and leave the others as they are
    Set(SetArguments),
    /// Take all of an agent's own boundaries away
    Clear {
        /// Its id, or the beginning of it
        id: String,
    },
}

/// Boundaries to set.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true)))]
pub(crate) struct SetArguments {
    /// Its id, or the beginning of it
    id: String,
    /// Calls in any minute
    #[arg(long, value_name = "N", group = "what")]
    calls_per_minute: Option<u32>,
    /// Bytes of requests' bodies in any minute
    #[arg(long, value_name = "N", group = "what")]
    bytes_per_minute: Option<u64>,
    /// Bytes of answers in any hour
    #[arg(long, value_name = "N", group = "what")]
    answer_bytes_per_hour: Option<u64>,
    /// Calls in one session
    #[arg(long, value_name = "N", group = "what")]
    calls_per_session: Option<u32>,
    /// Records in one answer of a tool
    #[arg(long, value_name = "N", group = "what")]
    records_per_answer: Option<u32>,
    /// When it may act, in UTC, such as `9-17`
    #[arg(long, group = "what")]
    hours: Option<String>,
    /// The days on which it may act: `mon` to `sun`, separated by commas
    #[arg(long, value_name = "DAYS", value_delimiter = ',', group = "what")]
    days: Vec<String>,
    /// The hosts that URLs in its calls may name, such as `*.example.com`; `*` for all
    #[arg(long, value_name = "HOSTS", value_delimiter = ',', group = "what")]
    domains: Vec<String>,
    /// Leave this one to the proxies' default; may be repeated
    #[arg(long, value_name = "FIELD", value_delimiter = ',', group = "what")]
    unset: Vec<Field>,
}

/// A boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Field {
    CallsPerMinute,
    BytesPerMinute,
    AnswerBytesPerHour,
    CallsPerSession,
    RecordsPerAnswer,
    Hours,
    Days,
    Domains,
}

impl Field {
    const ALL: [Self; 8] = [
        Self::CallsPerMinute,
        Self::BytesPerMinute,
        Self::AnswerBytesPerHour,
        Self::CallsPerSession,
        Self::RecordsPerAnswer,
        Self::Hours,
        Self::Days,
        Self::Domains,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::CallsPerMinute => "calls_per_minute",
            Self::BytesPerMinute => "bytes_per_minute",
            Self::AnswerBytesPerHour => "answer_bytes_per_hour",
            Self::CallsPerSession => "calls_per_session",
            Self::RecordsPerAnswer => "records_per_answer",
            Self::Hours => "hours",
            Self::Days => "days",
            Self::Domains => "domains",
        }
    }
}

/// Runs a verb of `agent boundaries`.
pub(super) fn run(
    verb: BoundariesVerb,
    control_plane: &ControlPlane,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let show = |id: &str| named(control_plane, id, |path| control_plane.get(path));
    let put = |id: &str, boundaries: &Value| {
        let patch = json!({ "boundaries": boundaries });
        named(control_plane, id, |path| control_plane.patch(path, &patch))
    };
    let (id, agent) = match verb {
        BoundariesVerb::Show { id } => show(&id)?,
        BoundariesVerb::Set(arguments) => {
            let (id, agent) = show(&arguments.id)?;
            put(&id, &arguments.laid_upon(own(&agent)).into())?
        }
        BoundariesVerb::Clear { id } => put(&id, &Value::Null)?,
    };
    let own = own(&agent);
    if global.json {
        out.json_line(&json!({ "id": id, "boundaries": own }))?;
    } else {
        tell(&id, &own, out)?;
    }
    Ok(Outcome::AsWanted)
}

/// The agent's own boundaries.
fn own(agent: &Value) -> Map<String, Value> {
    let own = agent.get("boundaries").and_then(Value::as_object);
    own.cloned().unwrap_or_default()
}

impl SetArguments {
    fn laid_upon(self, mut own: Map<String, Value>) -> Map<String, Value> {
        let list = |items: Vec<String>| (!items.is_empty()).then(|| Value::from(items));
        for (field, value) in [
            (
                Field::CallsPerMinute,
                self.calls_per_minute.map(Value::from),
            ),
            (
                Field::BytesPerMinute,
                self.bytes_per_minute.map(Value::from),
            ),
            (
                Field::AnswerBytesPerHour,
                self.answer_bytes_per_hour.map(Value::from),
            ),
            (
                Field::CallsPerSession,
                self.calls_per_session.map(Value::from),
            ),
            (
                Field::RecordsPerAnswer,
                self.records_per_answer.map(Value::from),
            ),
            (Field::Hours, self.hours.map(Value::from)),
            (Field::Days, list(self.days)),
            (Field::Domains, list(self.domains)),
        ] {
            if self.unset.contains(&field) {
                own.remove(field.name());
            } else if let Some(value) = value {
                own.insert(field.name().to_owned(), value);
            }
        }
        own
    }
}

fn tell(id: &str, own: &Map<String, Value>, out: &mut Output) -> Result<(), CliError> {
    out.line(format!("Boundaries of agent {}", printable(id)))?;
    for field in Field::ALL {
        let value = match own.get(field.name()) {
            Some(Value::Array(items)) => {
                let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                items.join(" ")
            }
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => "the proxies' default".to_owned(),
        };
        out.line(format!("{:21} {}", field.name(), printable(&value)))?;
    }
    Ok(())
}
