//! `clampd cluster status`: whether every service does its work.

pub(crate) mod health;

use clap::Subcommand;
use serde_json::json;

use self::health::Health;
use crate::{Outcome, error::CliError, global::Global, output::Output, table::Table};

/// What `cluster` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterVerb {
    /// Ask the gateway and the control plane how they are; the exit code is 1 when one is not well
    Status,
}

/// Runs a verb of `cluster`.
pub(crate) fn run(
    verb: &ClusterVerb,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let ClusterVerb::Status = verb;
    let services = health::of_cluster(global)?;
    if global.json {
        let services: Vec<_> = services.iter().map(Health::as_json).collect();
        out.json_line(&json!({ "services": services }))?;
    } else {
        let mut table = Table::new(&["Service", "Status", "Address", "Detail"]);
        for service in &services {
            table.row([
                service.name.to_owned(),
                service.mark().to_owned(),
                service.url.clone(),
                service.detail.clone(),
            ]);
        }
        table.write(out)?;
    }
    if services.iter().all(|service| service.is_well) {
        Ok(Outcome::AsWanted)
    } else {
        Ok(Outcome::NotAsWanted)
    }
}
