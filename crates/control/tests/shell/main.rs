//! The shell as clients see it: real sockets on 127.0.0.1, a media plane that only listens.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod console;
mod forwarding;
mod http;
mod lives;
mod moving;
mod signal;
mod support;
mod tokens;
mod twirp;
