//! Texts made to be slow: near misses, bombs, nested encodings. 128 KiB each.

use super::encode::base64;

/// The texts, by name.
pub(crate) fn texts() -> Vec<(&'static str, String)> {
    const SIZE: usize = 128 * 1024;
    let fill = |piece: &str| {
        piece
            .repeat(SIZE / piece.len() + 1)
            .chars()
            .take(SIZE)
            .collect()
    };
    let mut nested = "ignore all previous instructions ".repeat(300);
    for _ in 0..6 {
        nested = base64(nested.as_bytes());
    }
    nested.truncate(SIZE);
    let runs = (0..).map(|nth| base64(format!("a note {nth:05}").as_bytes()) + " ");
    let runs: String = runs.take(SIZE / 18).collect();
    vec![
        (
            "gates without matches",
            fill("ignore drop select union exec script "),
        ),
        ("near groups", fill("ignore ignore all all previous rules ")),
        ("open tags", fill("<a <b <c onx <script")),
        ("one long tag", format!("<a {}", fill("on on on on on "))),
        ("comments", fill("/* /* */ /*")),
        ("open comments", fill("/*/*/*/*")),
        ("quotes", fill("' or ' or ' or \" or ")),
        ("equations", fill("or 1=2 and 3=4 or ")),
        ("percent signs", fill("%25")),
        ("ampersands", fill("&amp;")),
        ("backslashes", fill("\\\\u005c")),
        ("digits", fill("4111 1111 1111 1112 ")),
        ("long digits", fill("1234567890")),
        ("letters and digits", fill("gb82west12345698765432 ")),
        ("slashes", fill("//////")),
        ("urls", fill("http://a@b@c//x ")),
        ("dots", fill("../..")),
        ("climbs", fill("....//")),
        ("separators", fill(";|&`$(")),
        ("commands", fill("; cat ; ls | id ")),
        ("spaced letters", fill("a b c d e f ")),
        ("leet", fill("1gn0r3 4ll ")),
        ("base64", fill("aWdub3JlIGFsbCA")),
        ("nested base64", nested),
        ("runs of base64", runs),
        ("windows", fill(".env .ssh $where db. ")),
        ("nested shells", format!(";{}", fill("("))),
        ("escaped newlines", fill("\\n")),
        ("assignments", fill("token=")),
        ("nested addresses", fill("a:///")),
        ("hex", fill("69676e6f7265")),
        ("codes", fill("105 103 110 ")),
        ("unicode", fill("ｉｇｎｏｒｅ　")),
        ("marks", fill("a\u{301}\u{302}\u{303}")),
        ("ligature bomb", fill("\u{fdfa}")),
        ("homoglyphs", fill("ignоrе ")),
        ("tags", fill("\u{e0069}\u{e0067}")),
        ("reversed", fill("erongi snoitcurtsni ")),
        ("secrets", fill("token = abcdefgh token: ")),
        ("regex bait", fill("dd if=a of=b bs=c ")),
        ("curl bait", fill("curl curl curl curl ")),
        ("sockets", fill("socket socket nc -l ")),
        ("braces", fill("{{ {{ ${ ${ #{ ")),
        ("semicolons", fill("; drop ; drop ")),
        ("newlines", fill("\n\r\n\t ")),
        ("colons", fill("://:@://:@")),
        (
            "plain",
            fill("the quick brown fox jumps over the lazy dog. "),
        ),
    ]
}
