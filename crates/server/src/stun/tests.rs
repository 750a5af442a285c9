use super::*;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn server(bind: &str) -> (UdpSocket, String) {
    let socket = UdpSocket::bind(bind).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

fn response(transaction: &[u8], kind: u16, value: &[u8]) -> Vec<u8> {
    let mut message = BINDING_SUCCESS.to_be_bytes().to_vec();
    message.extend((4 + value.len() as u16).to_be_bytes());
    message.extend(COOKIE.to_be_bytes());
    message.extend(transaction);
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
    message
}

/// 203.0.113.9 port 4000, xored.
fn external(transaction: &[u8]) -> Vec<u8> {
    let mut value = vec![0, 1];
    value.extend((4000u16 ^ 0x2112).to_be_bytes());
    value.extend((u32::from(Ipv4Addr::new(203, 0, 113, 9)) ^ COOKIE).to_be_bytes());
    response(transaction, XOR_MAPPED_ADDRESS, &value)
}

#[test]
fn the_first_answer_counts_beside_a_server_that_never_answers() {
    let ((socket, answers), (_silent, never)) = (server("127.0.0.1:0"), server("127.0.0.1:0"));
    let serving = std::thread::spawn(move || {
        let mut buffer = [0; 100];
        let (length, client) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(length, 20);
        // of another transaction: not ours
        socket.send_to(&external(&[9; 12]), client).unwrap();
        socket.send_to(&external(&buffer[8..20]), client).unwrap();
    });
    let found = discover(&[LOCALHOST], &[never, answers], Duration::from_secs(5));
    serving.join().unwrap();
    assert_eq!(found, [Some("203.0.113.9".parse().unwrap())]);
}

#[test]
fn silence_and_nonsense_end_in_time() {
    let (_silent, never) = server("127.0.0.1:0");
    let begun = Instant::now();
    let servers = [never, "no port".to_owned(), "[::1]:9".to_owned()];
    assert_eq!(discover(&[LOCALHOST, LOCALHOST], &servers, Duration::from_millis(300)), [None, None]);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(discover(&[LOCALHOST], &[], Duration::from_secs(5)), [None], "nobody to ask");
}

#[test]
fn both_families_are_read() {
    let transaction = [7; 12];
    let (ip, port) = (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7), 5000u16);
    let mut mask = COOKIE.to_be_bytes().to_vec();
    mask.extend(transaction);
    let mut value = vec![0, 2];
    value.extend((port ^ 0x2112).to_be_bytes());
    value.extend(ip.octets().iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    let xored = response(&transaction, XOR_MAPPED_ADDRESS, &value);
    assert_eq!(mapped_address(&xored, transaction), Some(SocketAddr::new(ip.into(), port)));
    let plain = response(&transaction, MAPPED_ADDRESS, &[0, 1, 0x0F, 0xA0, 192, 0, 2, 1]);
    assert_eq!(mapped_address(&plain, transaction), Some("192.0.2.1:4000".parse().unwrap()));
}

#[test]
fn no_message_breaks_it() {
    let whole = external(&[7; 12]);
    for length in 0..whole.len() {
        assert_eq!(mapped_address(&whole[..length], [7; 12]), None);
    }
    for at in 20..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 0xFF;
        let _ = mapped_address(&broken, [7; 12]);
    }
}
