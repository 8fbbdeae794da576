//! Answers that are made while they are sent.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::Frame;
use tokio::sync::mpsc;

/// How many pieces may wait to be sent; whoever makes more waits for the reader.
const PIECES_MAX: usize = 2;

/// Where the pieces of an answer go. Dropped, the answer ends there as it should; after
/// [`Pieces::give_up`] it ends so that the reader can tell.
#[derive(Debug)]
pub(super) struct Pieces(mpsc::Sender<Result<Bytes, GivenUp>>);

/// The answer could not be made to its end.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the answer was given up")]
pub(super) struct GivenUp;

/// The reader has gone away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone;

struct Streamed(mpsc::Receiver<Result<Bytes, GivenUp>>);

/// A body, and where its pieces go.
pub(super) fn streamed() -> (Pieces, Body) {
    let (pieces, body) = mpsc::channel(PIECES_MAX);
    (Pieces(pieces), Body::new(Streamed(body)))
}

impl Pieces {
    /// Sends a piece, as soon as there is room. An empty one only tells whether the reader is still
    /// there.
    pub(super) async fn send(&self, piece: impl Into<Bytes>) -> Result<(), Gone> {
        let piece = piece.into();
        if piece.is_empty() {
            return if self.0.is_closed() {
                Err(Gone)
            } else {
                Ok(())
            };
        }
        self.0.send(Ok(piece)).await.map_err(|_| Gone)
    }

    /// Breaks the connection off, so that what was sent is not taken for all.
    pub(super) async fn give_up(self) {
        // Nobody is there to tell when the reader has gone.
        let _ = self.0.send(Err(GivenUp)).await;
    }

    /// Resolves when the reader has gone away.
    pub(super) async fn gone(&self) {
        self.0.closed().await;
    }
}

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        self.0
            .poll_recv(context)
            .map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
