//! A client's place in a room, and its share of the room's inbox.

use std::sync::Arc;

use sluicegate_proto::pb;
use sluicegate_room::input::ConnectionKey;
use tokio::sync::{Semaphore, mpsc};

use super::Mail;

/// Requests of one connection that may wait in the inbox: a client that asks faster than it is served waits for itself, and a few
/// of them do not fill the room's inbox.
const REQUESTS_WAITING_MAX: usize = 16;

/// A connection's place in a room; the room hears when it is dropped, however that comes about.
#[derive(Debug)]
pub(crate) struct Seat {
    pub connection: ConnectionKey,
    inbox: mpsc::Sender<Mail>,
    turns: Arc<Semaphore>,
}

/// The room is over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RoomOver;

impl Seat {
    pub fn new(connection: ConnectionKey, inbox: mpsc::Sender<Mail>) -> Self {
        Self { connection, inbox, turns: Arc::new(Semaphore::new(REQUESTS_WAITING_MAX)) }
    }

    /// Waits for the room to take earlier requests of this connection, where there are too many.
    pub async fn send(&self, request: pb::SignalRequest) -> Result<(), RoomOver> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| RoomOver)?;
        let mail = Mail::Signal { connection: self.connection, request: Box::new(request), turn };
        self.inbox.send(mail).await.map_err(|_| RoomOver)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mail = Mail::Closed { connection: self.connection };
        let Err(mpsc::error::TrySendError::Full(mail)) = self.inbox.try_send(mail) else { return };
        // outside of a runtime everything is ending anyway
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let inbox = self.inbox.clone();
            runtime.spawn(async move { inbox.send(mail).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn one_client_does_not_fill_the_inbox() {
        let (inbox, mut mails) = mpsc::channel(4 * REQUESTS_WAITING_MAX);
        let hasty = Seat::new(ConnectionKey(1), inbox.clone());
        let request = pb::SignalRequest::default;
        for _ in 0..REQUESTS_WAITING_MAX {
            assert_eq!(hasty.send(request()).now_or_never(), Some(Ok(())));
        }
        assert_eq!(hasty.send(request()).now_or_never(), None, "it waits for the room");
        let other = Seat::new(ConnectionKey(2), inbox.clone());
        assert_eq!(other.send(request()).now_or_never(), Some(Ok(())));
        drop(mails.try_recv().unwrap());
        assert_eq!(hasty.send(request()).now_or_never(), Some(Ok(())));
        drop(mails);
        assert_eq!(other.send(request()).now_or_never(), Some(Err(RoomOver)));
    }
}
