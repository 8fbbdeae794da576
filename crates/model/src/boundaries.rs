//! What an agent may use at most, and when and where it may act.

use serde::{Deserialize, Serialize};

use crate::fields::Fields;

/// The days of a week as they are written, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// The largest number that JSON holds exactly.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The bounds of an agent. What is absent in its own record is as by default; what is absent there too
/// is not bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(try_from = "Fields")]
pub struct Boundaries {
    /// Calls in any minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_minute: Option<u32>,
    /// Bytes of requests' bodies in any minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_minute: Option<u64>,
    /// Bytes of answers in any hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_bytes_per_hour: Option<u64>,
    /// Calls in one session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_session: Option<u32>,
    /// Records in one answer of a tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records_per_answer: Option<u32>,
    /// When it may act, in UTC: such as `9-17`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub hours: Option<Hours>,
    /// The days on which it may act, in UTC: `mon` to `sun`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub days: Vec<String>,
    /// The hosts that URLs in its calls may name, such as `api.example.com` and `*.example.com`; `*`
    /// for every host that can be read in one way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub domains: Vec<String>,
}

/// Hours of a day: from the full hour `from` until the full hour `until`, over midnight where
/// `until` is not later. In JSON `"9-17"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Hours {
    from: u8,
    until: u8,
}

impl Hours {
    /// Reads `FROM-UNTIL`, full hours from 0 to 24.
    pub fn parse(text: &str) -> Option<Self> {
        let (from, until) = text.split_once('-')?;
        let hour = |text: &str| text.parse().ok().filter(|hour| (0..=24).contains(hour));
        let (from, until) = (hour(from)?, hour(until)?);
        (from != until && from != 24).then_some(Self { from, until })
    }

    /// Whether the hour, 0 to 23, lies within.
    pub fn contain(self, hour: u8) -> bool {
        if self.from < self.until {
            (self.from..self.until).contains(&hour)
        } else {
            hour >= self.from || hour < self.until
        }
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> Self {
        format!("{}-{}", hours.from, hours.until)
    }
}

impl TryFrom<Fields> for Boundaries {
    type Error = String;

    fn try_from(mut fields: Fields) -> Result<Self, String> {
        let calls = |fields: &mut Fields, name| {
            let count = whole(fields, name)?.map(u32::try_from).transpose();
            count.map_err(|_| format!("`{name}` is too large"))
        };
        let hours = fields.optional_text("hours")?;
        let hours = hours.map(|text| Hours::parse(&text).ok_or("`hours` must be such as `9-17`"));
        let bounds = Self {
            calls_per_minute: calls(&mut fields, "calls_per_minute")?,
            bytes_per_minute: whole(&mut fields, "bytes_per_minute")?,
            answer_bytes_per_hour: whole(&mut fields, "answer_bytes_per_hour")?,
            calls_per_session: calls(&mut fields, "calls_per_session")?,
            records_per_answer: calls(&mut fields, "records_per_answer")?,
            hours: hours.transpose()?,
            days: fields.texts("days")?,
            domains: fields.texts("domains")?,
        };
        fields.end()?;
        if !bounds.days.iter().all(|day| DAYS.contains(&day.as_str())) {
            return Err("`days` must be of `mon` to `sun`".to_owned());
        }
        if !bounds.domains.iter().all(|domain| is_domain(domain)) {
            return Err("`domains` must be such as `example.com` or `*.example.com`".to_owned());
        }
        Ok(bounds)
    }
}

impl Boundaries {
    /// These, and where they say nothing, what `default` says.
    #[must_use]
    pub fn over(&self, default: &Self) -> Self {
        let list = |own: &Vec<String>, default: &Vec<String>| {
            if own.is_empty() { default } else { own }.clone()
        };
        Self {
            calls_per_minute: self.calls_per_minute.or(default.calls_per_minute),
            bytes_per_minute: self.bytes_per_minute.or(default.bytes_per_minute),
            answer_bytes_per_hour: self.answer_bytes_per_hour.or(default.answer_bytes_per_hour),
            calls_per_session: self.calls_per_session.or(default.calls_per_session),
            records_per_answer: self.records_per_answer.or(default.records_per_answer),
            hours: self.hours.or(default.hours),
            days: list(&self.days, &default.days),
            domains: list(&self.domains, &default.domains),
        }
    }

    /// Whether it may act at that time, in Unix seconds.
    pub fn contain_time(&self, seconds: u64) -> bool {
        let hour = u8::try_from(seconds / 3_600 % 24).unwrap_or(0);
        // 1 January 1970 was a Thursday.
        let day = DAYS
            .iter()
            .cycle()
            .nth(((seconds / 86_400 + 3) % 7) as usize);
        let on_day = self.days.is_empty() || self.days.iter().any(|d| Some(&d.as_str()) == day);
        on_day && self.hours.is_none_or(|hours| hours.contain(hour))
    }

    /// Whether a URL may name that host, written in lower case.
    pub fn contain_host(&self, host: &str) -> bool {
        self.domains.is_empty()
            || self.domains.iter().any(|domain| {
                let below = domain
                    .strip_prefix('*')
                    .is_some_and(|end| host.len() > end.len() && host.ends_with(end));
                domain == host || below
            })
    }
}

/// A whole number, if it is there.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the guard before it leaves whole numbers that fit"
)]
fn whole(fields: &mut Fields, name: &str) -> Result<Option<u64>, String> {
    match fields.optional_number(name)? {
        None => Ok(None),
        Some(number) if (0.0..=EXACT_MAX).contains(&number) && number.fract() == 0.0 => {
            Ok(Some(number as u64))
        }
        Some(_) => Err(format!("`{name}` must be a whole number")),
    }
}

/// A host, or `*.` and the host above, in lower case; or `*`.
fn is_domain(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    let host = text.strip_prefix("*.").unwrap_or(text);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b);
    !host.is_empty() && host.len() <= 253 && host.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::{Boundaries, Hours};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn read(json: &str) -> Result<Boundaries, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let json = r#"{"calls_per_minute":60,"bytes_per_minute":1048576,"answer_bytes_per_hour":9,"calls_per_session":5,"records_per_answer":100,"hours":"9-17","days":["mon","fri"],"domains":["*.example.com"]}"#;
        assert_eq!(serde_json::to_string(&read(json).unwrap()).unwrap(), json);
        assert_eq!(read("{}").unwrap(), Boundaries::default());
        for (bad, name) in [
            (r#"{"calls_per_minut":1}"#, "calls_per_minut"),
            (r#"{"calls_per_minute":1.5}"#, "calls_per_minute"),
            (r#"{"calls_per_minute":-1}"#, "calls_per_minute"),
            (r#"{"calls_per_session":4294967296}"#, "calls_per_session"),
            (r#"{"hours":"9"}"#, "hours"),
            (r#"{"hours":"9-25"}"#, "hours"),
            (r#"{"hours":"9-9"}"#, "hours"),
            (r#"{"days":["monday"]}"#, "days"),
            (r#"{"domains":["https://a"]}"#, "domains"),
            (r#"{"domains":["*a.com"]}"#, "domains"),
        ] {
            assert!(read(bad).unwrap_err().contains(name), "{bad}");
        }
    }

    #[test]
    fn an_agent_may_act_at_its_hours_on_its_days() {
        let night = Hours::parse("22-6").unwrap();
        assert!(night.contain(23) && night.contain(5));
        assert!(!night.contain(6) && !night.contain(21));
        // Monday 2026-11-23, 09:00 UTC.
        let monday_at_nine = 1_795_424_400;
        let bounds = read(r#"{"hours":"9-17","days":["mon"]}"#).unwrap();
        assert!(bounds.contain_time(monday_at_nine));
        assert!(!bounds.contain_time(monday_at_nine - 1));
        assert!(!bounds.contain_time(monday_at_nine + 8 * 3_600));
        assert!(!bounds.contain_time(monday_at_nine + 86_400));
    }

    #[test]
    fn an_agent_s_own_bounds_go_before_the_default_field_by_field() {
        let default = read(
            r#"{"calls_per_minute":60,"calls_per_session":9,"days":["mon"],"domains":["a.com"]}"#,
        );
        let own = read(r#"{"calls_per_minute":90,"hours":"9-17","domains":["*"]}"#).unwrap();
        let both = r#"{"calls_per_minute":90,"calls_per_session":9,"hours":"9-17","days":["mon"],"domains":["*"]}"#;
        let default = default.unwrap();
        assert_eq!(own.over(&default), read(both).unwrap());
        assert_eq!(Boundaries::default().over(&default), default);
        assert_eq!(own.over(&Boundaries::default()), own);
    }

    #[test]
    fn a_domain_with_a_star_holds_what_is_below_it() {
        let bounds = read(r#"{"domains":["a.com","*.b.com"]}"#).unwrap();
        for good in ["a.com", "x.b.com", "y.x.b.com"] {
            assert!(bounds.contain_host(good), "{good}");
        }
        for bad in ["x.a.com", "b.com", "evilb.com", ".b.com", "a.com.evil.org"] {
            assert!(!bounds.contain_host(bad), "{bad}");
        }
        let all = read(r#"{"domains":["*"]}"#).unwrap();
        assert!(all.contain_host("a.com") && !all.contain_host(""));
    }
}
