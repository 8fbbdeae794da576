//! What no pattern can see: checksums, spellings of addresses, the grammar of SQL and of shells.
//! Each recogniser reads the folded text and gives signals; rules give them severity and words.

mod address;
mod markup;
mod numbers;
mod path;
mod prose;
mod secret;
mod shell;
mod sql;
mod word;

use clampd_model::ToolCategory;
use clampd_sweep::{Survey, Traits};

pub(crate) use prose::{CUES, Prose};

use crate::effort::Effort;

macro_rules! signals {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal after $source:literal,)+) => {
        /// What a recogniser can see. A rule names it in `signal`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Signal { $($(#[doc = $doc])+ $variant,)+ }

        impl Signal {
            /// Every signal.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name in rule files.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it is recognised after: a standard, a specification, a paper, or what stands
            /// in for one.
            pub fn source(self) -> &'static str {
                match self { $(Self::$variant => $source,)+ }
            }

            /// The variant's name, for generated tables.
            pub fn variant(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }
    };
}

signals! {
    /// A United States social security number with its separators, or bare beside its name.
    UsSsn = "us-ssn" after "SSA, randomization of 2011: the areas, groups and serials that are never issued",
    /// A payment card's number: issuer, length and Luhn digit.
    CreditCard = "credit-card" after "ISO/IEC 7812-1 with its annex B",
    /// A United States individual taxpayer number beside its name.
    UsItin = "us-itin" after "IRS publication 1915",
    /// An Indian Aadhaar number.
    Aadhaar = "aadhaar" after "UIDAI; Verhoeff, Error Detecting Decimal Codes, 1969",
    /// An Indian permanent account number.
    IndiaPan = "india-pan" after "Income Tax Department of India, structure of the PAN",
    /// A Singaporean NRIC or FIN.
    Nric = "singapore-nric" after "ICA of Singapore, NRIC and FIN",
    /// A British national insurance number.
    UkNino = "uk-nino" after "HMRC National Insurance Manual NIM39110",
    /// A British NHS number beside its name.
    UkNhs = "uk-nhs" after "NHS Data Dictionary, NHS number",
    /// A German tax identification number beside its name.
    GermanTaxId = "german-tax-id" after "Abgabenordnung § 139b; ISO 7064 mod 11,10",
    /// A French INSEE number.
    FrenchInsee = "french-insee" after "INSEE, numéro d'inscription au répertoire",
    /// A Spanish DNI or NIE.
    SpanishId = "spanish-id" after "Real Decreto 1553/2005",
    /// An Italian codice fiscale.
    ItalianTaxCode = "italian-tax-code" after "Decreto Ministeriale 23/12/1976",
    /// A Brazilian CPF.
    BrazilCpf = "brazil-cpf" after "Receita Federal, CPF",
    /// A Brazilian CNPJ.
    BrazilCnpj = "brazil-cnpj" after "Receita Federal, CNPJ",
    /// A Chinese resident identity number.
    ChinaId = "china-resident-id" after "GB 11643-1999; ISO 7064 mod 11-2",
    /// A Japanese individual number beside its name.
    JapanMyNumber = "japan-my-number" after "Ministry of Internal Affairs ordinance 85 of 2014, article 5",
    /// A South Korean resident registration number.
    KoreaRrn = "korea-rrn" after "Resident Registration Act of Korea",
    /// An Australian tax file number beside its name.
    AustraliaTfn = "australia-tfn" after "Australian Taxation Office, TFN",
    /// A Canadian social insurance number beside its name.
    CanadaSin = "canada-sin" after "ESDC, SIN; ISO/IEC 7812-1 annex B",
    /// A Dutch citizen service number beside its name.
    DutchBsn = "dutch-bsn" after "RvIG, burgerservicenummer: the eleven test",
    /// A Polish PESEL beside its name.
    PolishPesel = "polish-pesel" after "PESEL register of Poland",
    /// A Swedish personal identity number.
    SwedishId = "swedish-id" after "Skatteverket SKV 704",
    /// A Czech birth number.
    CzechId = "czech-birth-number" after "Act 133/2000 Coll. of Czechia",
    /// A Turkish identity number beside its name.
    TurkishId = "turkish-id" after "NVİ of Turkey, T.C. kimlik numarası",
    /// A Thai identity number.
    ThaiId = "thai-id" after "Department of Provincial Administration of Thailand",
    /// An Indonesian NIK beside its name.
    IndonesiaNik = "indonesia-nik" after "Law 23 of 2006 of Indonesia",
    /// A Vietnamese citizen identity number beside its name.
    VietnamId = "vietnam-id" after "Decree 137/2015/ND-CP of Vietnam, article 13",
    /// A Mexican CURP.
    MexicoCurp = "mexico-curp" after "RENAPO of Mexico, CURP",
    /// A Swiss AHV number.
    SwissAhv = "swiss-ahv" after "ZAS of Switzerland, AHVN13; GS1 General Specifications section 7.9",
    /// A bank account's number beside its name.
    BankAccount = "bank-account" after "own: its name beside a number, since it has no check",
    /// A driving licence's number beside its name.
    DriverLicense = "driver-license" after "own: its name beside a number, since it has no check",
    /// A passport's number beside its name.
    Passport = "passport" after "own: its name beside a number; length after ICAO Doc 9303-4",
    /// A secret value given to the name that the rule's literal is the end of. Local: judged
    /// where the literal stands.
    AssignedSecret = "assigned-secret" after "CWE-798; after the keyword rules of detect-secrets and gitleaks",
    /// The rule's literal ends where a word ends. Local.
    WordEnd = "word-end" after "Unicode UAX #29 section 4, much simplified",
    /// An international bank account number: country, length and mod 97.
    Iban = "iban" after "ISO 13616-1; ISO 7064 mod 97-10",
    /// A cloud's metadata service, in any spelling of its address.
    MetadataAddress = "metadata-address" after "the instance metadata documentation of AWS, Google Cloud, Azure, Alibaba and Oracle; RFC 3927",
    /// A URL to an address of the inside, spelled so that a filter may not see it.
    DisguisedAddress = "disguised-address" after "WHATWG URL section 3.5; RFC 4291 section 2.5.5",
    /// A URL that two readers read differently.
    OddUrl = "odd-url" after "RFC 3986 section 3.2; WHATWG URL section 4.4",
    /// A URL to the machine itself.
    LoopbackAddress = "loopback-address" after "RFC 1122 section 3.2.1.3; RFC 4291 section 2.5.3; RFC 6761 section 6.3",
    /// A URL to a private or link-local address.
    PrivateAddress = "private-address" after "RFC 1918; RFC 3927; RFC 4193",
    /// An element that runs or fetches by itself.
    ActiveElement = "active-element" after "WHATWG HTML; OWASP XSS filter evasion",
    /// An `on…` attribute in a tag.
    EventHandler = "event-handler" after "WHATWG HTML section 8.1.8",
    /// A condition whose outcome is written in it.
    SqlTautology = "sql-tautology" after "CWE-89; Galbreath, SQLi and token folding, 2012",
    /// A condition on a column, put behind a value.
    SqlCondition = "sql-condition" after "CWE-89; Galbreath, SQLi and token folding, 2012",
    /// A quote closed and the rest made a comment.
    SqlCut = "sql-cut" after "CWE-89; Galbreath, SQLi and token folding, 2012",
    /// A statement that changes or deletes every row.
    SqlUnbounded = "sql-unbounded" after "ISO/IEC 9075-2, searched delete and update statements",
    /// A query's condition made true for every row by an `or`.
    SqlOpened = "sql-opened" after "CWE-89; Galbreath, SQLi and token folding, 2012",
    /// A text that is nothing but the beginning of a call, such as `substr(`.
    BareCall = "bare-call" after "CWE-89 and CWE-94; own shape",
    /// A text that is a command by itself.
    ShellCommand = "shell-command" after "CWE-78; POSIX Shell Command Language section 2.9",
    /// A separator or substitution and a command behind it.
    ShellInjection = "shell-injection" after "CWE-78; POSIX Shell Command Language sections 2.6.3 and 2.9",
    /// A text that is nothing but a path to files of the system.
    SystemPath = "system-path" after "CWE-73; Filesystem Hierarchy Standard 3.0",
    /// A path that climbs out of its directory.
    PathClimb = "path-climb" after "CWE-22",
}

/// The signals of one text: for each, where it was first seen and how often.
#[derive(Debug, Default)]
pub(crate) struct Signals(Vec<(Signal, (u32, u32))>);

impl Signals {
    /// Notes a signal at an offset.
    pub(crate) fn put(&mut self, signal: Signal, offset: usize) {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        match self.0.iter_mut().find(|(known, _)| *known == signal) {
            Some((_, (first, count))) => {
                *first = offset.min(*first);
                *count = count.saturating_add(1);
            }
            None => self.0.push((signal, (offset, 1))),
        }
    }

    /// Whether it was seen.
    pub(crate) fn contains(&self, signal: Signal) -> bool {
        self.0.iter().any(|(seen, _)| *seen == signal)
    }

    /// What was seen, where first and how often.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Signal, (u32, u32))> + '_ {
        self.0.iter().copied()
    }
}

/// Whether a signal is one of the place where a rule's literal stands, not of the whole text.
pub(crate) fn is_local(signal: Signal) -> bool {
    matches!(signal, Signal::AssignedSecret | Signal::WordEnd)
}

/// Judges a local signal behind a rule's literal; `None` when it is one of the whole text.
pub(crate) fn holds_at(signal: Signal, text: &str, end: usize, effort: &Effort) -> Option<bool> {
    match signal {
        Signal::AssignedSecret => {
            let value = effort
                .spend(secret::VALUE_COST_BYTES)
                .then(|| secret::assigned(text, end))
                .flatten();
            Some(value.is_some_and(|value| effort.spend(value.len()) && secret::is_secret(value)))
        }
        Signal::WordEnd => Some(word::ends(text, end)),
        _ => None,
    }
}

/// The longest text that is nothing but the beginning of a call.
const BARE_CALL_BYTES_MAX: usize = 40;

/// Whether a text is one name and an opened parenthesis, perhaps closed again.
fn is_bare_call(text: &str) -> bool {
    let text = text.trim();
    let opened = text.strip_suffix(')').unwrap_or(text).trim_end();
    let name = opened.strip_suffix('(').map(str::trim_end);
    text.len() <= BARE_CALL_BYTES_MAX
        && name.is_some_and(|name| {
            name.len() >= 3 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        })
}

/// Runs every recogniser for which the text has the necessary characters.
pub(crate) fn signals(
    text: &str,
    survey: &Survey,
    prose: &Prose<'_>,
    own_language: Option<ToolCategory>,
    effort: &Effort,
) -> Signals {
    let mut signals = Signals::default();
    let traits = survey.traits;
    if traits.any(Traits::NUMBER) {
        numbers::recognise(text, survey, &mut signals);
        address::recognise_bare(text, survey, &mut signals);
    }
    if traits.any(Traits::SLASH.with(Traits::BACKSLASH).with(Traits::COLON)) {
        address::recognise(text, &mut signals);
    }
    if traits.any(Traits::DOT) && traits.any(Traits::SLASH.with(Traits::BACKSLASH)) {
        path::recognise(text, &mut signals);
    }
    if traits.any(Traits::SLASH.with(Traits::BACKSLASH)) {
        path::recognise_whole(text, &mut signals);
    }
    if traits.any(Traits::ANGLE) {
        markup::recognise(text, &mut signals, effort);
    }
    match own_language {
        Some(ToolCategory::Database) => sql::recognise_query(text, &mut signals),
        Some(ToolCategory::Shell | ToolCategory::Code) => {}
        _ => {
            let compares = traits.any(Traits::EQUALS.with(Traits::ANGLE));
            let quotes = traits.any(Traits::QUOTE.with(Traits::STAR).with(Traits::HASH));
            if compares || (quotes && !prose.holds()) {
                sql::recognise_value(text, &mut signals, effort);
            }
            let separated = Traits::SEPARATOR.with(Traits::QUOTE).with(Traits::PAREN);
            let argued = Traits::SLASH
                .with(Traits::BACKSLASH)
                .with(Traits::HYPHEN)
                .with(Traits::EQUALS);
            if traits.any(separated.with(argued)) && !prose.holds() {
                shell::recognise(text, &mut signals, effort);
            }
            if traits.any(
                Traits::PERCENT
                    .with(Traits::EQUALS)
                    .with(Traits::DOT)
                    .with(Traits::DIGIT),
            ) {
                shell::recognise_loop(text, &mut signals);
            }
            if traits.any(Traits::PAREN) && is_bare_call(text) {
                signals.put(Signal::BareCall, 0);
            }
        }
    }
    signals
}

/// Recognisers by themselves, for fuzzing.
#[cfg(fuzzing)]
pub(crate) mod fuzzing {
    use super::{Effort, Signals, Survey, address, sql};

    pub(crate) fn sql(folded: &str, signals: &mut Signals) {
        sql::recognise_value(folded, signals, &Effort::for_leaf(folded.len()));
        sql::recognise_query(folded, signals);
    }

    pub(crate) fn addresses(folded: &str, signals: &mut Signals) {
        address::recognise(folded, signals);
        address::recognise_bare(folded, &Survey::of(folded), signals);
    }
}
