//! Where a request comes from, as far as the proxies in front of us tell.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

/// The peer of a connection, in every request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// LiveKit's order: CF-Connecting-IP, the first of X-Forwarded-For, X-Real-IP, the socket. What is no address is passed over.
pub fn client_address(headers: &HeaderMap, peer: Option<SocketAddr>) -> Option<IpAddr> {
    let of = |name: &str| headers.get(name)?.to_str().ok()?.split(',').next()?.trim().parse().ok();
    ["cf-connecting-ip", "x-forwarded-for", "x-real-ip"]
        .into_iter()
        .find_map(of)
        .or_else(|| peer.map(|peer| peer.ip().to_canonical()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn proxies_are_asked_in_order() {
        let peer = Some("[::ffff:192.0.2.9]:80".parse().unwrap());
        let all = [("x-real-ip", "192.0.2.3"), ("x-forwarded-for", "192.0.2.2, 10.0.0.1"), ("cf-connecting-ip", "2001:db8::1")];
        for (pairs, wanted) in [
            (&all[..], "2001:db8::1"),
            (&all[..2], "192.0.2.2"),
            (&all[..1], "192.0.2.3"),
            (&[("x-real-ip", "unknown")], "192.0.2.9"),
            (&[], "192.0.2.9"),
        ] {
            assert_eq!(client_address(&headers(pairs), peer).unwrap().to_string(), wanted);
        }
        assert_eq!(client_address(&HeaderMap::new(), None), None);
    }

    proptest! {
        #[test]
        fn arbitrary_headers_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = [("x-forwarded-for".parse().unwrap(), value)].into_iter().collect();
                let _ = client_address(&headers, None);
            }
        }
    }
}
