//! The binary `sluicegate`: configuration, the wires between the planes, start and stop.

mod addresses;
mod cli;
mod config;
mod load_test;
mod logging;
mod media;
mod notify;
mod shutdown;
mod state;
mod stun;
mod token;
mod wire;

use std::net::SocketAddr;
use std::process::ExitCode;

use sluicegate_control::Control;
use tokio::net::TcpListener;

use cli::{Action, Asked};
use config::Config;
use media::Media;
use state::State;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A secret of fewer characters can be guessed (LiveKit complains, too).
const SECRET_LENGTH_MIN: usize = 32;

fn main() -> ExitCode {
    let asked = match cli::parse(std::env::args_os(), |name| std::env::var(name).ok()) {
        Ok(asked) => asked,
        Err(error) => error.exit(),
    };
    if let Some(Action::LoadTest(options)) = &asked.cli.action {
        return load_test::run(options);
    }
    match run(&asked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sluicegate: {error}");
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn run(asked: &Asked) -> Result<(), Failure> {
    match &asked.cli.action {
        Some(Action::GenerateKeys) => {
            let (key, secret) = token::generate_keys();
            println!("API Key:     {key}\nAPI Secret:  {secret}");
            return Ok(());
        }
        Some(Action::HelpVerbose) => {
            println!("{}", cli::help_verbose());
            return Ok(());
        }
        _ => {}
    }
    let (config, ignored) = asked.config()?;
    match &asked.cli.action {
        Some(Action::CreateJoinToken { room, identity, recorder }) => {
            println!("Token: {}", join_token(&config, room, identity, *recorder)?);
            Ok(())
        }
        Some(Action::Ports) => {
            println!("{}", ports(&config));
            Ok(())
        }
        _ => {
            logging::start(&config)?;
            for ignored in ignored {
                tracing::warn!("{ignored}: passed over");
            }
            tokio::runtime::Runtime::new()?.block_on(serve(&config))
        }
    }
}

async fn serve(config: &Config) -> Result<(), Failure> {
    let mut signals = shutdown::Signals::new()?;
    if !config.development && config.keys.values().any(|secret| secret.len() < SECRET_LENGTH_MIN) {
        tracing::error!("an API secret is shorter than {SECRET_LENGTH_MIN} characters and can be guessed");
    }
    let control_config = wire::control_config(config)?;
    let listeners = listen(config, config.port).await?;
    let metrics_listeners = match config.metrics_port() {
        0 => Vec::new(),
        port => listen(config, port).await?,
    };
    let state = State::open(config)?;
    let Media { port, udp_ports, tcp_port } = media::start(config)?;
    let control = Control::start(control_config, port, state.store());
    let address = listeners.first().map(TcpListener::local_addr).transpose()?;
    for listener in listeners {
        let control = control.clone();
        tokio::spawn(async move { control.serve(listener).await });
    }
    for listener in metrics_listeners {
        let control = control.clone();
        tokio::spawn(async move { control.serve_metrics(listener).await });
    }
    state.restore(&control).await?;
    announce(config, address, &udp_ports, tcp_port)?;
    notify::ready();
    signals.next().await;
    shutdown::stop(&control, &mut signals, config.drain_timeout()).await;
    state.close();
    Ok(())
}

/// All addresses on one port; where that is 0, on the one that the first got.
async fn listen(config: &Config, port: u16) -> Result<Vec<TcpListener>, Failure> {
    let asked = &config.bind_addresses;
    let mut listeners: Vec<TcpListener> = Vec::new();
    let failed = |address: &str, port: u16, error: std::io::Error| format!("cannot listen on {address} port {port}: {error}");
    if asked.is_empty() {
        // both families where the machine has both
        let listener = match TcpListener::bind(("::", port)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind(("0.0.0.0", port)).await.map_err(|error| failed("all addresses,", port, error))?,
        };
        return Ok(vec![listener]);
    }
    for address in asked {
        let port = listeners.first().map_or(Ok(port), |first| first.local_addr().map(|address| address.port()))?;
        match TcpListener::bind((address.as_str(), port)).await {
            Ok(listener) => listeners.push(listener),
            // many a machine has no IPv6
            Err(error) if config.development && address == "::1" => tracing::debug!("{}", failed(address, port, error)),
            Err(error) => return Err(failed(address, port, error).into()),
        }
    }
    Ok(listeners)
}

/// What people and scripts wait for; the last line comes exactly once, when everything is listening.
fn announce(config: &Config, address: Option<SocketAddr>, udp_ports: &[u16], tcp_port: Option<u16>) -> Result<(), Failure> {
    let port = address.map_or(config.port, |address| address.port());
    let host = match address.map(|address| address.ip()) {
        Some(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        Some(ip @ std::net::IpAddr::V6(_)) => format!("[{ip}]"),
        Some(ip) => ip.to_string(),
        None => "127.0.0.1".to_owned(),
    };
    let url = format!("ws://{host}:{port}");
    if config.development {
        let (room, identity) = ("my-first-room", "user1");
        let (key, secret) = config.keys.first_key_value().ok_or("no keys")?;
        let token = join_token(config, room, identity, false)?;
        let page = url.replacen("ws://", "http://", 1);
        println!("sluicegate {} in development mode: for trying out, not for the Internet", env!("CARGO_PKG_VERSION"));
        println!("  URL         {url}\n  API key     {key}\n  API secret  {secret}");
        println!("  console     {page}/console/\n  demo room   {page}/console/?room=demo&join=1");
        println!("  join token  for room {room} as {identity}:\n{token}");
    }
    let udp_ports: Vec<String> = udp_ports.iter().map(ToString::to_string).collect();
    let tcp_port = tcp_port.map(|port| format!(" tcp:{port}")).unwrap_or_default();
    println!("sluicegate ready url={url} media=udp:{}{tcp_port}", udp_ports.join(","));
    Ok(())
}

fn join_token(config: &Config, room: &str, identity: &str, recorder: bool) -> Result<String, Failure> {
    let (key, secret) = config.keys.first_key_value().ok_or("no keys")?;
    Ok(token::join_token(key, secret, room, identity, recorder)?)
}

fn ports(config: &Config) -> String {
    let mut text = format!("TCP ports\n  {:<12} HTTP, WebSocket, Twirp\n", config.port);
    if config.metrics_port() != 0 {
        text += &format!("  {:<12} metrics\n", config.metrics_port());
    }
    if config.rtc.tcp_port != 0 {
        text += &format!("  {:<12} media over TCP\n", config.rtc.tcp_port);
    }
    let (first, last) = config.media_ports();
    let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
    text + &format!("UDP ports\n  {range:<12} media, one port per worker from the first on")
}
