//! Lane *signal*: from a room to one client's WebSocket. Bounded; the room never waits for it.

use std::sync::Arc;
use std::time::Duration;

use sluicegate_contract::limit::SIGNALS_MAX;
use tokio::sync::{mpsc, oneshot};

use super::frame::Frame;

/// What was queued when the room closed the connection is sent within this time (LiveKit: 250 ms).
const FLUSH_TIME: Duration = Duration::from_millis(250);

/// The room's end. Dropped: what is queued is sent, then the connection is closed.
#[derive(Debug)]
pub struct Lane {
    frames: mpsc::Sender<Arc<Frame>>,
    cut: oneshot::Sender<()>,
}

/// The connection's end.
#[derive(Debug)]
pub struct LaneEnd {
    frames: mpsc::Receiver<Arc<Frame>>,
    cut: oneshot::Receiver<()>,
}

pub fn lane() -> (Lane, LaneEnd) {
    let (frames, queued) = mpsc::channel(SIGNALS_MAX);
    let (cut, cut_off) = oneshot::channel();
    (Lane { frames, cut }, LaneEnd { frames: queued, cut: cut_off })
}

impl Lane {
    /// False: the lane is full. A connection that has ended takes everything.
    #[must_use]
    pub fn push(&self, frame: &Arc<Frame>) -> bool {
        !matches!(self.frames.try_send(Arc::clone(frame)), Err(mpsc::error::TrySendError::Full(_)))
    }

    /// Ends the connection at once.
    pub fn cut(self) {
        // no receiver: it has ended already
        let _ = self.cut.send(());
    }
}

impl LaneEnd {
    /// The frames, and a future that resolves when nothing more may be sent: at once when the lane was cut, a little later when
    /// it was dropped.
    pub fn split(self) -> (mpsc::Receiver<Arc<Frame>>, impl Future<Output = ()>) {
        let Self { frames, cut } = self;
        let end = async move {
            if cut.await.is_err() {
                tokio::time::sleep(FLUSH_TIME).await;
            }
        };
        (frames, end)
    }
}
