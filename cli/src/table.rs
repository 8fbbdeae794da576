//! Tables for a terminal.

use std::io;

use crate::output::Output;

/// The widest cell that is drawn whole, in characters.
const CELL_CHARACTERS_MAX: usize = 120;

/// A table in a frame.
#[derive(Debug)]
pub(crate) struct Table(Rows);

/// A table of plain columns.
#[derive(Debug)]
pub(crate) struct Columns(Rows);

#[derive(Debug)]
struct Rows {
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl Table {
    pub(crate) fn new<S: AsRef<str>>(header: &[S]) -> Self {
        Self(Rows::new(header))
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add(cells);
    }

    /// Draws it.
    pub(crate) fn write(&self, out: &mut Output) -> io::Result<()> {
        let rule = |left: &str, middle: &str, right: &str| {
            let dashes: Vec<String> = self.0.widths.iter().map(|w| "─".repeat(w + 2)).collect();
            format!("{left}{}{right}", dashes.join(middle))
        };
        out.line(rule("┌", "┬", "┐"))?;
        for (at, row) in self.0.rows.iter().enumerate() {
            out.line(format!("│ {} │", self.0.padded(row).join(" │ ")))?;
            if at == 0 {
                out.line(rule("├", "┼", "┤"))?;
            }
        }
        out.line(rule("└", "┴", "┘"))
    }
}

impl Columns {
    pub(crate) fn new<S: AsRef<str>>(header: &[S]) -> Self {
        Self(Rows::new(header))
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add(cells);
    }

    /// Writes it.
    pub(crate) fn write(&self, out: &mut Output) -> io::Result<()> {
        for row in &self.0.rows {
            out.line(self.0.padded(row).join("  ").trim_end())?;
        }
        Ok(())
    }
}

impl Rows {
    fn new<S: AsRef<str>>(header: &[S]) -> Self {
        let mut rows = Self {
            rows: Vec::new(),
            widths: vec![0; header.len()],
        };
        rows.add(header.iter().map(|name| name.as_ref().to_owned()));
        rows
    }

    /// A row has as many cells as the header; missing ones are empty.
    fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().chain(std::iter::repeat_with(String::new));
        let row: Vec<String> = cells
            .take(self.widths.len())
            .map(|cell| shown(&cell))
            .collect();
        for (width, cell) in self.widths.iter_mut().zip(&row) {
            *width = (*width).max(width_of(cell));
        }
        self.rows.push(row);
    }

    fn padded(&self, row: &[String]) -> Vec<String> {
        let cells = row.iter().zip(&self.widths);
        cells
            .map(|(cell, width)| {
                format!("{cell}{}", " ".repeat(width.saturating_sub(width_of(cell))))
            })
            .collect()
    }
}

/// A cell on one line, with nothing in it that a terminal would obey.
fn shown(cell: &str) -> String {
    let plain = printable(cell);
    if plain.chars().count() <= CELL_CHARACTERS_MAX {
        return plain;
    }
    let kept: String = plain.chars().take(CELL_CHARACTERS_MAX - 1).collect();
    format!("{kept}…")
}

/// The text with controls, line ends and invisible marks of direction replaced: names and reasons
/// come from others, and a terminal obeys escape sequences.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => {
                '\u{fffd}'
            }
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

fn width_of(text: &str) -> usize {
    ratatui::text::Span::raw(text).width()
}
