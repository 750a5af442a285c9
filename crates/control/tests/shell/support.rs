//! A control plane on a free port, and small clients that say exactly what a test wants said.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use sluicegate_contract::meter::Meters;
use sluicegate_contract::{Command, Event};
use sluicegate_control::{Control, ControlConfig, MediaPort, Store, WorkerPort};
use sluicegate_proto::grant::VideoGrant;
use sluicegate_proto::pb::signal_response::Message as Response;
use sluicegate_proto::token::{Claims, KeyStore, sign};
use sluicegate_proto::{Message as _, pb};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// Nothing in these tests takes so long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it took too long")
}

pub struct Server {
    pub control: Control,
    pub address: SocketAddr,
    /// What the media plane was told.
    pub commands: mpsc::UnboundedReceiver<Command>,
    pub events: mpsc::Sender<Event>,
    pub serving: tokio::task::JoinHandle<()>,
    pub meters: watch::Sender<Meters>,
}

pub async fn start(change: impl FnOnce(&mut ControlConfig)) -> Server {
    start_on(Store::in_memory().unwrap(), change).await
}

pub async fn start_on(store: Store, change: impl FnOnce(&mut ControlConfig)) -> Server {
    let mut config = ControlConfig { keys: keys(), in_development: true, ..ControlConfig::default() };
    config.room.server_info.version = "1.13.5".to_owned();
    change(&mut config);
    let (commands, mut from_rooms) = mpsc::channel(1024);
    let (told, commands_told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(command) = from_rooms.recv().await {
            let _ = told.send(command);
        }
    });
    let (events, to_rooms) = mpsc::channel(1024);
    let (meters_sender, meters) = watch::channel(Meters::default());
    let control = Control::start(
        config,
        MediaPort { workers: vec![WorkerPort { commands, meters }], events: to_rooms, is_behind: Default::default() },
        store,
    );
    control.restore().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn({
        let control = control.clone();
        async move { control.serve(listener).await }
    });
    Server { control, address, commands: commands_told, events, serving, meters: meters_sender }
}

pub fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub fn claims(identity: &str, change: impl FnOnce(&mut VideoGrant)) -> Claims {
    let mut video = VideoGrant { room_join: true, room: "room".to_owned(), ..VideoGrant::default() };
    change(&mut video);
    Claims { iss: "devkey".to_owned(), sub: identity.to_owned(), exp: now_secs() + 600, video: Some(video), ..Claims::default() }
}

pub fn token(identity: &str) -> String {
    signed(&claims(identity, |_| {}))
}

pub fn signed(claims: &Claims) -> String {
    sign("secret", claims).unwrap()
}

/// Everything that the server's API asks for, in the room `room`.
pub fn admin() -> String {
    signed(&claims("", |grant| {
        *grant =
            VideoGrant { room_create: true, room_list: true, room_admin: true, room: "room".to_owned(), ..VideoGrant::default() };
    }))
}

pub fn join_request(request: &pb::JoinRequest) -> String {
    let inner = request.encode_to_vec();
    let wrapped = pb::WrappedJoinRequest { compression: 0, join_request: inner };
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(wrapped.encode_to_vec())
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Of a twirp error.
    pub fn code(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

async fn raw_at(address: SocketAddr, request: &[u8]) -> Answer {
    soon(async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // a reset after the answer is the server's good right: it did not want the rest
        let _ = stream.read_to_end(&mut answer).await;
        parse(&answer)
    })
    .await
}

/// A call of RoomService beside which the server's ends can be used.
pub async fn call_at(address: SocketAddr, method: &str, body: &serde_json::Value) -> Answer {
    let body = body.to_string();
    let head = format!(
        "POST /twirp/livekit.RoomService/{method} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        admin(),
        body.len()
    );
    raw_at(address, &[head.as_bytes(), body.as_bytes()].concat()).await
}

impl Server {
    /// Sends exactly these bytes and reads until the server closes.
    pub async fn raw(&self, request: &[u8]) -> Answer {
        raw_at(self.address, request).await
    }

    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() || method == "POST" {
            head += &format!("content-length: {}\r\n", body.len());
        }
        self.raw(&[head.as_bytes(), b"\r\n", body].concat()).await
    }

    /// As a program on this machine asks.
    pub async fn local(&self, method: &str, path: &str) -> Answer {
        let port = self.address.port();
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost:{port}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        self.raw(request.as_bytes()).await
    }

    /// Where a room was named, it has panicked when this returns.
    pub async fn fault(&self, what: &str) -> Answer {
        self.local("POST", &format!("/console/api/fault?{what}")).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], &[]).await
    }

    pub async fn twirp(&self, method: &str, token: &str, kind: &str, body: &[u8]) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), ("content-type", kind)];
        self.request("POST", &format!("/twirp/livekit.{method}"), &headers, body).await
    }

    pub async fn json(&self, method: &str, body: &serde_json::Value) -> Answer {
        self.twirp(&format!("RoomService/{method}"), &admin(), "application/json", body.to_string().as_bytes()).await
    }

    /// One value of the metrics page.
    pub async fn metric(&self, line: &str) -> u64 {
        let page = self.get("/metrics").await;
        let found = page.text().lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("no {line} in {}", page.text())).parse().unwrap()
    }

    pub async fn live(&self, kind: &str) -> u64 {
        self.metric(&format!("sluicegate_live{{type=\"{kind}\"}}")).await
    }

    /// Joins over `/rtc` and takes the JoinResponse.
    pub async fn join(&self, identity: &str) -> (Client, pb::JoinResponse) {
        let mut client = self.connect(&format!("/rtc?access_token={}&protocol=17", token(identity))).await.unwrap();
        match client.next().await {
            Response::Join(join) => (client, join),
            other => panic!("first came {other:?}"),
        }
    }

    /// A WebSocket, or status and text of the refusal.
    pub async fn connect(&self, path: &str) -> Result<Client, (u16, String)> {
        use tokio_tungstenite::tungstenite::Error;
        let stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        match soon(tokio_tungstenite::client_async(request, stream)).await {
            Ok((socket, _)) => Ok(Client { socket }),
            Err(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The next command that fits, others are passed over.
    pub async fn command(&mut self, fits: impl Fn(&Command) -> bool) -> Command {
        soon(async {
            loop {
                let command = self.commands.recv().await.expect("a command");
                if fits(&command) {
                    return command;
                }
            }
        })
        .await
    }
}

/// A client that sees every frame.
pub struct Client {
    pub socket: WebSocketStream<TcpStream>,
}

impl Client {
    pub async fn send(&mut self, message: pb::signal_request::Message) {
        let request = pb::SignalRequest { message: Some(message) };
        soon(self.socket.send(Message::Binary(request.encode_to_vec().into()))).await.unwrap();
    }

    pub async fn send_text(&mut self, text: &str) {
        soon(self.socket.send(Message::Text(text.into()))).await.unwrap();
    }

    /// The next frame that is not a ping of the WebSocket itself.
    pub async fn frame(&mut self) -> Option<Message> {
        loop {
            match soon(self.socket.next()).await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub async fn next(&mut self) -> Response {
        match self.frame().await {
            Some(Message::Binary(bytes)) => pb::SignalResponse::decode(bytes).unwrap().message.unwrap(),
            other => panic!("not a binary frame: {other:?}"),
        }
    }

    /// The next response that fits, others are passed over.
    pub async fn until<T>(&mut self, fits: impl Fn(Response) -> Option<T>) -> T {
        loop {
            if let Some(found) = fits(self.next().await) {
                return found;
            }
        }
    }

    /// Reads to the end; the code of the closing frame, if there was one.
    pub async fn closed(&mut self) -> Option<u16> {
        while let Some(message) = self.frame().await {
            if let Message::Close(frame) = message {
                return frame.map(|CloseFrame { code, .. }| code.into());
            }
        }
        None
    }
}

fn parse(answer: &[u8]) -> Answer {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap_or_else(|| {
        panic!("no answer: {:?}", String::from_utf8_lossy(answer));
    });
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Answer { status, headers: headers.collect(), body: answer[end + 4..].to_vec() }
}

pub fn keys() -> KeyStore {
    KeyStore::new(BTreeMap::from([("devkey".to_owned(), "secret".to_owned())]))
}
