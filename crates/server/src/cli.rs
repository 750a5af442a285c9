//! The command line: LiveKit's flags, one flag and one environment variable for each single-valued key, subcommands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args as _, Command, FromArgMatches as _, Parser, Subcommand};
use sluicegate_load::shell::LoadOptions;

use crate::config::keys::{self, Key, Kind};
use crate::config::{Config, ConfigError, Document, parse_keys};

/// A LiveKit-compatible real-time media server.
#[derive(Debug, Parser)]
#[command(name = "sluicegate", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Configuration file (YAML, LiveKit's keys)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The configuration itself
    #[arg(long, value_name = "YAML", env = "LIVEKIT_CONFIG", hide_env_values = true)]
    pub config_body: Option<String>,
    /// Development: keys devkey/secret, loopback only, prints a token to join with
    #[arg(long)]
    pub dev: bool,
    /// Address to listen on; may be given more than once
    #[arg(long, value_name = "ADDRESS")]
    pub bind: Vec<String>,
    /// The only address told to clients
    #[arg(long, value_name = "ADDRESS", env = "NODE_IP")]
    pub node_ip: Option<String>,
    /// API keys, "key: secret", one a line
    #[arg(long, value_name = "KEYS", env = "LIVEKIT_KEYS", hide_env_values = true)]
    pub keys: Option<String>,
    /// File with API keys
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Media over UDP: one port, or a range
    #[arg(long, value_name = "PORTS", env = "UDP_PORT")]
    pub udp_port: Option<String>,
    /// Told to clients
    #[arg(long, value_name = "REGION", env = "LIVEKIT_REGION")]
    pub region: Option<String>,
    /// Directory of what outlives the process
    #[arg(long, value_name = "DIRECTORY")]
    pub data_dir: Option<PathBuf>,
    /// Pass over keys that are unknown or not supported yet
    #[arg(long)]
    pub disable_strict_config: bool,
    #[command(subcommand)]
    pub action: Option<Action>,
}

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Action {
    /// Make an API key and its secret
    GenerateKeys,
    /// Make a token to join a room with
    CreateJoinToken {
        /// Room to join
        #[arg(long)]
        room: String,
        /// Identity of the participant
        #[arg(long)]
        identity: String,
        /// For a recorder: hidden, not counted
        #[arg(long)]
        recorder: bool,
    },
    /// Join clients to any LiveKit-compatible server, send and receive media, and measure
    LoadTest(Box<LoadOptions>),
    /// Show the ports that the server would use
    Ports,
    /// Show all flags, those of single keys too
    HelpVerbose,
}

/// A command line and what was said about single keys.
#[derive(Debug)]
pub struct Asked {
    pub cli: Cli,
    pub overrides: Vec<(&'static str, String)>,
}

/// `env` looks up environment variables of single keys (those with a flag of their own are clap's).
pub fn parse(args: impl IntoIterator<Item = OsString>, env: impl Fn(&str) -> Option<String>) -> Result<Asked, clap::Error> {
    let matches = command(true).try_get_matches_from(args)?;
    let cli = Cli::from_arg_matches(&matches)?;
    let overrides = generated().filter_map(|key| {
        let word = flag_value(&matches, key).or_else(|| env(&key.variable()).filter(|word| !word.is_empty()))?;
        Some((key.path, word))
    });
    Ok(Asked { cli, overrides: overrides.collect() })
}

/// The whole help, single keys included.
pub fn help_verbose() -> String {
    command(false).render_long_help().to_string()
}

impl Asked {
    /// The configuration: file or body, then single keys, then LiveKit's own flags.
    pub fn config(&self) -> Result<(Config, Vec<ConfigError>), ConfigError> {
        let cli = &self.cli;
        let yaml = match (&cli.config_body, &cli.config) {
            (Some(body), _) => body.clone(),
            (None, Some(path)) => {
                let file = |error| ConfigError::File { path: path.display().to_string(), error };
                std::fs::read_to_string(path).map_err(file)?
            }
            (None, None) => String::new(),
        };
        let mut document = Document::parse(&yaml)?;
        for (path, word) in &self.overrides {
            document.set(path, word)?;
        }
        for (path, word) in [("rtc.node_ip", &cli.node_ip), ("rtc.udp_port", &cli.udp_port), ("region", &cli.region)] {
            if let Some(word) = word.as_deref().filter(|word| !word.is_empty()) {
                document.set(path, word)?;
            }
        }
        if let Some(path) = &cli.key_file {
            document.set("key_file", &path.display().to_string())?;
        }
        if let Some(path) = &cli.data_dir {
            document.set("data_dir", &path.display().to_string())?;
        }
        if let Some(text) = cli.keys.as_deref().filter(|text| !text.trim().is_empty()) {
            let keys = parse_keys(text)?.into_iter().map(|(key, secret)| (key, secret.into())).collect();
            document.put("keys", serde_json::Value::Object(keys));
        }
        if !cli.bind.is_empty() {
            document.put("bind_addresses", cli.bind.clone().into());
        }
        if cli.dev {
            document.put("development", true.into());
        }
        Config::new(document, !cli.disable_strict_config)
    }
}

/// Keys without a flag of their own.
fn generated() -> impl Iterator<Item = &'static Key> {
    keys::HONOURED.iter().filter(|key| key.kind.is_scalar() && key.path != "region")
}

fn command(hide_generated: bool) -> Command {
    let command = Cli::augment_args(Command::new("sluicegate"));
    generated().fold(command, |command, key| command.arg(flag(key, hide_generated)))
}

/// Ids differ from those of the flags above, whose names are like some keys'.
fn flag_id(key: &Key) -> String {
    format!("key {}", key.path)
}

fn flag(key: &'static Key, hide: bool) -> Arg {
    let help = format!("{} [env: {}]", key.help, key.variable());
    // leaked once per key, at the start: clap wants names that live as long as the program
    let id: &'static str = Box::leak(flag_id(key).into_boxed_str());
    let arg = Arg::new(id).long(key.path).help(help).help_heading("Keys of the configuration").value_name("VALUE").hide(hide);
    match key.kind {
        Kind::Flag => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ => arg,
    }
}

fn flag_value(matches: &ArgMatches, key: &Key) -> Option<String> {
    matches.get_one::<String>(&flag_id(key)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(args: &[&str], env: &[(&str, &str)]) -> Asked {
        let args = std::iter::once("sluicegate").chain(args.iter().copied()).map(OsString::from);
        let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        parse(args, env).unwrap()
    }

    #[test]
    fn flags_beat_variables_beat_the_file() {
        let asked = asked(
            &[
                "--dev",
                "--config-body",
                "port: 1\nlog_level: warn\nrtc: { tcp_port: 2, use_ice_lite: true }",
                "--rtc.tcp_port",
                "4",
            ],
            &[("LIVEKIT_RTC_TCP_PORT", "3"), ("LIVEKIT_PORT", "5"), ("LIVEKIT_ROOM_AUTO_CREATE", "false")],
        );
        let (config, _) = asked.config().unwrap();
        assert_eq!((config.port, config.rtc.tcp_port, config.room.auto_create), (5, 4, false));
        assert_eq!((config.level(), config.rtc.use_ice_lite), ("warn", true));
    }

    #[test]
    fn flags_of_livekit() {
        let keys = "a: 1\nb: 2";
        let asked = asked(
            &[
                "--bind",
                "0.0.0.0",
                "--bind=::",
                "--node-ip",
                "192.0.2.1",
                "--keys",
                keys,
                "--udp-port=9-10",
                "--region",
                "x",
                "--rtc.use_ice_lite",
                "--data-dir=/d",
                "--drain_timeout=7",
            ],
            &[],
        );
        let (config, _) = asked.config().unwrap();
        assert_eq!((config.bind_addresses.len(), config.keys.len(), config.region.as_str()), (2, 2, "x"));
        assert_eq!((config.media_ports(), config.rtc.node_ip[0].to_string().as_str()), ((9, 10), "192.0.2.1"));
        assert!(config.rtc.use_ice_lite);
        assert_eq!((config.data_dir.as_str(), config.drain_timeout().as_secs()), ("/d", 7));
    }

    #[test]
    fn subcommands_and_errors() {
        let create = asked(&["--dev", "create-join-token", "--room", "r", "--identity", "i"], &[]);
        let wanted = Action::CreateJoinToken { room: "r".to_owned(), identity: "i".to_owned(), recorder: false };
        assert_eq!(create.cli.action, Some(wanted));
        let load = asked(&["load-test", "--subscribers", "3", "--duration", "1m"], &[]);
        assert!(matches!(load.cli.action, Some(Action::LoadTest(options)) if options.subscribers == 3));
        let args = |args: &[&str]| args.iter().map(OsString::from).collect::<Vec<_>>();
        assert!(parse(args(&["sluicegate", "--rtc.tcp_prot", "1"]), |_| None).is_err());
        assert!(help_verbose().contains("--rtc.udp_port"));
        let lax = asked(&["--dev", "--disable-strict-config", "--config-body", "nonsense: 1"], &[]);
        assert_eq!(lax.config().unwrap().1.len(), 1);
    }
}
