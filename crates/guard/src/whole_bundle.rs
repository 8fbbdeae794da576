//! The bundle in force as the one who polls keeps it: whole, so that the next can be laid upon it.
//!
//! Sections stay JSON here; [`Snapshot`] is what reads them.

use serde_json::{Map, Value, json};

use clampd_model::BUNDLE_FORMAT;

use crate::{Micros, Snapshot, SnapshotError, json::parse_strict};

/// The section that is dear to make ready.
const RULES: &str = "rules";

/// A whole bundle that may be put in force.
#[derive(Debug, Clone, PartialEq)]
pub struct WholeBundle {
    org_id: String,
    revision: u64,
    issued_at: u64,
    expires_at: u64,
    sections: Map<String, Value>,
}

impl WholeBundle {
    /// Lays a verified bundle upon the one in force: the sections that it brings replace the old
    /// ones. What comes out has been read as a snapshot, so it can be put in force.
    ///
    /// # Errors
    /// [`SnapshotError`] when it must not be put in force; `in_force` then stays.
    pub fn lay(in_force: Option<&Self>, body: &[u8], now: Micros) -> Result<Self, SnapshotError> {
        let (news, since) = Self::read(body)?;
        if let Some(old) = in_force {
            if old.org_id != news.org_id {
                return Err(SnapshotError::OtherOrganisation);
            }
            if news.revision < old.revision {
                let (offered, in_force) = (news.revision, old.revision);
                return Err(SnapshotError::Rollback { offered, in_force });
            }
            if news.issued_at < old.issued_at {
                return Err(SnapshotError::Stale);
            }
        }
        if news.expires_at <= now / 1_000_000 {
            return Err(SnapshotError::Expired);
        }
        let in_force_revision = in_force.map_or(0, |old| old.revision);
        if since != 0 && since != in_force_revision {
            return Err(SnapshotError::Gap {
                since,
                in_force: in_force_revision,
            });
        }
        let mut sections = match in_force {
            Some(old) if since != 0 => old.sections.clone(),
            _ => Map::new(),
        };
        sections.extend(news.sections);
        let whole = Self { sections, ..news };
        let mut bundle = Snapshot::read_bundle(&whole.to_json())?;
        let rules = |of: &Self| {
            of.sections
                .get(RULES)
                .and_then(|s| s.get("entries"))
                .cloned()
        };
        if in_force.is_some_and(|old| rules(old) == rules(&whole))
            && let Some(section) = &mut bundle.sections.rules
        {
            // They were made ready when they came, and once is enough to know that they can be.
            section.entries.0.clear();
        }
        Snapshot::of(bundle)?;
        Ok(whole)
    }

    /// Takes up a bundle that was put in force before, by this one or by another.
    ///
    /// # Errors
    /// [`SnapshotError`] when it is no bundle.
    pub fn take_up(body: &[u8]) -> Result<Self, SnapshotError> {
        Self::read(body).map(|(whole, _)| whole)
    }

    /// Its revision.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// When it stops being good, in Unix seconds.
    pub fn expires_at(&self) -> u64 {
        self.expires_at
    }

    /// The JSON that [`Snapshot::read_bundle`] reads.
    pub fn to_json(&self) -> Vec<u8> {
        json!({
            "format": BUNDLE_FORMAT, "org_id": self.org_id, "revision": self.revision, "since": 0,
            "issued_at": self.issued_at, "expires_at": self.expires_at, "sections": self.sections,
        })
        .to_string()
        .into_bytes()
    }

    /// Reads a bundle and what it is to be laid upon.
    fn read(body: &[u8]) -> Result<(Self, u64), SnapshotError> {
        let Ok(Value::Object(mut fields)) = parse_strict(body) else {
            return Err(SnapshotError::Field("bundle"));
        };
        let number = |name: &'static str| {
            fields
                .get(name)
                .and_then(Value::as_u64)
                .ok_or(SnapshotError::Field(name))
        };
        let format = number("format")?;
        if format != u64::from(BUNDLE_FORMAT) {
            return Err(SnapshotError::Format(
                u32::try_from(format).unwrap_or(u32::MAX),
            ));
        }
        let (revision, since) = (number("revision")?, number("since")?);
        let (issued_at, expires_at) = (number("issued_at")?, number("expires_at")?);
        let Some(Value::String(org_id)) = fields.remove("org_id") else {
            return Err(SnapshotError::Field("org_id"));
        };
        let Some(Value::Object(sections)) = fields.remove("sections") else {
            return Err(SnapshotError::Field("sections"));
        };
        Ok((
            Self {
                org_id,
                revision,
                issued_at,
                expires_at,
                sections,
            },
            since,
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::WholeBundle;
    use crate::{Snapshot, SnapshotError};

    const NOW: u64 = 1_800_000_000;

    fn bundle(revision: u64, since: u64, sections: Value) -> Value {
        json!({"format": 1, "org_id": "acme", "revision": revision, "since": since,
               "issued_at": NOW, "expires_at": NOW + 60, "sections": sections})
    }

    fn whole(revision: u64) -> Value {
        let section = |entries: Value| json!({"revision": 1, "entries": entries});
        let sections = json!({
            "keys": section(json!([])), "agents": section(json!([])), "states": section(json!([])),
            "tools": section(json!([])), "policies": section(json!([])),
            "rules": section(json!([])),
            "settings": section(json!({"block_at": 0.7, "flag_at": 0.4})),
            "jwks": section(json!({"keys": []})),
        });
        bundle(revision, 0, sections)
    }

    fn lay(in_force: Option<&WholeBundle>, news: &Value) -> Result<WholeBundle, SnapshotError> {
        WholeBundle::lay(in_force, news.to_string().as_bytes(), NOW * 1_000_000)
    }

    #[test]
    fn a_kill_is_laid_upon_what_is_in_force() {
        let old = lay(None, &whole(3)).unwrap();
        let states = json!({"revision": 4, "entries": [{"id": "a", "state": "killed"}]});
        let new = lay(Some(&old), &bundle(4, 3, json!({"states": states}))).unwrap();
        let snapshot = Snapshot::of(Snapshot::read_bundle(&new.to_json()).unwrap()).unwrap();
        let killed = clampd_model::AgentId::parse("a").unwrap();
        assert_eq!(snapshot.state(&killed), clampd_model::AgentState::Killed);
        assert_eq!(WholeBundle::take_up(&new.to_json()), Ok(new));
    }

    /// A row as the bundle carries it.
    fn rule(literal: &str, pattern: &str) -> Value {
        json!({"id": "own-word", "name": "n", "category": "c", "severity": "high",
               "applies_to": ["params"], "literals": [literal], "within": 40, "reach": "around", "form": "any",
               "pattern": pattern})
    }

    #[test]
    fn rules_that_cannot_be_looked_for_leave_the_old_bundle_in_force() {
        let rules = |rule: Value| json!({"rules": {"revision": 4, "entries": [rule]}});
        let old = lay(None, &whole(3)).unwrap();
        let good = lay(Some(&old), &bundle(4, 3, rules(rule("heron", "heron")))).unwrap();
        let mut odd = rule("heron", "heron");
        odd["signal"] = json!("second-sight");
        for (bad, why) in [
            (rule("heron", "(heron"), "pattern of rule `own-word`"),
            (odd, "`second-sight`"),
            (json!({"id": "own-word"}), "does not parse"),
        ] {
            let error = lay(Some(&good), &bundle(5, 4, rules(bad))).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
        let snapshot = |whole: &WholeBundle, before: Option<&Snapshot>| {
            Snapshot::after(before, Snapshot::read_bundle(&whole.to_json()).unwrap()).unwrap()
        };
        let first = snapshot(&good, None);
        let states = json!({"states": {"revision": 5, "entries": []}});
        let next = lay(Some(&good), &bundle(5, 4, states)).unwrap();
        let second = snapshot(&next, Some(&first));
        assert!(
            std::ptr::eq(first.own_rules().unwrap(), second.own_rules().unwrap()),
            "rules that stay the same are made ready once"
        );
    }

    #[test]
    fn what_must_not_be_put_in_force_is_refused() {
        let old = lay(None, &whole(3)).unwrap();
        let with = |mut news: Value, name: &str, value: Value| {
            news[name] = value;
            news
        };
        let check = |news: &Value, why: &str| {
            let error = lay(Some(&old), news).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        check(&whole(2), "older than 3");
        check(&bundle(9, 5, json!({})), "does not follow 3");
        check(
            &with(whole(4), "org_id", json!("other")),
            "another organisation",
        );
        check(&with(whole(4), "issued_at", json!(1)), "signed earlier");
        check(&with(whole(4), "expires_at", json!(NOW)), "expired");
        check(&with(whole(4), "format", json!(2)), "format 2");
        check(&with(whole(4), "revision", json!("4")), "`revision`");
        check(&bundle(4, 0, json!({})), "lacks section");
        check(
            &bundle(4, 3, json!({"agents": {"revision": 4, "entries": 5}})),
            "does not parse",
        );
        check(
            &bundle(4, 3, json!({"agnts": {"revision": 4, "entries": []}})),
            "does not parse",
        );
    }
}
