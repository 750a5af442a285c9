//! The signalling WebSocket: joined in blocking mode, used without blocking.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use sluicegate_proto::{Message as _, pb};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

use super::fault::LoadError;

/// The server holds the upgrade until the join is decided.
const JOIN_TIMEOUT: Duration = Duration::from_secs(15);
/// An offer with hundreds of tracks.
const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// Where to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `host:port`
    authority: String,
    pub address: SocketAddr,
}

/// A joined client's WebSocket.
pub struct Signal {
    socket: WebSocket<TcpStream>,
}

impl Server {
    pub fn resolve(url: &str) -> Result<Server, LoadError> {
        let wrong = || LoadError::Url(url.to_owned());
        let rest = url.strip_prefix("ws://").or_else(|| url.strip_prefix("http://")).ok_or_else(wrong)?;
        let authority = rest.trim_end_matches('/').to_owned();
        if authority.is_empty() || authority.contains('/') {
            return Err(wrong());
        }
        let with_port = if port_of(&authority).is_some() { authority.clone() } else { format!("{authority}:80") };
        let address = with_port.to_socket_addrs()?.next().ok_or_else(wrong)?;
        Ok(Server { authority, address })
    }
}

/// An IPv6 address without brackets' end has none.
fn port_of(authority: &str) -> Option<u16> {
    authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
}

impl Signal {
    /// Blocks until the server has decided.
    pub fn join(server: &Server, token: &str, auto_subscribe: bool) -> Result<Signal, String> {
        let stream = TcpStream::connect_timeout(&server.address, JOIN_TIMEOUT).map_err(|error| error.to_string())?;
        let prepare = |stream: &TcpStream| -> io::Result<()> {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(JOIN_TIMEOUT))?;
            stream.set_write_timeout(Some(JOIN_TIMEOUT))
        };
        prepare(&stream).map_err(|error| error.to_string())?;
        let query = format!("auto_subscribe={}&adaptive_stream=0&sdk=rust&protocol=16&version=1.0.0", u8::from(auto_subscribe));
        let url = format!("ws://{}/rtc?{query}", server.authority);
        let mut request = url.into_client_request().map_err(|error| error.to_string())?;
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| error.to_string())?;
        request.headers_mut().insert("authorization", bearer);
        let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX)).max_frame_size(Some(MESSAGE_BYTES_MAX));
        let (socket, _) = tungstenite::client::client_with_config(request, stream, Some(config)).map_err(refusal)?;
        socket.get_ref().set_nonblocking(true).map_err(|error| error.to_string())?;
        Ok(Signal { socket })
    }

    pub fn send(&mut self, request: &pb::SignalRequest) {
        // what does not fit into the kernel's buffer stays in the WebSocket's, until `flush`
        let _ = self.socket.write(Message::binary(request.encode_to_vec()));
    }

    /// Err: the connection is gone.
    pub fn flush(&mut self) -> Result<(), String> {
        match self.socket.flush() {
            Ok(()) => Ok(()),
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// None: nothing for the moment.
    pub fn receive(&mut self) -> Result<Option<pb::SignalResponse>, String> {
        loop {
            match self.socket.read() {
                Ok(Message::Binary(bytes)) => {
                    return pb::SignalResponse::decode(bytes).map(Some).map_err(|error| error.to_string());
                }
                Ok(Message::Close(_)) => return Err("closed by the server".to_owned()),
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl AsFd for Signal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().as_fd()
    }
}

/// The server's own words, where it says any.
fn refusal<R: tungstenite::handshake::HandshakeRole>(error: tungstenite::HandshakeError<R>) -> String {
    match error {
        tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response)) => {
            let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            format!("{} {}", response.status().as_u16(), body.trim())
        }
        tungstenite::HandshakeError::Failure(error) => error.to_string(),
        tungstenite::HandshakeError::Interrupted(_) => "no answer within 15 s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let server = Server::resolve("ws://127.0.0.1:7880/").unwrap();
        assert_eq!((server.authority.as_str(), server.address.port()), ("127.0.0.1:7880", 7880));
        assert_eq!(Server::resolve("http://127.0.0.1").unwrap().address.port(), 80);
        for wrong in ["127.0.0.1:1", "ws://", "ftp://x", "ws://a/b"] {
            assert!(matches!(Server::resolve(wrong), Err(LoadError::Url(_))), "{wrong}");
        }
    }
}
