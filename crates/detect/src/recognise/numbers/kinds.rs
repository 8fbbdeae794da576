//! Each kind of number: how long it is, how it is written when that alone tells it, which check
//! it must pass, and the names that it goes by in the languages of its country.

use super::super::Signal;
use super::{Number, checksums};

/// One kind of number.
pub(super) struct Kind {
    pub(super) signal: Signal,
    /// How many digits.
    pub(super) lengths: &'static [usize],
    /// Groupings, with their separators, that are unlike those of other numbers.
    pub(super) written: &'static [(&'static [usize], &'static [u8])],
    /// Groupings in which it is read when its name stands before it.
    pub(super) grouped: &'static [&'static [usize]],
    /// The check.
    pub(super) sound: fn(&Number) -> bool,
    /// Its names, folded.
    pub(super) names: &'static [&'static str],
}

/// Every kind, from the surest on.
pub(super) static KINDS: &[Kind] = &[
    Kind {
        signal: Signal::CreditCard,
        lengths: &[13, 14, 15, 16, 19],
        written: &[
            (&[16], b""),
            (&[15], b""),
            (&[14], b""),
            (&[13], b""),
            (&[19], b""),
            (&[4, 4, 4, 4], b" -."),
            (&[4, 6, 5], b" -."),
            (&[4, 6, 4], b" -"),
            (&[4, 4, 4, 2], b" -"),
            (&[4, 4, 4, 4, 3], b" -"),
        ],
        grouped: &[],
        sound: |n| checksums::is_card(&n.digits),
        names: &[],
    },
    Kind {
        signal: Signal::CreditCard,
        lengths: &[12, 13, 14, 15, 16, 17, 18, 19],
        written: &[],
        grouped: &[&[4, 4, 4], &[4, 4, 4, 4]],
        sound: |n| checksums::luhn(&n.digits) && n.digits.iter().any(|d| *d != 0),
        names: &[
            "card",
            "credit card",
            "cc",
            "carte",
            "karte",
            "kreditkarte",
            "tarjeta",
            "visa",
            "mastercard",
            "amex",
            "maestro",
            "卡号",
            "信用卡",
            "карты",
        ],
    },
    Kind {
        signal: Signal::UsSsn,
        lengths: &[9],
        written: &[(&[3, 2, 4], b"-")],
        grouped: &[&[3, 2, 4]],
        // Area 001-899 without 666, group and serial not zero (SSA POMS RM 10201.035).
        sound: |n| {
            !matches!(n.value(0, 3), 0 | 666 | 900..)
                && n.value(3, 5) != 0
                && n.value(5, 9) != 0
                && n.value(0, 9) != 78_051_120
        },
        names: &[
            "ssn",
            "social security",
            "social-security",
            "social_security",
            "socialsecurity",
        ],
    },
    Kind {
        signal: Signal::UsItin,
        lengths: &[9],
        written: &[],
        grouped: &[&[3, 2, 4]],
        // 9xx with 50-65, 70-88, 90-92, 94-99 in the middle (IRS, ITIN).
        sound: |n| {
            n.value(0, 3) >= 900 && matches!(n.value(3, 5), 50..=65 | 70..=88 | 90..=92 | 94..)
        },
        names: &["itin", "taxpayer", "tax id", "ssn"],
    },
    Kind {
        signal: Signal::BrazilCnpj,
        lengths: &[14],
        written: &[(&[2, 3, 3, 4, 2], b"./-")],
        grouped: &[],
        sound: |n| checksums::brazil_cnpj(&n.digits),
        names: &["cnpj"],
    },
    Kind {
        signal: Signal::BrazilCpf,
        lengths: &[11],
        written: &[(&[3, 3, 3, 2], b".-")],
        grouped: &[],
        sound: |n| n.ends_dashed() && checksums::brazil_cpf(&n.digits),
        names: &["cpf"],
    },
    Kind {
        signal: Signal::FrenchInsee,
        lengths: &[15],
        written: &[(&[1, 2, 2, 2, 3, 3, 2], b" .-"), (&[13, 2], b" -")],
        grouped: &[],
        sound: |n| checksums::french_insee(n),
        names: &["insee", "nir", "securite sociale", "secu"],
    },
    Kind {
        signal: Signal::ChinaId,
        lengths: &[18],
        written: &[(&[18], b"")],
        grouped: &[],
        sound: |n| checksums::china_id(&n.digits, None),
        names: &[],
    },
    Kind {
        signal: Signal::SwissAhv,
        lengths: &[13],
        written: &[(&[3, 4, 4, 2], b". ")],
        grouped: &[],
        sound: |n| n.value(0, 3) == 756 && checksums::ean13(&n.digits),
        names: &["ahv", "avs", "versichertennummer"],
    },
    Kind {
        signal: Signal::KoreaRrn,
        lengths: &[13],
        written: &[(&[6, 7], b"-")],
        grouped: &[],
        sound: |n| {
            checksums::is_date(n.value(2, 4), n.value(4, 6)) && checksums::korea_rrn(&n.digits)
        },
        names: &["rrn", "resident registration", "주민등록번호", "주민번호"],
    },
    Kind {
        signal: Signal::ThaiId,
        lengths: &[13],
        written: &[(&[1, 4, 5, 2, 1], b"- ")],
        grouped: &[],
        sound: |n| checksums::thai_id(&n.digits),
        names: &["thai id", "national id", "เลขประจําตัวประชาชน", "บัตรประชาชน"],
    },
    Kind {
        signal: Signal::SwedishId,
        lengths: &[10, 12],
        written: &[(&[6, 4], b"-"), (&[8, 4], b"-")],
        grouped: &[],
        sound: checksums::swedish_id,
        names: &["personnummer", "pnr"],
    },
    Kind {
        signal: Signal::CzechId,
        lengths: &[10],
        written: &[(&[6, 4], b"/")],
        grouped: &[],
        sound: checksums::czech_id,
        names: &["rodne cislo", "rc"],
    },
    Kind {
        signal: Signal::Aadhaar,
        lengths: &[12],
        written: &[(&[4, 4, 4], b" -")],
        grouped: &[],
        sound: |n| n.value(0, 1) >= 2 && checksums::verhoeff(&n.digits),
        names: &["aadhaar", "aadhar", "adhaar", "uidai", "uid", "आधार"],
    },
    Kind {
        signal: Signal::JapanMyNumber,
        lengths: &[12],
        written: &[],
        grouped: &[&[4, 4, 4]],
        sound: |n| checksums::japan_my_number(&n.digits),
        names: &[
            "my number",
            "mynumber",
            "individual number",
            "マイナンバー",
            "個人番号",
        ],
    },
    Kind {
        signal: Signal::VietnamId,
        lengths: &[12],
        written: &[],
        grouped: &[],
        sound: |n| n.value(0, 3) <= 96 && n.value(0, 3) > 0,
        names: &["cccd", "can cuoc", "cmnd"],
    },
    Kind {
        signal: Signal::IndonesiaNik,
        lengths: &[16],
        written: &[],
        grouped: &[],
        sound: |n| {
            (11..=94).contains(&n.value(0, 2))
                && checksums::is_date(n.value(8, 10), n.value(6, 8) % 40)
        },
        names: &["nik", "ktp", "nomor induk kependudukan"],
    },
    Kind {
        signal: Signal::GermanTaxId,
        lengths: &[11],
        written: &[],
        grouped: &[&[2, 3, 3, 3]],
        sound: |n| checksums::german_tax_id(&n.digits),
        names: &[
            "steuer-id",
            "steuer id",
            "steuerid",
            "idnr",
            "steueridentifikationsnummer",
            "steuer-identifikationsnummer",
            "identifikationsnummer",
            "steuernummer",
        ],
    },
    Kind {
        signal: Signal::PolishPesel,
        lengths: &[11],
        written: &[],
        grouped: &[],
        sound: |n| checksums::polish_pesel(n),
        names: &["pesel"],
    },
    Kind {
        signal: Signal::TurkishId,
        lengths: &[11],
        written: &[],
        grouped: &[],
        sound: |n| checksums::turkish_id(&n.digits),
        names: &["kimlik", "tckn", "tc no", "t.c."],
    },
    Kind {
        signal: Signal::UkNhs,
        lengths: &[10],
        written: &[],
        grouped: &[&[3, 3, 4]],
        sound: |n| checksums::uk_nhs(&n.digits),
        names: &["nhs"],
    },
    Kind {
        signal: Signal::CanadaSin,
        lengths: &[9],
        written: &[],
        grouped: &[&[3, 3, 3]],
        sound: |n| n.value(0, 1) != 0 && checksums::luhn(&n.digits) || n.value(0, 9) == 46_454_286,
        names: &["sin", "social insurance", "nas"],
    },
    Kind {
        signal: Signal::AustraliaTfn,
        lengths: &[9],
        written: &[],
        grouped: &[&[3, 3, 3]],
        sound: |n| checksums::australia_tfn(&n.digits),
        names: &["tfn", "tax file"],
    },
    Kind {
        signal: Signal::DutchBsn,
        lengths: &[9],
        written: &[],
        grouped: &[],
        sound: |n| checksums::dutch_bsn(&n.digits),
        names: &["bsn", "burgerservicenummer", "sofinummer"],
    },
    Kind {
        signal: Signal::BankAccount,
        lengths: &[8, 9, 10, 11, 12],
        written: &[],
        grouped: &[],
        sound: |_| true,
        names: &[
            "bank account number",
            "routing number",
            "account no.",
            "kontonummer",
        ],
    },
    Kind {
        signal: Signal::DriverLicense,
        lengths: &[7, 8, 9, 10, 11, 12],
        written: &[],
        grouped: &[&[4, 2, 4], &[3, 3, 3], &[2, 3, 3]],
        sound: |_| true,
        names: &[
            "driver's license",
            "drivers license",
            "driver license",
            "driving licence",
            "driver's licence",
            "driving license",
            "dl number",
        ],
    },
    Kind {
        signal: Signal::Passport,
        lengths: &[8, 9],
        written: &[],
        grouped: &[],
        sound: |_| true,
        names: &[
            "passport number",
            "passport no",
            "passport #",
            "passport:",
            "reisepass",
        ],
    },
];
