//! What is on the screen. How it is drawn is `draw`'s.

mod draw;

use std::collections::VecDeque;

use ratatui::{buffer::Buffer, layout::Rect, widgets::Widget as _};
use serde_json::Value;

use crate::{
    audit::events::Event, cluster::health::Health, control_plane::text_of, table::printable,
};

/// Events that are kept.
const EVENTS_MAX: usize = 500;

/// What one look at the cluster gave; what it did not give stays as it was.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) services: Option<Vec<Health>>,
    pub(super) agents: Option<Vec<Value>>,
    /// New events, the oldest first.
    pub(super) events: Vec<Event>,
    /// Something to be told.
    pub(super) note: Option<String>,
}

/// What the person is asked to confirm.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Kill { id: String },
}

/// The screen.
#[derive(Debug, Default)]
pub(super) struct Screen {
    services: Vec<Health>,
    agents: Vec<Value>,
    events: VecDeque<Event>,
    selected: usize,
    note: String,
    pub(super) asked: Option<Asked>,
}

impl Screen {
    /// Takes in what was seen.
    pub(super) fn show(&mut self, seen: Seen) {
        if let Some(services) = seen.services {
            self.services = services;
        }
        if let Some(agents) = seen.agents {
            let selected = self.selected_id();
            self.agents = agents;
            let again = self
                .agents
                .iter()
                .position(|agent| Some(text_of(agent, "id")) == selected.as_deref());
            self.selected = again
                .unwrap_or(self.selected)
                .min(self.agents.len().saturating_sub(1));
        }
        self.events.extend(seen.events);
        let too_many = self.events.len().saturating_sub(EVENTS_MAX);
        self.events.drain(..too_many);
        self.note = seen.note.map(|note| printable(&note)).unwrap_or_default();
    }

    pub(super) fn select_next(&mut self) {
        self.selected = (self.selected + 1).min(self.agents.len().saturating_sub(1));
    }

    pub(super) fn select_previous(&mut self) {
        self.selected = self.selected.saturating_sub(1);
    }

    pub(super) fn ask_to_kill(&mut self) {
        self.asked = self.selected_id().map(|id| Asked::Kill { id });
    }

    fn selected_id(&self) -> Option<String> {
        let agent = self.agents.get(self.selected)?;
        Some(text_of(agent, "id").to_owned())
    }

    /// The screen as lines of text.
    pub(super) fn text(&self, width: u16, height: u16) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        self.render(area, &mut buffer);
        let rows = buffer.content.chunks(usize::from(width));
        rows.map(|row| row.iter().map(|cell| cell.symbol()).collect())
            .collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::{Screen, Seen};
    use crate::{audit::events::Event, cluster::health::Health};

    pub(in crate::watch) fn seen() -> Seen {
        let service = |name, is_well| Health {
            name,
            url: "http://127.0.0.1:1".to_owned(),
            is_well,
            detail: String::new(),
        };
        let agent = |id: &str, name: &str, state: &str, risk: &str| {
            json!({"id": id, "name": name, "state": state, "risk": risk,
                   "framework": "langchain", "scopes": ["db:read"]})
        };
        let event = json!({
            "seq": 1, "timestamp": 1_735_740_064_000_000_u64, "agent_name": "demo-exec",
            "tool_name": "api.stripe.charge", "tool_action": "proxy", "policy_action": "Deny",
            "blocked": true, "denial_reason": "policy over_budget: too much",
        });
        Seen {
            services: Some(vec![
                service("gateway", true),
                service("control plane", false),
            ]),
            agents: Some(vec![
                agent("a1b2c3", "demo-scout", "active", "low"),
                agent("d4e5f6", "demo-exec", "active", "medium"),
                agent("g7h8i9", "attacker\u{1b}-bot", "killed", "high"),
            ]),
            events: vec![Event {
                row: event.as_object().cloned().unwrap_or_default(),
            }],
            note: None,
        }
    }

    #[test]
    fn the_screen_shows_services_agents_events_and_details() {
        let mut screen = Screen::default();
        screen.show(seen());
        screen.select_next();
        let lines = screen.text(80, 20);
        let trimmed: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        assert!(
            trimmed[0].starts_with("╔═ SERVICES ═") && trimmed[0].contains("╦═ AGENTS ═"),
            "{trimmed:#?}"
        );
        for (part, line) in [
            ("gateway         [OK]", 1),
            ("control plane   [DOWN]", 2),
            ("  demo-scout               active     low", 1),
            ("> demo-exec                active     med", 2),
            ("attacker\u{fffd}-bot            killed     high", 3),
        ] {
            assert!(lines[line].contains(part), "{part}: {trimmed:#?}");
        }
        let all = lines.join("\n");
        for part in [
            "╠═ LIVE EVENTS ═",
            "14:01:04 demo-exec        POLICY_DENY    api.stripe.charge over_budget:",
            "╠═ DETAILS ═",
            "Selected: demo-exec | State: active",
            "Framework: langchain | Scopes: db:read",
        ] {
            assert!(all.contains(part), "{part}: {trimmed:#?}");
        }
        assert!(
            trimmed[19].starts_with('╚') && trimmed[19].ends_with('╝'),
            "{trimmed:#?}"
        );
    }

    #[test]
    fn the_selection_stays_on_its_agent_and_within_the_list() {
        let mut screen = Screen::default();
        screen.ask_to_kill();
        assert_eq!(screen.asked, None);
        screen.show(seen());
        (0..9).for_each(|_| screen.select_next());
        assert_eq!(screen.selected_id().as_deref(), Some("g7h8i9"));
        let mut fewer = seen();
        fewer.agents = fewer
            .agents
            .map(|agents| agents.into_iter().skip(1).collect());
        screen.show(fewer);
        assert_eq!(screen.selected_id().as_deref(), Some("g7h8i9"));
        screen.show(Seen {
            agents: Some(Vec::new()),
            ..Seen::default()
        });
        assert_eq!(screen.selected_id(), None);
        assert!(
            screen
                .text(60, 16)
                .join("")
                .contains("No agent is registered")
        );
    }
}
