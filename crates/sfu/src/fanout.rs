//! Who gets a track: a table and a loop. Those who want nothing at the moment are not in it and cost nothing.

/// The active sinks of one track, by the caller's indices.
#[derive(Debug, Default)]
pub struct Fanout {
    active: Vec<u32>,
}

impl Fanout {
    pub fn add(&mut self, sink: u32) {
        if !self.active.contains(&sink) {
            self.active.push(sink);
        }
    }

    /// Order does not matter: the last one takes the place.
    pub fn remove(&mut self, sink: u32) {
        if let Some(at) = self.active.iter().position(|known| *known == sink) {
            self.active.swap_remove(at);
        }
    }

    pub fn active(&self) -> &[u32] {
        &self.active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_once_and_removed() {
        let mut fanout = Fanout::default();
        for sink in [1, 2, 3, 2] {
            fanout.add(sink);
        }
        fanout.remove(1);
        fanout.remove(9);
        let mut active = fanout.active().to_vec();
        active.sort_unstable();
        assert_eq!(active, [2, 3]);
    }
}
