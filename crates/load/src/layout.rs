//! What a viewer's window shows: how many pictures, and how large each. Told to the server by UpdateTrackSettings, as `lk` does.

use sluicegate_proto::pb;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// One large picture and a strip of small ones.
    #[default]
    Speaker,
    /// A grid of so many rows and columns in a window of 720p.
    Grid(u32),
}

const WINDOW: (u32, u32) = (1280, 720);
const STRIP: (u32, u32) = (320, 180);
const STRIP_LEN: usize = 5;

impl Layout {
    pub fn parse(name: &str) -> Option<Layout> {
        match name {
            "speaker" => Some(Layout::Speaker),
            "3x3" => Some(Layout::Grid(3)),
            "4x4" => Some(Layout::Grid(4)),
            "5x5" => Some(Layout::Grid(5)),
            _ => None,
        }
    }

    pub fn name(self) -> String {
        match self {
            Layout::Speaker => "speaker".to_owned(),
            Layout::Grid(side) => format!("{side}x{side}"),
        }
    }

    /// Pictures that are shown at once.
    pub fn pictures(self) -> usize {
        match self {
            Layout::Speaker => 1 + STRIP_LEN,
            Layout::Grid(side) => (side * side) as usize,
        }
    }

    /// Width and height of the picture at a place; none: not shown.
    pub fn size(self, place: usize) -> Option<(u32, u32)> {
        match self {
            _ if place >= self.pictures() => None,
            Layout::Speaker if place == 0 => Some(WINDOW),
            Layout::Speaker => Some(STRIP),
            Layout::Grid(side) => Some((WINDOW.0 / side, WINDOW.1 / side)),
        }
    }

    /// The settings of the track that is at a place.
    pub fn settings(self, place: usize, track_sid: &str) -> pb::UpdateTrackSettings {
        let (width, height) = self.size(place).unwrap_or_default();
        let disabled = self.size(place).is_none();
        pb::UpdateTrackSettings { track_sids: vec![track_sid.to_owned()], disabled, width, height, ..Default::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["speaker", "3x3", "4x4", "5x5"] {
            assert_eq!(Layout::parse(name).unwrap().name(), name);
        }
        assert_eq!(Layout::parse("6x6"), None);
    }

    #[test]
    fn sizes() {
        let shown = |layout: Layout| (0..40).filter_map(|place| layout.size(place)).collect::<Vec<_>>();
        let speaker = shown(Layout::Speaker);
        assert_eq!((speaker.len(), speaker[0], speaker[5]), (6, (1280, 720), (320, 180)));
        assert_eq!(shown(Layout::Grid(3)), vec![(426, 240); 9]);
        assert_eq!(shown(Layout::Grid(4)), vec![(320, 180); 16]);
        assert_eq!(shown(Layout::Grid(5)), vec![(256, 144); 25]);
    }

    #[test]
    fn what_is_not_shown_is_disabled() {
        assert!(!Layout::Grid(3).settings(8, "TR_a").disabled);
        let settings = Layout::Grid(3).settings(9, "TR_a");
        assert!(settings.disabled && settings.track_sids == ["TR_a"]);
    }
}
