//! Joining: a token, sockets, the WebSocket. Blocks, so each join has a thread for as long as it takes.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use sluicegate_proto::token::{Claims, sign};

use super::clock;
use super::plan::Entrant;
use super::signal::{Server, Signal};
use super::tally::Role;

const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);

/// What joining needs to know.
#[derive(Clone, Debug)]
pub struct Door {
    pub server: Server,
    pub api_key: String,
    pub api_secret: String,
    /// Ours, as the server sees it.
    pub local: IpAddr,
}

/// A client that the server has let in.
pub struct Entered {
    pub entrant: Entrant,
    pub signal: Signal,
    /// Of the publisher PeerConnection, where there is one, and of the subscriber PeerConnection.
    pub sockets: [Option<UdpSocket>; 2],
    pub begun: Instant,
    pub joined: Duration,
}

impl Door {
    /// The local address is the one from which the server is reached.
    pub fn new(server: Server, api_key: &str, api_secret: &str) -> std::io::Result<Door> {
        let any: SocketAddr = if server.address.is_ipv6() { ([0u16; 8], 0).into() } else { ([0u8; 4], 0).into() };
        let probe = UdpSocket::bind(any)?;
        probe.connect(server.address)?;
        let local = probe.local_addr()?.ip();
        Ok(Door { server, api_key: api_key.to_owned(), api_secret: api_secret.to_owned(), local })
    }

    pub fn enter(&self, entrant: Entrant) -> Result<Entered, String> {
        let begun = Instant::now();
        let is_publisher = entrant.role == Role::Publisher;
        let bind = || -> std::io::Result<UdpSocket> {
            let socket = UdpSocket::bind((self.local, 0))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let up = is_publisher.then(bind).transpose().map_err(|error| error.to_string())?;
        let down = bind().map_err(|error| error.to_string())?;
        let token = self.token(&entrant)?;
        let signal = Signal::join(&self.server, &token, !is_publisher)?;
        Ok(Entered { entrant, signal, sockets: [up, Some(down)], begun, joined: begun.elapsed() })
    }

    fn token(&self, entrant: &Entrant) -> Result<String, String> {
        let (now, ttl) = (clock::unix().as_secs(), TOKEN_TTL.as_secs());
        let claims = Claims::join(&self.api_key, &entrant.identity, &entrant.room, now, ttl);
        sign(&self.api_secret, &claims).map_err(|error| error.to_string())
    }
}
