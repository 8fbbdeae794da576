//! How the screen is drawn: four parts in one frame.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect, Spacing},
    style::{Color, Modifier, Style},
    symbols::merge::MergeStrategy,
    text::{Line, Span},
    widgets::{Block, BorderType, Padding, Paragraph, Widget},
};
use serde_json::Value;

use super::{Asked, Screen};
use crate::{
    agent::risk_word,
    control_plane::{list_of, text_of},
    table::printable,
};

/// The width of the services' part with its frame.
const SERVICES_WIDTH: u16 = 26;
const HELP: &str = "↑↓ select   x kill   q quit";

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
                .padding(Padding::horizontal(1));
            Paragraph::new(lines).block(block).render(area, buffer);
        }
    }
}

impl Screen {
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
