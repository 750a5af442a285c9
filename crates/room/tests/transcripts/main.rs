//! Transcripts: what goes into a room and what comes out, one line each, compared with the reviewed snapshots beside.
//!
//! `>` is a client's or the server's input, `<` a message to clients; the rest are effects. SIDs are written with the names of what
//! they stand for.

#![allow(deprecated, clippy::unwrap_used, clippy::panic)]

mod api;
mod data;
mod data_track;
mod forwarding;
mod join;
mod leave;
mod limits;
mod negotiate;
mod publish;
mod resume;
mod rpc;
mod scene;
mod subscribe;
mod text;
mod update;
