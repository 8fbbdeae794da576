//! The notation of expressions in a bundle: prefix, with counted texts, as in `=f11;i8;` for
//! `context.hour == 8`. Reading it costs the filter a fifth of what reading JSON trees would.
//!
//! A number ends in `;`. A text is its length in bytes, as a number, and its bytes. A list is its
//! length, as a number, and its members.

use std::fmt::Write as _;

use super::{EntityKind, Expr, Field, ParameterKind};

/// How deep a notation may be nested; what is lowered is less deep.
const DEPTH_MAX: u8 = 64;

/// The text is no expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expression cannot be read")]
pub struct InvalidExpr;

impl TryFrom<String> for Expr {
    type Error = InvalidExpr;

    fn try_from(code: String) -> Result<Self, InvalidExpr> {
        let mut reader = Reader { rest: &code };
        match reader.expr(DEPTH_MAX) {
            Some(expr) if reader.rest.is_empty() => Ok(expr),
            _ => Err(InvalidExpr),
        }
    }
}

impl From<Expr> for String {
    fn from(expr: Expr) -> Self {
        let mut code = Self::new();
        write(&mut code, &expr);
        code
    }
}

struct Reader<'c> {
    rest: &'c str,
}

impl Reader<'_> {
    fn expr(&mut self, depth: u8) -> Option<Expr> {
        let depth = depth.checked_sub(1)?;
        Some(match self.sign()? {
            'T' => Expr::Bool(true),
            'F' => Expr::Bool(false),
            'i' => Expr::Long(self.number()?),
            'd' => Expr::Decimal(self.number()?),
            't' => Expr::Text(self.text()?),
            'e' => {
                let kind = EntityKind::of_sign(self.sign()?)?;
                Expr::Entity(kind, self.text()?)
            }
            's' => Expr::Set(self.exprs(depth)?),
            'P' => Expr::Principal,
            'R' => Expr::Resource,
            'A' => Expr::Action,
            'f' => Expr::Field(self.field()?),
            'h' => Expr::Has(self.field()?),
            'g' => Expr::Parameter(ParameterKind::of_sign(self.sign()?)?, self.texts()?),
            'G' => Expr::HasParameter(ParameterKind::of_sign(self.sign()?)?, self.texts()?),
            '!' => Expr::Not(Box::new(self.expr(depth)?)),
            '~' => Expr::Neg(Box::new(self.expr(depth)?)),
            '0' => Expr::IsEmpty(Box::new(self.expr(depth)?)),
            '&' => Expr::And(self.exprs(depth)?),
            '|' => Expr::Or(self.exprs(depth)?),
            '?' => Expr::If(Box::new((
                self.expr(depth)?,
                self.expr(depth)?,
                self.expr(depth)?,
            ))),
            'k' => Expr::Like(Box::new(self.expr(depth)?), self.texts()?),
            sign => pair(sign, Box::new((self.expr(depth)?, self.expr(depth)?)))?,
        })
    }

    fn sign(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let sign = characters.next()?;
        self.rest = characters.as_str();
        Some(sign)
    }

    fn number(&mut self) -> Option<i64> {
        let (number, rest) = self.rest.split_once(';')?;
        self.rest = rest;
        number.parse().ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(text.to_owned())
    }

    // A list is as long as there is code for it: nothing is reserved for what it says of itself.
    fn texts(&mut self) -> Option<Vec<String>> {
        (0..self.number()?).map(|_| self.text()).collect()
    }

    fn exprs(&mut self, depth: u8) -> Option<Vec<Expr>> {
        (0..self.number()?).map(|_| self.expr(depth)).collect()
    }

    fn field(&mut self) -> Option<Field> {
        let at = usize::try_from(self.number()?).ok()?;
        Field::ALL.get(at).copied()
    }
}

fn pair(sign: char, sides: Box<(Expr, Expr)>) -> Option<Expr> {
    Some(match sign {
        '=' => Expr::Eq(sides),
        '<' => Expr::Less(sides),
        'l' => Expr::LessEq(sides),
        '+' => Expr::Add(sides),
        '-' => Expr::Sub(sides),
        '*' => Expr::Mul(sides),
        'I' => Expr::In(sides),
        'c' => Expr::Contains(sides),
        'a' => Expr::ContainsAll(sides),
        'y' => Expr::ContainsAny(sides),
        _ => return None,
    })
}

fn write(code: &mut String, expr: &Expr) {
    let one = |code: &mut String, sign: char, expr: &Expr| {
        code.push(sign);
        write(code, expr);
    };
    let two = |code: &mut String, sign: char, sides: &(Expr, Expr)| {
        one(code, sign, &sides.0);
        write(code, &sides.1);
    };
    match expr {
        Expr::Bool(true) => code.push('T'),
        Expr::Bool(false) => code.push('F'),
        Expr::Long(number) => write_number(code, 'i', *number),
        Expr::Decimal(number) => write_number(code, 'd', *number),
        Expr::Text(text) => {
            code.push('t');
            write_text(code, text);
        }
        Expr::Entity(kind, id) => {
            code.push('e');
            code.push(kind.sign());
            write_text(code, id);
        }
        Expr::Set(members) => write_all(code, 's', members),
        Expr::Principal => code.push('P'),
        Expr::Resource => code.push('R'),
        Expr::Action => code.push('A'),
        Expr::Field(field) => write_field(code, 'f', *field),
        Expr::Has(field) => write_field(code, 'h', *field),
        Expr::Parameter(kind, path) => write_parameter(code, 'g', *kind, path),
        Expr::HasParameter(kind, path) => write_parameter(code, 'G', *kind, path),
        Expr::Not(of) => one(code, '!', of),
        Expr::Neg(of) => one(code, '~', of),
        Expr::IsEmpty(of) => one(code, '0', of),
        Expr::And(all) => write_all(code, '&', all),
        Expr::Or(any) => write_all(code, '|', any),
        Expr::If(parts) => {
            one(code, '?', &parts.0);
            write(code, &parts.1);
            write(code, &parts.2);
        }
        Expr::Eq(sides) => two(code, '=', sides),
        Expr::Less(sides) => two(code, '<', sides),
        Expr::LessEq(sides) => two(code, 'l', sides),
        Expr::Add(sides) => two(code, '+', sides),
        Expr::Sub(sides) => two(code, '-', sides),
        Expr::Mul(sides) => two(code, '*', sides),
        Expr::In(sides) => two(code, 'I', sides),
        Expr::Contains(sides) => two(code, 'c', sides),
        Expr::ContainsAll(sides) => two(code, 'a', sides),
        Expr::ContainsAny(sides) => two(code, 'y', sides),
        Expr::Like(of, pieces) => {
            one(code, 'k', of);
            write_texts(code, pieces);
        }
    }
}

fn write_number(code: &mut String, sign: char, number: i64) {
    // Writing into a text does not fail.
    let _ = write!(code, "{sign}{number};");
}

fn write_text(code: &mut String, text: &str) {
    let _ = write!(code, "{};{text}", text.len());
}

fn write_texts(code: &mut String, texts: &[String]) {
    let _ = write!(code, "{};", texts.len());
    texts.iter().for_each(|text| write_text(code, text));
}

fn write_all(code: &mut String, sign: char, exprs: &[Expr]) {
    let _ = write!(code, "{sign}{};", exprs.len());
    exprs.iter().for_each(|expr| write(code, expr));
}

fn write_field(code: &mut String, sign: char, field: Field) {
    let at = Field::ALL.iter().position(|known| *known == field);
    let _ = write!(code, "{sign}{};", at.unwrap_or(usize::MAX));
}

fn write_parameter(code: &mut String, sign: char, kind: ParameterKind, path: &[String]) {
    code.push(sign);
    code.push(kind.sign());
    write_texts(code, path);
}

impl EntityKind {
    const SIGNS: [(Self, char); 5] = [
        (Self::Agent, 'a'),
        (Self::Group, 'g'),
        (Self::Tool, 't'),
        (Self::Category, 'c'),
        (Self::Action, 'x'),
    ];

    fn sign(self) -> char {
        let known = Self::SIGNS.iter().find(|(kind, _)| *kind == self);
        known.map_or('?', |(_, sign)| *sign)
    }

    fn of_sign(sign: char) -> Option<Self> {
        let known = Self::SIGNS.iter().find(|(_, own)| *own == sign);
        known.map(|(kind, _)| *kind)
    }
}

impl ParameterKind {
    const SIGNS: [(Self, char); 3] = [(Self::Text, 't'), (Self::Number, 'n'), (Self::Flag, 'f')];

    fn sign(self) -> char {
        let known = Self::SIGNS.iter().find(|(kind, _)| *kind == self);
        known.map_or('?', |(_, sign)| *sign)
    }

    fn of_sign(sign: char) -> Option<Self> {
        let known = Self::SIGNS.iter().find(|(_, own)| *own == sign);
        known.map(|(kind, _)| *kind)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{EntityKind, Expr, Field, ParameterKind};

    #[test]
    fn every_expression_is_read_as_it_was_written() {
        let pair = || Box::new((Expr::Long(-5), Expr::Decimal(i64::MIN)));
        let all = vec![
            Expr::Bool(true),
            Expr::Bool(false),
            Expr::Text("a;é\u{0}\"".into()),
            Expr::Entity(EntityKind::Group, "3;x".into()),
            Expr::Set(vec![Expr::Text(String::new()), Expr::Action]),
            Expr::And(Field::ALL.iter().map(|f| Expr::Field(*f)).collect()),
            Expr::Or(vec![Expr::Has(Field::Session)]),
            Expr::Parameter(ParameterKind::Number, vec!["a".into(), "0".into()]),
            Expr::HasParameter(ParameterKind::Flag, vec![]),
            Expr::Not(Box::new(Expr::Neg(Box::new(Expr::IsEmpty(Box::new(
                Expr::Principal,
            )))))),
            Expr::If(Box::new((Expr::Resource, Expr::Action, Expr::Principal))),
            Expr::Like(Box::new(Expr::Action), vec!["".into(), "x*".into()]),
            Expr::Eq(pair()),
            Expr::Less(pair()),
            Expr::LessEq(pair()),
            Expr::Add(pair()),
            Expr::Sub(pair()),
            Expr::Mul(pair()),
            Expr::In(pair()),
            Expr::Contains(pair()),
            Expr::ContainsAll(pair()),
            Expr::ContainsAny(pair()),
        ];
        let whole = Expr::And(all);
        let code = String::from(whole.clone());
        assert_eq!(Expr::try_from(code), Ok(whole));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let deep = "!".repeat(100) + "T";
        for code in [
            "",
            "T ",
            "TT",
            "x",
            "i5",
            "i;",
            "i9223372036854775808;",
            "t5;abc",
            "t-1;",
            "t1;é",
            "f99;",
            "f-1;",
            "ez1;a",
            "gz0;",
            "&9999999999;T",
            "=T",
            "?TT",
            "s1;",
            deep.as_str(),
        ] {
            assert!(Expr::try_from(code.to_owned()).is_err(), "{code}");
        }
    }
}
