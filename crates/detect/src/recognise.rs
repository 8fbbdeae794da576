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

pub(crate) use prose::Prose;

use crate::traits::Traits;

macro_rules! signals {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
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

            /// The variant's name, for generated tables.
            pub fn variant(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }
    };
}

signals! {
    /// A United States social security number with its separators, or bare beside its name.
    UsSsn = "us-ssn",
    /// A payment card's number: issuer, length and Luhn digit.
    CreditCard = "credit-card",
    /// A United States individual taxpayer number beside its name.
    UsItin = "us-itin",
    /// An Indian Aadhaar number.
    Aadhaar = "aadhaar",
    /// An Indian permanent account number.
    IndiaPan = "india-pan",
    /// A Singaporean NRIC or FIN.
    Nric = "singapore-nric",
    /// A British national insurance number.
    UkNino = "uk-nino",
    /// A British NHS number beside its name.
    UkNhs = "uk-nhs",
    /// A German tax identification number beside its name.
    GermanTaxId = "german-tax-id",
    /// A French INSEE number.
    FrenchInsee = "french-insee",
    /// A Spanish DNI or NIE.
    SpanishId = "spanish-id",
    /// An Italian codice fiscale.
    ItalianTaxCode = "italian-tax-code",
    /// A Brazilian CPF.
    BrazilCpf = "brazil-cpf",
    /// A Brazilian CNPJ.
    BrazilCnpj = "brazil-cnpj",
    /// A Chinese resident identity number.
    ChinaId = "china-resident-id",
    /// A Japanese individual number beside its name.
    JapanMyNumber = "japan-my-number",
    /// A South Korean resident registration number.
    KoreaRrn = "korea-rrn",
    /// An Australian tax file number beside its name.
    AustraliaTfn = "australia-tfn",
    /// A Canadian social insurance number beside its name.
    CanadaSin = "canada-sin",
    /// A Dutch citizen service number beside its name.
    DutchBsn = "dutch-bsn",
    /// A Polish PESEL beside its name.
    PolishPesel = "polish-pesel",
    /// A Swedish personal identity number.
    SwedishId = "swedish-id",
    /// A Czech birth number.
    CzechId = "czech-birth-number",
    /// A Turkish identity number beside its name.
    TurkishId = "turkish-id",
    /// A Thai identity number.
    ThaiId = "thai-id",
    /// An Indonesian NIK beside its name.
    IndonesiaNik = "indonesia-nik",
    /// A Vietnamese citizen identity number beside its name.
    VietnamId = "vietnam-id",
    /// A Mexican CURP.
    MexicoCurp = "mexico-curp",
    /// A Swiss AHV number.
    SwissAhv = "swiss-ahv",
    /// A bank account's number beside its name.
    BankAccount = "bank-account",
    /// A driving licence's number beside its name.
    DriverLicense = "driver-license",
    /// A passport's number beside its name.
    Passport = "passport",
    /// A secret value given to the name that the rule's literal is the end of. Local: judged
    /// where the literal stands.
    AssignedSecret = "assigned-secret",
    /// The rule's literal ends where a word ends. Local.
    WordEnd = "word-end",
    /// An international bank account number: country, length and mod 97.
    Iban = "iban",
    /// A cloud's metadata service, in any spelling of its address.
    MetadataAddress = "metadata-address",
    /// A URL to an address of the inside, spelled so that a filter may not see it.
    DisguisedAddress = "disguised-address",
    /// A URL that two readers read differently.
    OddUrl = "odd-url",
    /// A URL to the machine itself.
    LoopbackAddress = "loopback-address",
    /// A URL to a private or link-local address.
    PrivateAddress = "private-address",
    /// An element that runs or fetches by itself.
    ActiveElement = "active-element",
    /// An `on…` attribute in a tag.
    EventHandler = "event-handler",
    /// A condition whose outcome is written in it.
    SqlTautology = "sql-tautology",
    /// A condition on a column, put behind a value.
    SqlCondition = "sql-condition",
    /// A quote closed and the rest made a comment.
    SqlCut = "sql-cut",
    /// A statement that changes or deletes every row.
    SqlUnbounded = "sql-unbounded",
    /// A text that is nothing but the beginning of a call, such as `substr(`.
    BareCall = "bare-call",
    /// A text that is a command by itself.
    ShellCommand = "shell-command",
    /// A separator or substitution and a command behind it.
    ShellInjection = "shell-injection",
    /// A text that is nothing but a path to files of the system.
    SystemPath = "system-path",
    /// A path that climbs out of its directory.
    PathClimb = "path-climb",
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

/// Judges a signal where a rule's literal stands; `None` when the signal is one of whole texts.
pub(crate) fn at(signal: Signal, text: &str, end: usize) -> Option<bool> {
    match signal {
        Signal::AssignedSecret => Some(secret::is_assigned(text, end)),
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
    traits: Traits,
    prose: &Prose<'_>,
    own_language: Option<ToolCategory>,
) -> Signals {
    let mut signals = Signals::default();
    if traits.any(Traits::NUMBER) {
        numbers::recognise(text, &mut signals);
        address::recognise_bare(text, &mut signals);
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
        markup::recognise(text, &mut signals);
    }
    match own_language {
        Some(ToolCategory::Database) => sql::recognise_query(text, &mut signals),
        Some(ToolCategory::Shell | ToolCategory::Code) => {}
        _ => {
            let compares = traits.any(Traits::EQUALS.with(Traits::ANGLE));
            let quotes = traits.any(Traits::QUOTE.with(Traits::STAR).with(Traits::HASH));
            if compares || (quotes && !prose.holds()) {
                sql::recognise_value(text, &mut signals);
            }
            let separated = Traits::SEPARATOR.with(Traits::QUOTE).with(Traits::PAREN);
            let argued = Traits::SLASH
                .with(Traits::BACKSLASH)
                .with(Traits::HYPHEN)
                .with(Traits::EQUALS);
            if traits.any(separated.with(argued)) && !prose.holds() {
                shell::recognise(text, &mut signals);
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
