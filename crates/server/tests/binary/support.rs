//! The running binary, and what a test asks of it.

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use sluicegate_proto::grant::VideoGrant;
use sluicegate_proto::pb::signal_response::Message;
use sluicegate_proto::token::{Claims, sign};
use sluicegate_proto::{Message as _, pb};
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;

const BINARY: &str = env!("CARGO_BIN_EXE_sluicegate");
/// Nothing takes so long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    // what a developer has set must not matter
    command.args(args).env_clear();
    command
}

/// A server on free ports; ended when the test ends, however it ends.
pub struct Running {
    pub child: Child,
    pub address: String,
    /// The line that says so, and those before it.
    pub ready: String,
    pub before: Vec<String>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub fn start(more: &[&str]) -> Self {
        Self::run(&mut command(&[]), more)
    }

    pub fn on(data_dir: &Path) -> Self {
        Self::start(&["--data-dir", data_dir.to_str().unwrap()])
    }

    /// `command`: the binary, perhaps with an environment, or something that ends as it.
    pub fn run(command: &mut Command, more: &[&str]) -> Self {
        let args = ["--dev", "--port", "0", "--udp-port", "0", "--rtc.tcp_port=0"];
        let mut child = command.args(args).args(more).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut before = Vec::new();
        let ready = loop {
            let Some(line) = lines.next() else {
                let mut complaint = String::new();
                child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
                panic!("it did not start: {complaint}");
            };
            let line = line.unwrap();
            match line.strip_prefix("sluicegate ready url=ws://") {
                Some(rest) => break rest.to_owned(),
                None => before.push(line),
            }
        };
        let address = ready.split(' ').next().unwrap().to_owned();
        Self { child, address, ready, before, lines }
    }

    pub fn terminate(&self) {
        // the shell's own: a bare system has no program of that name
        assert!(Command::new("sh").args(["-c", "kill -TERM $0", &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits for the end; what it still said on standard output.
    pub fn ended(&mut self) -> (ExitStatus, Vec<String>) {
        let said = self.lines.by_ref().map(|line| line.unwrap()).collect();
        (self.child.wait().unwrap(), said)
    }

    /// After the end: the log.
    pub fn log(&mut self) -> String {
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }

    /// Status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        self.request(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
    }

    pub fn api(&self, method: &str, body: &Value) -> (u16, Value) {
        let (token, body) = (admin(), body.to_string());
        let head = format!(
            "POST /twirp/livekit.RoomService/{method} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let (status, body) = self.request(&(head + &body));
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }

    fn request(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    pub fn create(&self, name: &str, metadata: &str) -> (u16, Value) {
        self.api("CreateRoom", &json!({ "name": name, "metadata": metadata }))
    }

    /// Names, sids, metadata and times of creation.
    pub fn rooms(&self) -> Vec<[String; 4]> {
        let (status, answer) = self.api("ListRooms", &json!({}));
        assert_eq!(status, 200, "{answer}");
        let text = |room: &Value, field: &str| room[field].as_str().unwrap().to_owned();
        let room = |room: &Value| ["name", "sid", "metadata", "creation_time_ms"].map(|field| text(room, field));
        answer["rooms"].as_array().unwrap().iter().map(room).collect()
    }

    /// Until `/` says so.
    pub fn wait_until_not_ready(&self) -> String {
        let begin = Instant::now();
        loop {
            match self.get("/") {
                (406, body) => return body,
                answer => assert!(begin.elapsed() < PATIENCE, "{answer:?}"),
            }
        }
    }

    /// A client that has joined.
    pub async fn join(&self, room: &str, identity: &str) -> Client {
        let grant = VideoGrant { room_join: true, room: room.to_owned(), ..VideoGrant::default() };
        let url = format!("ws://{}/rtc?access_token={}&protocol=17", self.address, signed(identity, grant));
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let mut client = Client(socket);
        assert!(matches!(client.next().await, Some(Message::Join(_))));
        client
    }
}

pub struct Client(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

impl Client {
    /// None: closed.
    async fn next(&mut self) -> Option<Message> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.unwrap() {
                Some(Ok(Frame::Binary(bytes))) => return pb::SignalResponse::decode(bytes).unwrap().message,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub async fn leave(&mut self) -> pb::LeaveRequest {
        loop {
            if let Message::Leave(leave) = self.next().await.expect("a leave") {
                return leave;
            }
        }
    }
}

fn admin() -> String {
    signed("", VideoGrant { room_create: true, room_list: true, ..VideoGrant::default() })
}

fn signed(identity: &str, video: VideoGrant) -> String {
    let now_secs = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (iss, sub, exp) = ("devkey".to_owned(), identity.to_owned(), now_secs + 600);
    sign("secret", &Claims { iss, sub, exp, video: Some(video), ..Claims::default() }).unwrap()
}
