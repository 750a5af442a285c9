//! Session descriptions (RFC 8866) as lists of attributes: what the text says, nothing of what it means.

/// Bytes of a description: 1000 sections of an eager client fit.
pub const SDP_BYTES_MAX: usize = 2 << 20;
/// Media sections of one description.
pub const SECTIONS_MAX: usize = 1200;

/// A line `a=name` or `a=name:value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    pub value: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    pub attributes: Vec<Attribute>,
    pub media: Vec<Media>,
}

/// A media section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video` or `application`.
    pub kind: String,
    pub port: u16,
    pub protocol: String,
    pub formats: Vec<String>,
    pub attributes: Vec<Attribute>,
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

impl Description {
    /// Reads a description; lines that are not understood are passed over, as RFC 8866 §5 asks.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > SDP_BYTES_MAX {
            return Err(SdpError::TooLong);
        }
        let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
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
                    let attributes = description.media.last_mut().map_or(&mut description.attributes, |media| &mut media.attributes);
                    attributes.push(Attribute { name: name.to_owned(), value: value.to_owned() });
                }
                _ => {}
            }
        }
        Ok(description)
    }

    /// The value of a session-level attribute.
    pub fn get<'a>(&'a self, name: &str) -> Option<&'a str> {
        self.attributes.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.value.as_str())
    }
}

impl Media {
    fn parse(rest: &str) -> Result<Self, SdpError> {
        let mut words = rest.split_ascii_whitespace();
        let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
            return Err(SdpError::MediaLine);
        };
        let port = port.split('/').next().and_then(|port| port.parse().ok()).ok_or(SdpError::MediaLine)?;
        let formats = words.map(str::to_owned).collect();
        Ok(Self { kind: kind.to_owned(), port, protocol: protocol.to_owned(), formats, attributes: Vec::new() })
    }

    pub fn get<'a>(&'a self, name: &str) -> Option<&'a str> {
        self.attributes.iter().find(|attribute| attribute.name == name).map(|attribute| attribute.value.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        values(&self.attributes, name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// What the describing side does (RFC 8866 §6.7; sendrecv where nothing is said).
    pub fn direction(&self) -> Direction {
        let named = |attribute: &Attribute| match attribute.name.as_str() {
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

fn values<'a>(attributes: &'a [Attribute], name: &'a str) -> impl Iterator<Item = &'a str> {
    attributes.iter().filter(move |attribute| attribute.name == name).map(|attribute| attribute.value.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sections_and_their_attributes() {
        let text = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\na=mid:0\r\na=recvonly\r\n";
        let description = Description::parse(text).unwrap();
        assert_eq!(description.get("group"), Some("BUNDLE 0"));
        let audio = &description.media[0];
        assert_eq!((audio.kind.as_str(), audio.port, audio.formats.len(), audio.get("mid")), ("audio", 9, 2, Some("0")));
        assert_eq!(audio.direction(), Direction { send: false, receive: true });
        assert_eq!(Description::parse("m=audio 9 x"), Err(SdpError::Version));
        assert_eq!(Description::parse("v=0\nm=audio"), Err(SdpError::MediaLine));
        assert_eq!(Description::parse(&format!("v=0\n{}", "m=audio 9 x\n".repeat(2000))), Err(SdpError::TooManySections));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "(v=0\n)?([ma]=[ -~]{0,20}\n|\\PC{0,10}\n){0,20}") {
            let _ = Description::parse(&text);
        }
    }
}
