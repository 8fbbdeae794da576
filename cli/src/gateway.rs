//! The gateway as agents see it.

use clampd_model::{AgentClaims, AgentId, Secret};
use clampd_token::{agent_hmac_key, sign_agent_jwt_hs256};
use clap::Args;
use serde_json::Value;
use ureq::http::{HeaderName, header};

use crate::{
    context::{self, variable_of},
    error::CliError,
    global::Global,
    http::{Answer, Service},
    time,
};

static API_KEY: HeaderName = HeaderName::from_static("x-ag-key");

/// How long a JWT that we sign is good for.
const JWT_TTL_SECONDS: u64 = 3_600;

/// Where the gateway is and who calls it.
#[derive(Debug, Args)]
pub(crate) struct GatewayArguments {
    /// Gateway URL [default: the context's, http://127.0.0.1:8080 where none is configured]
    #[arg(long, value_name = "URL")]
    pub(crate) gateway: Option<String>,
    /// The API key that agents send
    #[arg(
        long,
        value_name = "KEY",
        env = "CLAMPD_API_KEY",
        hide_env_values = true
    )]
    key: Option<String>,
    /// An agent's JWT; else CLAMPD_AGENT_ID and CLAMPD_AGENT_SECRET sign one
    #[arg(long, value_name = "JWT", env = "CLAMPD_JWT", hide_env_values = true)]
    jwt: Option<String>,
}

/// A gateway, called as an agent.
#[derive(Debug)]
pub(crate) struct Gateway(Service);

/// Where the gateway is: as given, else as the context says.
pub(crate) fn url(given: Option<&str>, global: &Global) -> Result<String, CliError> {
    let mut context = context::in_use(global)?;
    if let Some(url) = given {
        url.clone_into(&mut context.gateway_url);
    }
    Ok(context.checked()?.gateway_url)
}

/// The gateway's own endpoints that need no credentials.
pub(crate) fn anonymous(global: &Global) -> Result<Service, CliError> {
    Service::new("gateway", &url(None, global)?, global)
}

impl Gateway {
    /// The gateway that the arguments, the environment and the context name.
    pub(crate) fn of(arguments: &GatewayArguments, global: &Global) -> Result<Self, CliError> {
        let url = url(arguments.gateway.as_deref(), global)?;
        let wanted = |what: &str| CliError::Usage(what.to_owned());
        let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let key = given(&arguments.key);
        let key = key.ok_or_else(|| wanted("an API key is wanted: --key or CLAMPD_API_KEY"))?;
        let agent = variable_of("CLAMPD_AGENT_ID").zip(variable_of("CLAMPD_AGENT_SECRET"));
        let jwt = match (given(&arguments.jwt), agent) {
            (Some(jwt), _) => jwt,
            (None, Some((id, secret))) => jwt(&id, &secret)?,
            (None, None) => {
                let what = "an agent is wanted: --jwt or CLAMPD_JWT, or CLAMPD_AGENT_ID and \
                            CLAMPD_AGENT_SECRET";
                return Err(wanted(what));
            }
        };
        Self::called_by(&url, &key, &jwt, global)
    }

    /// A gateway, called with this key and JWT.
    pub(crate) fn called_by(
        url: &str,
        key: &str,
        jwt: &str,
        global: &Global,
    ) -> Result<Self, CliError> {
        let service = Service::new("gateway", url, global)?;
        let service = service.with(API_KEY.clone(), key.to_owned());
        Ok(Self(
            service.with(header::AUTHORIZATION, format!("Bearer {jwt}")),
        ))
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        self.0.url()
    }

    /// Posts to one of its endpoints.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Answer, CliError> {
        self.0.send("POST", path, Some(body))
    }
}

/// A JWT as the SDKs sign it.
pub(crate) fn jwt(agent_id: &str, secret: &str) -> Result<String, CliError> {
    let sub = AgentId::parse(agent_id);
    let now = time::unix_seconds();
    let claims = AgentClaims {
        sub: sub.map_err(|e| CliError::Usage(format!("CLAMPD_AGENT_ID: {e}")))?,
        iss: Some("clampd-sdk".to_owned()),
        iat: Some(now),
        exp: now + JWT_TTL_SECONDS,
        aud: None,
        scopes: None,
    };
    Ok(sign_agent_jwt_hs256(
        &claims,
        &agent_hmac_key(&Secret::new(secret)),
    ))
}
