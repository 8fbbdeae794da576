//! What no pattern can see: checksums, spellings of addresses, the grammar of SQL and of shells.
//! Each recogniser reads the folded text and gives signals; rules give them severity and words.

mod address;
mod numbers;
mod path;

use clampd_model::ToolCategory;

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
    /// An international bank account number: country, length and mod 97.
    Iban = "iban",
    /// A cloud's metadata service, in any spelling of its address.
    MetadataAddress = "metadata-address",
    /// A URL to a private, loopback or link-local address, in any spelling.
    PrivateAddress = "private-address",
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

/// Runs every recogniser for which the text has the necessary characters.
pub(crate) fn signals(text: &str, _own_language: Option<ToolCategory>) -> Signals {
    let mut signals = Signals::default();
    numbers::recognise(text, &mut signals);
    address::recognise(text, &mut signals);
    path::recognise(text, &mut signals);
    signals
}
