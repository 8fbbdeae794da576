//! Paths that climb out of their directory (CWE-22), and texts that are nothing but a path into
//! the system's own directories (CWE-73; Filesystem Hierarchy Standard 3.0).

use clampd_sweep::runs;

use super::{Signal, Signals};

/// Notes each run of two or more `../` (or `..\`, `....//`, `..;/`) in folded text.
pub(super) fn recognise(text: &str, signals: &mut Signals) {
    let bare = text.trim();
    if bare.len() >= 4
        && bare.contains("..")
        && bare.bytes().all(|b| matches!(b, b'.' | b'/' | b'\\'))
    {
        signals.put(Signal::PathClimb, 0);
    }
    let mut from = 0;
    while let Some(start) = runs::next_pair(text.as_bytes(), from, b'.') {
        let rest = text.as_bytes().get(start..).unwrap_or_default();
        let (steps, length) = climb(rest);
        if steps >= 2 {
            signals.put(Signal::PathClimb, start);
        }
        from = start + length.max(2);
    }
}

/// How many steps up the bytes begin with, and how long they are.
fn climb(bytes: &[u8]) -> (usize, usize) {
    let mut at = 0;
    let mut steps = 0;
    loop {
        let count = |at: usize, of: &[u8]| {
            bytes
                .iter()
                .skip(at)
                .take(8)
                .take_while(|b| of.contains(b))
                .count()
        };
        let dots = count(at, b".");
        if dots < 2 {
            return (steps, at);
        }
        let odd = count(at + dots, b";|,");
        let slashes = count(at + dots + odd, b"/\\");
        if slashes == 0 {
            return (steps, at + dots);
        }
        steps += 1;
        at += dots + odd + slashes;
    }
}

/// The longest path that a system opens (`PATH_MAX`).
const PATH_BYTES_MAX: usize = 4_096;
/// The longest path with blanks in it that is looked at.
const BLANK_PATH_BYTES_MAX: usize = 300;

/// Notes a text that as a whole is a path to files of the system.
pub(super) fn recognise_whole(text: &str, signals: &mut Signals) {
    let path = text
        .trim()
        .trim_matches(['"', '\''])
        .trim_end_matches("%00");
    let path = path
        .strip_prefix("file:")
        .map_or(path, |rest| rest.trim_start_matches('/'));
    if path.len() > PATH_BYTES_MAX || path.len() < 4 || path.contains("://") {
        return;
    }
    let windows = path.as_bytes().get(1) == Some(&b':') || path.starts_with("\\");
    let blanks = path.contains(' ');
    if path.contains('\n') || (blanks && (!windows || path.len() > BLANK_PATH_BYTES_MAX)) {
        return;
    }
    let path = path.replace('\\', "/");
    let found = if windows {
        let drive = path.split_once(':').map_or(path.as_str(), |(_, path)| path);
        let path = drive.trim_start_matches('/');
        WINDOWS_DIRS.iter().any(|dir| path.starts_with(dir)) || is_server_file(path)
    } else if let Some(home) = path
        .strip_prefix("~")
        .filter(|rest| rest.starts_with('/') || rest.contains("/."))
    {
        home.contains("/.") || home.contains("log")
    } else if path.starts_with('/') || path.starts_with("./") || is_listed(&path) {
        if path.starts_with("/.") && !path.contains("..") && path.len() > 4 {
            signals.put(Signal::SystemPath, 0);
        }
        let path = path.trim_start_matches(['.', '/']);
        UNIX_DIRS.iter().any(|dir| path.starts_with(dir)) || is_server_file(path)
    } else {
        false
    };
    let guarded = [".htaccess", ".htpasswd", "_config.php", ".pass"];
    if found || (path.contains('/') && guarded.iter().any(|name| path.ends_with(name))) {
        signals.put(Signal::SystemPath, 0);
    }
}

/// Whether a path without a slash before it begins with a directory of the system.
fn is_listed(path: &str) -> bool {
    ["etc/", "var/", "proc/", "root/", "usr/local/", "admin/"]
        .iter()
        .any(|dir| path.starts_with(dir))
}

/// Whether a path ends in a file in which servers keep settings, state, keys or logs.
fn is_server_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let ends = [
        ".conf",
        ".cnf",
        ".ini",
        ".log",
        ".htaccess",
        ".htpasswd",
        "_history",
        "passwd",
        "shadow",
        ".err",
        ".pid",
        "access_log",
        "error_log",
        ".bak",
        ".sav",
        ".pem",
        ".key",
        ".sql",
        ".rc",
    ];
    let holds = [
        "apache",
        "httpd",
        "nginx",
        "mysql",
        "postgres",
        "php",
        "tomcat",
        "lighttpd",
        "proftpd",
        "filezilla",
        "xampp",
        "wamp",
        "lampp",
        "mamp",
        "inetpub",
        "webserver",
    ];
    let listed = [
        "settings.php",
        "config.php",
        "configuration.php",
        "wp-config.php",
        "config.inc.php",
        "localsettings.php",
        "id_rsa",
        "authorized_keys",
        "known_hosts",
    ];
    listed.contains(&name)
        || (ends.iter().any(|end| name.ends_with(end))
            && (holds.iter().any(|part| path.contains(part))
                || path.contains("log")
                || path.contains("conf")))
}

/// Directories of the system under `/`.
const UNIX_DIRS: &[&str] = &[
    "etc/",
    "proc/",
    "var/",
    "usr/local/",
    "usr/lib/",
    "usr/etc/",
    "usr/pkg",
    "usr/share/",
    "usr/adm",
    "usr/spool",
    "usr/apache",
    "usr/ports",
    "root/",
    "boot/",
    "sys/",
    "dev/",
    "opt/lamp",
    "opt/xampp",
    "opt/apache",
    "opt/httpd",
    "opt/nginx",
    "opt/tomcat",
    "private/etc",
    "private/var",
    "volumes/",
    "library/",
    "system/library",
    "home/bin",
    "logs/",
    "apache",
    "nginx/",
    "mysql/",
    "php/",
    "php5/",
    "php4/",
    "bin/php",
    "web/conf",
    "www/logs",
    "www/apache",
    "netserver/",
    "config/",
    "admin/",
    "sbin/",
    "bin/",
    "lib/",
    "tmp/sess",
    "tmp/access",
    "srv/",
    "nsswitch",
];

/// Directories of the system on a drive.
const WINDOWS_DIRS: &[&str] = &[
    "windows",
    "winnt",
    "boot.ini",
    "boot/",
    "inetpub",
    "xampp",
    "wamp",
    "apache",
    "mysql",
    "program files",
    "programfiles",
    "progra~",
    "programdata",
    "php",
    "system32",
    "system volume",
    "users/administrator",
    "users/default",
    "documents and settings",
    "nginx",
    "log/",
    "logs/",
    "opt/xampp",
    "home/bin",
    "home2/bin",
    "unattend",
    "sysprep",
    "minint",
    "recovery",
    "pagefile",
    "ntuser",
    "autoexec",
];

#[cfg(test)]
mod tests {
    use super::super::{Signal, Signals};
    use super::{recognise, recognise_whole};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn two_steps_up_are_a_climb() {
        for (text, climbs) in [
            ("../../etc/passwd", true),
            (r"..\..\windows", true),
            ("....//....//etc", true),
            ("..;/..;/admin", true),
            ("../readme.md", false),
            ("wait... and see.. / or", false),
            ("a..b", false),
            ("..", false),
            ("/../", true),
        ] {
            let mut signals = Signals::default();
            recognise(text, &mut signals);
            assert_eq!(signals.contains(Signal::PathClimb), climbs, "{text}");
        }
    }

    #[test]
    fn a_bare_path_into_the_system_is_seen() {
        for (text, seen) in [
            ("/etc/rc.conf", true),
            ("/var/log/auth.log", true),
            (r"c:\windows\php.ini", true),
            ("c:/program files/x server/y.ini", true),
            ("~/.bash_history", true),
            ("/home/me/notes.txt", false),
            ("/api/v1/users", false),
            ("look at /etc/hosts", false),
            ("c: drive", false),
        ] {
            let mut signals = Signals::default();
            recognise_whole(text, &mut signals);
            assert_eq!(signals.contains(Signal::SystemPath), seen, "{text}");
        }
    }
}
