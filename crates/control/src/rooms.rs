//! The rooms of this node: the table of names, and the doors to the rooms' tasks.
//!
//! A room is made by the first join or by CreateRoom and leaves the table before its task ends; who meets a room that is just
//! ending is handed back what he sent and tries again with a new one.

pub(crate) mod refresh;
mod seat;
mod table;
mod task;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sluicegate_contract::Event;
use sluicegate_contract::limit::{EVENTS_MAX, INBOX_MAX};
use sluicegate_contract::time::WallClock;
use sluicegate_proto::pb;
use sluicegate_proto::token::KeyStore;
use sluicegate_room::input::{ApiCall, ConnectionKey, Join};
use sluicegate_room::output::{ApiError, ApiReply, Refusal};
use sluicegate_room::{Room, RoomConfig};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::config::ControlConfig;
use crate::entropy;
use crate::metrics::{Fact, Kind, Metrics};
use crate::placement::Workers;
use crate::ws::lane::{Lane, LaneEnd, lane};
pub(crate) use seat::Seat;
use table::{Doors, Table};
use task::Mailbox;

/// What comes to a room's task, besides the media plane's events.
#[derive(Debug)]
pub(crate) enum Mail {
    Join(Box<JoinMail>),
    Signal { connection: ConnectionKey, request: Box<pb::SignalRequest>, turn: OwnedSemaphorePermit },
    Closed { connection: ConnectionKey },
    Api { call: Box<ApiCall>, answer: oneshot::Sender<Result<ApiReply, ApiError>> },
    Shutdown,
}

#[derive(Debug)]
pub(crate) struct JoinMail {
    pub join: Join,
    /// The API key of its token: refreshed tokens are signed with the same.
    pub api_key: String,
    pub lane: Lane,
    pub answer: oneshot::Sender<JoinAnswer>,
}

#[derive(Debug)]
pub(crate) enum JoinAnswer {
    Accepted,
    Refused(Refusal),
    /// The room ended meanwhile: here is what was asked.
    RoomGone(Box<JoinMail>),
}

/// How often a join or a call looks for the room again when it meets one that is ending.
const ATTEMPTS: usize = 5;
/// The whole of a join, from the request to the room's answer (LiveKit: 3 s, three times).
const JOIN_WAIT: Duration = Duration::from_secs(9);
const STOPPING: &str = "the server is shutting down";

#[derive(Clone, Debug)]
pub(crate) struct Rooms(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    table: Table,
    config: Arc<RoomConfig>,
    keys: KeyStore,
    workers: Workers,
    metrics: Arc<Metrics>,
    next_connection: AtomicU64,
    is_stopping: AtomicBool,
}

impl Rooms {
    pub fn new(config: &ControlConfig, workers: Workers, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Shared {
            table: Table::default(),
            config: Arc::new(config.room.clone()),
            keys: config.keys.clone(),
            workers,
            metrics,
            next_connection: AtomicU64::new(1),
            is_stopping: AtomicBool::new(false),
        }))
    }

    pub fn has_media(&self) -> bool {
        self.0.workers.are_running()
    }

    pub fn exists(&self, name: &str) -> bool {
        self.0.table.inbox(name).is_some()
    }

    /// Brings a validated client into its room. Waits for the room's word, at most [`JOIN_WAIT`].
    pub async fn join(&self, name: &str, join: Join, api_key: &str) -> Result<(Seat, LaneEnd), Refusal> {
        let refusal = |status, text: &str| Refusal { status, text: text.to_owned() };
        if !self.has_media() {
            return Err(refusal(503, "the media plane is not running"));
        }
        match tokio::time::timeout(JOIN_WAIT, self.join_in_time(name, join, api_key)).await {
            Ok(Some(answer)) => answer,
            Ok(None) => Err(refusal(503, "the room has just closed, join again")),
            Err(_) => Err(refusal(503, "the room did not answer in time")),
        }
    }

    async fn join_in_time(&self, name: &str, join: Join, api_key: &str) -> Option<Result<(Seat, LaneEnd), Refusal>> {
        let (mut join, api_key) = (join, api_key.to_owned());
        let connection = ConnectionKey(self.0.next_connection.fetch_add(1, Ordering::Relaxed));
        join.connection = connection;
        let (first_lane, mut end) = lane();
        let (answer, mut answered) = oneshot::channel();
        let mut mail = Box::new(JoinMail { join, api_key, lane: first_lane, answer });
        for _ in 0..ATTEMPTS {
            // the room itself takes its configuration from the first token
            let create = pb::CreateRoomRequest { name: name.to_owned(), ..Default::default() };
            let inbox = match self.find_or_create(name, create) {
                Ok((inbox, _)) => inbox,
                Err(Stopping) => return Some(Err(Refusal { status: 503, text: STOPPING.to_owned() })),
            };
            let returned = match inbox.send(Mail::Join(mail)).await {
                Err(mpsc::error::SendError(Mail::Join(mail))) => mail,
                Err(_) => return None,
                Ok(()) => {
                    // from here on the room must hear when the client goes
                    let seat = Seat::new(connection, inbox);
                    match answered.await {
                        Ok(JoinAnswer::Accepted) => return Some(Ok((seat, end))),
                        Ok(JoinAnswer::Refused(refusal)) => return Some(Err(refusal)),
                        Ok(JoinAnswer::RoomGone(mail)) => mail,
                        Err(_) => return None,
                    }
                }
            };
            let (again, new_end) = lane();
            let (answer, new_answered) = oneshot::channel();
            (end, answered) = (new_end, new_answered);
            mail = Box::new(JoinMail { join: returned.join, api_key: returned.api_key, lane: again, answer });
        }
        None
    }

    /// CreateRoom: a new room, or the existing one with the fields that are set.
    pub async fn create(&self, create: pb::CreateRoomRequest) -> Result<pb::Room, ApiError> {
        for _ in 0..ATTEMPTS {
            let (inbox, made) = self
                .find_or_create(&create.name, create.clone())
                .map_err(|Stopping| ApiError::ResourceExhausted(STOPPING.to_owned()))?;
            if let Some(room) = made {
                return Ok(room);
            }
            match ask(&inbox, ApiCall::Configure(create.clone())).await {
                Some(Ok(ApiReply::Room(room))) => return Ok(*room),
                Some(Err(error)) => return Err(error),
                Some(Ok(_)) | None => {}
            }
        }
        Err(no_such_room())
    }

    /// A call to one room.
    pub async fn ask(&self, name: &str, call: ApiCall) -> Result<ApiReply, ApiError> {
        let inbox = self.0.table.inbox(name).ok_or_else(no_such_room)?;
        ask(&inbox, call).await.unwrap_or_else(|| Err(no_such_room()))
    }

    /// DeleteRoom: returns when the name is free again.
    pub async fn delete(&self, name: &str) -> Result<(), ApiError> {
        let inbox = self.0.table.inbox(name).ok_or_else(no_such_room)?;
        let answer = ask(&inbox, ApiCall::Delete).await;
        inbox.closed().await;
        answer.map_or(Ok(()), |answer| answer.map(|_| ()))
    }

    /// All rooms, or those named, by name.
    pub fn list(&self, names: &[String]) -> Vec<pb::Room> {
        self.0.table.snapshots(names)
    }

    /// A worker's report goes to its room; one for a room that is over goes nowhere. A room that does not keep up has lost
    /// something and ends; nobody waits for it.
    pub fn route(&self, event: Event) {
        let room = event.room();
        if !self.0.table.route(event) {
            self.0.metrics.count(Fact::RoomOverrun);
            tracing::error!(room = room.0, "a room did not keep up with the media plane");
        }
    }

    /// No new rooms; the present ones send everybody away and end.
    pub async fn shutdown(&self) {
        self.0.is_stopping.store(true, Ordering::SeqCst);
        for inbox in self.0.table.inboxes() {
            let _ = inbox.send(Mail::Shutdown).await;
        }
        self.0.metrics.none_left(Kind::Room).await;
    }

    /// The room's inbox; with the room as it is shown where it was made just now.
    fn find_or_create(
        &self,
        name: &str,
        create: pb::CreateRoomRequest,
    ) -> Result<(mpsc::Sender<Mail>, Option<pb::Room>), Stopping> {
        let shared = &self.0;
        let mut made = None;
        let inbox = shared.table.find_or_insert(name, |key| {
            // under the table's lock, as the walk over it in `shutdown`
            if shared.is_stopping.load(Ordering::SeqCst) {
                return None;
            }
            let now = Instant::now();
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let clock = WallClock::new(now, unix);
            let room = Room::new(now, Arc::clone(&shared.config), key, name, create, clock, entropy::random());
            let info = room.room_info();
            let (inbox, mails) = mpsc::channel(INBOX_MAX);
            let (media, events) = mpsc::channel(EVENTS_MAX);
            made = Some((key, room, Mailbox { mails, events }, info.clone()));
            Some((Doors { inbox, media }, info))
        });
        let inbox = inbox.ok_or(Stopping)?;
        let made = made.map(|(key, room, mailbox, info)| {
            task::spawn(self.clone(), name.to_owned(), key, room, mailbox);
            info
        });
        Ok((inbox, made))
    }
}

#[derive(Debug)]
struct Stopping;

/// None: the room ended before it answered.
async fn ask(inbox: &mpsc::Sender<Mail>, call: ApiCall) -> Option<Result<ApiReply, ApiError>> {
    let (answer, answered) = oneshot::channel();
    inbox.send(Mail::Api { call: Box::new(call), answer }).await.ok()?;
    answered.await.ok()
}

fn no_such_room() -> ApiError {
    ApiError::NotFound("requested room does not exist".to_owned())
}
