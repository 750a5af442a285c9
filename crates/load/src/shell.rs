//! `sluicegate load-test`: the client over real sockets, many of them on few threads.
//!
//! The main thread joins clients at the pace that was asked for (each join blocks a thread of its own until the WebSocket stands) and
//! says what is measured when; a driver thread owns its clients' sockets and waits for all of them with one epoll.

mod clock;
mod data;
mod driver;
mod fault;
mod floor;
mod join;
mod link;
pub mod options;
pub mod percent;
mod plan;
mod process;
pub mod report;
mod run;
mod seat;
mod signal;
mod tally;

pub use fault::LoadError;
pub use floor::{Floor, send_floor};
pub use options::LoadOptions;
pub use report::Report;
pub use run::run;
