//! Honest texts of any length, the same each time: what most of an agent's traffic is made of.

/// A kind of text: its name and what writes it.
pub(crate) type Kind = (&'static str, fn(&mut Dice) -> String);

/// Every kind.
pub(crate) const KINDS: &[Kind] = &[
    ("prose", sentence),
    ("json", record),
    ("sql", statement),
    ("log", log_line),
    ("code", code_line),
    ("base64", encoded_line),
];

/// A text of a kind, `bytes` long.
pub(crate) fn text((_, write): &Kind, bytes: usize) -> String {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut text = String::with_capacity(bytes + 512);
    while text.len() < bytes {
        text.push_str(&write(&mut dice));
    }
    text.truncate(bytes);
    text
}

/// Numbers that look thrown (xorshift, Marsaglia 2003).
pub(crate) struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    pub(crate) fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick<'a>(&mut self, words: &'a str) -> &'a str {
        let count = words.split_ascii_whitespace().count() as u64;
        let nth = self.throw(count) as usize;
        words.split_ascii_whitespace().nth(nth).unwrap_or_default()
    }
}

const WORDS: &str = "the a of and to in for with on at from by about after before between during \
    harvest committee district report figures weather market village council river bridge teacher \
    student library kitchen garden railway morning evening winter summer account question answer \
    meeting decision proposal budget engineer customer service product delivery schedule \
    development responsibility communication neighbourhood straightforward approximately \
    was were is are had has have would could should might will been being made taken given seen \
    found kept told asked went came looked worked learned better smaller larger older younger new \
    first second last several many few every each other another same different important quiet \
    it they she he we this that these which who what when where while because although however";

fn sentence(dice: &mut Dice) -> String {
    let mut out = String::new();
    let length = 6 + dice.throw(16);
    for nth in 0..length {
        let word = dice.pick(WORDS);
        if nth == 0 {
            out.push_str(&word[..1].to_uppercase());
            out.push_str(&word[1..]);
        } else {
            out.push_str(word);
        }
        out.push_str(match dice.throw(24) {
            0 => ", ",
            1 => "'s ",
            2 if nth > 2 => "; ",
            _ => " ",
        });
    }
    if dice.throw(8) == 0 {
        out.push_str(&format!("in {} ", 1990 + dice.throw(30)));
    }
    let trimmed = out.trim_end().trim_end_matches([',', ';']).len();
    out.truncate(trimmed);
    out.push_str(if dice.throw(6) == 0 { ".\n\n" } else { ". " });
    out
}

fn record(dice: &mut Dice) -> String {
    format!(
        "{{\n  \"id\": {},\n  \"status\": \"{}\",\n  \"created_at\": \"2026-0{}-1{}T0{}:15:00Z\",\n  \
         \"amount\": {}.{:02},\n  \"tags\": [\"{}\", \"{}\"],\n  \"note\": \"{} {} {} {}\",\n  \
         \"href\": \"/v1/orders/{:08x}\"\n}},\n",
        dice.throw(90_000),
        dice.pick("open paid shipped returned cancelled"),
        1 + dice.throw(9),
        dice.throw(9),
        dice.throw(9),
        dice.throw(900),
        dice.throw(100),
        dice.pick(WORDS),
        dice.pick(WORDS),
        dice.pick(WORDS),
        dice.pick(WORDS),
        dice.pick(WORDS),
        dice.pick(WORDS),
        dice.throw(1 << 32),
    )
}

fn statement(dice: &mut Dice) -> String {
    let (table, column) = (dice.pick(WORDS), dice.pick(WORDS));
    match dice.throw(3) {
        0 => format!(
            "SELECT t.{column}, count(*) FROM {table}_items t JOIN {table}_rows r ON r.id = t.row_id \
             WHERE t.{column} > {} AND r.kind = '{}' GROUP BY t.{column} ORDER BY 2 DESC;\n",
            dice.throw(500),
            dice.pick(WORDS),
        ),
        1 => format!(
            "INSERT INTO {table}_items (id, {column}, note) VALUES ({}, {}, '{} {}');\n",
            dice.throw(90_000),
            dice.throw(900),
            dice.pick(WORDS),
            dice.pick(WORDS),
        ),
        _ => format!(
            "UPDATE {table}_items SET {column} = {} WHERE id = {};\n",
            dice.throw(900),
            dice.throw(90_000),
        ),
    }
}

fn log_line(dice: &mut Dice) -> String {
    format!(
        "2026-03-1{}T1{}:{:02}:{:02}.{:03}Z {} [worker-{}] request_id={:08x}-{:04x} path=/v1/{}/{} \
         status=200 duration_ms={} {} {} {}\n",
        dice.throw(9),
        dice.throw(9),
        dice.throw(60),
        dice.throw(60),
        dice.throw(1_000),
        dice.pick("INFO INFO INFO DEBUG WARN"),
        dice.throw(16),
        dice.throw(1 << 32),
        dice.throw(1 << 16),
        dice.pick(WORDS),
        dice.throw(9_000),
        dice.throw(400),
        dice.pick(WORDS),
        dice.pick(WORDS),
        dice.pick(WORDS),
    )
}

fn code_line(dice: &mut Dice) -> String {
    let (a, b, c) = (dice.pick(WORDS), dice.pick(WORDS), dice.pick(WORDS));
    match dice.throw(4) {
        0 => format!("def {a}_{b}(self, {c}: int) -> list[str]:\n"),
        1 => format!(
            "    {a} = self.{b}.{c}(\"{b} {c}\", limit={})\n",
            dice.throw(90)
        ),
        2 => format!(
            "    if {a} is None or {b} > {}:\n        return [x.{c} for x in {a}]\n",
            dice.throw(90)
        ),
        _ => format!("    # {} {a} {b} {c}.\n", dice.pick(WORDS)),
    }
}

/// A picture's bytes, 76 characters a line.
fn encoded_line(dice: &mut Dice) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let line = (0..76).map(|_| char::from(ALPHABET[dice.throw(64) as usize]));
    line.chain(['\n']).collect()
}
