//! A client with one key, and the answers that it gets.

use std::time::Duration;

use serde_json::Value;

/// An answer: status, headers that tests look at, JSON body (or the text as a string), the bytes
/// themselves.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) text: String,
    pub(crate) bytes: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body, if the status is as wanted.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }

    /// Checks that it is an error of that status and code, in the shape of all errors.
    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.body["error_code"].as_str()),
            (status, Some(code)),
            "{self:?}"
        );
        assert!(
            self.body["error"].is_string() && self.body["request_id"].is_string(),
            "{self:?}"
        );
    }
}

/// A client with one value of `Authorization`.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    url: String,
    authorization: String,
    header: Option<(String, String)>,
    agent: ureq::Agent,
}

impl Client {
    pub(crate) fn new(url: &str, authorization: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(70)))
            .build();
        let (url, authorization) = (url.to_owned(), authorization.to_owned());
        Self {
            url,
            authorization,
            header: None,
            agent: config.into(),
        }
    }

    /// The same, with a header in every request.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        Self {
            header: Some((name.to_owned(), value.to_owned())),
            ..self.clone()
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None, b"")
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None, b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.json("POST", path, body)
    }

    /// Like `post`; none when no answer comes.
    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Option<Answer> {
        let request = self.request("POST", path, Some("application/json"));
        let response = self
            .agent
            .run(request.body(body.to_string()).unwrap())
            .ok()?;
        answer(response)
    }

    pub(crate) fn put_toml(&self, path: &str, text: &str) -> Answer {
        self.send("PUT", path, Some("application/toml"), text.as_bytes())
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Answer {
        self.json("PUT", path, body)
    }

    pub(crate) fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(
            method,
            path,
            Some("application/json"),
            body.to_string().as_bytes(),
        )
    }

    pub(crate) fn form(&self, path: &str, fields: &[(&str, String)]) -> Answer {
        let body = serde_urlencoded::to_string(fields).unwrap();
        self.send(
            "POST",
            path,
            Some("application/x-www-form-urlencoded"),
            body.as_bytes(),
        )
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Answer {
        let request = self.request(method, path, content_type).body(body).unwrap();
        answer(self.agent.run(request).unwrap()).unwrap()
    }

    /// Like `put`, if the present is the one with that tag.
    pub(crate) fn put_if(&self, path: &str, tag: &str, body: &Value) -> Answer {
        let request = self.request("PUT", path, Some("application/json"));
        let request = request.header("if-match", tag);
        let request = request.body(body.to_string()).unwrap();
        answer(self.agent.run(request).unwrap()).unwrap()
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
    ) -> ureq::http::request::Builder {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if !self.authorization.is_empty() {
            request = request.header("authorization", &self.authorization);
        }
        if let Some((name, value)) = &self.header {
            request = request.header(name, value);
        }
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        request
    }
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Option<Answer> {
    // Larger than the default: the export of a long trail.
    let body = response.body_mut().with_config().limit(64 * 1024 * 1024);
    let bytes = body.read_to_vec().ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Some(Answer {
        status: response.status().as_u16(),
        body: serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.clone())),
        headers: response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("").to_owned()))
            .collect(),
        text,
        bytes,
    })
}
