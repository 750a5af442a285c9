//! Forwarding: what goes to whom. Pure and sans-IO; knows packets, layers and clocks, nothing of PeerConnections or rooms.
//!
//! A [`receiver::Receiver`] takes a track's packets into one ring per layer, asks for what is missing and reports; a
//! [`down_track::DownTrack`] rewrites them for one subscriber and answers its repairs from that ring. Nothing here allocates per
//! packet once the rings exist.

pub mod clock;
pub mod down_track;
pub mod fanout;
pub mod forwarder;
pub mod keyframe;
pub mod quality;
pub mod receiver;
pub mod resend;
