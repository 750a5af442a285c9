//! Two workers on loopback with one TCP port, a session on one of them, and a client that speaks framed STUN.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use sluicegate_contract::command::{AddSession, PcMode};
use sluicegate_contract::meter::Meters;
use sluicegate_contract::time::WallClock;
use sluicegate_contract::{Command, Event, RoomKey, SessionKey, WorkerKey};
use sluicegate_worker::{Certificate, Offload, Port, Report, TcpPort, UdpPort, UdpPorts, Worker, WorkerConfig};

const LIMIT: Duration = Duration::from_secs(10);
const COOKIE: u32 = 0x2112_A442;
const TRANSACTION: [u8; 12] = *b"transaction1";

pub struct Node {
    pub tcp: SocketAddr,
    workers: Vec<Worker>,
    reports: Receiver<(WorkerKey, Report)>,
}

/// What a client must know to send checks to a session.
pub struct Credentials {
    pub ufrag: String,
    pub password: String,
    pub offer: String,
}

pub fn port() -> Port {
    Port::plain(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

impl Node {
    pub fn start() -> Self {
        let tcp = TcpPort::bind(&port()).unwrap();
        let address = tcp.local.address;
        let certificate = Certificate::generate().unwrap();
        let config = |index| WorkerConfig {
            shares_port: false,
            name: format!("media-{index}"),
            udp: UdpPorts(vec![UdpPort::bind(&port(), Offload::OFF).unwrap()]),
            certificate: certificate.clone(),
            wall_clock: WallClock::new(Instant::now(), Duration::from_secs(1_800_000_000)),
        };
        let (sender, reports) = channel();
        let workers = Worker::start_all(vec![config(0), config(1)], vec![tcp], move |worker, report| {
            let _ = sender.send((worker, report));
        });
        Self { tcp: address, workers: workers.unwrap(), reports }
    }

    fn tell(&self, worker: usize, command: Command) {
        self.workers[worker].commands.try_send(command).unwrap();
    }

    /// A session on `worker`, whose description is exchanged.
    pub fn add_session(&self, worker: usize) -> (SessionKey, Credentials) {
        let session = SessionKey { room: RoomKey(1), index: worker as u32 + 1 };
        self.tell(
            worker,
            Command::AddSession(Box::new(AddSession {
                session,
                mode: PcMode::Dual { offer_at_once: true },
                ice_lite: false,
                tcp_only: false,
                can_publish: false,
                publish_codecs: Vec::new(),
                subscribe_codecs: Vec::new(),
                firefox: false,
                seed: 1,
            })),
        );
        let (offer, id) = self.wait(|_, report| match report {
            Report::Event(Event::Offer { sdp, id, .. }) => Some((sdp.to_string(), *id)),
            _ => None,
        });
        let value = |name: &str| offer.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let (ufrag, password, mid) = (value("a=ice-ufrag:"), value("a=ice-pwd:"), value("a=mid:"));
        let fingerprint = ["AB"; 32].join(":");
        let answer = format!(
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mid}\r\n\
             m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=ice-ufrag:peer\r\n\
             a=ice-pwd:0123456789012345678901234\r\na=fingerprint:sha-256 {fingerprint}\r\na=setup:active\r\na=sctp-port:5000\r\n"
        );
        self.tell(worker, Command::Answer { session, sdp: answer.into(), id });
        (session, Credentials { ufrag, password, offer })
    }

    pub fn remove_session(&self, worker: usize, session: SessionKey) {
        self.tell(worker, Command::RemoveSession { session });
    }

    /// The next report that `pick` takes.
    pub fn wait<T>(&self, pick: impl Fn(WorkerKey, &Report) -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        loop {
            let (worker, report) = self.reports.recv_timeout(end.saturating_duration_since(Instant::now())).expect("a report");
            if let Some(picked) = pick(worker, &report) {
                return picked;
            }
        }
    }

    pub fn wait_for_meters(&self, worker: u16, good: impl Fn(&Meters) -> bool) {
        self.wait(|from, report| match report {
            Report::Meters(meters) if from.index == worker && good(meters) => Some(()),
            _ => None,
        });
    }

    pub fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.tcp).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Client(stream)
    }
}

pub struct Client(pub TcpStream);

impl Client {
    pub fn send(&mut self, bytes: &[u8]) {
        // the server may have closed it
        let _ = self.0.write_all(bytes);
    }

    pub fn send_framed(&mut self, packet: &[u8]) {
        self.send(&(packet.len() as u16).to_be_bytes());
        self.send(packet);
    }

    /// The next packet; none at the stream's end.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let mut prefix = [0; 2];
        self.read(&mut prefix)?;
        let mut packet = vec![0; usize::from(u16::from_be_bytes(prefix))];
        self.read(&mut packet)?;
        Some(packet)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Option<()> {
        match self.0.read_exact(buffer) {
            Ok(()) => Some(()),
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => None,
            Err(error) => panic!("neither packet nor end: {error}"),
        }
    }

    /// Until the answer to our check: str0m sends checks of its own between.
    pub fn is_answered(&mut self) -> bool {
        while let Some(packet) = self.receive() {
            if packet[..2] == [1, 1] && packet[8..20] == TRANSACTION {
                return true;
            }
        }
        false
    }

    /// The server closes it without a word.
    pub fn is_turned_away(&mut self) -> bool {
        self.receive().is_none()
    }
}

/// A binding request of a controlled agent: the server offered (RFC 8445 §7.1).
pub fn check(ufrag: &str, password: &str) -> Vec<u8> {
    let mut message = vec![0, 1, 0, 0];
    message.extend(COOKIE.to_be_bytes());
    message.extend(TRANSACTION);
    let mut attribute = |kind: u16, value: &[u8]| {
        message.extend(kind.to_be_bytes());
        message.extend((value.len() as u16).to_be_bytes());
        message.extend(value);
        message.resize(message.len().next_multiple_of(4), 0);
    };
    attribute(0x0006, format!("{ufrag}:peer").as_bytes());
    attribute(0x0024, &1_862_270_975u32.to_be_bytes());
    attribute(0x8029, &7u64.to_be_bytes());
    set_length(&mut message, 24);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()), &message);
    message.extend([0, 8, 0, 20]);
    message.extend(tag.as_ref());
    set_length(&mut message, 8);
    let fingerprint = crc32(&message) ^ 0x5354_554E;
    message.extend([0x80, 0x28, 0, 4]);
    message.extend(fingerprint.to_be_bytes());
    message
}

/// As if `more` bytes followed.
fn set_length(message: &mut [u8], more: usize) {
    let length = (message.len() - 20 + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
