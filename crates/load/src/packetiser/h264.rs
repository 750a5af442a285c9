//! H264, packetization-mode 1 (RFC 6184). The stamp is an SEI message at the front of each access unit: together with the parameter
//! sets, or with the slice where both fit into one packet.

use sluicegate_rtp::h264::{FU_A, NAL_PPS, NAL_SPS, STAP_A};

use super::{PAYLOAD_MAX, equal_pieces};
use crate::stamp::Stamp;

const NRI_MASK: u8 = 0x60;
const TYPE_MASK: u8 = 0x1F;

pub(super) fn packetise(frame: &[u8], stamp: Stamp, payload: &mut Vec<u8>, mut send: impl FnMut(&[u8], bool)) {
    let sei = stamp.to_sei();
    let units: Vec<&[u8]> = units(frame).collect();
    let mut front: Vec<&[u8]> = vec![&sei];
    let mut slices = units.as_slice();
    while let Some((unit, rest)) = slices.split_first()
        && aggregate_len(&front) + 2 + unit.len() <= PAYLOAD_MAX
    {
        front.push(unit);
        slices = rest;
        if !unit.first().is_some_and(|first| matches!(first & TYPE_MASK, NAL_SPS | NAL_PPS)) {
            break;
        }
    }
    aggregate(&front, payload);
    send(payload, slices.is_empty());
    for (at, unit) in slices.iter().enumerate() {
        fragment(unit, at + 1 == slices.len(), payload, &mut send);
    }
}

/// The NAL units of an access unit with start codes (H.264 annex B).
fn units(frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    const START: [u8; 4] = [0, 0, 0, 1];
    let mut rest = frame.strip_prefix(&START).unwrap_or(frame);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.windows(START.len()).position(|window| window == START);
        let unit = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or(&[], |end| &rest[end + START.len()..]);
        Some(unit)
    })
}

fn aggregate_len(units: &[&[u8]]) -> usize {
    1 + units.iter().map(|unit| 2 + unit.len()).sum::<usize>()
}

/// A unit alone goes as it is, several as STAP-A.
fn aggregate(units: &[&[u8]], payload: &mut Vec<u8>) {
    payload.clear();
    if let [unit] = units {
        payload.extend_from_slice(unit);
        return;
    }
    let nri = units.iter().filter_map(|unit| unit.first()).map(|first| first & NRI_MASK).max().unwrap_or(0);
    payload.push(nri | STAP_A);
    for unit in units {
        payload.extend_from_slice(&(unit.len() as u16).to_be_bytes());
        payload.extend_from_slice(unit);
    }
}

/// A unit that fits goes as it is, a longer one as FU-A.
fn fragment(unit: &[u8], last_unit: bool, payload: &mut Vec<u8>, send: &mut impl FnMut(&[u8], bool)) {
    const START: u8 = 0x80;
    const END: u8 = 0x40;
    if unit.len() <= PAYLOAD_MAX {
        return send(unit, last_unit);
    }
    let Some((head, mut rest)) = unit.split_first() else { return };
    let pieces: Vec<usize> = equal_pieces(rest.len(), PAYLOAD_MAX - 2).collect();
    for (at, len) in pieces.iter().enumerate() {
        let (piece, after) = rest.split_at_checked(*len).unwrap_or((rest, &[]));
        rest = after;
        let last = at + 1 == pieces.len();
        let flags = if at == 0 { START } else { 0 } | if last { END } else { 0 };
        payload.clear();
        payload.extend_from_slice(&[head & NRI_MASK | FU_A, flags | head & TYPE_MASK]);
        payload.extend_from_slice(piece);
        send(payload, last && last_unit);
    }
}
