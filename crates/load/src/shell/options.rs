//! What a load test is asked to do. The names are those of LiveKit's `lk load-test`, where it has them.

use std::path::PathBuf;
use std::time::Duration;

use sluicegate_rtp::codec::Codec;

use super::fault::LoadError;
use super::percent::{Percent, parse_duration};
use crate::layout::Layout;

#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct LoadOptions {
    /// Server to join
    #[arg(long, env = "LIVEKIT_URL", default_value = "ws://127.0.0.1:7880")]
    pub url: String,
    #[arg(long, env = "LIVEKIT_API_KEY", default_value = "devkey", help = "API key of the server")]
    pub api_key: String,
    #[arg(long, env = "LIVEKIT_API_SECRET", default_value = "secret", hide_env_values = true, help = "Its secret")]
    pub api_secret: String,
    /// Name of the room [default: a new one]
    #[arg(long)]
    pub room: Option<String>,
    /// Rooms to spread the clients over, named ROOM-0, ROOM-1, …
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub rooms: u32,
    /// Clients that publish sound
    #[arg(long, default_value_t = 0)]
    pub audio_publishers: u32,
    /// Clients that publish a picture, in three layers; the first ones are the audio publishers
    #[arg(long, default_value_t = 0)]
    pub video_publishers: u32,
    /// Clients that only receive
    #[arg(long, default_value_t = 0)]
    pub subscribers: u32,
    /// How long to measure, once everybody has joined: 30s, 5m
    #[arg(long, default_value = "30s", value_parser = parse_duration)]
    pub duration: Duration,
    /// Joins per second
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub num_per_second: u32,
    /// vp8 or h264
    #[arg(long, default_value = "vp8")]
    pub video_codec: String,
    /// What subscribers show: speaker, 3x3, 4x4 or 5x5
    #[arg(long, default_value = "speaker", value_parser = parse_layout)]
    pub layout: Layout,
    /// Data messages per second and publisher, alternately reliable and lossy
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1000))]
    pub data_rate: u32,
    /// Further subscribers that join and leave, per second
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100))]
    pub churn: u32,
    /// Datagrams lost on each client's link, each way, in percent
    #[arg(long, default_value = "0")]
    pub loss: Percent,
    /// Delay of each client's link, each way
    #[arg(long, default_value = "0s", value_parser = parse_duration)]
    pub delay: Duration,
    /// Process id of the server on this machine: its CPU time and memory are measured, too
    #[arg(long)]
    pub server_pid: Option<u32>,
    /// File to write the result to as JSON; "-" is standard output, in place of the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// More packets lost than this many percent is a failure
    #[arg(long, default_value = "1")]
    pub max_loss: Percent,
    /// Seed of the simulated loss [default: a new one]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Threads that carry the clients
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,
    /// Only measure what sending datagrams costs on this machine
    #[arg(long)]
    pub send_floor: bool,
}

impl LoadOptions {
    /// Clients that publish something.
    pub fn publishers(&self) -> u32 {
        self.audio_publishers.max(self.video_publishers)
    }

    pub fn codec(&self) -> Result<Codec, LoadError> {
        match self.video_codec.to_ascii_lowercase().as_str() {
            "vp8" => Ok(Codec::Vp8),
            "h264" => Ok(Codec::H264),
            other => Err(LoadError::Codec(other.to_owned())),
        }
    }
}

fn parse_layout(name: &str) -> Result<Layout, String> {
    Layout::parse(name).ok_or_else(|| format!("{name} is none of speaker, 3x3, 4x4, 5x5"))
}

#[cfg(test)]
pub(super) mod tests_support {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::*;

    pub fn parse(args: &[&str]) -> Result<LoadOptions, clap::Error> {
        let command = LoadOptions::augment_args(Command::new("load-test"));
        let matches = command.try_get_matches_from(std::iter::once("load-test").chain(args.iter().copied()))?;
        LoadOptions::from_arg_matches(&matches)
    }

    pub fn options(args: &[&str]) -> LoadOptions {
        parse(args).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::tests_support::parse;
    use super::*;

    #[test]
    fn defaults() {
        let options = parse(&["--url", "ws://x", "--api-key", "k", "--api-secret", "s"]).unwrap();
        assert_eq!((options.rooms, options.num_per_second, options.duration), (1, 5, Duration::from_secs(30)));
        assert_eq!((options.layout, options.codec().unwrap(), options.threads), (Layout::Speaker, Codec::Vp8, 1));
        assert_eq!((options.max_loss.share(), options.loss.share(), options.publishers()), (0.01, 0.0, 0));
    }

    #[test]
    fn values() {
        let args = ["--audio-publishers=2", "--video-publishers=3", "--layout=4x4", "--duration=5m", "--loss=2.5", "--delay=40ms"];
        let options = parse(&args).unwrap();
        assert_eq!((options.publishers(), options.layout, options.duration.as_secs()), (3, Layout::Grid(4), 300));
        assert_eq!((options.loss.share(), options.delay.as_millis()), (0.025, 40));
        for wrong in ["--layout=6x6", "--rooms=0", "--loss=101", "--duration=x", "--num-per-second=0", "--churn=101"] {
            assert!(parse(&[wrong]).is_err(), "{wrong}");
        }
        let error = parse(&["--video-codec=AV1"]).unwrap().codec().unwrap_err().to_string();
        assert_eq!(error, "there are no clips for av1: --video-codec takes vp8 and h264");
    }
}
