//! `clampd context` and `clampd config`: which cluster the other verbs speak to.
//!
//! A context is a control plane, a gateway and the credentials for them. The file is `config`'s.

pub(crate) mod file;
mod migrate;

use std::{env, path::PathBuf};

use clampd_model::Secret;
use clap::{Args, Subcommand};
use serde_json::json;

use self::file::{Config, Context};
use crate::{Outcome, error::CliError, global::Global, output::Output, table::Columns};

/// What `config` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Write a configuration with the context `local`
    Init {
        /// Overwrite the one that is there
        #[arg(long)]
        force: bool,
    },
}

/// What `context` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum ContextVerb {
    /// Show every context; `*` marks the one in use
    List,
    /// Add a context
    Add(AddArguments),
    /// Choose the context that other commands speak to
    Use {
        /// Its name
        name: String,
    },
    /// Show a context as commands would use it, its secrets hidden
    Show {
        /// Its name; the one in use when not given
        name: Option<String>,
    },
}

/// A new context. `--set-org-id` and the like are named so as not to be taken for overrides.
#[derive(Debug, Args)]
pub(crate) struct AddArguments {
    /// Its name
    name: String,
    /// The control plane's URL
    #[arg(long, value_name = "URL", default_value = file::LOCAL_DASHBOARD_URL)]
    endpoint: String,
    /// The gateway's URL
    #[arg(long, value_name = "URL", default_value = file::LOCAL_GATEWAY_URL)]
    gateway_url: String,
    /// The organisation's id
    #[arg(long, value_name = "ID", default_value = "")]
    set_org_id: String,
    /// The control plane's API key; CLAMPD_API_TOKEN is taken when not given
    #[arg(long, value_name = "KEY")]
    set_api_token: Option<String>,
    /// The licence
    #[arg(long, value_name = "TOKEN", default_value = "")]
    set_license_token: String,
    /// Overwrite a context of that name
    #[arg(long)]
    replace: bool,
}

/// Runs a verb of `config`.
pub(crate) fn run_config(
    verb: &ConfigVerb,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let ConfigVerb::Init { force } = verb;
    let path = config_path(global)?;
    if path.exists() && !force {
        let wanted = "exists already; `--force` overwrites it";
        return Err(CliError::Usage(format!("`{}` {wanted}", path.display())));
    }
    let config = Config::local();
    config.write(&path)?;
    let created = &config.current_context;
    let line = format!(
        "Config written to {}\nDefault context '{created}' created.",
        shown(&path)
    );
    out.done(
        global,
        line,
        &json!({ "config": path, "current_context": created }),
    )?;
    Ok(Outcome::AsWanted)
}

/// Runs a verb of `context`.
pub(crate) fn run(
    verb: ContextVerb,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let path = config_path(global)?;
    let config = Config::read_or_local(&path)?;
    match verb {
        ContextVerb::List => list(&config, global, out)?,
        ContextVerb::Add(arguments) => {
            let name = arguments.name.clone();
            config.add(arguments.context()?, arguments.replace, &path)?;
            let added = json!({ "added": name });
            out.done(global, format!("Context '{name}' added."), &added)?;
        }
        ContextVerb::Use { name } => {
            config.choose(&name, &path)?;
            let used = json!({ "current_context": name });
            out.done(global, format!("Switched to context '{name}'."), &used)?;
        }
        ContextVerb::Show { name } => {
            let context = match name {
                Some(name) => config.context(&name)?.clone(),
                None => in_use(global)?,
            };
            show(&context, global, out)?;
        }
    }
    Ok(Outcome::AsWanted)
}

/// The context that commands speak to: the configured one, or the one that `--context` names, with
/// what the environment overrides.
pub(crate) fn in_use(global: &Global) -> Result<Context, CliError> {
    let config = Config::read_or_local(&config_path(global)?)?;
    let name = global.context.as_deref().unwrap_or(&config.current_context);
    let mut context = config.context(name)?.clone();
    for (variable, field) in [
        ("CLAMPD_ORG_ID", &mut context.org_id),
        ("CLAMPD_DASHBOARD_URL", &mut context.dashboard_url),
        ("CLAMPD_GATEWAY_URL", &mut context.gateway_url),
    ] {
        if let Some(value) = variable_of(variable) {
            *field = value;
        }
    }
    if let Some(token) = variable_of("CLAMPD_API_TOKEN") {
        context.api_token = Secret::new(token);
    }
    context.checked()
}

/// A variable of the environment; an empty one counts as none.
pub(crate) fn variable_of(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn config_path(global: &Global) -> Result<PathBuf, CliError> {
    if let Some(path) = &global.config {
        return Ok(path.clone());
    }
    let home = env::home_dir().filter(|home| !home.as_os_str().is_empty());
    let wanted = "no home directory is known: name the configuration with --config";
    let home = home.ok_or_else(|| CliError::Usage(wanted.to_owned()))?;
    Ok(home.join(".clampd/config.toml"))
}

/// The path as people write it.
fn shown(path: &std::path::Path) -> String {
    let below_home =
        env::home_dir().and_then(|home| path.strip_prefix(home).ok().map(PathBuf::from));
    match below_home {
        Some(below) => format!("~/{}", below.display()),
        None => path.display().to_string(),
    }
}

impl AddArguments {
    fn context(&self) -> Result<Context, CliError> {
        let token = self.set_api_token.clone();
        let token = token.or_else(|| variable_of("CLAMPD_API_TOKEN"));
        Context {
            name: self.name.clone(),
            dashboard_url: self.endpoint.clone(),
            gateway_url: self.gateway_url.clone(),
            org_id: self.set_org_id.clone(),
            api_token: Secret::new(token.unwrap_or_default()),
            license_token: Secret::new(self.set_license_token.clone()),
        }
        .checked()
    }
}

fn list(config: &Config, global: &Global, out: &mut Output) -> Result<(), CliError> {
    if global.json {
        let contexts: Vec<_> = config.contexts.iter().map(as_json).collect();
        let all = json!({ "current_context": config.current_context, "contexts": contexts });
        return Ok(out.json_line(&all)?);
    }
    let mut columns = Columns::new(&["NAME", "DASHBOARD", "GATEWAY", "ORG_ID"]);
    for context in &config.contexts {
        let mark = if context.name == config.current_context {
            "*"
        } else {
            " "
        };
        columns.row([
            format!("{mark} {}", context.name),
            context.dashboard_url.clone(),
            context.gateway_url.clone(),
            or_not_set(&context.org_id).to_owned(),
        ]);
    }
    Ok(columns.write(out)?)
}

fn show(context: &Context, global: &Global, out: &mut Output) -> Result<(), CliError> {
    if global.json {
        return Ok(out.json_line(&as_json(context))?);
    }
    for (name, value) in [
        ("name", context.name.as_str()),
        ("dashboard_url", &context.dashboard_url),
        ("gateway_url", &context.gateway_url),
        ("org_id", or_not_set(&context.org_id)),
        ("api_token", is_set(&context.api_token)),
        ("license_token", is_set(&context.license_token)),
    ] {
        out.line(format!("{name:14} {value}"))?;
    }
    Ok(())
}

fn as_json(context: &Context) -> serde_json::Value {
    json!({
        "name": context.name,
        "dashboard_url": context.dashboard_url,
        "gateway_url": context.gateway_url,
        "org_id": context.org_id,
        "api_token_set": !context.api_token.expose().is_empty(),
        "license_token_set": !context.license_token.expose().is_empty(),
    })
}

fn or_not_set(text: &str) -> &str {
    if text.is_empty() { "(not set)" } else { text }
}

fn is_set(secret: &Secret) -> &'static str {
    if secret.expose().is_empty() {
        "(not set)"
    } else {
        "(set)"
    }
}
