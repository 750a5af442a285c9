//! Participants that are shown in several rooms: how one room's task tells another's.
//!
//! Per room that shows it, a participant has a watched value: its newest description. Nothing queues and nobody waits for the other
//! room, so two rooms that show each other's participants cannot block each other. The sender's end is the end of the participant or
//! of its room, the receiver's end is that the other room shows it no more.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use futures_util::future::{AbortHandle, Abortable, BoxFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use sluicegate_contract::SessionKey;
use sluicegate_proto::pb;
use sluicegate_room::input::{ApiCall, RequestId};
use sluicegate_room::output::{ApiError, ApiReply};
use sluicegate_room::placement::{Placement, Places};
use sluicegate_room::{Forwarded, Input};
use tokio::sync::{mpsc, oneshot, watch};

use super::{ATTEMPTS, Hindered, Mail, Rooms, no_such_room};

/// Other rooms that one participant is shown in.
const FORWARDS_MAX: usize = 64;

/// A participant as its room describes it, and where its tracks are.
#[derive(Debug)]
pub(crate) struct Described {
    forwarded: Forwarded,
    places: Places,
}

/// A participant that is to be shown.
#[derive(Debug)]
pub(crate) struct Showing {
    /// Its own room, and its identity there.
    pub of: (String, String),
    described: watch::Receiver<Arc<Described>>,
    /// While it lives the participant is shown, or about to be.
    sign: Arc<()>,
}

/// One of the rooms that show a participant, as the participant's own room knows it.
struct Lent {
    describe: watch::Sender<Arc<Described>>,
    /// Gone at once when the other room stops, where its receiver may wait for its turn to be dropped.
    sign: Weak<()>,
}

/// What its own room says; None: the other room shows it already.
pub(crate) type Lending = Result<Option<(watch::Receiver<Arc<Described>>, Arc<()>)>, ApiError>;

/// Whom the other room's end reached: a new description, or none any more.
type News = (SessionKey, Option<watch::Receiver<Arc<Described>>>);

/// What a room's task keeps of it.
#[derive(Default)]
pub(super) struct Forwards {
    /// Questions to the own room that it has not answered: which room asks.
    lending: HashMap<RequestId, (String, oneshot::Sender<Lending>)>,
    /// By participant of the own room: the rooms that show it.
    lent: HashMap<SessionKey, HashMap<String, Lent>>,
    /// Participants of other rooms that the own room has not yet accepted.
    arriving: HashMap<RequestId, (Showing, oneshot::Sender<Result<(), ApiError>>)>,
    /// Those that are shown here.
    shown: HashMap<SessionKey, Shown>,
    news: FuturesUnordered<Abortable<BoxFuture<'static, News>>>,
}

struct Shown {
    of: (String, String),
    watching: AbortHandle,
    _sign: Arc<()>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// A participant's own room.
impl Forwards {
    /// Another room asks for a participant.
    pub fn lend(&mut self, request: RequestId, identity: String, to: String, answer: oneshot::Sender<Lending>) -> Input {
        self.lending.insert(request, (to, answer));
        Input::Api { request, call: Box::new(ApiCall::Forward { identity }) }
    }

    /// A participant has changed or left.
    pub fn describe(&mut self, forwarded: Forwarded, placement: &Placement) {
        let source = forwarded.source;
        let Some(rooms) = self.lent.get_mut(&source) else { return };
        let is_over = forwarded.info.state() == pb::participant_info::State::Disconnected;
        let described = Arc::new(Described { places: placement.lend(&forwarded), forwarded });
        rooms.retain(|_, room| room.sign.strong_count() > 0 && room.describe.send(Arc::clone(&described)).is_ok());
        if is_over || rooms.is_empty() {
            self.lent.remove(&source);
        }
    }

    /// The machine's answer, where it was asked on this account.
    pub fn answered(
        &mut self,
        request: RequestId,
        answer: Result<ApiReply, ApiError>,
        placement: &mut Placement,
    ) -> Result<(), Result<ApiReply, ApiError>> {
        if let Some((to, asked)) = self.lending.remove(&request) {
            let _ = asked.send(self.lent_to(to, answer, placement));
        } else if let Some((showing, asked)) = self.arriving.remove(&request) {
            let _ = asked.send(self.arrived(showing, answer, placement));
        } else {
            return Err(answer);
        }
        Ok(())
    }

    fn lent_to(&mut self, to: String, answer: Result<ApiReply, ApiError>, placement: &Placement) -> Lending {
        let ApiReply::Forwarded(forwarded) = answer? else { return Err(unexpected()) };
        let rooms = self.lent.entry(forwarded.source).or_default();
        rooms.retain(|_, room| room.sign.strong_count() > 0 && !room.describe.is_closed());
        if rooms.contains_key(&to) {
            return Ok(None);
        }
        if rooms.len() >= FORWARDS_MAX {
            return Err(ApiError::ResourceExhausted(format!("the participant is forwarded to {FORWARDS_MAX} rooms already")));
        }
        let described = Described { places: placement.lend(&forwarded), forwarded: *forwarded };
        let (describe, watcher) = watch::channel(Arc::new(described));
        let sign = Arc::new(());
        rooms.insert(to, Lent { describe, sign: Arc::downgrade(&sign) });
        Ok(Some((watcher, sign)))
    }
}

/// The room that shows it.
impl Forwards {
    /// What the machine is asked about a participant that comes.
    pub fn show(
        &mut self,
        request: RequestId,
        mut showing: Showing,
        answer: oneshot::Sender<Result<(), ApiError>>,
        placement: &mut Placement,
    ) -> Input {
        let forwarded = take(&mut showing.described, placement);
        self.arriving.insert(request, (showing, answer));
        Input::Api { request, call: Box::new(ApiCall::Show(Box::new(forwarded))) }
    }

    /// The next news of those that are shown here; none while there are none.
    pub async fn next(&mut self) -> Option<News> {
        loop {
            // one that was stopped has no news
            if let Ok(news) = self.news.next().await? {
                return Some(news);
            }
        }
    }

    pub fn open(&mut self, (source, described): News, placement: &mut Placement) -> Input {
        let Some(mut described) = described else { return Input::ForwardingEnded { source } };
        let forwarded = take(&mut described, placement);
        if let Some(shown) = self.shown.get_mut(&source) {
            shown.watching = watch_on(&self.news, source, described);
        }
        Input::Forwarded(Box::new(forwarded))
    }

    /// The room shows it no more.
    pub fn stopped(&mut self, source: SessionKey, placement: &mut Placement) {
        self.shown.remove(&source);
        placement.give_back(source);
    }

    /// Everybody who is shown here: room and identity.
    pub fn origins(&self) -> Vec<(String, String)> {
        self.shown.values().map(|shown| shown.of.clone()).collect()
    }

    fn arrived(&mut self, showing: Showing, answer: Result<ApiReply, ApiError>, placement: &mut Placement) -> Result<(), ApiError> {
        let Showing { of, described, sign } = showing;
        let source = described.borrow().forwarded.source;
        if let Err(error) = answer {
            placement.give_back(source);
            return Err(error);
        }
        let watching = watch_on(&self.news, source, described);
        self.shown.insert(source, Shown { of, watching, _sign: sign });
        Ok(())
    }
}

fn watch_on(
    news: &FuturesUnordered<Abortable<BoxFuture<'static, News>>>,
    source: SessionKey,
    mut described: watch::Receiver<Arc<Described>>,
) -> AbortHandle {
    let (watching, registration) = AbortHandle::new_pair();
    let changed = async move {
        let is_there = described.changed().await.is_ok();
        (source, is_there.then_some(described))
    };
    news.push(Abortable::new(changed.boxed(), registration));
    watching
}

/// The newest description; its tracks are known to the placement before the machine hears of them.
fn take(described: &mut watch::Receiver<Arc<Described>>, placement: &mut Placement) -> Forwarded {
    let described = Arc::clone(&described.borrow_and_update());
    placement.borrow(described.forwarded.source, &described.places);
    described.forwarded.clone()
}

fn unexpected() -> ApiError {
    ApiError::Internal("the room gave no fitting answer".to_owned())
}

impl Rooms {
    /// ForwardParticipant: the destination is made where it is not there and may be made. Returns when it shows the participant; where
    /// it did so already, nothing happens.
    pub async fn forward_participant(&self, request: pb::ForwardParticipantRequest, may_create: bool) -> Result<(), ApiError> {
        let pb::ForwardParticipantRequest { room, identity, destination_room } = request;
        for _ in 0..ATTEMPTS {
            let source = self.0.table.inbox(&room).ok_or_else(no_such_room)?;
            // before a room is made for nobody
            let (identity, to) = (identity.clone(), destination_room.clone());
            let lending = question(&source, |answer| Mail::Forward { identity: identity.clone(), to, answer }).await;
            let Some((described, sign)) = lending.unwrap_or_else(|| Err(no_such_room()))? else { return Ok(()) };
            if !may_create && !self.exists(&destination_room) {
                return Err(no_such_room());
            }
            let create = pb::CreateRoomRequest { name: destination_room.clone(), ..Default::default() };
            let hindered = |Hindered(text): Hindered| ApiError::Unavailable(text.to_owned());
            let (destination, _) = self.find_or_create(&destination_room, create).map_err(hindered)?;
            let showing = Showing { of: (room.clone(), identity), described, sign };
            if let Some(answer) = question(&destination, |answer| Mail::Show { showing: Box::new(showing), answer }).await {
                return answer;
            }
            // the destination has just ended
        }
        Err(no_such_room())
    }

    /// After a panic of the room that showed them.
    pub(super) fn forward_again(&self, origins: Vec<(String, String)>, destination: &str) {
        for (room, identity) in origins {
            let (rooms, destination_room) = (self.clone(), destination.to_owned());
            tokio::spawn(async move {
                let request = pb::ForwardParticipantRequest { room, identity, destination_room };
                if let Err(error) = rooms.forward_participant(request, false).await {
                    tracing::warn!(%error, "a participant that was shown in a room that broke is not shown there any more");
                }
            });
        }
    }
}

/// None: the room ended before it answered.
async fn question<T>(inbox: &mpsc::Sender<Mail>, mail: impl FnOnce(oneshot::Sender<T>) -> Mail) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    inbox.send(mail(answer)).await.ok()?;
    answered.await.ok()
}
