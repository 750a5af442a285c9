//! One WebSocket from its upgrade to its end: reads requests into the room's inbox, writes the lane's frames.
//!
//! Reading and writing go on side by side in one task, so that a client that does not read cannot keep its own requests (or its
//! end) from the room, and a busy room cannot keep the lane from being emptied. Every wait is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_request::Message as Request;
use sluicegate_proto::pb::signal_response::Message as Response;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval_at, timeout};

use super::allowance::Allowance;
use super::frame::{Encoding, Frame, decode_binary, decode_text};
use super::lane::{Frames, LaneEnd};
use crate::metrics::{Fact, Metrics, Tally};
use crate::rooms::Seat;

/// Pings on the WebSocket itself (LiveKit: 10 s).
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// One frame must be taken by the network within this time.
const SEND_TIME: Duration = Duration::from_secs(5);
/// A ping goes out when the network is idle, so it must be quicker (LiveKit: 2 s).
const PING_SEND_TIME: Duration = Duration::from_secs(2);
/// Every client answers pings: one that is not heard for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Waiting for the other side of a closing handshake.
const CLOSE_TIME: Duration = Duration::from_millis(250);
/// Answers to pings that wait to be sent; a client that asks faster than it reads gets fewer.
const PONGS_MAX: usize = 8;

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The room closed it, and everything before is sent.
    Finished,
    /// The room cut it, or the flush took too long.
    Cut,
    /// The client closed it or vanished.
    Gone,
    /// The client sent something that is no signal request.
    Malformed,
    /// The client sent more than a frame may hold.
    TooLarge,
    /// The client asks more than any client has reason to.
    Flooding,
    /// The client does not read, or says nothing any more.
    Stuck,
}

/// The encoding of the client's last frame; binary at first.
#[derive(Debug, Default)]
struct Spoken(AtomicBool);

impl Spoken {
    fn set(&self, encoding: Encoding) {
        self.0.store(encoding == Encoding::Json, Ordering::Relaxed);
    }

    fn get(&self) -> Encoding {
        if self.0.load(Ordering::Relaxed) { Encoding::Json } else { Encoding::Protobuf }
    }
}

pub async fn run(socket: WebSocket, seat: Seat, lane: LaneEnd, tally: Tally, metrics: Arc<Metrics>) {
    let (mut sink, mut stream) = socket.split();
    let (frames, cut) = lane.split();
    let (pongs, ponging) = mpsc::channel(PONGS_MAX);
    let encoding = Spoken::default();
    let end = tokio::select! {
        biased;
        end = write(&mut sink, frames, ponging, &encoding) => end,
        end = read(&mut stream, &seat, &pongs, &encoding) => end,
        () = cut => End::Cut,
    };
    if end == End::Flooding {
        metrics.count(Fact::SignalFlood);
    }
    tracing::debug!(?end, connection = seat.connection.0, "signal connection ended");
    // before the handshake: the room need not wait for it
    drop(seat);
    close(&mut sink, &mut stream, end, &encoding).await;
    drop(tally);
}

async fn write(
    sink: &mut SplitSink<WebSocket, Message>,
    mut frames: Frames,
    mut pongs: mpsc::Receiver<Frame>,
    encoding: &Spoken,
) -> End {
    let mut ping = interval_at(tokio::time::Instant::now() + PING_INTERVAL, PING_INTERVAL);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let (message, time) = tokio::select! {
            biased;
            frame = frames.recv() => match frame {
                Some(frame) => (frame.message(encoding.get()), SEND_TIME),
                None => return End::Finished,
            },
            Some(pong) = pongs.recv() => (pong.message(encoding.get()), SEND_TIME),
            _ = ping.tick() => (Some(Message::Ping(bytes::Bytes::new())), PING_SEND_TIME),
        };
        let Some(message) = message else { continue };
        match timeout(time, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return End::Gone,
            Err(_) => return End::Stuck,
        }
    }
}

async fn read(stream: &mut SplitStream<WebSocket>, seat: &Seat, pongs: &mpsc::Sender<Frame>, encoding: &Spoken) -> End {
    let mut allowance = Allowance::new(Instant::now());
    loop {
        let message = match timeout(SILENCE_MAX, stream.next()).await {
            Err(_) => return End::Stuck,
            Ok(None) => return End::Gone,
            Ok(Some(Err(error))) => return of_error(&error),
            Ok(Some(Ok(message))) => message,
        };
        let bytes = match &message {
            Message::Binary(bytes) => bytes.len(),
            Message::Text(text) => text.len(),
            Message::Close(_) => return End::Gone,
            // answered by the library
            Message::Ping(_) | Message::Pong(_) => 0,
        };
        if !allowance.take(Instant::now(), bytes) {
            // for the room it is as if the client had left
            let leave = pb::SignalRequest { message: Some(Request::Leave(pb::LeaveRequest::default())) };
            let _ = seat.send(leave).await;
            return End::Flooding;
        }
        let request = match message {
            Message::Binary(bytes) => {
                encoding.set(Encoding::Protobuf);
                decode_binary(&bytes)
            }
            Message::Text(text) => {
                encoding.set(Encoding::Json);
                decode_text(&text)
            }
            _ => continue,
        };
        let Ok(request) = request else { return End::Malformed };
        if is_answered(&request, pongs) {
            continue;
        }
        // The room is gone: its end of the lane is, too, and says how this ends.
        if seat.send(request).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A ping; one that more answers wait before than are read gets none.
fn is_answered(request: &pb::SignalRequest, pongs: &mpsc::Sender<Frame>) -> bool {
    let Some(pong) = pong(request) else { return false };
    let _ = pongs.try_send(Frame::of(pong));
    true
}

/// Pings are answered here, so that they tell the way's length and not the room's business.
fn pong(request: &pb::SignalRequest) -> Option<Response> {
    let now_ms =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    match request.message.as_ref()? {
        Request::Ping(_) => Some(Response::Pong(now_ms)),
        Request::PingReq(ping) => Some(Response::PongResp(pb::Pong { last_ping_timestamp: ping.timestamp, timestamp: now_ms })),
        _ => None,
    }
}

fn of_error(error: &axum::Error) -> End {
    // the library's own error says which limit it was, its type is not ours to name
    if error.to_string().contains("too long") { End::TooLarge } else { End::Gone }
}

/// A client that floods us would do it again: it shall not come back by itself.
fn farewell() -> pb::LeaveRequest {
    let action = pb::leave_request::Action::Disconnect as i32;
    pb::LeaveRequest { reason: pb::DisconnectReason::ParticipantRemoved as i32, action, ..Default::default() }
}

/// The closing handshake, where there is somebody to shake hands with.
async fn close(sink: &mut SplitSink<WebSocket, Message>, stream: &mut SplitStream<WebSocket>, end: End, encoding: &Spoken) {
    let (code, reason) = match end {
        End::Finished => (close_code::NORMAL, ""),
        End::Malformed => (close_code::INVALID, "not a signal request"),
        End::TooLarge => (close_code::SIZE, "the message is too large"),
        End::Flooding => {
            if let Some(leave) = Frame::of(Response::Leave(farewell())).message(encoding.get()) {
                let _ = timeout(CLOSE_TIME, sink.send(leave)).await;
            }
            (close_code::POLICY, "too many requests")
        }
        End::Gone => {
            // the library answers a close frame when it is driven once more
            let _ = timeout(CLOSE_TIME, sink.close()).await;
            return;
        }
        End::Cut | End::Stuck => return,
    };
    let frame = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    let until = Instant::now() + CLOSE_TIME;
    if !matches!(timeout(CLOSE_TIME, sink.send(frame)).await, Ok(Ok(()))) {
        return;
    }
    let rest = async { while let Some(Ok(_)) = stream.next().await {} };
    let _ = timeout(until.saturating_duration_since(Instant::now()), rest).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_beyond_what_is_read_are_not_answered() {
        let (pongs, mut ponging) = mpsc::channel(PONGS_MAX);
        let request = |message| pb::SignalRequest { message: Some(message) };
        assert!((0..3 * PONGS_MAX as i64).all(|n| is_answered(&request(Request::Ping(n)), &pongs)), "none goes to the room");
        assert_eq!(std::iter::from_fn(|| ponging.try_recv().ok()).count(), PONGS_MAX);
        assert!(is_answered(&request(Request::PingReq(pb::Ping::default())), &pongs) && ponging.try_recv().is_ok());
        assert!(!is_answered(&request(Request::Leave(pb::LeaveRequest::default())), &pongs));
    }
}
