//! YAML as Sigma uses it: text, lists and maps. What two readers could read differently is
//! refused: a key twice, anchors and aliases, tags, anything too deep.

use saphyr_parser::{Event, Parser, ScalarStyle};

/// How deep lists and maps may stand in each other.
const DEPTH_MAX: usize = 32;
/// Values in one file.
const NODES_MAX: usize = 100_000;

/// A value. Numbers stay as they are written: Sigma compares them as text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// Nothing, `null` or `~`, unquoted.
    Null,
    Text(String),
    List(Vec<Node>),
    /// In the order of the file.
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The field of a map.
    pub(crate) fn field(&self, name: &str) -> Option<&Node> {
        match self {
            Self::Map(fields) => fields.iter().find(|(key, _)| key == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The texts of a list, or the one text.
    pub(crate) fn texts(&self) -> Vec<&str> {
        match self {
            Self::List(items) => items.iter().filter_map(Self::text).collect(),
            one => one.text().into_iter().collect(),
        }
    }
}

/// The documents of a file.
///
/// # Errors
/// What cannot be read, and where.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, String> {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        nodes: 0,
    };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            Event::StreamEnd => return Ok(documents),
            Event::DocumentStart(_) => {
                let first = reader.next()?;
                documents.push(reader.node(first, 0)?);
            }
            _ => {}
        }
    }
}

struct Reader<'t> {
    events: Parser<'t, saphyr_parser::StrInput<'t>>,
    nodes: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Event<'t>, String> {
        match self.events.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(e)) => Err(format!("it is no YAML: {e}")),
            None => Ok(Event::StreamEnd),
        }
    }

    fn node(&mut self, event: Event<'t>, depth: usize) -> Result<Node, String> {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            return Err(format!(
                "it has more than {NODES_MAX} values, or lists in lists deeper than {DEPTH_MAX}"
            ));
        }
        match event {
            Event::Scalar(_, _, 1.., _)
            | Event::SequenceStart(1.., _)
            | Event::MappingStart(1.., _)
            | Event::Alias(_) => Err("anchors and aliases are not read".to_owned()),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => Err("tags are not read".to_owned()),
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                let nothing = matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                Ok(if plain && nothing {
                    Node::Null
                } else {
                    Node::Text(text.into_owned())
                })
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => return Ok(Node::List(items)),
                        item => items.push(self.node(item, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(..) => self.map(depth),
            _ => Err("it ends too early".to_owned()),
        }
    }

    fn map(&mut self, depth: usize) -> Result<Node, String> {
        let mut fields: Vec<(String, Node)> = Vec::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd => return Ok(Node::Map(fields)),
                event => self.node(event, depth + 1)?,
            };
            let Node::Text(key) = key else {
                return Err("a key must be a text".to_owned());
            };
            let value = self.next()?;
            let value = self.node(value, depth + 1)?;
            if fields.iter().any(|(known, _)| *known == key) {
                return Err(format!("the key `{key}` stands twice in one map"));
            }
            fields.push((key, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Node, documents};

    fn text(text: &str) -> Node {
        Node::Text(text.to_owned())
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        let read = documents("a: 'x'\nb:\n  - 0x10\n  - ~\n---\nc: '~'\n").unwrap();
        assert_eq!(read[0].field("a"), Some(&text("x")));
        assert_eq!(
            read[0].field("b"),
            Some(&Node::List(vec![text("0x10"), Node::Null]))
        );
        assert_eq!(read[1].field("c"), Some(&text("~")));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for (bad, why) in [
            ("a: 1\na: 2", "stands twice"),
            ("a: &x 1\nb: *x", "anchors"),
            ("a: !!str 1", "tags"),
            ("a: [", "no YAML"),
            ("? [a]\n: b", "a key must be a text"),
        ] {
            let refused = documents(bad).unwrap_err();
            assert!(refused.contains(why), "{bad}: {refused}");
        }
        assert!(documents(&"[".repeat(1000)).is_err());
    }
}
