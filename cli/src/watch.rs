//! `clampd watch`: services, agents and events of a cluster on one screen, as they change.
//!
//! A thread of its own asks the cluster (`feed`), so that the keyboard never waits for the
//! network; what is on the screen is a value (`screen`) that is drawn and tested without one.

mod feed;
mod screen;

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use clap::Args;
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
};

use self::{
    feed::{Feed, Wish},
    screen::{Asked, Screen},
};
use crate::{Outcome, error::CliError, global::Global, output::Output};

/// How long the keyboard is waited for before the screen is drawn again.
const KEY_TIMEOUT: Duration = Duration::from_millis(100);

/// How the screen is shown.
#[derive(Debug, Args)]
pub(crate) struct WatchArguments {
    /// Print the screen once, as text, and end
    #[arg(long)]
    once: bool,
    /// Its width with --once, in characters
    #[arg(long, default_value_t = 100, requires = "once", value_parser = clap::value_parser!(u16).range(60..=400))]
    width: u16,
    /// Its height with --once, in lines
    #[arg(long, default_value_t = 30, requires = "once", value_parser = clap::value_parser!(u16).range(16..=200))]
    height: u16,
}

/// Shows the screen, once or until `q`.
pub(crate) fn run(
    arguments: &WatchArguments,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    if arguments.once {
        let mut screen = Screen::default();
        screen.show(feed::look(global, &mut None)?);
        for line in screen.text(arguments.width, arguments.height) {
            out.line(line)?;
        }
        return Ok(Outcome::AsWanted);
    }
    if !io::stdout().is_terminal() {
        let wanted = "`watch` needs a terminal; `watch --once` prints the screen as text";
        return Err(CliError::Usage(wanted.to_owned()));
    }
    show(global)?;
    Ok(Outcome::AsWanted)
}

/// Shows the screen until `q`, whatever becomes of the cluster meanwhile.
pub(crate) fn show(global: &Global) -> Result<(), CliError> {
    // What is wrong with the context is better told on a plain terminal.
    let mut events = None;
    let first = feed::look(global, &mut events)?;
    let mut screen = Screen::default();
    screen.show(first);
    let feed = Feed::start(global.clone(), events);
    let mut terminal = ratatui::try_init()?;
    let shown = watch(&mut terminal, &mut screen, &feed);
    ratatui::try_restore()?;
    Ok(shown?)
}

fn watch(terminal: &mut DefaultTerminal, screen: &mut Screen, feed: &Feed) -> io::Result<()> {
    loop {
        while let Some(seen) = feed.next() {
            screen.show(seen);
        }
        terminal.draw(|frame| frame.render_widget(&*screen, frame.area()))?;
        if !event::poll(KEY_TIMEOUT)? {
            continue;
        }
        let Input::Key(key) = event::read()? else {
            continue;
        };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        match obey(key, screen) {
            Some(Command::Quit) => return Ok(()),
            Some(Command::Kill(id)) => feed.wish(Wish::Kill(id)),
            None => {}
        }
    }
}

/// What a key asks of others than the screen.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Quit,
    Kill(String),
}

fn obey(key: KeyEvent, screen: &mut Screen) -> Option<Command> {
    let is_interrupt = key.modifiers.contains(KeyModifiers::CONTROL);
    if key.code == KeyCode::Char('c') && is_interrupt {
        return Some(Command::Quit);
    }
    if let Some(Asked::Kill { id }) = screen.asked.take() {
        return (key.code == KeyCode::Char('y')).then_some(Command::Kill(id));
    }
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return Some(Command::Quit),
        KeyCode::Down | KeyCode::Char('j') => screen.select_next(),
        KeyCode::Up | KeyCode::Char('k') => screen.select_previous(),
        KeyCode::Char('x') => screen.ask_to_kill(),
        _ => {}
    }
    None
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::{KeyCode, KeyEvent};

    use super::{Command, Screen, obey, screen::tests::seen};

    #[test]
    fn only_a_confirmed_kill_is_given() {
        let mut screen = Screen::default();
        screen.show(seen());
        let mut press = |code| obey(KeyEvent::from(code), &mut screen);
        assert_eq!(press(KeyCode::Char('y')), None);
        press(KeyCode::Down);
        assert_eq!(press(KeyCode::Char('x')), None);
        assert_eq!(press(KeyCode::Char('n')), None);
        assert_eq!(press(KeyCode::Char('y')), None);
        press(KeyCode::Char('x'));
        assert_eq!(
            press(KeyCode::Char('y')),
            Some(Command::Kill("d4e5f6".to_owned()))
        );
        assert_eq!(press(KeyCode::Char('q')), Some(Command::Quit));
    }
}
