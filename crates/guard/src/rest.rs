//! Plain REST: a method and a path's template stand for a tool, and what the request says besides
//! is the call's parameters.
//!
//! Parameters are the template's names, the query (`application/x-www-form-urlencoded`, WHATWG URL
//! section 5) and a body of JSON or of a form. A name that two of these give is refused: readers
//! differ on which they take.

use serde_json::{Map, Value};

use clampd_model::Tool;

use crate::{ErrorCode, Head, Refusal, json::parse_strict};

/// The most parameters that a query or a form may give.
const PAIRS_MAX: usize = 1_024;

/// A route that stands for a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestRoute {
    method: String,
    segments: Vec<Segment>,
    pub(crate) tool: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// This text.
    Text(String),
    /// Any one segment; a parameter of this name.
    Name(String),
}

/// What a request's head gives of a call's parameters.
#[derive(Debug, Clone, Default)]
pub(crate) struct RestHead {
    pub(crate) tool: String,
    params: Map<String, Value>,
    body: BodyKind,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum BodyKind {
    #[default]
    Other,
    Json,
    Form,
}

impl RestRoute {
    /// A route; `None` where the method, template or tool cannot be one.
    pub(crate) fn parse(method: &str, template: &str, tool: &str) -> Option<Self> {
        let is_method = !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
        if !is_method || !Tool::is_name(tool) {
            return None;
        }
        let segment = |text: &str| match text.strip_prefix('{') {
            Some(rest) => rest
                .strip_suffix('}')
                .filter(|name| !name.is_empty())
                .map(|name| Segment::Name(name.to_owned())),
            None => (!text.contains(['{', '}', '?', '%'])).then(|| Segment::Text(text.to_owned())),
        };
        let segments = template.strip_prefix('/')?.split('/').map(segment);
        Some(Self {
            method: method.to_owned(),
            segments: segments.collect::<Option<_>>()?,
            tool: tool.to_owned(),
        })
    }

    /// Whether a request is for this route.
    pub(crate) fn is_for(&self, method: &str, path: &str) -> bool {
        let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
        let fits = self
            .segments
            .iter()
            .all(|segment| match (segment, parts.next()) {
                (Segment::Text(text), Some(part)) => text == part,
                (Segment::Name(_), Some(part)) => !part.is_empty(),
                (_, None) => false,
            });
        self.method == method && fits && parts.next().is_none()
    }

    /// Reads what the head says.
    pub(crate) fn read(&self, head: &Head) -> Result<RestHead, Refusal> {
        let target = head.value(":path").unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut params = Map::new();
        let parts = path.strip_prefix('/').unwrap_or(path).split('/');
        for (segment, part) in self.segments.iter().zip(parts) {
            if let Segment::Name(name) = segment {
                put(&mut params, name, decoded(part, false)?)?;
            }
        }
        for (name, value) in pairs(query)? {
            put(&mut params, &name, value)?;
        }
        let kind = head.value("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let kind = kind.to_ascii_lowercase();
        let body = match kind.as_str() {
            "application/x-www-form-urlencoded" => BodyKind::Form,
            "application/json" => BodyKind::Json,
            kind if kind.ends_with("+json") => BodyKind::Json,
            _ => BodyKind::Other,
        };
        Ok(RestHead {
            tool: self.tool.clone(),
            params,
            body,
        })
    }
}

impl RestHead {
    /// The parameters, those of the body among them.
    pub(crate) fn params(self, body: &[u8]) -> Result<Value, Refusal> {
        let mut params = self.params;
        match self.body {
            _ if body.is_empty() => {}
            BodyKind::Other => {
                let why = "the body must be JSON or a form";
                return Err(ErrorCode::UnsupportedEncoding.because(why));
            }
            BodyKind::Form => {
                let text = std::str::from_utf8(body).map_err(|_| invalid("is not UTF-8"))?;
                for (name, value) in pairs(text)? {
                    put(&mut params, &name, value)?;
                }
            }
            BodyKind::Json => {
                match parse_strict(body).map_err(|why| ErrorCode::InvalidBody.because(why))? {
                    Value::Object(fields) => {
                        for (name, value) in fields {
                            put(&mut params, &name, value)?;
                        }
                    }
                    other => put(&mut params, "body", other)?,
                }
            }
        }
        Ok(Value::Object(params))
    }
}

fn put(params: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), Refusal> {
    if name == "_method" {
        return Err(invalid("asks for another method"));
    }
    match params.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(invalid("is there twice")),
    }
}

/// The pairs of a query or a form; a name that is there more than once has a list of values.
fn pairs(text: &str) -> Result<Map<String, Value>, Refusal> {
    let mut pairs = Map::new();
    for (n, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if n >= PAIRS_MAX {
            return Err(ErrorCode::PayloadTooLarge.because("too many parameters"));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Value::String(name) = decoded(name, true)? else {
            return Err(invalid("has no name"));
        };
        let value = decoded(value, true)?;
        match pairs.get_mut(&name) {
            None => {
                pairs.insert(name, value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Ok(pairs)
}

/// A text without its percent encoding (RFC 3986 section 2.1).
fn decoded(text: &str, plus_is_space: bool) -> Result<Value, Refusal> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                let high = digit(rest.next()).ok_or_else(|| invalid("has a stray percent sign"))?;
                let low = digit(rest.next()).ok_or_else(|| invalid("has a stray percent sign"))?;
                u8::try_from(high * 16 + low).unwrap_or_default()
            }
            b'+' if plus_is_space => b' ',
            byte => byte,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| invalid("is not UTF-8"))?;
    Ok(Value::String(text))
}

fn invalid(what: &str) -> Refusal {
    ErrorCode::InvalidBody.because(format!("a parameter {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{Head, RestRoute};

    fn read(template: &str, path: &str, kind: &str, body: &str) -> Result<String, u16> {
        let route = RestRoute::parse("POST", template, "t").unwrap();
        if !route.is_for("POST", path.split('?').next().unwrap()) {
            return Err(404);
        }
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let head = Head::new(vec![header(":path", path), header("content-type", kind)]);
        let read = route
            .read(&head)
            .and_then(|head| head.params(body.as_bytes()));
        read.map(|params| params.to_string())
            .map_err(|refusal| refusal.code.status())
    }

    #[track_caller]
    fn check(path: &str, kind: &str, body: &str, wanted: Result<serde_json::Value, u16>) {
        let got = read("/users/{id}/orders", path, kind, body);
        assert_eq!(
            got,
            wanted.map(|params| params.to_string()),
            "{path} {body}"
        );
    }

    #[test]
    fn all_that_a_request_says_is_a_parameter() {
        let (form, json) = (
            "application/x-www-form-urlencoded",
            "application/json; charset=utf-8",
        );
        check("/users/7/orders", "", "", Ok(json!({"id": "7"})));
        check(
            "/users/a%20b/orders?x=1+2&y",
            "",
            "",
            Ok(json!({"id": "a b", "x": "1 2", "y": ""})),
        );
        check(
            "/users/7/orders?x=1&x=2",
            "",
            "",
            Ok(json!({"id": "7", "x": ["1", "2"]})),
        );
        check(
            "/users/7/orders",
            json,
            r#"{"a":[1]}"#,
            Ok(json!({"id": "7", "a": [1]})),
        );
        check(
            "/users/7/orders",
            json,
            "[1]",
            Ok(json!({"id": "7", "body": [1]})),
        );
        check(
            "/users/7/orders",
            form,
            "a=b%3D",
            Ok(json!({"id": "7", "a": "b="})),
        );
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let json = "application/json";
        check("/users/7/orders?id=8", "", "", Err(400));
        check("/users/7/orders?a=1", json, r#"{"a":2}"#, Err(400));
        check("/users/7/orders", json, r#"{"a":1,"a":2}"#, Err(400));
        check("/users/%ff/orders", "", "", Err(400));
        check("/users/%7/orders", "", "", Err(400));
        check("/users/7/orders", "multipart/form-data", "--b", Err(415));
        check("/users/7/orders", "", "{}", Err(415));
        for path in [
            "/users//orders",
            "/users/7/orders/",
            "/users/7",
            "/x/7/orders",
        ] {
            check(path, "", "", Err(404));
        }
    }

    #[test]
    fn a_template_is_a_path_with_names_in_it() {
        for (method, template, tool) in [
            ("", "/a", "t"),
            ("get", "/a", "t"),
            ("GET", "a", "t"),
            ("GET", "/{}", "t"),
            ("GET", "/{a", "t"),
            ("GET", "/a{b}", "t"),
            ("GET", "/a?b", "t"),
            ("GET", "/a", ""),
        ] {
            assert_eq!(RestRoute::parse(method, template, tool), None, "{template}");
        }
    }
}
