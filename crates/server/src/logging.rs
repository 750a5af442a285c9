//! Logs: to stderr, as text or JSON. Ours at the configured level, other crates' warnings only; RUST_LOG decides where it is set.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::Config;

#[derive(Debug, thiserror::Error)]
#[error("log_level: {0} is none of debug, info, warn, error")]
pub struct UnknownLevel(String);

pub fn start(config: &Config) -> Result<(), UnknownLevel> {
    let level = config.level().to_lowercase();
    if !matches!(level.as_str(), "trace" | "debug" | "info" | "warn" | "error") {
        return Err(UnknownLevel(level));
    }
    let ours = ["sluicegate", "sluicegate_control", "sluicegate_worker", "sluicegate_engine", "sluicegate_room"];
    let ours: Vec<String> = ours.iter().map(|target| format!("{target}={level}")).collect();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("warn,{}", ours.join(","))));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // a second subscriber is a test's
    let _ = if config.logging.json { builder.json().try_init() } else { builder.try_init() };
    Ok(())
}
