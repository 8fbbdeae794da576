//! What an import promises: the rules that it writes find what the Sigma rules find, and what
//! they do not is said.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic in a test is a failed promise"
)]

use clampd_detect::{Detector, Leaf, Place};
use clampd_model::{Surface, ToolCategory};
use clampd_rule_compiler::{check, parse};
use clampd_sigma::{Breadth, FILE_BYTES_MAX, Import, SigmaFile, import};

const HEAD: &str = "title: Backup copied away\nid: 6f1c6a53-2f0e-4f0a-9d5e-0a3a6b1c2d3e\nlevel: high\n\
    description: A backup is copied to a place outside.\ntags:\n  - attack.t1048.003\n\
    references:\n  - https://example.org/backup\nlogsource:\n  category: process_creation\n  product: linux\n";

fn imported(detection: &str, breadth: Breadth) -> Import {
    let text = format!("{HEAD}detection:\n{detection}");
    import(
        &[SigmaFile {
            name: "a.yml",
            text: &text,
        }],
        breadth,
        &[],
    )
}

fn whole(detection: &str) -> Import {
    let import = imported(detection, Breadth::AsWritten);
    assert!(
        import.rules[0].is_whole(),
        "{detection}: {:?}",
        import.rules
    );
    import
}

/// Whether one of the rules of an import is met by a shell command.
fn meets(import: &Import, command: &str) -> bool {
    let rules = parse("sigma.toml", import.toml.as_deref().unwrap(), &|_| {
        Err(String::new())
    })
    .unwrap();
    assert_eq!(check(&rules), []);
    let table: Vec<_> = rules.into_iter().map(|source| source.rule).collect();
    let place = Place {
        surface: Surface::Params,
        tool: "shell.exec",
        category: ToolCategory::Other,
    };
    let leaf = Leaf {
        name: "command",
        text: command,
    };
    !Detector::new(table)
        .unwrap()
        .scan(&place, [leaf])
        .is_empty()
}

fn check_meets(detection: &str, found: &[&str], passed: &[&str]) {
    let import = whole(detection);
    for command in found {
        assert!(meets(&import, command), "{detection}: {command}");
    }
    for command in passed {
        assert!(!meets(&import, command), "{detection}: {command}");
    }
}

#[test]
fn words_are_found_wherever_the_sigma_rule_finds_them() {
    check_meets(
        "  sel:\n    CommandLine|contains:\n      - backup.tar\n      - 'dump '\n  condition: sel\n",
        &["cp mybackup.tar /mnt", "DUMP x", "run pgdump now"],
        &["cp back.tar /mnt", "dumpall"],
    );
    check_meets(
        "  sel:\n    CommandLine|contains|all:\n      - 'rsync'\n      - '--remove'\n  condition: sel\n",
        &[
            "rsync -a --remove-source-files x y",
            &format!("--remove {} rsync", "x ".repeat(9_000)),
        ],
        &["rsync -a x y", "--remove x"],
    );
    check_meets(
        "  sel:\n    CommandLine|startswith: 'tar c'\n  condition: sel\n",
        &["tar cf x y"],
        &["sudo tar cf x y"],
    );
    check_meets(
        "  sel:\n    CommandLine|endswith: '/mnt/out'\n  condition: sel\n",
        &["cp a /mnt/out"],
        &["cp a /mnt/out/b"],
    );
    check_meets(
        "  sel:\n    CommandLine: 'dd if=?da'\n  condition: sel\n",
        &["dd if=sda"],
        &["dd if=sda1", "dd if=da"],
    );
    check_meets(
        "  sel:\n    CommandLine|contains: 'scp *@outside'\n  condition: sel\n",
        &["scp x root@outside:y"],
        &["root@outside scp x"],
    );
    check_meets(
        "  words:\n    - 'exfil now'\n  condition: words\n",
        &["echo exfil now"],
        &["echo exfil"],
    );
    check_meets(
        "  sel:\n    CommandLine|re: 'nc(?:at)? -[a-z]{1,3} \\d{1,5}'\n  condition: sel\n",
        &["ncat -lp 4444"],
        &["ncat 4444"],
    );
}

#[test]
fn conditions_join_what_they_name() {
    let detection = "  a1:\n    CommandLine|contains: 'first'\n  a2:\n    CommandLine|contains: 'second'\n\
        \x20 b:\n    CommandLine|contains: 'third'\n  condition: ";
    let check = |condition: &str, found: &[&str], passed: &[&str]| {
        check_meets(&format!("{detection}{condition}\n"), found, passed);
    };
    check(
        "1 of a* and b",
        &["first third", "second third"],
        &["first second", "third"],
    );
    check("all of a*", &["first second"], &["first third"]);
    check(
        "(a1 and a2) or (a1 and b)",
        &["first second", "first third"],
        &["second third"],
    );
    check("not not b", &["third"], &["first"]);
}

#[test]
fn a_program_is_found_by_its_name_and_beside_its_arguments() {
    let detection = "  img:\n    - Image|endswith: '\\curl.exe'\n    - OriginalFileName: 'curl.exe'\n\
        \x20 cli:\n    CommandLine|contains: ' -T '\n  condition: img and cli\n";
    check_meets(
        detection,
        &["curl -T x y", r"C:\bin\curl.exe -T x"],
        &["libcurl -T x", "curl x"],
    );
    assert!(
        whole(detection).rules[0]
            .notes
            .iter()
            .any(|note| note.contains("name of a program"))
    );
}

#[test]
fn base64_and_dashes_are_found_as_they_may_be_written() {
    let detection =
        "  sel:\n    CommandLine|base64offset|contains: 'http://drop'\n  condition: sel\n";
    check_meets(
        detection,
        &[
            "echo aHR0cDovL2Ryb3A= x",
            "echo eGh0dHA6Ly9kcm9weA==",
            "echo eHhodHRwOi8vZHJvcHg=",
        ],
        &["echo aGVsbG8gdGhlcmU="],
    );
    check_meets(
        "  sel:\n    CommandLine|contains|windash: ' -quiet '\n  condition: sel\n",
        &["x -quiet y", "x /quiet y", "x \u{2013}quiet y"],
        &["x quiet y"],
    );
}

#[test]
fn what_a_rule_cannot_say_is_refused_and_made_broader_only_when_asked() {
    for (detection, why, broader) in [
        (
            "  sel:\n    CommandLine|contains: 'backup'\n  filter:\n    CommandLine|contains: 'ok'\n  condition: sel and not filter\n",
            "must not be there",
            true,
        ),
        (
            "  sel:\n    CommandLine|contains: 'backup'\n    User: root\n  condition: sel\n",
            "`User`",
            true,
        ),
        (
            "  sel:\n    CommandLine|contains|cased: 'Backup'\n  condition: sel\n",
            "case",
            true,
        ),
        // One alternative that cannot be looked for: without it the rule would find less.
        (
            "  sel:\n    CommandLine|contains: 'backup'\n  other:\n    User: root\n  condition: sel or other\n",
            "nothing is left",
            false,
        ),
        (
            "  sel:\n    EventID: 4688\n  condition: sel\n",
            "nothing is left",
            false,
        ),
        (
            "  sel:\n    CommandLine|contains: 'x'\n  condition: sel | count() by User > 5\n",
            "in time",
            false,
        ),
        (
            "  sel:\n    CommandLine|contains: 'x'\n  timeframe: 5m\n  condition: sel\n",
            "in time",
            false,
        ),
        ("  sel: []\n  condition: sel\n", "empty list", false),
        ("  condition: sel\n", "`sel`", false),
    ] {
        let refused = imported(detection, Breadth::AsWritten);
        assert!(
            refused.toml.is_none() && refused.rules[0].ids.is_empty(),
            "{detection}"
        );
        assert!(
            refused.rules[0].lost[0].contains(why),
            "{detection}: {:?}",
            refused.rules
        );
        let asked = imported(detection, Breadth::Broader);
        assert_eq!(
            asked.toml.is_some(),
            broader,
            "{detection}: {:?}",
            asked.rules
        );
        assert!(
            !asked.rules[0].is_whole() && !asked.rules[0].lost.is_empty(),
            "{detection}"
        );
        if broader {
            assert!(meets(&asked, "make a backup ok"), "{detection}");
        }
    }
}

#[test]
fn a_rule_keeps_who_it_is() {
    let import = whole("  sel:\n    CommandLine|contains: 'it''s \"x\" \\ y'\n  condition: sel\n");
    assert_eq!(import.rules[0].ids, ["sigma-backup-copied-away"]);
    let rules = parse("sigma.toml", import.toml.as_deref().unwrap(), &|_| {
        Err(String::new())
    })
    .unwrap();
    let source = &rules[0];
    assert_eq!(source.rule.severity.as_str(), "high");
    assert_eq!(source.why, "A backup is copied to a place outside.");
    assert_eq!(
        source.references,
        [
            "Sigma 6f1c6a53-2f0e-4f0a-9d5e-0a3a6b1c2d3e",
            "ATT&CK T1048.003",
            "https://example.org/backup"
        ]
    );
    assert!(source.rule.only_in.contains(ToolCategory::Shell));
}

#[test]
fn documents_that_are_no_rules_are_told() {
    for (text, why) in [
        ("", "no rule"),
        ("- a", "`title`"),
        ("title: x", "`logsource`"),
        (
            "title: x\nlogsource: {}\nlevel: awful\ndetection: {}",
            "`awful`",
        ),
        ("title: x\ncorrelation: {}", "correlation"),
        ("action: global\ntitle: x", "collections"),
        ("title: x\nstatus: unsupported", "`unsupported`"),
        ("title: [", "no YAML"),
        ("title: x\ntitle: y", "twice"),
        (&"x".repeat(FILE_BYTES_MAX + 1), "longer than"),
    ] {
        let import = import(
            &[SigmaFile {
                name: "b.yml",
                text,
            }],
            Breadth::Broader,
            &[],
        );
        assert!(import.toml.is_none());
        assert!(import.rules[0].lost[0].contains(why), "{:?}", import.rules);
    }
}

#[test]
fn rules_of_the_same_name_are_told_apart_and_one_refusal_stops_no_other() {
    let text = format!(
        "{HEAD}detection:\n  s:\n    - abcd\n  condition: s\n---\n{HEAD}detection:\n  s:\n    - efgh\n  condition: s\n\
         ---\n{HEAD}detection:\n  s:\n    EventID: 1\n  condition: s\n"
    );
    let import = import(
        &[SigmaFile {
            name: "c.yml",
            text: &text,
        }],
        Breadth::AsWritten,
        &[],
    );
    let ids: Vec<_> = import.rules.iter().map(|rule| rule.ids.join(" ")).collect();
    assert_eq!(
        ids,
        ["sigma-backup-copied-away", "sigma-backup-copied-away-2", ""]
    );
    assert!(meets(&import, "abcd") && meets(&import, "efgh"));
}
