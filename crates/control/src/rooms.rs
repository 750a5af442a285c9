//! The rooms of this node: the table of names, and the doors to the rooms' tasks.
//!
//! A room is made by the first join or by CreateRoom and leaves the table before its task ends; who meets a room that is just
//! ending is handed back what he sent and tries again with a new one.

mod forwarding;
pub(crate) mod phase;
pub(crate) mod refresh;
pub(crate) mod revocation;
mod saved;
mod seat;
mod stop;
mod table;
mod task;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sluicegate_contract::limit::{EVENTS_MAX, INBOX_MAX};
use sluicegate_contract::time::WallClock;
use sluicegate_contract::{Event, RoomKey};
use sluicegate_proto::pb;
use sluicegate_proto::token::{Claims, KeyStore};
use sluicegate_room::input::{ApiCall, ConnectionKey, Join};
use sluicegate_room::output::{ApiError, ApiReply, Refusal};
use sluicegate_room::{Destination, Room, RoomConfig};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::auth::unix_secs;
use crate::config::ControlConfig;
use crate::entropy;
use crate::metrics::{Fact, Metrics};
use crate::placement::Workers;
use crate::store::Store;
use crate::ws::lane::{Lane, LaneEnd, lane};
use phase::{Phase, Phases};
use revocation::Revocations;
pub(crate) use seat::Seat;
use table::{Doors, Table};
use task::Mailbox;

/// What comes to a room's task, besides the media plane's events.
#[derive(Debug)]
pub(crate) enum Mail {
    Join(Box<JoinMail>),
    Signal {
        connection: ConnectionKey,
        request: Box<pb::SignalRequest>,
        turn: OwnedSemaphorePermit,
    },
    Closed {
        connection: ConnectionKey,
    },
    Api {
        call: Box<ApiCall>,
        answer: oneshot::Sender<Result<ApiReply, ApiError>>,
    },
    /// A participant is to be shown in another room, too.
    Forward {
        identity: String,
        to: String,
        answer: oneshot::Sender<forwarding::Lending>,
    },
    /// A participant of another room is to be shown here.
    Show {
        showing: Box<forwarding::Showing>,
        answer: oneshot::Sender<Result<(), ApiError>>,
    },
    /// The server stops: so many are told to come back.
    SendAway {
        at_most: usize,
    },
    /// The server stops: so are the others, and the room ends but stays in the store.
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
/// How far ahead of now tokens may be taken back.
const REVOCATION_AHEAD_SECS_MAX: u64 = 24 * 3600;
/// The whole of a join, from the request to the room's answer (LiveKit: 3 s, three times).
const JOIN_WAIT: Duration = Duration::from_secs(9);

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
    store: Store,
    phases: Phases,
    revocations: Revocations,
}

impl Rooms {
    pub fn new(config: &ControlConfig, workers: Workers, metrics: Arc<Metrics>, store: Store) -> Self {
        Self(Arc::new(Shared {
            table: Table::default(),
            config: Arc::new(config.room.clone()),
            keys: config.keys.clone(),
            workers,
            metrics,
            next_connection: AtomicU64::new(1),
            revocations: Revocations::new(store.clone()),
            store,
            phases: Phases::default(),
        }))
    }

    pub fn has_media(&self) -> bool {
        self.0.workers.are_running()
    }

    pub fn phase(&self) -> Phase {
        self.0.phases.get()
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
        if let (Phase::Stopping, Some(text)) = (self.phase(), self.phase().hindrance()) {
            return Err(refusal(503, text));
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
                Err(Hindered(text)) => return Some(Err(Refusal { status: 503, text: text.to_owned() })),
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

    /// CreateRoom: a new room, or the existing one with the fields that are set. It outlives the process when this returns.
    pub async fn create(&self, create: pb::CreateRoomRequest) -> Result<pb::Room, ApiError> {
        let room = self.create_in_memory(create).await?;
        self.stored().await?;
        Ok(room)
    }

    async fn create_in_memory(&self, create: pb::CreateRoomRequest) -> Result<pb::Room, ApiError> {
        for _ in 0..ATTEMPTS {
            let (inbox, made) = self
                .find_or_create(&create.name, create.clone())
                .map_err(|Hindered(text)| ApiError::Unavailable(text.to_owned()))?;
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
        let inbox = self.0.table.inbox(name).ok_or_else(|| self.unanswered(name))?;
        let is_durable = matches!(call, ApiCall::UpdateMetadata { .. });
        let reply = ask(&inbox, call).await.unwrap_or_else(|| Err(self.unanswered(name)))?;
        if is_durable {
            self.stored().await?;
        }
        Ok(reply)
    }

    /// What rooms said before their answers is on the disk.
    async fn stored(&self) -> Result<(), ApiError> {
        let failed = |error| ApiError::Unavailable(format!("it is done, but would not survive a restart: {error}"));
        self.0.store.flush().await.map_err(failed)
    }

    /// RemoveParticipant. Tokens of this identity that began before `revoke` (Unix seconds) let nobody into this room any more, also
    /// where nobody was there to be removed; that outlives the process when this returns.
    pub async fn remove_participant(&self, name: &str, identity: &str, revoke: Option<u64>) -> Result<(), ApiError> {
        let remove = || self.ask(name, ApiCall::RemoveParticipant { identity: identity.to_owned() });
        let Some(floor) = revoke else { return remove().await.map(|_| ()) };
        // those of an earlier process come first
        if let (Phase::Starting, Some(text)) = (self.phase(), self.phase().hindrance()) {
            return Err(ApiError::Unavailable(text.to_owned()));
        }
        // one in milliseconds would lock this identity out for ever
        if floor > unix_secs().saturating_add(REVOCATION_AHEAD_SECS_MAX) {
            return Err(ApiError::InvalidArgument("revoke_token_ts, in Unix seconds, is more than a day ahead".to_owned()));
        }
        let revocations = &self.0.revocations;
        let full = |_| ApiError::ResourceExhausted("too many tokens are revoked; nobody was removed".to_owned());
        revocations.add(name, identity, floor, unix_secs()).map_err(full)?;
        let removed = remove().await;
        if let Ok(ApiReply::Removed { token_expiry_secs }) = &removed {
            revocations.keep_until(name, identity, *token_expiry_secs);
        }
        self.stored().await?;
        removed.map(|_| ())
    }

    /// MoveParticipant: the destination is made where it is not there and may be made. Returns when the client was told; it joins by
    /// itself.
    pub async fn move_participant(&self, request: pb::MoveParticipantRequest, may_create: bool) -> Result<(), ApiError> {
        let pb::MoveParticipantRequest { room, identity, destination_room } = request;
        // before a room is made for nobody
        self.ask(&room, ApiCall::GetParticipant { identity: identity.clone() }).await?;
        if !may_create && !self.exists(&destination_room) {
            return Err(no_such_room());
        }
        let create = pb::CreateRoomRequest { name: destination_room.clone(), ..Default::default() };
        let hindered = |Hindered(text): Hindered| ApiError::Unavailable(text.to_owned());
        let (_, made) = self.find_or_create(&destination_room, create).map_err(hindered)?;
        let destination = made.or_else(|| self.list(std::slice::from_ref(&destination_room)).pop()).ok_or_else(no_such_room)?;
        if destination.max_participants != 0 && destination.num_participants >= destination.max_participants {
            return Err(ApiError::ResourceExhausted("the destination room is full".to_owned()));
        }
        let mut participants = match self.ask(&destination_room, ApiCall::ListParticipants).await? {
            ApiReply::Participants(participants) => participants,
            _ => Vec::new(),
        };
        participants.retain(|info| !info.permission.as_ref().is_some_and(|permission| permission.hidden));
        let to = Destination { room: destination, participants };
        self.ask(&room, ApiCall::Move { identity, to }).await.map(|_| ())
    }

    /// This token was taken back.
    pub fn is_revoked(&self, room: &str, claims: &Claims) -> bool {
        self.0.revocations.refuses(room, claims.identity(), claims, unix_secs())
    }

    /// DeleteRoom: returns when the name is free again.
    pub async fn delete(&self, name: &str) -> Result<(), ApiError> {
        let mut inbox = self.0.table.inbox(name).ok_or_else(|| self.unanswered(name))?;
        for _ in 0..ATTEMPTS {
            let answer = ask(&inbox, ApiCall::Delete).await;
            inbox.closed().await;
            match (answer, self.0.table.inbox(name)) {
                (Some(answer), _) => {
                    answer?;
                    return self.stored().await;
                }
                (None, _) if self.phase() == Phase::Stopping => return Err(self.unanswered(name)),
                // it ended just before
                (None, None) => return self.stored().await,
                // it broke just before, and was made again
                (None, Some(again)) => inbox = again,
            }
        }
        Err(self.unanswered(name))
    }

    /// Of a room that is not there (any more), or broke while it was asked and is there again.
    fn unanswered(&self, name: &str) -> ApiError {
        match self.phase() {
            Phase::Stopping => ApiError::Unavailable("the server is shutting down".to_owned()),
            _ if self.exists(name) => ApiError::Unavailable("the room was just made again; ask once more".to_owned()),
            _ => no_such_room(),
        }
    }

    /// The room panics, or where an identity is named that participant's session in the media plane. A room that has panicked
    /// answers nothing.
    pub async fn provoke(&self, name: &str, identity: &str) -> Result<(), ApiError> {
        let inbox = self.0.table.inbox(name).ok_or_else(no_such_room)?;
        let identity = (!identity.is_empty()).then(|| identity.to_owned());
        ask(&inbox, ApiCall::Fault { identity }).await.unwrap_or(Ok(ApiReply::Done)).map(|_| ())
    }

    /// All rooms, or those named, by name.
    pub fn list(&self, names: &[String]) -> Vec<pb::Room> {
        self.0.table.snapshots(names)
    }

    /// A worker's report goes to its room; one for a room that is over goes nowhere. A room that does not keep up has lost
    /// something and is made again; nobody waits for it.
    pub fn route(&self, event: Event) {
        let room = event.room();
        if !self.0.table.route(event) {
            self.0.metrics.count(Fact::RoomOverrun);
            tracing::error!(room = room.0, "a room did not keep up with the media plane");
        }
    }

    /// The room's inbox; with the room as it is shown where it was made just now.
    fn find_or_create(
        &self,
        name: &str,
        create: pb::CreateRoomRequest,
    ) -> Result<(mpsc::Sender<Mail>, Option<pb::Room>), Hindered> {
        let shared = &self.0;
        let mut hindrance = None;
        let found = self.find_or_make(name, None, |key| {
            // under the table's lock, as the walk over it in `shutdown`
            hindrance = self.phase().hindrance();
            let (now, clock) = moment();
            let room = || Room::new(now, Arc::clone(&shared.config), key, name, create, clock, entropy::random());
            hindrance.is_none().then(room)
        });
        found.ok_or(Hindered(hindrance.unwrap_or_default()))
    }

    fn find_or_make(
        &self,
        name: &str,
        broken: Option<RoomKey>,
        make: impl FnOnce(RoomKey) -> Option<Room>,
    ) -> Option<(mpsc::Sender<Mail>, Option<pb::Room>)> {
        let mut made = None;
        let inbox = self.0.table.find_or_insert(name, broken, |key| {
            let mut room = make(key)?;
            if let Some(saved) = room.take_saved() {
                self.0.store.later(saved::changes(name, &saved));
            }
            let info = room.room_info();
            let (inbox, mails) = mpsc::channel(INBOX_MAX);
            let (media, events) = mpsc::channel(EVENTS_MAX);
            made = Some((key, room, Mailbox { mails, events }, info.clone()));
            Some((Doors { inbox, media }, info))
        })?;
        let made = made.map(|(key, room, mailbox, info)| {
            task::spawn(self.clone(), name.to_owned(), key, room, mailbox);
            info
        });
        Some((inbox, made))
    }
}

/// Why there is no new room now.
#[derive(Debug)]
struct Hindered(&'static str);

/// Now, on both clocks.
fn moment() -> (Instant, WallClock) {
    let now = Instant::now();
    (now, WallClock::new(now, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
}

/// None: the room ended before it answered.
async fn ask(inbox: &mpsc::Sender<Mail>, call: ApiCall) -> Option<Result<ApiReply, ApiError>> {
    let (answer, answered) = oneshot::channel();
    inbox.send(Mail::Api { call: Box::new(call), answer }).await.ok()?;
    answered.await.ok()
}

fn no_such_room() -> ApiError {
    ApiError::NotFound("requested room does not exist".to_owned())
}
