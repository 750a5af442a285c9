//! Sequence numbers for one subscriber: the source's, moved so that nothing we leave out leaves a hole.
//!
//! A hole that the source has stays a hole, so that the repair that comes later fits into it.

/// Changes of the offset that are remembered for late packets.
const CHANGES_MAX: usize = 96;

/// From this source number on, this offset (output − source).
#[derive(Clone, Copy, Debug)]
struct Change {
    from: u64,
    offset: i64,
}

/// What to do with a source packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbered {
    /// The newest so far.
    Next(u64),
    /// A repair, or one that was overtaken.
    Late(u64),
    /// Left out; nobody will miss it.
    Dropped,
}

/// Maps one source's extended numbers to the subscriber's.
#[derive(Debug)]
pub struct Munger {
    newest_source: u64,
    newest_output: u64,
    changes: Vec<Change>,
    started: bool,
}

impl Munger {
    /// The first packet will get `first`: below 2^15, so that the roll-over counter is 0 for everybody (RFC 3711 §3.3.1).
    pub fn new(first: u16) -> Self {
        Self { newest_source: 0, newest_output: u64::from(first & 0x7FFF).saturating_sub(1), changes: Vec::new(), started: false }
    }

    pub fn newest_output(&self) -> Option<u64> {
        self.started.then_some(self.newest_output)
    }

    /// Another source, or the same after a pause: its number `source` follows what was sent last.
    pub fn switch(&mut self, source: u64) {
        self.changes.clear();
        self.changes.push(Change { from: source, offset: self.newest_output as i64 + 1 - source as i64 });
        self.newest_source = source.saturating_sub(1);
        self.started = true;
    }

    /// Numbers a packet. An `empty` one (padding) is left out where its place can be closed; where later numbers are already
    /// given, it is forwarded to fill its place.
    pub fn number(&mut self, source: u64, empty: bool) -> Numbered {
        let Some(last) = self.changes.last().copied() else { return Numbered::Dropped };
        if source > self.newest_source {
            self.newest_source = source;
            if empty {
                self.close(source, last);
                return Numbered::Dropped;
            }
            self.newest_output = source.wrapping_add_signed(last.offset);
            return Numbered::Next(self.newest_output);
        }
        // before the first change: of another source, or too old
        let at = self.changes.partition_point(|change| change.from <= source);
        match at.checked_sub(1).and_then(|at| self.changes.get(at)) {
            Some(change) if !self.was_closed(source) => {
                let output = source.wrapping_add_signed(change.offset);
                // only padding came after it
                if output > self.newest_output {
                    self.newest_output = output;
                    return Numbered::Next(output);
                }
                Numbered::Late(output)
            }
            _ => Numbered::Dropped,
        }
    }

    fn close(&mut self, source: u64, last: Change) {
        let change = Change { from: source + 1, offset: last.offset - 1 };
        // directly after another one that was left out: the change that no packet has used yet moves on
        let merge = self.changes.len() > 1 && last.from == source;
        if merge {
            self.changes.pop();
        } else if self.changes.len() == CHANGES_MAX {
            self.changes.remove(0);
        }
        self.changes.push(change);
    }

    /// A number that was left out: the changes on its two sides leave no place for it.
    fn was_closed(&self, source: u64) -> bool {
        let at = self.changes.partition_point(|change| change.from <= source);
        let (Some(before), Some(after)) = (at.checked_sub(1).and_then(|at| self.changes.get(at)), self.changes.get(at)) else {
            return false;
        };
        let closed = (before.offset - after.offset).unsigned_abs();
        // the numbers right before a change are those that were left out
        after.from - source <= closed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn padding_leaves_no_hole_and_a_late_repair_finds_its_place() {
        let mut munger = Munger::new(1000);
        munger.switch(70_000);
        let mut number = |source, empty| munger.number(source, empty);
        assert_eq!(number(70_000, false), Numbered::Next(1000));
        assert_eq!(number(70_002, false), Numbered::Next(1002));
        assert_eq!(number(70_003, true), Numbered::Dropped);
        assert_eq!(number(70_004, true), Numbered::Dropped);
        assert_eq!(number(70_005, false), Numbered::Next(1003));
        assert_eq!(number(70_001, false), Numbered::Late(1001));
        assert_eq!(number(70_003, false), Numbered::Dropped);
        assert_eq!(number(70_004, false), Numbered::Dropped);
        assert_eq!(number(69_999, false), Numbered::Dropped);
        munger.switch(90_000);
        assert_eq!(munger.number(90_000, false), Numbered::Next(1004));
        assert_eq!(munger.number(70_005, false), Numbered::Dropped);
    }

    proptest! {
        /// Each source packet arrives once, in an order that is disturbed a little; some never arrive, some are padding.
        #[test]
        fn outputs_are_unique_and_every_hole_is_the_sources(
            fates in prop::collection::vec((0u8..10, 0usize..6), 1..300),
            first: u16,
        ) {
            let mut order: Vec<(usize, usize)> = fates.iter().enumerate().map(|(i, (_, late))| (i + late, i)).collect();
            order.sort_by_key(|(at, _)| *at);
            let mut munger = Munger::new(first);
            let base = 70_000u64;
            let begin = order[0].1;
            munger.switch(base + begin as u64);
            let mut outputs = BTreeMap::new();
            let mut newest = None;
            for (_, index) in order {
                let lost = fates[index].0 == 0;
                let empty = fates[index].0 >= 8;
                if lost || index < begin {
                    continue;
                }
                match munger.number(base + index as u64, empty) {
                    Numbered::Next(output) => {
                        prop_assert!(newest.is_none_or(|newest| output > newest));
                        newest = Some(output);
                        prop_assert!(outputs.insert(output, index).is_none());
                    }
                    Numbered::Late(output) => {
                        prop_assert!(newest.is_none_or(|newest| output < newest));
                        prop_assert!(outputs.insert(output, index).is_none(), "{output} given twice");
                    }
                    Numbered::Dropped => prop_assert!(empty, "only padding may be left out: {index}"),
                }
            }
            // holes: only where the source lost something between its neighbours
            let list: Vec<(u64, usize)> = outputs.into_iter().collect();
            for pair in list.windows(2) {
                let [(a, i), (b, j)] = pair else { continue };
                prop_assert!(i < j, "order is the source's");
                let lost = (i + 1..*j).filter(|k| fates[*k].0 == 0).count() as u64;
                prop_assert!(b - a - 1 <= lost, "a hole of {} with {lost} lost", b - a - 1);
            }
        }
    }
}
