//! What is on the screen, and how it is drawn.

use std::collections::VecDeque;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect, Spacing},
    style::{Color, Modifier, Style},
    symbols::merge::MergeStrategy,
    text::{Line, Span},
    widgets::{Block, BorderType, Paragraph, Widget},
};
use serde_json::Value;

use crate::{
    agent::risk_word,
    audit::events::Event,
    cluster::health::Health,
    control_plane::{list_of, text_of},
    table::printable,
};

/// Events that are kept.
const EVENTS_MAX: usize = 500;
/// The width of the services' part with its frame.
const SERVICES_WIDTH: u16 = 26;
const HELP: &str = "↑↓ select   x kill   q quit";

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

    fn service_lines(&self) -> Vec<Line<'_>> {
        let lines = self.services.iter().map(|service| {
            let color = if service.is_well {
                Color::Green
            } else {
                Color::Red
            };
            Line::from(vec![
                Span::raw(format!("{:16}", service.name)),
                Span::styled(service.mark(), Style::new().fg(color)),
            ])
        });
        lines.collect()
    }

    fn agent_lines(&self, height: usize) -> Vec<Line<'_>> {
        let first = (self.selected + 1).saturating_sub(height);
        let lines = self.agents.iter().enumerate().skip(first).take(height);
        let lines = lines.map(|(at, agent)| {
            let is_selected = at == self.selected;
            let mark = if is_selected { '>' } else { ' ' };
            let state = text_of(agent, "state");
            let name = printable(text_of(agent, "name"));
            let mut style = Style::new().fg(match state {
                "killed" => Color::Red,
                "suspended" => Color::Yellow,
                _ => Color::Reset,
            });
            if is_selected {
                style = style.add_modifier(Modifier::BOLD);
            }
            let risk = risk_word(text_of(agent, "risk"));
            Line::styled(format!("{mark} {name:24} {state:10} {risk}"), style)
        });
        lines.collect()
    }

    fn event_lines(&self, height: usize) -> Vec<Line<'_>> {
        let first = self.events.len().saturating_sub(height);
        let lines = self.events.iter().skip(first).map(|event| {
            let color = match event.word() {
                "KILL_SWITCH" => Color::Magenta,
                _ if event.is_blocked() => Color::Red,
                "flagged" => Color::Yellow,
                _ => Color::Reset,
            };
            Line::styled(event.line(), Style::new().fg(color))
        });
        lines.collect()
    }

    fn detail_lines(&self) -> Vec<Line<'_>> {
        let agent = self.agents.get(self.selected);
        let mut lines = match agent {
            None => vec![Line::from("No agent is registered"), Line::default()],
            Some(agent) => {
                let field = |name| printable(text_of(agent, name));
                let scopes: Vec<&str> = list_of(agent, "scopes")
                    .iter()
                    .filter_map(Value::as_str)
                    .collect();
                vec![
                    Line::from(format!(
                        "Selected: {} | State: {}",
                        field("name"),
                        field("state")
                    )),
                    Line::from(format!(
                        "Framework: {} | Scopes: {} | Id: {}",
                        field("framework"),
                        printable(&scopes.join(" ")),
                        field("id"),
                    )),
                ]
            }
        };
        lines.push(match (&self.asked, self.note.as_str()) {
            (Some(Asked::Kill { id }), _) => {
                let style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
                Line::styled(
                    format!("Kill {id} and all that it delegated to? y / n"),
                    style,
                )
            }
            (None, "") => Line::styled(HELP, Style::new().fg(Color::DarkGray)),
            (None, note) => Line::styled(note, Style::new().fg(Color::Yellow)),
        });
        lines
    }
}

impl Widget for &Screen {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let most = self.services.len().max(self.agents.len()).clamp(5, 12);
        let top_height = u16::try_from(most).unwrap_or(12) + 2;
        let rows = [
            Constraint::Length(top_height),
            Constraint::Min(4),
            Constraint::Length(5),
        ];
        // Parts share the line between them, as in a table.
        let [top, events, details] = Layout::vertical(rows)
            .spacing(Spacing::Overlap(1))
            .areas(area);
        let columns = [Constraint::Length(SERVICES_WIDTH), Constraint::Min(20)];
        let [services, agents] = Layout::horizontal(columns)
            .spacing(Spacing::Overlap(1))
            .areas(top);
        let inner = |area: Rect| usize::from(area.height.saturating_sub(2));
        for (title, area, lines) in [
            ("═ SERVICES ", services, self.service_lines()),
            ("═ AGENTS ", agents, self.agent_lines(inner(agents))),
            ("═ LIVE EVENTS ", events, self.event_lines(inner(events))),
            ("═ DETAILS ", details, self.detail_lines()),
        ] {
            let block = Block::bordered()
                .border_type(BorderType::Double)
                .merge_borders(MergeStrategy::Exact)
                .title(title)
                .padding(ratatui::widgets::Padding::horizontal(1));
            Paragraph::new(lines).block(block).render(area, buffer);
        }
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
