//! The command line as written; each verb's file turns its part into what is used.

use clap::{Parser, Subcommand};

use crate::{
    agent::{AgentVerb, KillArguments},
    audit::AuditVerb,
    auto_kill::AutoKillVerb,
    cluster::ClusterVerb,
    context::{ConfigVerb, ContextVerb},
    demo::DemoArguments,
    global::Global,
    key::KeyVerb,
    policy::PolicyVerb,
    rules::RulesVerb,
    scan::ScanArguments,
    settings::SettingsVerb,
    tool::ToolVerb,
    trial::TrialArguments,
    watch::WatchArguments,
};

/// Runs Clampd from a terminal: agents, kills, policies, audit, rules, tests.
#[derive(Debug, Parser)]
#[command(name = "clampd", version, propagate_version = true)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// How.
    #[command(flatten)]
    pub(crate) global: Global,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Register agents, look at them, suspend and revive them
    #[command(subcommand)]
    Agent(AgentVerb),
    /// Emergency kill switch
    Kill(KillArguments),
    /// Show and change when agents are killed without an order
    #[command(subcommand)]
    AutoKill(AutoKillVerb),
    /// Show and change policies
    #[command(subcommand)]
    Policy(PolicyVerb),
    /// Show and change thresholds, and which rules count for whom
    #[command(subcommand)]
    Settings(SettingsVerb),
    /// Show and change the catalogue of tools
    #[command(subcommand)]
    Tool(ToolVerb),
    /// Show, make and forget API keys
    #[command(subcommand)]
    Key(KeyVerb),
    /// Ask the audit trail, or follow it
    #[command(subcommand)]
    Audit(AuditVerb),
    /// See how the services are
    #[command(subcommand)]
    Cluster(ClusterVerb),
    /// Live TUI dashboard: real-time monitoring
    Watch(WatchArguments),
    /// Run a live demo with real agents, calls and kills
    Demo(DemoArguments),
    /// Fire attacks at the gateway and report what was blocked, flagged or allowed
    Test(TrialArguments),
    /// See what the rules are, and try them
    #[command(subcommand)]
    Rules(RulesVerb),
    /// Judge texts and tool calls with the gateway's engine, without a gateway
    Scan(ScanArguments),
    /// Choose the cluster that the other commands speak to
    #[command(subcommand)]
    Context(ContextVerb),
    /// Make the configuration
    #[command(subcommand)]
    Config(ConfigVerb),
}
