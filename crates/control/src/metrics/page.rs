//! The metrics page in Prometheus' text format: live objects by type, and LiveKit's names where we count the same thing.

use std::fmt::Write as _;
use std::sync::PoisonError;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluicegate_contract::meter::Meters;

use crate::config::Login;
use crate::control::Control;
use crate::metrics::process::Process;
use crate::metrics::{Fact, Kind};

/// The page on the main port.
pub(crate) async fn open(State(control): State<Control>) -> Response {
    page(&control).into_response()
}

/// The page on its own port, any path.
pub(crate) async fn guarded(State(control): State<Control>, request: Request) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match &control.config().metrics_login {
        Some(login) if !fits(login, given) => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"metrics\"")], "Unauthorized").into_response()
        }
        _ => page(&control).into_response(),
    }
}

fn fits(login: &Login, given: Option<&str>) -> bool {
    let Some(given) = given.and_then(|value| value.strip_prefix("Basic ")) else { return false };
    let Ok(given) = STANDARD.decode(given.trim()) else { return false };
    let wanted = format!("{}:{}", login.username, login.password);
    // as long for a wrong one as for a right one
    given.len() == wanted.len() && given.iter().zip(wanted.as_bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

fn page(control: &Control) -> ([(header::HeaderName, &'static str); 1], String) {
    let mut page = Page { text: String::with_capacity(4096), node: node_labels(control) };
    live(&mut page, control);
    rooms(&mut page, control);
    media(&mut page, &control.meters());
    workers(&mut page, &control.worker_meters());
    requests(&mut page, control);
    if let Some(process) = Process::read() {
        page.plain("process_resident_memory_bytes", "gauge", process.resident_memory_bytes);
        page.plain("process_threads", "gauge", process.threads);
        page.plain("process_open_fds", "gauge", process.open_fds);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.text)
}

fn live(page: &mut Page, control: &Control) {
    page.head("sluicegate_live", "gauge", "objects alive, by type");
    let live = |page: &mut Page, kind: &str, count: u64| page.line("sluicegate_live", &format!("type=\"{kind}\""), count);
    for (kind, name) in Kind::ALL {
        live(page, name, control.metrics().live(kind));
    }
    live(page, "task", tokio::runtime::Handle::current().metrics().num_alive_tasks() as u64);
    let meters = control.meters();
    live(page, "session", meters.live_sessions);
    live(page, "transport", meters.live_transports);
    live(page, "publication", meters.live_publications);
    live(page, "subscription", meters.live_subscriptions);
    live(page, "address", meters.live_addresses);
    live(page, "timer", meters.live_timers);
    live(page, "relay_up", meters.live_relays_up);
    live(page, "relay_down", meters.live_relays_down);
}

fn rooms(page: &mut Page, control: &Control) {
    let metrics = control.metrics();
    page.livekit("livekit_room_total", "gauge", "", metrics.live(Kind::Room));
    page.livekit("livekit_participant_total", "gauge", "", metrics.live(Kind::Participant));
    let published = metrics.facts(Fact::TrackPublished).saturating_sub(metrics.facts(Fact::TrackUnpublished));
    page.livekit("livekit_track_published_total", "gauge", "", published);
    page.head("livekit_participant_join_total", "counter", "");
    for (state, fact) in
        [("signal_connected", Fact::JoinAccepted), ("signal_failed", Fact::JoinRefused), ("rtc_connected", Fact::ParticipantActive)]
    {
        page.node_line("livekit_participant_join_total", &format!("state=\"{state}\""), metrics.facts(fact));
    }
    page.plain("sluicegate_signal_overruns_total", "counter", metrics.facts(Fact::SignalOverrun));
    page.plain("sluicegate_signal_floods_total", "counter", metrics.facts(Fact::SignalFlood));
    page.plain("sluicegate_room_overruns_total", "counter", metrics.facts(Fact::RoomOverrun));
    page.plain("sluicegate_panics_total", "counter", metrics.facts(Fact::Panic));
    let store = control.store().counts();
    page.plain("sluicegate_store_failures_total", "counter", store.failures);
    page.plain("sluicegate_store_dropped_total", "counter", store.dropped);
    page.plain("sluicegate_store_waiting", "gauge", store.waiting);
}

fn media(page: &mut Page, meters: &Meters) {
    let directions = [("incoming", meters.packets_up, meters.bytes_up), ("outgoing", meters.packets_down, meters.bytes_down)];
    page.head("livekit_packet_total", "counter", "RTP packets");
    for (direction, packets, _) in directions {
        page.node_line("livekit_packet_total", &format!("direction=\"{direction}\""), packets);
    }
    page.head("livekit_packet_bytes", "counter", "bytes of datagrams, RTCP and handshakes included");
    for (direction, _, bytes) in directions {
        page.node_line("livekit_packet_bytes", &format!("direction=\"{direction}\""), bytes);
    }
    for (name, up, down) in [("nack", meters.nacks_up, meters.nacks_down), ("pli", meters.plis_up, meters.plis_down)] {
        let name = format!("livekit_{name}_total");
        page.head(&name, "counter", "");
        page.node_line(&name, "direction=\"incoming\"", up);
        page.node_line(&name, "direction=\"outgoing\"", down);
    }
    page.plain("sluicegate_resends_total", "counter", meters.resends_down);
    page.plain("sluicegate_datagrams_up_total", "counter", meters.datagrams_up);
    page.plain("sluicegate_datagrams_down_total", "counter", meters.datagrams_down);
    page.head("sluicegate_dropped_total", "counter", "packets and datagrams that went no further, by reason");
    for (reason, count) in [
        ("stranger", meters.dropped_strangers),
        ("malformed", meters.dropped_malformed),
        ("unauthentic", meters.dropped_unauthentic),
        ("unmapped", meters.dropped_unmapped),
        ("unsent", meters.dropped_unsent),
        ("duplicate", meters.dropped_duplicates),
        ("relay", meters.dropped_relay),
        ("data", meters.dropped_data),
        ("data_track", meters.dropped_data_track),
    ] {
        page.line("sluicegate_dropped_total", &format!("reason=\"{reason}\""), count);
    }
    page.head("sluicegate_data_messages_total", "counter", "messages of data channels");
    for (direction, count) in [("incoming", meters.data_messages_up), ("outgoing", meters.data_messages_down)] {
        page.line("sluicegate_data_messages_total", &format!("direction=\"{direction}\""), count);
    }
    page.plain("sluicegate_data_messages_dropped_total", "counter", meters.dropped_data);
}

fn workers(page: &mut Page, all: &[Meters]) {
    type Row = (&'static str, &'static str, fn(&Meters) -> u64);
    let counters: [Row; 6] = [
        ("sluicegate_worker_cpu_microseconds_total", "CPU time of the media threads", |meters| meters.cpu_us),
        ("sluicegate_worker_sessions", "sessions now", |meters| meters.live_sessions),
        ("sluicegate_worker_packets_down_total", "RTP packets sent", |meters| meters.packets_down),
        ("sluicegate_worker_relayed_total", "packets taken from other workers", |meters| meters.relayed_down),
        ("sluicegate_session_panics_total", "panics that cost one session", |meters| meters.panics),
        ("sluicegate_worker_restarts_total", "panics that cost all sessions of a worker", |meters| meters.worker_restarts),
    ];
    for (name, help, of) in counters {
        page.head(name, if name.ends_with("_total") { "counter" } else { "gauge" }, help);
        for (index, meters) in all.iter().enumerate() {
            page.line(name, &format!("worker=\"{index}\""), of(meters));
        }
    }
}

fn requests(page: &mut Page, control: &Control) {
    const NAME: &str = "livekit_node_twirp_request_status";
    page.head(NAME, "counter", "API requests answered");
    let requests = control.metrics().requests.lock().unwrap_or_else(PoisonError::into_inner);
    for ((service, method, code), count) in requests.iter() {
        let status = if *code == "ok" { "success" } else { "error" };
        let labels = format!("service=\"{service}\",method=\"{method}\",status=\"{status}\",code=\"{code}\"");
        page.node_line(NAME, &labels, *count);
    }
}

/// LiveKit's constant labels; the values are our own, without quotes or backslashes.
fn node_labels(control: &Control) -> String {
    format!("node_id=\"{}\",node_type=\"SERVER\"", control.config().room.server_info.node_id)
}

struct Page {
    text: String,
    node: String,
}

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        if !help.is_empty() {
            let _ = writeln!(self.text, "# HELP {name} {help}");
        }
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: u64) {
        let _ = match labels {
            "" => writeln!(self.text, "{name} {value}"),
            _ => writeln!(self.text, "{name}{{{labels}}} {value}"),
        };
    }

    fn node_line(&mut self, name: &str, labels: &str, value: u64) {
        let separator = if labels.is_empty() { "" } else { "," };
        let labels = format!("{}{separator}{labels}", self.node);
        self.line(name, &labels, value);
    }

    fn plain(&mut self, name: &str, kind: &str, value: u64) {
        self.head(name, kind, "");
        self.line(name, "", value);
    }

    fn livekit(&mut self, name: &str, kind: &str, labels: &str, value: u64) {
        self.head(name, kind, "");
        self.node_line(name, labels, value);
    }
}
