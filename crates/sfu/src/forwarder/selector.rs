//! Which layer goes to the subscriber: the wanted one, from one of its own key frames on, and never two mixed.

use sluicegate_rtp::codec::MediaKind;

use crate::receiver::Layer;

/// What the selector says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selected {
    /// Of the current layer.
    Forward,
    /// The first of another layer, or after a pause.
    Switch,
    Drop,
}

#[derive(Debug)]
pub struct Selector {
    kind: MediaKind,
    current: Option<Layer>,
    target: Layer,
}

impl Selector {
    pub fn new(kind: MediaKind) -> Self {
        Self { kind, current: None, target: Layer(0) }
    }

    /// The layer that should be forwarded.
    pub fn set_target(&mut self, target: Layer) {
        self.target = target;
    }

    /// Nothing was sent for a while: begin again, video with a key frame.
    pub fn pause(&mut self) {
        self.current = None;
    }

    /// A layer begins anew: one that is forwarded must do so with a key frame.
    pub fn interrupt(&mut self, layer: Layer) {
        if self.current == Some(layer) {
            self.current = None;
        }
    }

    pub fn select(&mut self, layer: Layer, key_frame: bool, empty: bool) -> Selected {
        if self.current == Some(layer) {
            return Selected::Forward;
        }
        let may_begin = !empty && (self.kind == MediaKind::Audio || key_frame);
        if layer == self.target && may_begin {
            self.current = Some(layer);
            return Selected::Switch;
        }
        Selected::Drop
    }

    /// The layer that is forwarded.
    pub fn current(&self) -> Option<Layer> {
        self.current
    }

    /// The layer whose key frame is awaited.
    pub fn awaited(&self) -> Option<Layer> {
        (self.kind == MediaKind::Video && self.current != Some(self.target)).then_some(self.target)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn layers_change_on_their_own_key_frames_only(steps in prop::collection::vec((0u8..3, any::<bool>(), 0u8..3, 0u8..20), 0..200)) {
            let mut selector = Selector::new(MediaKind::Video);
            let mut forwarded: Option<Layer> = None;
            for (layer, key, target, pause) in steps {
                if pause == 0 {
                    selector.pause();
                    forwarded = None;
                }
                selector.set_target(Layer(target));
                match selector.select(Layer(layer), key, false) {
                    Selected::Forward => prop_assert_eq!(forwarded, Some(Layer(layer))),
                    Selected::Switch => {
                        prop_assert!(key && layer == target);
                        forwarded = Some(Layer(layer));
                        prop_assert_eq!(selector.awaited(), None);
                    }
                    Selected::Drop => prop_assert_ne!(forwarded, Some(Layer(layer))),
                }
            }
        }
    }

    #[test]
    fn sound_begins_at_once() {
        let mut selector = Selector::new(MediaKind::Audio);
        assert_eq!(selector.select(Layer(0), false, true), Selected::Drop, "but not with padding");
        assert_eq!(selector.select(Layer(0), false, false), Selected::Switch);
        assert_eq!(selector.awaited(), None);
    }
}
