//! Bodies that nobody read: a request may be refused before its body is looked at.
//!
//! HTTP/1.1 cannot answer the next request of a connection before the body of this one is over, so
//! what is left of it is read and thrown away, or the connection is closed and the answer says so.
//! Otherwise a client that keeps its connections, as gateways do, loses requests now and then.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderValue, header},
    response::Response,
};
use http_body_util::{BodyExt as _, Limited};
use tokio::sync::oneshot;

/// The most that is read and thrown away.
const BYTES_MAX: usize = 1024 * 1024;

/// The longest that is waited for it.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A body that comes back when it was not read to its end.
struct Returning {
    body: Body,
    back: Option<oneshot::Sender<Body>>,
}

/// Where an unread body comes back to.
pub(super) struct Leftover(oneshot::Receiver<Body>);

/// The body for the handler, and where what it leaves comes back.
pub(super) fn returning(body: Body) -> (Body, Option<Leftover>) {
    if body.is_end_stream() {
        return (body, None);
    }
    let (back, leftover) = oneshot::channel();
    (
        Body::new(Returning {
            body,
            back: Some(back),
        }),
        Some(Leftover(leftover)),
    )
}

impl HttpBody for Returning {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        if let Some(back) = self.back.take()
            && !self.body.is_end_stream()
        {
            // Nobody waits for it when the request was given up.
            let _ = back.send(std::mem::take(&mut self.body));
        }
    }
}

impl Leftover {
    /// Reads what the handler left, or makes the answer close the connection.
    pub(super) async fn drain(mut self, response: &mut Response) {
        let Ok(body) = self.0.try_recv() else { return };
        let draining = async {
            let mut rest = Limited::new(body, BYTES_MAX);
            while let Some(frame) = rest.frame().await {
                if frame.is_err() {
                    return false;
                }
            }
            true
        };
        if !tokio::time::timeout(TIMEOUT, draining)
            .await
            .unwrap_or(false)
        {
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}
