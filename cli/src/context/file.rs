//! `~/.clampd/config.toml`: contexts, read strictly and written for its owner's eyes only.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use clampd_model::Secret;
use serde::{Deserialize, Serialize};

use super::migrate;
use crate::error::CliError;

/// Where a control plane on this machine listens.
pub(crate) const LOCAL_DASHBOARD_URL: &str = "http://127.0.0.1:3001";
/// Where a gateway on this machine listens.
pub(crate) const LOCAL_GATEWAY_URL: &str = "http://127.0.0.1:8080";

const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
const NAME_BYTES_MAX: usize = 64;

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The name of the context in use.
    pub(crate) current_context: String,
    /// Every context.
    pub(crate) contexts: Vec<Context>,
}

/// A cluster and how to speak to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// Unique in the file.
    pub(crate) name: String,
    /// The control plane.
    pub(crate) dashboard_url: String,
    /// The gateway.
    pub(crate) gateway_url: String,
    /// The organisation; may be empty.
    #[serde(default)]
    pub(crate) org_id: String,
    /// The control plane's API key; may be empty.
    #[serde(default = "no_secret")]
    pub(crate) api_token: Secret,
    /// The licence; may be empty.
    #[serde(default = "no_secret")]
    pub(crate) license_token: Secret,
}

fn no_secret() -> Secret {
    Secret::new("")
}

impl Config {
    /// What `config init` writes: the one context `local`.
    pub(crate) fn local() -> Self {
        Self {
            current_context: "local".to_owned(),
            contexts: vec![Context {
                name: "local".to_owned(),
                dashboard_url: LOCAL_DASHBOARD_URL.to_owned(),
                gateway_url: LOCAL_GATEWAY_URL.to_owned(),
                org_id: String::new(),
                api_token: no_secret(),
                license_token: no_secret(),
            }],
        }
    }

    /// Reads the file; without one, [`Config::local`]. A file from before contexts is turned into
    /// one with a context and kept beside it as `config.toml.old`.
    pub(crate) fn read_or_local(path: &Path) -> Result<Self, CliError> {
        let text = match fs::metadata(path) {
            Ok(known) if known.len() > CONFIG_BYTES_MAX => {
                return Err(refused(path, "is too large for a configuration"));
            }
            Ok(_) => fs::read_to_string(path).map_err(CliError::file(path))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::local()),
            Err(e) => return Err(CliError::file(path)(e)),
        };
        let config = match migrate::from_flat(&text) {
            Some(config) => {
                let config = config.map_err(|reason| refused(path, reason))?;
                write_private(&path.with_extension("toml.old"), &text)?;
                config.write(path)?;
                config
            }
            None => toml::from_str(&text).map_err(|e| refused(path, describe(&e, &text)))?,
        };
        config.check(path)?;
        Ok(config)
    }

    /// The context of that name.
    pub(crate) fn context(&self, name: &str) -> Result<&Context, CliError> {
        let found = self.contexts.iter().find(|context| context.name == name);
        found.ok_or_else(|| {
            let names: Vec<_> = self.contexts.iter().map(|c| c.name.as_str()).collect();
            CliError::NotFound(format!(
                "there is no context `{name}`; there is {}",
                names.join(", ")
            ))
        })
    }

    /// Adds a context and writes the file. What else stands in the file, comments too, stays.
    pub(crate) fn add(
        mut self,
        context: Context,
        replace: bool,
        path: &Path,
    ) -> Result<(), CliError> {
        if let Some(known) = self.contexts.iter_mut().find(|c| c.name == context.name) {
            if !replace {
                let name = &context.name;
                return Err(CliError::AlreadyThere(format!(
                    "context `{name}` exists already; `--replace` overwrites it"
                )));
            }
            *known = context;
            return self.write(path);
        }
        let block = Self::text_of(&context)?;
        self.contexts.push(context);
        let text = fs::read_to_string(path).unwrap_or_default();
        self.write_keeping(&format!("{}\n\n{block}", text.trim_end()), path)
    }

    /// Makes the context of that name the one in use and writes the file, keeping its comments.
    pub(crate) fn choose(mut self, name: &str, path: &Path) -> Result<(), CliError> {
        self.context(name)?;
        name.clone_into(&mut self.current_context);
        let text = fs::read_to_string(path).unwrap_or_default();
        let chosen = format!("current_context = {}", toml::Value::from(name));
        let mut done = false;
        let lines: Vec<&str> = text
            .lines()
            .map(|line| {
                if !done && line.trim_start().starts_with("current_context") {
                    done = true;
                    chosen.as_str()
                } else {
                    line
                }
            })
            .collect();
        self.write_keeping(&(lines.join("\n") + "\n"), path)
    }

    /// Writes the whole file anew.
    pub(crate) fn write(&self, path: &Path) -> Result<(), CliError> {
        let mut text = format!(
            "current_context = {}\n",
            toml::Value::from(self.current_context.as_str())
        );
        for context in &self.contexts {
            text.push('\n');
            text.push_str(&Self::text_of(context)?);
        }
        write_private(path, &text)
    }

    /// Writes `edited` where it says the same as we do, else the whole file anew.
    fn write_keeping(&self, edited: &str, path: &Path) -> Result<(), CliError> {
        let says: Result<Self, _> = toml::from_str(edited);
        if says.is_ok_and(|config| config == *self) {
            write_private(path, edited)
        } else {
            self.write(path)
        }
    }

    fn text_of(context: &Context) -> Result<String, CliError> {
        let fields = toml::to_string(context);
        let fields =
            fields.map_err(|e| CliError::Usage(format!("cannot write the context: {e}")))?;
        Ok(format!("[[contexts]]\n{fields}"))
    }

    fn check(&self, path: &Path) -> Result<(), CliError> {
        for (at, context) in self.contexts.iter().enumerate() {
            let before = self.contexts.iter().take(at);
            if before.into_iter().any(|other| other.name == context.name) {
                let reason = format!("context `{}` stands there twice", context.name);
                return Err(refused(path, reason));
            }
        }
        if self.contexts.iter().all(|c| c.name != self.current_context) {
            let reason = format!(
                "`current_context` names no context: `{}`",
                self.current_context
            );
            return Err(refused(path, reason));
        }
        Ok(())
    }
}

impl Context {
    /// The context with its URLs without a slash at the end, if they are URLs.
    pub(crate) fn checked(mut self) -> Result<Self, CliError> {
        let shaped = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        let named =
            (1..=NAME_BYTES_MAX).contains(&self.name.len()) && self.name.bytes().all(shaped);
        if !named {
            let wanted = "a context's name must be 1 to 64 characters of A-Z a-z 0-9 _ . -";
            return Err(CliError::Usage(wanted.to_owned()));
        }
        for (field, url) in [
            ("dashboard_url", &mut self.dashboard_url),
            ("gateway_url", &mut self.gateway_url),
        ] {
            let host = url
                .strip_prefix("http://")
                .or_else(|| url.strip_prefix("https://"));
            if host.is_none_or(|host| host.is_empty() || host.contains(['@', ' ', '?', '#'])) {
                let wanted = "must be an http:// or https:// URL without credentials";
                return Err(CliError::Usage(format!("`{field}` {wanted}, not `{url}`")));
            }
            url.truncate(url.trim_end_matches('/').len());
        }
        Ok(self)
    }
}

fn refused(path: &Path, reason: impl ToString) -> CliError {
    CliError::Config {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// What is wrong and on which line; never the line itself, for a token may stand there.
fn describe(error: &toml::de::Error, text: &str) -> String {
    let at = error.span().map_or(0, |span| span.start);
    let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    format!("line {line}: {}", error.message())
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> Result<(), CliError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    if !directory.as_os_str().is_empty() && !directory.exists() {
        fs::create_dir_all(directory).map_err(CliError::file(directory))?;
        restrict(directory, 0o700).map_err(CliError::file(directory))?;
    }
    let draft = path.with_extension(format!("toml.{}", std::process::id()));
    let written = write_new(&draft, text).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // The draft holds secrets; whether it could be removed changes nothing for the caller.
        let _ = fs::remove_file(&draft);
    }
    written.map_err(CliError::file(path))
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    restrict(path, 0o600)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn restrict(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}
