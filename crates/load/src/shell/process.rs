//! CPU time and memory of a process, from /proc.

use std::time::Duration;

/// USER_HZ, which the kernel promises to user space on every platform this runs on.
const TICKS_PER_SECOND: u64 = 100;

/// A moment in a process's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub user: Duration,
    pub system: Duration,
    pub resident_bytes: u64,
}

impl Usage {
    pub fn of(pid: u32) -> Option<Usage> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let (user, system) = times(&stat)?;
        Some(Usage { user, system, resident_bytes: resident(&status)? })
    }

    pub fn cpu(self) -> Duration {
        self.user + self.system
    }
}

/// utime and stime: the 14th and 15th field; the second, the name, may hold anything but ends with the last parenthesis.
fn times(stat: &str) -> Option<(Duration, Duration)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok().map(|ticks| Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND));
    Some((ticks()?, ticks()?))
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_process_with_an_odd_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 150 25 0 0 20 0 3 0 99 1000 500";
        assert_eq!(times(stat), Some((Duration::from_millis(1500), Duration::from_millis(250))));
        assert_eq!(resident("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        assert_eq!((times("7 (a"), resident("")), (None, None));
    }

    #[test]
    fn ourselves() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident_bytes > 1 << 20);
        assert_eq!(Usage::of(u32::MAX), None);
    }
}
