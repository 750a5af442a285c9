//! A connection whose peer must take what it is sent: one that stops reading holds neither the answer nor the socket for long.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// So many bytes count as progress.
const PROGRESS_BYTES: usize = 64 << 10;

/// Writes fail with `TimedOut` where less than [`PROGRESS_BYTES`] went out in the given time and there was more to send.
#[derive(Debug)]
pub struct Patience<S> {
    stream: S,
    time: Duration,
    /// Since something waits to be sent: when that is too long, and what has gone out meanwhile.
    stalled: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S> Patience<S> {
    pub fn new(stream: S, time: Duration) -> Self {
        Self { stream, time, stalled: None }
    }

    fn judge(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match (&written, &mut self.stalled) {
            (Poll::Ready(Ok(bytes)), Some((_, progress))) => {
                *progress += bytes;
                if *progress >= PROGRESS_BYTES {
                    self.stalled = None;
                }
                written
            }
            (Poll::Ready(_), _) => written,
            (Poll::Pending, stalled) => {
                let (sleep, _) = stalled.get_or_insert_with(|| (Box::pin(tokio::time::sleep(self.time)), 0));
                ready!(sleep.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Asked for when all is written: nothing waits any more.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stalled = None;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_given_up() {
        let (ours, theirs) = duplex(1024);
        let mut patience = Patience::new(ours, Duration::from_millis(20));
        let error = patience.write_all(&[0; 2000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }

    #[tokio::test]
    async fn a_slow_one_that_reads_is_not() {
        let (ours, mut theirs) = duplex(1024);
        let mut patience = Patience::new(ours, Duration::from_secs(60));
        let sending = tokio::spawn(async move {
            patience.write_all(&[0; 300_000]).await?;
            patience.flush().await?;
            assert!(patience.stalled.is_none());
            patience.shutdown().await
        });
        let mut received = Vec::new();
        theirs.read_to_end(&mut received).await.unwrap();
        sending.await.unwrap().unwrap();
        assert_eq!(received.len(), 300_000);
    }
}
