//! How each service of a cluster is, as it says itself.

use serde_json::{Value, json};

use crate::{
    control_plane::{ControlPlane, text_of},
    error::CliError,
    gateway,
    global::Global,
    http::Answer,
};

/// One service, or one part of what it does.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    pub(crate) is_well: bool,
    /// What it said, in few words.
    pub(crate) detail: String,
}

impl Health {
    /// `[OK]`, or what stands in its place.
    pub(crate) fn mark(&self) -> &'static str {
        if self.is_well { "[OK]" } else { "[DOWN]" }
    }

    /// For a program.
    pub(crate) fn as_json(&self) -> Value {
        json!({
            "service": self.name, "url": self.url, "ok": self.is_well, "detail": self.detail,
        })
    }
}

/// Asks every service of the context in use.
pub(crate) fn of_cluster(global: &Global) -> Result<Vec<Health>, CliError> {
    let gateway = gateway::anonymous(global)?;
    let control_plane = ControlPlane::anonymous(global)?;
    let ask = |path: &str| gateway.send("GET", path, None);
    let of = |name, url: &str, answer: Result<Answer, CliError>, words: fn(&Answer) -> String| {
        let (is_well, detail) = match answer {
            Ok(answer) => (answer.is_success(), words(&answer)),
            Err(CliError::NoAnswer { reason, .. }) => (false, reason),
            Err(error) => (false, error.to_string()),
        };
        Health {
            name,
            url: url.to_owned(),
            is_well,
            detail,
        }
    };
    let plane = |path: &str| control_plane.ask(path);
    let (here, there) = (gateway.url(), control_plane.url());
    let mut services = vec![
        of("gateway", here, ask("/health"), health_words),
        of("gateway metrics", here, ask("/metrics"), counts),
        of("control plane", there, plane("/health"), health_words),
        of("database", there, plane("/ready"), health_words),
    ];
    // Only a key opens the control plane's metrics: without one they are not looked at.
    if let Ok(control_plane) = ControlPlane::of(global) {
        let metrics = control_plane.ask("/metrics");
        services.push(of("control metrics", there, metrics, polls));
    }
    Ok(services)
}

fn health_words(answer: &Answer) -> String {
    let body = answer.json().unwrap_or(Value::Null);
    let status = match text_of(&body, "status") {
        "" => format!("status {}", answer.status),
        word => word.to_owned(),
    };
    let version = text_of(&body, "version");
    let revision = body
        .get("bundle_revision")
        .filter(|revision| !revision.is_null());
    match (version, revision) {
        ("", None) => status,
        ("", Some(revision)) => format!("{status}, bundle {revision}"),
        (version, _) => format!("{status}, version {version}"),
    }
}

fn counts(answer: &Answer) -> String {
    if !answer.is_success() {
        return format!("status {}", answer.status);
    }
    let total = |name: &str| sum(&answer.text, name);
    let (requests, denied) = (
        "agentguard_requests_total",
        "agentguard_requests_denied_total",
    );
    format!("{} requests, {} denied", total(requests), total(denied))
}

fn polls(answer: &Answer) -> String {
    if !answer.is_success() {
        return format!("status {}", answer.status);
    }
    let waiting = sum(&answer.text, "clampd_bundle_polls_waiting");
    let kills = sum(&answer.text, "clampd_kills_total");
    format!("{waiting} gateways wait for changes, {kills} kills")
}

/// The sum of a metric's samples over all labels, in the Prometheus text format.
fn sum(metrics: &str, name: &str) -> f64 {
    let samples = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once('}')?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.split_whitespace().next()?.parse::<f64>().ok()
    });
    samples.sum()
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn a_metric_is_summed_over_its_labels_and_no_other_is() {
        let metrics = "# TYPE a_total counter\na_total{x=\"1\"} 2\na_total{x=\"}\"} 3 1700000000\n\
                       a_total_more 9\nb 4\n";
        assert_eq!((sum(metrics, "a_total"), sum(metrics, "b")), (5.0, 4.0));
    }
}
