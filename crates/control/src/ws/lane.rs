//! Lane *signal*: from a room to one client's WebSocket. Bounded in bytes and in frames; the room never waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sluicegate_contract::limit::SUBSCRIPTIONS_PER_SESSION_MAX;
use tokio::sync::{mpsc, oneshot};

use super::frame::Frame;

/// Bytes waiting for one client (as protobuf); one that is so far behind is disconnected. A single larger frame goes alone.
const BYTES_MAX: usize = 4 << 20;
/// Frames waiting for one client. A join brings a few for each track there is, all at once.
const FRAMES_MAX: usize = 4 * SUBSCRIPTIONS_PER_SESSION_MAX;
/// What was queued when the room closed the connection is sent within this time (LiveKit: 250 ms).
const FLUSH_TIME: Duration = Duration::from_millis(250);

/// The room's end. Dropped: what is queued is sent, then the connection is closed.
#[derive(Debug)]
pub struct Lane {
    frames: mpsc::Sender<Arc<Frame>>,
    bytes: Arc<AtomicUsize>,
    cut: oneshot::Sender<()>,
}

/// The connection's end.
#[derive(Debug)]
pub struct LaneEnd {
    frames: Frames,
    cut: oneshot::Receiver<()>,
}

/// What waits for the connection.
#[derive(Debug)]
pub struct Frames {
    queued: mpsc::Receiver<Arc<Frame>>,
    bytes: Arc<AtomicUsize>,
}

pub fn lane() -> (Lane, LaneEnd) {
    let (frames, queued) = mpsc::channel(FRAMES_MAX);
    let (cut, cut_off) = oneshot::channel();
    let bytes = Arc::new(AtomicUsize::new(0));
    let end = LaneEnd { frames: Frames { queued, bytes: Arc::clone(&bytes) }, cut: cut_off };
    (Lane { frames, bytes, cut }, end)
}

impl Lane {
    /// False: the lane is full. A connection that has ended takes everything.
    #[must_use]
    pub fn push(&self, frame: &Arc<Frame>) -> bool {
        // Only the room adds, so that the sum is never larger than what was looked at.
        let waiting = self.bytes.load(Ordering::Relaxed);
        if waiting > 0 && waiting + frame.len() > BYTES_MAX {
            return self.frames.is_closed();
        }
        self.bytes.fetch_add(frame.len(), Ordering::Relaxed);
        !matches!(self.frames.try_send(Arc::clone(frame)), Err(mpsc::error::TrySendError::Full(_)))
    }

    /// Ends the connection at once.
    pub fn cut(self) {
        // no receiver: it has ended already
        let _ = self.cut.send(());
    }
}

impl Frames {
    pub async fn recv(&mut self) -> Option<Arc<Frame>> {
        let frame = self.queued.recv().await?;
        self.bytes.fetch_sub(frame.len(), Ordering::Relaxed);
        Some(frame)
    }
}

impl LaneEnd {
    /// The frames, and a future that resolves when nothing more may be sent: at once when the lane was cut, a little later when
    /// it was dropped.
    pub fn split(self) -> (Frames, impl Future<Output = ()>) {
        let Self { frames, cut } = self;
        let end = async move {
            if cut.await.is_err() {
                tokio::time::sleep(FLUSH_TIME).await;
            }
        };
        (frames, end)
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_proto::pb;
    use sluicegate_proto::pb::signal_response::Message;

    use super::*;

    fn frame(bytes: usize) -> Arc<Frame> {
        Arc::new(Frame::of(Message::RefreshToken("x".repeat(bytes))))
    }

    #[tokio::test]
    async fn a_lane_holds_so_many_bytes() {
        let (lane, end) = lane();
        let (mut frames, _end) = end.split();
        let quarter = frame(BYTES_MAX / 4);
        assert!((0..3).all(|_| lane.push(&quarter)), "three with their few bytes of protobuf");
        assert!(!lane.push(&quarter));
        frames.recv().await.unwrap();
        assert!(lane.push(&quarter));
        while !frames.queued.is_empty() {
            frames.recv().await.unwrap();
        }
        assert!(lane.push(&frame(2 * BYTES_MAX)), "one of any size");
        assert!(!lane.push(&frame(1)));
        drop(frames);
        assert!(lane.push(&quarter), "one that has ended takes everything");
    }

    #[test]
    fn a_join_with_as_many_tracks_as_there_may_be_fits() {
        let (lane, _end) = lane();
        let text = || "x".repeat(15);
        let denied = pb::SubscriptionPermissionUpdate { participant_sid: text(), track_sid: text(), allowed: false };
        let of_a_track = [
            Arc::new(Frame::of(Message::SubscriptionPermissionUpdate(denied))),
            Arc::new(Frame::of(Message::SubscriptionResponse(pb::SubscriptionResponse { track_sid: text(), err: 1 }))),
        ];
        assert!((0..SUBSCRIPTIONS_PER_SESSION_MAX).all(|_| of_a_track.iter().all(|frame| lane.push(frame))));
        let more = (0..FRAMES_MAX).filter(|_| lane.push(&of_a_track[0])).count();
        assert_eq!(more, FRAMES_MAX - 2 * SUBSCRIPTIONS_PER_SESSION_MAX, "it has an end all the same");
    }
}
