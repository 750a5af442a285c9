//! Percentages and durations as the command line takes them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A percentage, to a thousandth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent {
    thousandths: u32,
}

impl Percent {
    /// 0 to 1.
    pub fn share(self) -> f64 {
        f64::from(self.thousandths) / 100_000.0
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number: f64 = text.trim().trim_end_matches('%').parse().map_err(|_| format!("{text} is not a percentage"))?;
        if !(0.0..=100.0).contains(&number) {
            return Err(format!("{text} is not between 0 and 100"));
        }
        Ok(Self { thousandths: (number * 1000.0).round() as u32 })
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.thousandths) / 1000.0)
    }
}

/// `30s`, `5m`, `1m30s`, `200ms`, `1h`; a number alone is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is not a duration: 30s, 5m, 200ms");
    if let Ok(secs) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(secs).map_err(|_| wrong());
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let unit_len = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let secs = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        total += Duration::try_from_secs_f64(number * secs).map_err(|_| wrong())?;
        rest = after;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases =
            [("30s", 30_000), ("5m", 300_000), ("1m30s", 90_000), ("200ms", 200), ("7", 7000), ("0.5", 500), ("1h", 3_600_000)];
        for (text, ms) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "5x", "m5", "-1", "1e30h", "ü"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn percentages() {
        assert_eq!("0.5".parse::<Percent>().unwrap().share(), 0.005);
        assert_eq!("5%".parse::<Percent>().unwrap().to_string(), "5");
        assert!("101".parse::<Percent>().is_err() && "x".parse::<Percent>().is_err() && "-1".parse::<Percent>().is_err());
    }
}
