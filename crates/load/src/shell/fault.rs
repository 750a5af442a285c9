//! Why a load test cannot be run. What goes wrong with single clients is part of its report.

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the URL must be ws://host:port (wss:// is not available), not {0}")]
    Url(String),
    #[error("there are no clips for {0}: --video-codec takes vp8 and h264")]
    Codec(String),
    #[error("nobody to join: give --audio-publishers, --video-publishers or --subscribers")]
    Nobody,
    #[error("this needs {needed} open files, and the limit is {limit}: raise it (ulimit -n {needed})")]
    OpenFiles { needed: u64, limit: u64 },
    #[error("no DTLS certificate could be made")]
    Certificate,
    #[error("process {0} cannot be watched: is it running on this machine?")]
    Process(u32),
    #[error("the first client cannot join: {0}")]
    Join(String),
    #[error("cannot write {path}: {error}")]
    Write { path: String, error: std::io::Error },
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
