//! What the operating system says of this process (Linux; elsewhere nothing is shown).

use std::fs;

/// The customary names of Prometheus clients.
pub struct Process {
    pub resident_memory_bytes: u64,
    pub threads: u64,
    pub open_fds: u64,
}

impl Process {
    pub fn read() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        Some(Self {
            resident_memory_bytes: field(&status, "VmRSS:")?.checked_mul(1024)?,
            threads: field(&status, "Threads:")?,
            // less the one that this very reading opens
            open_fds: (fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1),
        })
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}
