//! Bits from high to low, as the descriptor's syntax counts them (AV1 RTP specification §A.8.2).

#[derive(Debug, Clone, Copy)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn bit(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// f(n), at most 32 bits.
    pub(super) fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.bit()?);
        }
        Some(value)
    }

    /// f(n) of at most eight bits.
    pub(super) fn small(&mut self, count: u32) -> Option<u8> {
        self.bits(count.min(8)).map(|value| value as u8)
    }

    /// ns(n): a number below `limit`, which is at least 1.
    pub(super) fn non_symmetric(&mut self, limit: u32) -> Option<u32> {
        let width = u32::BITS - limit.leading_zeros();
        let short = (1 << width) - limit;
        let value = self.bits(width.saturating_sub(1))?;
        if value < short {
            return Some(value);
        }
        Some((value << 1) - short + self.bits(1)?)
    }
}

#[derive(Debug)]
pub(super) struct BitWriter<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Whole bytes written; the rest of the last one is zero.
    pub(super) fn len(&self) -> usize {
        self.at.div_ceil(8)
    }

    pub(super) fn bit(&mut self, bit: bool) -> Option<()> {
        let byte = self.bytes.get_mut(self.at / 8)?;
        if self.at.is_multiple_of(8) {
            *byte = 0;
        }
        *byte |= u8::from(bit) << (7 - self.at % 8);
        self.at += 1;
        Some(())
    }

    /// The low `count` bits, at most 32. `None` for a value that they cannot hold.
    pub(super) fn bits(&mut self, value: u32, count: u32) -> Option<()> {
        if u64::from(value) >> count != 0 {
            return None;
        }
        (0..count).rev().try_for_each(|index| self.bit(value >> index & 1 == 1))
    }

    pub(super) fn non_symmetric(&mut self, value: u32, limit: u32) -> Option<()> {
        if value >= limit {
            return None;
        }
        let width = u32::BITS - limit.leading_zeros();
        let short = (1 << width) - limit;
        if value < short { self.bits(value, width - 1) } else { self.bits(value + short, width) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_symmetric_of_five() {
        // The table of §A.8.2: 00, 01, 10, 110, 111.
        let bytes = [0b0001_1011, 0b0111_0000];
        let mut reader = BitReader::new(&bytes);
        let values: Vec<_> = (0..5).map(|_| reader.non_symmetric(5).unwrap()).collect();
        assert_eq!(values, [0, 1, 2, 3, 4]);
        let mut buf = [0xFF; 2];
        let mut writer = BitWriter::new(&mut buf);
        values.iter().for_each(|value| writer.non_symmetric(*value, 5).unwrap());
        assert_eq!((writer.len(), buf), (2, bytes));
    }

    #[test]
    fn edges() {
        assert_eq!(BitReader::new(&[]).non_symmetric(1), Some(0), "one value needs no bit");
        assert_eq!(BitReader::new(&[0xFF; 4]).bits(32), Some(u32::MAX));
        assert_eq!(BitReader::new(&[0xFF; 3]).bits(32), None);
        let mut buf = [0; 1];
        assert_eq!(BitWriter::new(&mut buf).bits(4, 2), None);
        assert_eq!(BitWriter::new(&mut buf).bits(0, 9), None);
    }
}
