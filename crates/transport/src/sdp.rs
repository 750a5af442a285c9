//! Session descriptions (RFC 8866) as lists of attributes: what the text says, nothing of what it means.
//!
//! Borrows from the text. Time and memory are linear in its length.

/// Bytes of a description: 1000 sections of an eager client fit.
pub const SDP_BYTES_MAX: usize = 2 << 20;
/// Media sections of one description: LiveKit's 1000 subscriptions and what one participant publishes.
pub const SECTIONS_MAX: usize = 1200;
/// Payload types of one section that are looked at; browsers offer up to 40, and there are 128.
pub const FORMATS_MAX: usize = 64;

/// A line `a=name` or `a=name:value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    pub name: &'a str,
    pub value: &'a str,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description<'a> {
    pub attributes: Vec<Attribute<'a>>,
    pub media: Vec<Media<'a>>,
}

/// A media section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media<'a> {
    /// `audio`, `video` or `application`.
    pub kind: &'a str,
    pub port: u16,
    pub protocol: &'a str,
    /// The first [`FORMATS_MAX`] of the line.
    pub formats: Vec<&'a str>,
    pub attributes: Vec<Attribute<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    #[error("the description is longer than {SDP_BYTES_MAX} bytes")]
    TooLong,
    #[error("the description has more than {SECTIONS_MAX} sections")]
    TooManySections,
    #[error("the description does not begin with v=0")]
    Version,
    #[error("a media line cannot be read")]
    MediaLine,
}

impl<'a> Description<'a> {
    /// Reads a description; lines that are not understood are passed over, as RFC 8866 §5 asks.
    pub fn parse(text: &'a str) -> Result<Self, SdpError> {
        if text.len() > SDP_BYTES_MAX {
            return Err(SdpError::TooLong);
        }
        // a lone CR ends a line too, so that no value ever holds one
        let mut lines = text.split(['\r', '\n']).map(str::trim_end).filter(|line| !line.is_empty());
        if lines.next() != Some("v=0") {
            return Err(SdpError::Version);
        }
        let mut description = Self::default();
        for line in lines {
            match line.split_at_checked(2) {
                Some(("m=", rest)) if description.media.len() < SECTIONS_MAX => description.media.push(Media::parse(rest)?),
                Some(("m=", _)) => return Err(SdpError::TooManySections),
                Some(("a=", rest)) => {
                    let (name, value) = rest.split_once(':').unwrap_or((rest, ""));
                    let attributes =
                        description.media.last_mut().map_or(&mut description.attributes, |media| &mut media.attributes);
                    attributes.push(Attribute { name, value });
                }
                _ => {}
            }
        }
        Ok(description)
    }

    /// The value of a session-level attribute.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        first(&self.attributes, name)
    }

    /// The mids of the BUNDLE group (RFC 9143); none where there is no such group.
    pub fn bundle(&self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        let groups = self.attributes.iter().filter(|attribute| attribute.name == "group");
        let mids = groups.filter_map(|group| group.value.strip_prefix("BUNDLE")).next()?;
        Some(mids.split_ascii_whitespace())
    }
}

impl<'a> Media<'a> {
    fn parse(rest: &'a str) -> Result<Self, SdpError> {
        let mut words = rest.split_ascii_whitespace();
        let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
            return Err(SdpError::MediaLine);
        };
        let port = port.split('/').next().and_then(|port| port.parse().ok()).ok_or(SdpError::MediaLine)?;
        // RFC 8866 §5.14: at least one, and an answer must say as many
        let formats: Vec<&str> = words.take(FORMATS_MAX).collect();
        if formats.is_empty() {
            return Err(SdpError::MediaLine);
        }
        Ok(Self { kind, port, protocol, formats, attributes: Vec::new() })
    }

    pub fn get(&self, name: &str) -> Option<&'a str> {
        first(&self.attributes, name)
    }

    pub fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a str> + use<'a, 'b> {
        self.attributes.iter().filter(move |attribute| attribute.name == name).map(|attribute| attribute.value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// What the describing side does (RFC 8866 §6.7; sendrecv where nothing is said).
    pub fn direction(&self) -> Direction {
        let named = |attribute: &Attribute<'_>| match attribute.name {
            "sendrecv" => Some(Direction { send: true, receive: true }),
            "sendonly" => Some(Direction { send: true, receive: false }),
            "recvonly" => Some(Direction { send: false, receive: true }),
            "inactive" => Some(Direction { send: false, receive: false }),
            _ => None,
        };
        self.attributes.iter().find_map(named).unwrap_or(Direction { send: true, receive: true })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    pub send: bool,
    pub receive: bool,
}

fn first<'a>(attributes: &[Attribute<'a>], name: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sections_and_their_attributes() {
        let text = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\na=group:LS 7\r\na=group:BUNDLE 0 x\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\na=mid:0\r\na=recvonly\r\n";
        let description = Description::parse(text).unwrap();
        assert_eq!(description.bundle().unwrap().collect::<Vec<_>>(), ["0", "x"]);
        let audio = &description.media[0];
        assert_eq!((audio.kind, audio.port, audio.formats.len(), audio.get("mid")), ("audio", 9, 2, Some("0")));
        assert_eq!(audio.direction(), Direction { send: false, receive: true });
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(Description::parse("m=audio 9 x"), Err(SdpError::Version));
        assert_eq!(Description::parse(""), Err(SdpError::Version));
        assert_eq!(Description::parse("v=0\nm=audio"), Err(SdpError::MediaLine));
        assert_eq!(Description::parse("v=0\nm=audio 99999 x 0"), Err(SdpError::MediaLine));
        assert_eq!(Description::parse("v=0\nm=audio 9 x"), Err(SdpError::MediaLine));
        assert_eq!(Description::parse(&format!("v=0\n{}", "m=audio 9 x 0\n".repeat(2000))), Err(SdpError::TooManySections));
        assert_eq!(Description::parse(&"v=0\n".repeat(SDP_BYTES_MAX)), Err(SdpError::TooLong));
    }

    #[test]
    fn no_value_holds_a_line_break() {
        let description = Description::parse("v=0\na=x:1\rm=audio 9 x 0\r\r\na=fmtp:0 a\rb").unwrap();
        assert_eq!(description.get("x"), Some("1"));
        assert_eq!(description.media[0].get("fmtp"), Some("0 a"));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "(v=0\n)?([ma]=[ -~]{0,20}\n|\\PC{0,10}\n){0,20}") {
            let _ = Description::parse(&text);
        }
    }
}
