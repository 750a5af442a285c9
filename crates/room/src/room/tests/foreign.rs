//! Participants of another room who are shown in this one, whatever their own room says of them.

use sluicegate_rtp::codec::MediaKind;

use super::*;
use crate::Forwarded;
use crate::permission::Allowance;

const THERE: RoomKey = RoomKey(2);

/// What the other room says next; numbers choose.
pub fn input(life: &mut Life, who: u8, kind: u8, choice: u8) -> Input {
    let source = SessionKey { room: THERE, index: u32::from(who % 3) };
    match kind {
        0 => Input::ForwardingEnded { source },
        1 => {
            let state = pb::participant_info::State::Disconnected as i32;
            let info = pb::ParticipantInfo { state, ..Default::default() };
            Input::Forwarded(Box::new(Forwarded { info, ..described(life, source, who, 0) }))
        }
        2..=5 => Input::Forwarded(Box::new(described(life, source, who, choice))),
        _ => {
            let call = Box::new(ApiCall::Show(Box::new(described(life, source, who, choice))));
            Input::Api { request: RequestId(2), call }
        }
    }
}

/// A participant with the identity of one who may be here, too; each bit is a track that it has or has not.
fn described(life: &mut Life, source: SessionKey, who: u8, choice: u8) -> Forwarded {
    let bit = |n: u8| choice & (1 << n) != 0;
    let key = |n: u32| TrackKey { room: THERE, index: source.index * 10 + n };
    let track = |n: u32| {
        let info = pb::TrackInfo { sid: format!("TR_far{}", key(n).index), muted: bit(7), ..Default::default() };
        (key(n), MediaKind::Audio, info)
    };
    let tracks: Vec<_> = (0..3).filter(|n| bit(*n as u8)).map(track).collect();
    // may be asked for at any time
    life.sids.extend(tracks.iter().map(|(.., info)| info.sid.clone()));
    life.foreign.retain(|track| track.index / 10 != source.index);
    life.foreign.extend(tracks.iter().map(|(key, ..)| *key));
    let data = |n: u32| {
        let info = pb::DataTrackInfo { sid: format!("DTR_far{}", key(n).index), pub_handle: n + 1, ..Default::default() };
        (DataTrackKey { room: THERE, index: key(n).index }, info)
    };
    let data_tracks: Vec<_> = (0..2).filter(|n| bit(3 + *n as u8)).map(data).collect();
    life.foreign_data.retain(|track| track.index / 10 != source.index);
    life.foreign_data.extend(data_tracks.iter().map(|(key, _)| *key));
    let permission = pb::ParticipantPermission { hidden: bit(5) && bit(6), can_subscribe: true, ..Default::default() };
    let denies = pb::SubscriptionPermission::default();
    Forwarded {
        source,
        info: pb::ParticipantInfo {
            identity: format!("p{}", who % 8),
            state: if bit(7) { 1 } else { 2 },
            permission: Some(permission),
            is_publisher: !tracks.is_empty(),
            ..Default::default()
        },
        tracks,
        data_tracks,
        allowance: if bit(6) { Allowance::new(denies) } else { Allowance::Everyone },
    }
}
