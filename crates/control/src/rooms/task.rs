//! One room's task: feeds the machine, carries out its effects in order, keeps its deadlines.
//!
//! Waits for nobody but the worker's command lane. A panic of the machine, or a lost event of the media plane, ends this task
//! only: its sessions are taken out of the media plane and its clients told to join again, in a room made of what is stored.

mod effects;

use std::collections::{BTreeSet, HashMap};
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use sluicegate_contract::{Command, Event, RoomKey, SessionKey, WorkerKey};
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message;
use sluicegate_room::input::{ApiCall, ConnectionKey, RequestId};
use sluicegate_room::output::{ApiError, ApiReply};
use sluicegate_room::placement::Placement;
use sluicegate_room::{Input, Room};
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

use super::forwarding::Forwards;
use super::saved::Remade;
use super::{JoinAnswer, JoinMail, Mail, Rooms, refresh, saved};
use crate::metrics::{Fact, Kind, Tally};
use crate::ws::frame::Frame;
use crate::ws::lane::Lane;

/// Media events that are taken in a row while mail waits.
const EVENTS_IN_A_ROW_MAX: usize = 64;

/// What comes to the task: mail, and the media plane's events on a lane of their own.
pub struct Mailbox {
    pub mails: mpsc::Receiver<Mail>,
    pub events: mpsc::Receiver<Event>,
}

/// Why a room cannot go on.
enum Broken {
    Panicked,
    /// Something that the media plane reported was lost.
    Overrun,
}

struct Task {
    rooms: Rooms,
    name: String,
    key: RoomKey,
    room: Room,
    connections: HashMap<ConnectionKey, Connection>,
    joining: HashMap<ConnectionKey, oneshot::Sender<JoinAnswer>>,
    asking: HashMap<RequestId, oneshot::Sender<Result<ApiReply, ApiError>>>,
    next_request: u64,
    /// What lives in the media plane on this room's behalf.
    sessions: HashMap<SessionKey, Tally>,
    placement: Placement,
    forwards: Forwards,
    /// The worker that the room's sessions go to first.
    home: Option<WorkerKey>,
    /// Connections that were cut off because they did not keep up.
    overrun: BTreeSet<ConnectionKey>,
    is_over: bool,
    /// It ends with the process and is made again by the next one.
    is_kept: bool,
    /// DeleteRoom was asked for: however it ends, it does not come again.
    is_deleted: bool,
}

struct Connection {
    lane: Lane,
    api_key: String,
}

/// Takes the room out of the table however the task ends.
struct Registration {
    rooms: Rooms,
    name: String,
    key: RoomKey,
    _tally: Tally,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.rooms.0.table.remove(&self.name, self.key);
    }
}

pub fn spawn(rooms: Rooms, name: String, key: RoomKey, room: Room, mailbox: Mailbox) {
    let span = tracing::info_span!("room", room = %room.room_info().sid);
    let tally = rooms.0.metrics.enter(Kind::Room);
    let registration = Registration { rooms: rooms.clone(), name: name.clone(), key, _tally: tally };
    let task = Task {
        rooms,
        name,
        key,
        room,
        connections: HashMap::new(),
        joining: HashMap::new(),
        asking: HashMap::new(),
        next_request: 0,
        sessions: HashMap::new(),
        placement: Placement::default(),
        forwards: Forwards::default(),
        home: None,
        overrun: BTreeSet::new(),
        is_over: false,
        is_kept: false,
        is_deleted: false,
    };
    tokio::spawn(run(task, mailbox, registration).instrument(span));
}

async fn run(mut task: Task, mut mailbox: Mailbox, registration: Registration) {
    let mut remade = Remade::Gone;
    if let Err(broken) = task.live(&mut mailbox).await {
        match broken {
            Broken::Panicked => {
                task.rooms.0.metrics.count(Fact::Panic);
                tracing::error!("the room panicked; its participants are told to join again");
            }
            Broken::Overrun => tracing::error!("the media plane's reports were lost; the participants are told to join again"),
        }
        task.abandon().await;
        if !task.is_deleted {
            remade = task.rooms.remake(&task.name, task.key).await;
        }
    }
    // Those who were shown here are seen to be shown no more before anybody can ask for them again.
    let shown = std::mem::take(&mut task.forwards).origins();
    // Before the name is free for another room, whose rows come later.
    if !task.is_kept && remade == Remade::Gone {
        task.rooms.0.store.later(saved::deletions(&task.name));
    }
    // Nobody finds the room any more; who has found it already gets back what he sent.
    task.rooms.0.table.remove(&task.name, task.key);
    if remade == Remade::Made {
        task.rooms.forward_again(shown, &task.name);
    }
    let Mailbox { mut mails, events } = mailbox;
    drop(events);
    mails.close();
    while let Some(mail) = mails.recv().await {
        if let Mail::Join(mut mail) = mail {
            let (unused, _) = oneshot::channel();
            let answer = std::mem::replace(&mut mail.answer, unused);
            let _ = answer.send(JoinAnswer::RoomGone(mail));
        }
    }
    drop(registration);
}

impl Task {
    async fn live(&mut self, mailbox: &mut Mailbox) -> Result<(), Broken> {
        self.step(|_| {}).await?;
        let mut in_a_row = 0;
        while !self.is_over {
            let deadline = self.room.poll_timeout().map(|(at, _)| at);
            // however busy the media plane is
            let news = (in_a_row >= EVENTS_IN_A_ROW_MAX).then(|| self.forwards.next().now_or_never().flatten()).flatten();
            // The media plane goes first, because nobody slows it down; clients are slowed down by waiting here.
            let input = tokio::select! {
                biased;
                () = at(deadline) => None,
                () = ready(()), if news.is_some() => news.map(|news| self.forwards.open(news, &mut self.placement)),
                event = mailbox.events.recv(), if in_a_row < EVENTS_IN_A_ROW_MAX || mailbox.mails.is_empty() => {
                    in_a_row += 1;
                    Some(Input::Media(event.ok_or(Broken::Overrun)?))
                }
                Some(news) = self.forwards.next() => Some(self.forwards.open(news, &mut self.placement)),
                Some(mail) = mailbox.mails.recv() => {
                    in_a_row = 0;
                    let Some(input) = self.open(mail) else { continue };
                    Some(input)
                }
            };
            match input {
                Some(input) => self.step(|room| room.handle_input(Instant::now(), input)).await?,
                None => self.step(|room| room.handle_timeout(Instant::now())).await?,
            }
            while let Some(connection) = self.overrun.pop_first() {
                self.step(|room| room.handle_input(Instant::now(), Input::SignalClosed { connection })).await?;
            }
        }
        Ok(())
    }

    /// One turn of the machine, then its effects in order.
    async fn step(&mut self, turn: impl FnOnce(&mut Room)) -> Result<(), Broken> {
        let room = &mut self.room;
        let outputs = catch_unwind(AssertUnwindSafe(|| {
            turn(room);
            (room.take_saved(), std::iter::from_fn(|| room.poll_output()).collect::<Vec<_>>())
        }));
        let (saved, outputs) = outputs.map_err(|_| Broken::Panicked)?;
        // before any answer: whoever gets one may wait until it is on the disk
        if let Some(saved) = saved {
            self.rooms.0.store.later(saved::changes(&self.name, &saved));
        }
        for output in outputs {
            self.carry_out(output).await;
        }
        Ok(())
    }

    /// What the mail means to the machine; who awaits an answer is remembered.
    fn open(&mut self, mail: Mail) -> Option<Input> {
        Some(match mail {
            Mail::Join(mail) => {
                let JoinMail { join, api_key, lane, answer } = *mail;
                // the client did not wait
                if answer.is_closed() {
                    return None;
                }
                self.joining.insert(join.connection, answer);
                self.connections.insert(join.connection, Connection { lane, api_key });
                Input::Join(Box::new(join))
            }
            Mail::Signal { connection, request, turn } => {
                // the connection may send the next one
                drop(turn);
                Input::Signal { connection, request }
            }
            Mail::Closed { connection } => {
                self.connections.remove(&connection);
                self.joining.remove(&connection);
                Input::SignalClosed { connection }
            }
            Mail::Api { call, answer } => {
                // the next process must not make it again, also where this one is stopping
                self.is_deleted |= matches!(*call, ApiCall::Delete);
                self.is_kept &= !self.is_deleted;
                let request = self.next_request();
                self.asking.insert(request, answer);
                Input::Api { request, call }
            }
            Mail::Forward { identity, to, answer } => {
                let request = self.next_request();
                self.forwards.lend(request, identity, to, answer)
            }
            Mail::Show { showing, answer } => {
                let request = self.next_request();
                self.forwards.show(request, *showing, answer, &mut self.placement)
            }
            Mail::SendAway { at_most } => {
                self.is_kept = true;
                Input::SendAway { at_most }
            }
            Mail::Shutdown => {
                self.is_kept = true;
                Input::Shutdown
            }
        })
    }

    fn next_request(&mut self) -> RequestId {
        let request = RequestId(self.next_request);
        self.next_request = self.next_request.wrapping_add(1);
        request
    }

    /// The machine is in no state to be asked: what it had in the media plane goes, its clients are told to come again.
    async fn abandon(&mut self) {
        let leave = pb::LeaveRequest {
            can_reconnect: true,
            reason: pb::DisconnectReason::StateMismatch as i32,
            action: pb::leave_request::Action::Reconnect as i32,
            ..Default::default()
        };
        let response = pb::SignalResponse { message: Some(Message::Leave(leave)) };
        let frame = Arc::new(Frame::new(Arc::new(response)));
        for connection in self.connections.values() {
            // one that is full has frames enough and is closed, too
            let _ = connection.lane.push(&frame);
        }
        self.connections.clear();
        let sessions: Vec<SessionKey> = self.sessions.keys().copied().collect();
        for session in sessions {
            self.command(Command::RemoveSession { session }).await;
        }
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_contract::event::SessionEnd;
    use sluicegate_contract::limit::EVENTS_MAX;

    use super::*;
    use crate::ControlConfig;
    use crate::metrics::Metrics;
    use crate::placement::{WorkerPort, Workers};

    #[tokio::test]
    async fn a_room_that_lost_events_is_made_again() {
        let (commands, _worker) = mpsc::channel(1);
        let metrics = Arc::new(Metrics::default());
        let meters = tokio::sync::watch::channel(Default::default()).1;
        let workers = Workers::start(vec![WorkerPort { commands, meters }], 60);
        let store = crate::Store::in_memory().unwrap();
        let rooms = Rooms::new(&ControlConfig::default(), workers, Arc::clone(&metrics), store);
        assert_eq!(rooms.restore().await, Ok(0));
        let made = rooms.create(pb::CreateRoomRequest { name: "a".to_owned(), ..Default::default() }).await.unwrap();
        let inbox = rooms.0.table.inbox("a").unwrap();
        // on this thread the room's task has no turn before the await
        for _ in 0..=EVENTS_MAX {
            let session = SessionKey { room: RoomKey(0), index: 0 };
            rooms.route(Event::SessionEnded { session, why: SessionEnd::Panicked });
        }
        assert_eq!(metrics.facts(Fact::RoomOverrun), 1);
        inbox.closed().await;
        assert_eq!(rooms.list(&[]), [made]);
        assert!(!inbox.same_channel(&rooms.0.table.inbox("a").unwrap()), "another task");
    }
}
