use proptest::prelude::*;

use super::kdf::{Label, derive};
use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn key_derivation_of_rfc_3711_b_3() {
    let (key, salt) = (hex("E1F97A0D3E018BE0D64FA32C06DE4139"), hex("0EC675AD498AFEEBB6960B3AABE6"));
    let mut out = [0u8; 16];
    derive(&key, &salt, Label::Encryption, false, &mut out).unwrap();
    assert_eq!(out.to_vec(), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    let mut out = [0u8; 14];
    derive(&key, &salt, Label::Salt, false, &mut out).unwrap();
    assert_eq!(out.to_vec(), hex("30CBBC08863D8C85D49DB34A9AE1"));
    let mut out = [0u8; 94];
    derive(&key, &salt, Label::Authentication, false, &mut out).unwrap();
    let wanted = "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCEE049646C43D9327AD175578EF722709863\
                  71C10C9A369AC2F94A8C5FBCDDDC256D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2";
    assert_eq!(out.to_vec(), hex(wanted));
}

#[test]
fn counter_mode_keystream_of_rfc_3711_b_2() {
    use aws_lc_rs::cipher::EncryptionContext;
    use aws_lc_rs::iv::FixedLength;
    let key = kdf::counter_key(&hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap();
    let iv: [u8; 16] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap();
    let mut out = [0u8; 48];
    key.less_safe_encrypt(&mut out, EncryptionContext::Iv128(FixedLength::from(iv))).unwrap();
    let wanted = "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(out.to_vec(), hex(wanted));
}

const PROFILES: [Profile; 3] = [Profile::AeadAes256Gcm, Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80];

fn pair(profile: Profile) -> (SrtpKeys, SrtpKeys) {
    let material: Vec<u8> = (0..2 * (profile.key_len() + profile.salt_len())).map(|i| (i * 7 + 3) as u8).collect();
    (SrtpKeys::derive(profile, &material, true).unwrap(), SrtpKeys::derive(profile, &material, false).unwrap())
}

fn packet(sequence: u16, body: &[u8]) -> (Vec<u8>, usize) {
    let mut packet = vec![0x80, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 1, 0, 0, 0, 9]);
    packet.extend(body);
    let end = packet.len();
    packet.resize(end + 32, 0);
    (packet, end)
}

#[test]
fn what_one_side_seals_the_other_opens() {
    for profile in PROFILES {
        let (mut client, mut server) = pair(profile);
        for (ours, theirs) in [(&mut client.sealer, &mut server.opener), (&mut server.sealer, &mut client.opener)] {
            let (mut rtp, end) = packet(5, b"hello");
            let plain = rtp[..end].to_vec();
            let sealed = ours.seal_rtp(9, 5, &mut rtp, 12, end).unwrap();
            assert_eq!(sealed, end + profile.tag_len());
            assert_ne!(rtp[12..end], plain[12..]);
            let mut copy = rtp[..sealed].to_vec();
            assert_eq!(theirs.open_rtp(9, 5, 12, &mut rtp[..sealed]).unwrap(), Opened { len: end, index: 5 });
            assert_eq!(rtp[..end], plain[..]);
            assert_eq!(theirs.open_rtp(9, 5, 12, &mut copy), Err(SrtpError::Replayed));
            let mut rtcp = vec![0x80, 201, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4];
            rtcp.resize(64, 0);
            let sealed = ours.seal_rtcp(&mut rtcp, 12).unwrap();
            let mut copy = rtcp[..sealed].to_vec();
            assert_eq!(theirs.open_rtcp(&mut rtcp[..sealed]).unwrap(), 12);
            assert_eq!(rtcp[8..12], [1, 2, 3, 4]);
            assert_eq!(theirs.open_rtcp(&mut copy), Err(SrtpError::Replayed));
        }
    }
}

#[test]
fn the_rollover_counter_survives_reordering_around_the_wrap() {
    let (client, mut server) = pair(Profile::AeadAes256Gcm);
    for index in [65_533u64, 65_535, 65_536, 65_534, 65_538, 65_537, 131_071 - 40_000, 131_075 - 20_000] {
        let (mut rtp, end) = packet(index as u16, b"x");
        let sealed = client.sealer.seal_rtp(9, index, &mut rtp, 12, end).unwrap();
        assert_eq!(server.opener.open_rtp(9, index as u16, 12, &mut rtp[..sealed]).map(|o| o.index), Ok(index));
    }
}

#[test]
fn a_forged_packet_moves_nothing() {
    let (client, mut server) = pair(Profile::AeadAes128Gcm);
    let send = |index: u64| {
        let (mut rtp, end) = packet(index as u16, b"abc");
        let sealed = client.sealer.seal_rtp(9, index, &mut rtp, 12, end).unwrap();
        rtp.truncate(sealed);
        rtp
    };
    server.opener.open_rtp(9, 10, 12, &mut send(10)).unwrap();
    for sequence in [20_000u16, 40_000, 60_000, 5_000] {
        let (mut forged, _) = packet(sequence, b"forged");
        assert_eq!(server.opener.open_rtp(9, sequence, 12, &mut forged), Err(SrtpError::Unauthentic));
    }
    assert_eq!(server.opener.open_rtp(9, 11, 12, &mut send(11)).map(|o| o.index), Ok(11));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), header in 0usize..100) {
        for profile in PROFILES {
            let (_, mut server) = pair(profile);
            let _ = server.opener.open_rtp(1, 2, header, &mut bytes.clone());
            let _ = server.opener.open_rtcp(&mut bytes.clone());
            let _ = server.sealer.seal_rtp(1, 2, &mut bytes.clone(), header, bytes.len());
            let _ = server.sealer.seal_rtcp(&mut bytes.clone(), bytes.len());
        }
    }
}
