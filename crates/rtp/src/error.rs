//! The one error of this crate.

/// Why bytes from the network were refused. Each variant names the part that was being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    #[error("{0} is cut short")]
    Truncated(&'static str),
    #[error("{0} is invalid")]
    Invalid(&'static str),
    /// Well formed perhaps, but beyond what we are willing to hold.
    #[error("{0} exceeds its limit")]
    Limit(&'static str),
    /// A dependency descriptor refers to a template structure that was not received yet.
    #[error("the template structure is not known")]
    UnknownStructure,
}
