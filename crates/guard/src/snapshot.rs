//! What is in force: a bundle, read once, indexed, never edited.

use std::{collections::HashMap, sync::Arc};

use clampd_model::{
    Agent, AgentId, AgentState, ApiKey, BUNDLE_FORMAT, Bundle, Jwks, LocalMint, Policy, Section,
    Settings, Tool,
};

use crate::{Micros, OwnRules, verified::Verified};

/// Everything that decisions are made of. It is replaced whole.
#[derive(Debug)]
pub struct Snapshot {
    revision: u64,
    expires_at: u64,
    org_id: String,
    keys: HashMap<String, ApiKey>,
    agents: HashMap<AgentId, Agent>,
    states: HashMap<AgentId, AgentState>,
    tools: HashMap<String, Tool>,
    policies: Vec<Policy>,
    own_rules: Option<Arc<OwnRules>>,
    settings: Settings,
    local_mint: Option<LocalMint>,
    jwks: Jwks,
    verified: Verified,
}

/// Why a bundle cannot be put in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It is not JSON of the bundle's shape.
    #[error("bundle does not parse at line {line}, column {column}")]
    Malformed {
        /// Line of the body, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A field that every bundle has is missing or of another kind.
    #[error("bundle field `{0}` is missing or ill-shaped")]
    Field(&'static str),
    /// It has another format than this version reads.
    #[error("bundle format {0} is not {BUNDLE_FORMAT}")]
    Format(u32),
    /// It is older than what is in force.
    #[error("bundle revision {offered} is older than {in_force}")]
    Rollback {
        /// Its revision.
        offered: u64,
        /// The revision in force.
        in_force: u64,
    },
    /// It was made before the newest known, so it would shorten what is good.
    #[error("bundle is signed earlier than the one in force")]
    Stale,
    /// It is to be laid upon a revision that is not the one in force.
    #[error("bundle since revision {since} does not follow {in_force}")]
    Gap {
        /// What it is to be laid upon.
        since: u64,
        /// The revision in force.
        in_force: u64,
    },
    /// It is a whole bundle without one of the sections.
    #[error("bundle lacks section `{0}`")]
    MissingSection(&'static str),
    /// It is for another organisation than what is in force.
    #[error("bundle is for another organisation")]
    OtherOrganisation,
    /// Its rules cannot be looked for.
    #[error("bundle's own rules cannot be used: {0}")]
    Rules(String),
    /// Its validity is over.
    #[error("bundle has expired")]
    Expired,
}

impl Snapshot {
    /// Reads a bundle's body. Its signature has been verified.
    ///
    /// # Errors
    /// [`SnapshotError::Malformed`] or [`SnapshotError::Format`].
    pub fn read_bundle(body: &[u8]) -> Result<Bundle, SnapshotError> {
        let bundle: Bundle =
            serde_json::from_slice(body).map_err(|e| SnapshotError::Malformed {
                line: e.line(),
                column: e.column(),
            })?;
        if bundle.format != BUNDLE_FORMAT {
            return Err(SnapshotError::Format(bundle.format));
        }
        Ok(bundle)
    }

    /// Indexes a whole bundle.
    ///
    /// # Errors
    /// [`SnapshotError::MissingSection`] when it is not whole, [`SnapshotError::Rules`] when its
    /// rules cannot be looked for.
    pub fn of(bundle: Bundle) -> Result<Self, SnapshotError> {
        Self::after(None, bundle)
    }

    /// The same as the successor of another: rules of the organisation's own that have not
    /// changed are not made ready again.
    ///
    /// # Errors
    /// As [`Snapshot::of`].
    pub fn after(before: Option<&Self>, bundle: Bundle) -> Result<Self, SnapshotError> {
        let s = bundle.sections;
        let keys = entries(s.keys, "keys")?;
        let agents = entries(s.agents, "agents")?;
        let states = entries(s.states, "states")?;
        let tools = entries(s.tools, "tools")?;
        let known = before.and_then(|before| before.own_rules.as_ref());
        Ok(Self {
            revision: bundle.revision,
            expires_at: bundle.expires_at,
            org_id: bundle.org_id,
            keys: keys.into_iter().map(|k| (k.sha256.clone(), k)).collect(),
            agents: agents.into_iter().map(|a| (a.id.clone(), a)).collect(),
            states: states.into_iter().map(|s| (s.id, s.state)).collect(),
            tools: tools.into_iter().map(|t| (t.name.clone(), t)).collect(),
            policies: entries(s.policies, "policies")?,
            own_rules: OwnRules::of(entries(s.rules, "rules")?, known)?,
            settings: entries(s.settings, "settings")?,
            local_mint: s.local_mint.map(|l| l.entries),
            jwks: entries(s.jwks, "jwks")?,
            verified: Verified::default(),
        })
    }

    /// The bundle's revision.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether it may still decide at `now`.
    pub fn is_good_at(&self, now: Micros) -> bool {
        now / 1_000_000 < self.expires_at
    }

    /// The same for longer: nothing but its validity was renewed.
    #[must_use]
    pub fn renewed(self, expires_at: u64) -> Self {
        Self { expires_at, ..self }
    }

    /// The agents' JWTs that were found good under it.
    pub(crate) fn verified(&self) -> &Verified {
        &self.verified
    }

    /// The organisation it is for.
    pub fn org_id(&self) -> &str {
        &self.org_id
    }

    /// The API key with this SHA-256 in lower-case hex.
    pub fn api_key(&self, sha256_hex: &str) -> Option<&ApiKey> {
        self.keys.get(sha256_hex)
    }

    /// The agent with this id.
    pub fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.agents.get(id)
    }

    /// The agent with this id in any case of letters.
    pub fn agent_folded(&self, id: &str) -> Option<&Agent> {
        self.agents.get(id).or_else(|| {
            self.agents
                .values()
                .find(|agent| agent.id.as_str().eq_ignore_ascii_case(id))
        })
    }

    /// Whether the agent may act.
    pub fn state(&self, id: &AgentId) -> AgentState {
        self.states.get(id).copied().unwrap_or(AgentState::Active)
    }

    /// The tool with this name.
    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }

    /// The policies.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The rules of the organisation's own, where it has some.
    pub fn own_rules(&self) -> Option<&OwnRules> {
        self.own_rules.as_deref()
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The key for minting without the control plane, where this proxy has one.
    pub fn local_mint(&self) -> Option<&LocalMint> {
        self.local_mint.as_ref()
    }

    /// The control plane's public keys.
    pub fn jwks(&self) -> &Jwks {
        &self.jwks
    }
}

fn entries<T>(section: Option<Section<T>>, name: &'static str) -> Result<T, SnapshotError> {
    section
        .map(|s| s.entries)
        .ok_or(SnapshotError::MissingSection(name))
}
