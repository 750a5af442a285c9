//! Under which address others see us: a binding request to STUN servers (RFC 8489), the first answer counts. Bounded in time.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// LiveKit's, where the configuration names none.
pub const DEFAULT_SERVERS: &[&str] = &["global.stun.twilio.com:3478", "stun.l.google.com:19302", "stun1.l.google.com:19302"];
/// The start waits no longer than this, for all addresses together.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// Asked again after this much silence, and then after twice as much.
const RETRANSMISSION: Duration = Duration::from_millis(250);

const COOKIE: u32 = 0x2112_A442;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const MAPPED_ADDRESS: u16 = 0x0001;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

type Transaction = [u8; 12];

/// Asks for each of `locals` at once; an entry is none where nobody answered in time.
pub fn discover(locals: &[IpAddr], servers: &[String], patience: Duration) -> Vec<Option<IpAddr>> {
    let deadline = Instant::now() + patience;
    let (answers, found) = mpsc::channel();
    for (index, local) in locals.iter().copied().enumerate() {
        let (answers, servers) = (answers.clone(), servers.to_vec());
        // a name that takes long to resolve must not hold the start up; the thread ends by itself
        let asked = std::thread::Builder::new().name("stun".to_owned()).spawn(move || {
            let _ = answers.send((index, ask(local, &servers, deadline)));
        });
        drop(asked);
    }
    drop(answers);
    let mut external = vec![None; locals.len()];
    while let Ok((index, address)) = found.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        external[index] = address;
    }
    external
}

fn ask(local: IpAddr, servers: &[String], deadline: Instant) -> Option<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(local, 0)).ok()?;
    let addresses = servers.iter().filter_map(|server| server.to_socket_addrs().ok());
    let addresses: Vec<SocketAddr> = addresses.flatten().filter(|address| address.is_ipv4() == local.is_ipv4()).collect();
    let mut transaction = [0; 12];
    transaction[..8].copy_from_slice(&crate::wire::random().to_be_bytes());
    let (mut pause, mut again) = (RETRANSMISSION, Instant::now());
    let mut buffer = [0; 1024];
    while !addresses.is_empty() && Instant::now() < deadline {
        if Instant::now() >= again {
            for address in &addresses {
                let _ = socket.send_to(&request(transaction), address);
            }
            again = Instant::now() + pause;
            pause *= 2;
        }
        let wait = again.min(deadline).saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        socket.set_read_timeout(Some(wait)).ok()?;
        match socket.recv_from(&mut buffer) {
            Ok((length, source)) if addresses.contains(&source) => {
                if let Some(address) = mapped_address(&buffer[..length], transaction) {
                    return Some(address.ip());
                }
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused) => {}
            Err(_) => return None,
        }
    }
    None
}

fn request(transaction: Transaction) -> [u8; 20] {
    let mut message = [0; 20];
    message[..2].copy_from_slice(&BINDING_REQUEST.to_be_bytes());
    message[4..8].copy_from_slice(&COOKIE.to_be_bytes());
    message[8..].copy_from_slice(&transaction);
    message
}

/// What a binding success response to `transaction` says (RFC 8489 §14.1, §14.2).
fn mapped_address(message: &[u8], transaction: Transaction) -> Option<SocketAddr> {
    let ours = word(message, 0)? == BINDING_SUCCESS
        && message.get(4..8)? == COOKIE.to_be_bytes()
        && message.get(8..20)? == transaction.as_slice();
    if !ours {
        return None;
    }
    let mut plain = None;
    let mut at = 20;
    while let Some((kind, length)) = word(message, at).zip(word(message, at + 2)) {
        let value = message.get(at + 4..at + 4 + usize::from(length))?;
        match kind {
            XOR_MAPPED_ADDRESS => return address(value, COOKIE, transaction),
            MAPPED_ADDRESS => plain = address(value, 0, [0; 12]),
            _ => {}
        }
        at += 4 + usize::from(length).next_multiple_of(4);
    }
    plain
}

fn address(value: &[u8], cookie: u32, transaction: Transaction) -> Option<SocketAddr> {
    let port = word(value, 2)? ^ (cookie >> 16) as u16;
    let ip = match value.get(1)? {
        1 => Ipv4Addr::from(u32::from_be_bytes(value.get(4..8)?.try_into().ok()?) ^ cookie).into(),
        2 => {
            let mut mask = [0; 16];
            mask[..4].copy_from_slice(&cookie.to_be_bytes());
            mask[4..].copy_from_slice(&transaction);
            Ipv6Addr::from(u128::from_be_bytes(value.get(4..20)?.try_into().ok()?) ^ u128::from_be_bytes(mask)).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
}

#[cfg(test)]
mod tests;
