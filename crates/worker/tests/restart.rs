//! Real threads: a worker that panics begins anew, its neighbour goes on, and both still answer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use sluicegate_contract::command::{AddSession, Fault, PcMode};
use sluicegate_contract::event::SessionEnd;
use sluicegate_contract::time::WallClock;
use sluicegate_contract::{Command, Event, RoomKey, SessionKey, WorkerKey};
use sluicegate_worker::{Certificate, Offload, Port, Report, UdpPort, UdpPorts, Worker, WorkerConfig};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Far more than anything here takes.
const WAIT: Duration = Duration::from_secs(30);

fn start(count: usize) -> (Vec<Worker>, Receiver<(WorkerKey, Event)>) {
    let certificate = Certificate::generate().expect("a certificate");
    let wall_clock = WallClock::new(Instant::now(), Duration::from_secs(1_800_000_000));
    let config = |index: usize| WorkerConfig {
        name: format!("media-{index}"),
        udp: UdpPorts(vec![UdpPort::bind(&Port::plain(SocketAddr::new(LOOPBACK, 0)), Offload::probe()).expect("a free port")]),
        shares_port: false,
        certificate: certificate.clone(),
        wall_clock,
    };
    let (events, received) = crossbeam_channel::unbounded();
    let report = move |worker, report| {
        if let Report::Event(event) = report {
            let _ = events.send((worker, event));
        }
    };
    (Worker::start_all((0..count).map(config).collect(), Vec::new(), report).expect("threads"), received)
}

fn session(index: u32) -> SessionKey {
    SessionKey { room: RoomKey(1), index }
}

fn send(worker: &Worker, command: Command) {
    worker.commands.try_send(command).expect("room in the lane");
}

/// The worker answers with an offer at once.
fn add(worker: &Worker, index: u32) {
    send(
        worker,
        Command::AddSession(Box::new(AddSession {
            session: session(index),
            mode: PcMode::Dual { offer_at_once: true },
            ice_lite: false,
            tcp_only: false,
            can_publish: true,
            publish_codecs: Vec::new(),
            subscribe_codecs: Vec::new(),
            firefox: false,
            seed: u64::from(index),
        })),
    );
}

/// The next event but candidates and states.
fn next(events: &Receiver<(WorkerKey, Event)>) -> (u16, Event) {
    loop {
        let (worker, event) = events.recv_timeout(WAIT).expect("an event");
        if !matches!(event, Event::Candidate { .. } | Event::TransportState { .. }) {
            return (worker.index, event);
        }
    }
}

#[test]
fn a_panic_outside_of_sessions_costs_one_workers_sessions() {
    let (workers, events) = start(2);
    add(&workers[0], 1);
    assert!(matches!(next(&events), (0, Event::Offer { session: key, .. }) if key == session(1)));
    add(&workers[1], 2);
    assert!(matches!(next(&events), (1, Event::Offer { session: key, .. }) if key == session(2)));

    send(&workers[0], Command::Fault(Fault::Worker(WorkerKey::local(0))));
    let (worker, event) = next(&events);
    assert!(matches!(event, Event::SessionEnded { session: key, why: SessionEnd::Panicked } if key == session(1)), "{event:?}");
    assert_eq!(worker, 0);

    // the same thread and the same socket serve the next one
    add(&workers[0], 3);
    assert!(matches!(next(&events), (0, Event::Offer { session: key, .. }) if key == session(3)));
    // a panic of a session costs that session
    send(&workers[1], Command::Fault(Fault::Service(session(2))));
    assert!(matches!(next(&events), (1, Event::SessionEnded { session: key, .. }) if key == session(2)));
    for worker in workers {
        assert!(worker.join().is_ok());
    }
}
