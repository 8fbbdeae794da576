//! What detection found, and where.

use std::borrow::Cow;

use crate::{Severity, words::words};

words! {
    /// Where a text stands in an exchange.
    pub enum Surface {
        /// What a person or another program says to a model.
        Prompt = "prompt",
        /// A parameter of a tool call.
        Params = "params",
        /// What a tool or a model answered.
        Response = "response",
        /// The description of a tool.
        Descriptor = "descriptor",
    }
}

impl Surface {
    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// A set of surfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SurfaceSet(u8);

impl SurfaceSet {
    /// The set of these bits, in the order prompt, params, response, descriptor; used by
    /// generated tables.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0b1111)
    }

    /// The bits.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether `surface` is in it.
    pub fn contains(self, surface: Surface) -> bool {
        self.0 & surface.bit() != 0
    }

    /// Its members.
    pub fn iter(self) -> impl Iterator<Item = Surface> {
        Surface::ALL.into_iter().filter(move |s| self.contains(*s))
    }
}

impl FromIterator<Surface> for SurfaceSet {
    fn from_iter<I: IntoIterator<Item = Surface>>(surfaces: I) -> Self {
        Self(surfaces.into_iter().fold(0, |bits, s| bits | s.bit()))
    }
}

macro_rules! decodings {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// A step that turned the text as written into the text that was matched.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Decoding { $($(#[doc = $doc])+ $variant,)+ }

        impl Decoding {
            /// Every decoding, in the order of their bits.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name that stands in the audit trail's `encodings_detected`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

decodings! {
    /// Unicode compatibility forms (UAX #15, NFKC), full-width letters among them.
    Compatibility = "unicode-compatibility",
    /// Letters of other scripts that look like Latin ones (UTS #39).
    Homoglyph = "homoglyph",
    /// Zero-width characters between letters.
    ZeroWidth = "zero-width",
    /// Bidirectional controls (UAX #9).
    Bidi = "bidi",
    /// Tag characters, U+E0000 to U+E007F.
    Tag = "tag-characters",
    /// Percent encoding (RFC 3986 section 2.1).
    Percent = "percent",
    /// HTML character references.
    HtmlEntity = "html-entity",
    /// `\xNN`, `\uNNNN` and octal escapes.
    Escape = "escape",
    /// Comments inside SQL.
    SqlComment = "sql-comment",
    /// Shell quoting, backslashes and `$IFS` inside words.
    ShellQuote = "shell-quote",
    /// Base64 (RFC 4648 sections 4 and 5).
    Base64 = "base64",
    /// Base16 (RFC 4648 section 8).
    Hex = "hex",
    /// Letters moved by 13.
    Rot13 = "rot13",
    /// Digits and signs for letters.
    Leet = "leetspeak",
    /// Text back to front.
    Reversed = "reversed",
    /// Letters with spaces or signs between them.
    Spaced = "spaced-letters",
    /// Base32 (RFC 4648 section 6).
    Base32 = "base32",
    /// Quoted-printable (RFC 2045 section 6.7).
    QuotedPrintable = "quoted-printable",
    /// Morse code.
    Morse = "morse",
    /// Variation selectors that carry bytes.
    VariationSelector = "variation-selector",
}

/// A set of decodings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Decodings(u32);

impl Decodings {
    /// No decoding: the text as written, folded for case alone.
    pub const NONE: Self = Self(0);

    /// The set with `decoding` added.
    #[must_use]
    pub fn with(self, decoding: Decoding) -> Self {
        Self(self.0 | 1 << (decoding as u32))
    }

    /// Both sets together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `decoding` is in it.
    pub fn contains(self, decoding: Decoding) -> bool {
        self.0 & (1 << (decoding as u32)) != 0
    }

    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Its members, in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = Decoding> {
        Decoding::ALL
            .iter()
            .copied()
            .filter(move |d| self.contains(*d))
    }
}

impl FromIterator<Decoding> for Decodings {
    fn from_iter<I: IntoIterator<Item = Decoding>>(decodings: I) -> Self {
        decodings.into_iter().fold(Self::NONE, Self::with)
    }
}

/// One rule met in one text. It names the rule and the place, never the text that matched.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule's id, such as `sql-drop-table`.
    pub rule_id: Cow<'static, str>,
    /// The rule's category, such as `destructive-sql`.
    pub category: Cow<'static, str>,
    /// The rule's name for people.
    pub name: Cow<'static, str>,
    /// How bad it is.
    pub severity: Severity,
    /// Where the text stood.
    pub surface: Surface,
    /// Where in the folded text the match begins, in bytes.
    pub offset: u32,
    /// What led from the text as written to the text that matched.
    pub decodings: Decodings,
}
