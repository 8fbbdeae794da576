//! The fields of a JSON object, taken one by one.
//!
//! What a bundle carries in long lists is read by this instead of by derived code: the filter is
//! counted in kilobytes, and one reader for many shapes is less than one for each. As strict: a field that
//! is not known, is there twice or is of another kind is refused with its name.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::Value;

/// The fields that were not taken yet.
#[derive(Debug)]
pub(crate) struct Fields(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// Reads a list of objects, each by its fields. One list's code serves every kind of entry.
pub(crate) fn list<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: TryFrom<Fields, Error = String>,
    D: Deserializer<'de>,
{
    let mut entries = Vec::new();
    for fields in Vec::<Fields>::deserialize(deserializer)? {
        entries.push(T::try_from(fields).map_err(D::Error::custom)?);
    }
    Ok(entries)
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value::<Value>()?;
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format!("duplicate field `{name}`")));
            }
            fields.insert(name, value);
        }
        Ok(Fields(fields))
    }
}

impl Fields {
    /// A text that must be there.
    pub(crate) fn text(&mut self, name: &str) -> Result<String, String> {
        self.optional_text(name)?
            .ok_or_else(|| format!("missing field `{name}`"))
    }

    /// A text, if it is there.
    pub(crate) fn optional_text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{name}` must be a text")),
        }
    }

    /// What a text that must be there stands for.
    pub(crate) fn word<T>(
        &mut self,
        name: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, String> {
        let text = self.text(name)?;
        read(&text).ok_or_else(|| format!("`{name}` has an unknown value"))
    }

    /// A number, if it is there.
    pub(crate) fn optional_number(&mut self, name: &str) -> Result<Option<f64>, String> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_f64()
                .map(Some)
                .ok_or_else(|| format!("`{name}` must be a number")),
        }
    }

    /// A list of texts; empty where there is none.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, String> {
        texts(name, self.0.remove(name))
    }

    /// A list of lists of texts; empty where there is none.
    pub(crate) fn lists(&mut self, name: &str) -> Result<Vec<Vec<String>>, String> {
        match self.0.remove(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(lists)) => {
                let lists = lists.into_iter();
                lists.map(|list| texts(name, Some(list))).collect()
            }
            Some(_) => Err(format!("`{name}` must be a list of lists")),
        }
    }

    /// What the words of a list stand for.
    pub(crate) fn words<T>(
        &mut self,
        name: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, String> {
        let words = self.texts(name)?;
        let words = words.iter().map(|word| read(word));
        let words: Option<Vec<T>> = words.collect();
        words.ok_or_else(|| format!("`{name}` has an unknown value"))
    }

    /// Nothing is left.
    pub(crate) fn end(self) -> Result<(), String> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("unknown field `{name}`")),
        }
    }
}

fn texts(name: &str, value: Option<Value>) -> Result<Vec<String>, String> {
    let wanted = || format!("`{name}` must be a list of texts");
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            let items = items.into_iter().map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(wanted()),
            });
            items.collect()
        }
        Some(_) => Err(wanted()),
    }
}
