//! The dependency descriptor: which frames a frame needs, told outside of the (perhaps encrypted) payload
//! (AV1 RTP specification, appendix A).
//!
//! Owns: reading and writing one descriptor against the template structure in force.
//! Promises: bounded memory; only a packet that carries a new structure allocates (one box).
//! Lacks on purpose: keeping the structure over packets, and choosing decode targets; that is the selector's.

use arrayvec::ArrayVec;

use crate::RtpError;

mod bits;
mod structure;

use bits::{BitReader, BitWriter};
pub use structure::{Resolution, Structure, TargetLayer, Template};

/// Six bits of template id.
pub const TEMPLATES_MAX: usize = 64;
/// Five bits of count.
pub const DECODE_TARGETS_MAX: usize = 32;
/// As many as decode targets.
pub const CHAINS_MAX: usize = 32;
/// AV1 and VP9 have eight reference slots.
pub const FRAME_DIFFS_MAX: usize = 8;
/// Spatial and temporal layers each; the codecs have at most three bits for either.
pub const LAYERS_MAX: usize = 8;

const MANDATORY_LEN: usize = 3;
const TRUNCATED: RtpError = RtpError::Truncated("dependency descriptor");

/// The three bytes that every packet has, readable without a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mandatory {
    /// The payload begins a frame.
    pub start_of_frame: bool,
    /// The packet is the frame's last.
    pub end_of_frame: bool,
    /// 0 to 63.
    pub template_id: u8,
    pub frame_number: u16,
}

impl Mandatory {
    pub fn parse(data: &[u8]) -> Result<Mandatory, RtpError> {
        let [first, high, low] = *data.first_chunk::<MANDATORY_LEN>().ok_or(TRUNCATED)?;
        Ok(Mandatory {
            start_of_frame: first & 0x80 != 0,
            end_of_frame: first & 0x40 != 0,
            template_id: first & 0x3F,
            frame_number: u16::from_be_bytes([high, low]),
        })
    }
}

/// Everything that a packet's descriptor says of its frame, templates resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DependencyDescriptor {
    pub mandatory: Mandatory,
    pub spatial_id: u8,
    pub temporal_id: u8,
    /// By decode target.
    pub dtis: Dtis,
    /// Distances of the frames referred to, 1 to 4096.
    pub frame_diffs: ArrayVec<u16, FRAME_DIFFS_MAX>,
    /// By chain: distance of the chain's previous frame; 0 where none is needed.
    pub chain_diffs: ArrayVec<u8, CHAINS_MAX>,
    /// Largest size of frames of this spatial layer, where the structure has sizes.
    pub resolution: Option<Resolution>,
    /// Mask of the decode targets that can be decoded, where the packet changes it. A new structure starts with all of them.
    pub active_targets: Option<u32>,
    /// What the packet spells out rather than take from the template.
    pub custom: Custom,
    /// A new structure, in force from this packet on.
    pub structure: Option<Box<Structure>>,
}

/// Which fields are the frame's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Custom {
    pub dtis: bool,
    pub frame_diffs: bool,
    pub chain_diffs: bool,
}

impl DependencyDescriptor {
    /// Reads a descriptor; `known` is the structure in force before this packet.
    /// `UnknownStructure` where neither it nor the packet has the frame's template: the packet with the structure was lost.
    pub fn parse(data: &[u8], known: Option<&Structure>) -> Result<DependencyDescriptor, RtpError> {
        let mandatory = Mandatory::parse(data)?;
        let mut reader = BitReader::new(data.get(MANDATORY_LEN..).unwrap_or(&[]));
        let mut descriptor = DependencyDescriptor { mandatory, ..DependencyDescriptor::default() };
        let mut active_flag = false;
        if data.len() > MANDATORY_LEN {
            let structure_flag = reader.bit().ok_or(TRUNCATED)?;
            active_flag = reader.bit().ok_or(TRUNCATED)?;
            descriptor.custom = Custom {
                dtis: reader.bit().ok_or(TRUNCATED)?,
                frame_diffs: reader.bit().ok_or(TRUNCATED)?,
                chain_diffs: reader.bit().ok_or(TRUNCATED)?,
            };
            if structure_flag {
                descriptor.structure = Some(Box::new(Structure::read(&mut reader)?));
            }
        }
        let attached = descriptor.structure.take();
        let structure = attached.as_deref().or(known).ok_or(RtpError::UnknownStructure)?;
        if active_flag {
            descriptor.active_targets = Some(reader.bits(u32::from(structure.decode_targets)).ok_or(TRUNCATED)?);
        }
        descriptor.read_frame(&mut reader, structure)?;
        descriptor.structure = attached;
        Ok(descriptor)
    }

    /// Writes the descriptor as a frame of `structure`, which is the attached one where there is one. Fields that are not
    /// `custom` are left to the template. Returns the length; `None` when it does not fit `buf` or the structure.
    pub fn write(&self, structure: &Structure, buf: &mut [u8]) -> Option<usize> {
        let mut writer = BitWriter::new(buf);
        writer.bit(self.mandatory.start_of_frame)?;
        writer.bit(self.mandatory.end_of_frame)?;
        writer.bits(u32::from(self.mandatory.template_id), 6)?;
        writer.bits(u32::from(self.mandatory.frame_number), 16)?;
        structure.template(self.mandatory.template_id)?;
        if self.custom == Custom::default() && self.active_targets.is_none() && self.structure.is_none() {
            return Some(writer.len());
        }
        writer.bit(self.structure.is_some())?;
        writer.bit(self.active_targets.is_some())?;
        writer.bit(self.custom.dtis)?;
        writer.bit(self.custom.frame_diffs)?;
        writer.bit(self.custom.chain_diffs)?;
        if let Some(attached) = &self.structure {
            attached.write(&mut writer)?;
        }
        if let Some(mask) = self.active_targets {
            writer.bits(mask, u32::from(structure.decode_targets))?;
        }
        self.write_custom(&mut writer, structure)?;
        Some(writer.len())
    }

    /// The decode targets that can be decoded from this packet on, where it says so.
    pub fn targets_now(&self) -> Option<u32> {
        self.active_targets.or_else(|| self.structure.as_ref().map(|structure| structure.all_targets()))
    }

    fn read_frame(&mut self, reader: &mut BitReader<'_>, structure: &Structure) -> Result<(), RtpError> {
        let template = structure.template(self.mandatory.template_id).ok_or(RtpError::UnknownStructure)?;
        self.spatial_id = template.spatial_id;
        self.temporal_id = template.temporal_id;
        self.resolution = structure.resolutions.get(usize::from(template.spatial_id)).copied();
        self.dtis = template.dtis;
        if self.custom.dtis {
            self.dtis = Dtis::read(reader, structure.decode_targets).ok_or(TRUNCATED)?;
        }
        if self.custom.frame_diffs {
            loop {
                let size = reader.bits(2).ok_or(TRUNCATED)?;
                if size == 0 {
                    break;
                }
                let diff = reader.bits(4 * size).ok_or(TRUNCATED)? as u16 + 1;
                self.frame_diffs.try_push(diff).map_err(|_| RtpError::Limit("frame differences"))?;
            }
        } else {
            self.frame_diffs = template.frame_diffs.iter().map(|diff| u16::from(*diff)).collect();
        }
        if self.custom.chain_diffs {
            for _ in 0..structure.chains {
                let diff = reader.small(8).ok_or(TRUNCATED)?;
                self.chain_diffs.try_push(diff).map_err(|_| RtpError::Limit("chains"))?;
            }
        } else {
            self.chain_diffs = template.chain_diffs.clone();
        }
        Ok(())
    }

    fn write_custom(&self, writer: &mut BitWriter<'_>, structure: &Structure) -> Option<()> {
        if self.custom.dtis {
            self.dtis.write(writer, structure.decode_targets)?;
        }
        if self.custom.frame_diffs {
            for diff in &self.frame_diffs {
                let less_one = u32::from(diff.checked_sub(1)?);
                let size = match less_one {
                    0..=0xF => 1,
                    0x10..=0xFF => 2,
                    _ => 3,
                };
                writer.bits(size, 2)?;
                writer.bits(less_one, 4 * size)?;
            }
            writer.bits(0, 2)?;
        }
        if self.custom.chain_diffs {
            if self.chain_diffs.len() != usize::from(structure.chains) {
                return None;
            }
            self.chain_diffs.iter().try_for_each(|diff| writer.bits(u32::from(*diff), 8))?;
        }
        Some(())
    }
}

/// What a frame is to a decode target (table A.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Dti {
    /// No part of it.
    #[default]
    NotPresent,
    /// Nothing of the target refers to it.
    Discardable,
    /// A receiver may switch to the target here.
    Switch,
    Required,
}

impl Dti {
    pub fn is_present(self) -> bool {
        self != Dti::NotPresent
    }

    fn from_bits(bits: u64) -> Dti {
        match bits & 3 {
            0 => Dti::NotPresent,
            1 => Dti::Discardable,
            2 => Dti::Switch,
            _ => Dti::Required,
        }
    }
}

/// Decode target indications of a frame, two bits for each target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dtis {
    bits: u64,
    len: u8,
}

impl Dtis {
    /// `None` for more than 32.
    pub fn new(list: &[Dti]) -> Option<Dtis> {
        if list.len() > DECODE_TARGETS_MAX {
            return None;
        }
        let bits = list.iter().rev().fold(0, |bits, dti| bits << 2 | *dti as u64);
        Some(Dtis { bits, len: list.len() as u8 })
    }

    pub fn get(self, target: u8) -> Option<Dti> {
        (target < self.len).then(|| Dti::from_bits(self.bits >> (2 * u32::from(target))))
    }

    pub fn iter(self) -> impl Iterator<Item = Dti> {
        (0..self.len).map(move |target| Dti::from_bits(self.bits >> (2 * u32::from(target))))
    }

    pub fn len(self) -> usize {
        usize::from(self.len)
    }

    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    fn read(reader: &mut BitReader<'_>, targets: u8) -> Option<Dtis> {
        let mut bits = 0;
        for target in 0..u32::from(targets.min(DECODE_TARGETS_MAX as u8)) {
            bits |= u64::from(reader.bits(2)?) << (2 * target);
        }
        Some(Dtis { bits, len: targets })
    }

    fn write(self, writer: &mut BitWriter<'_>, targets: u8) -> Option<()> {
        if self.len != targets {
            return None;
        }
        self.iter().try_for_each(|dti| writer.bits(dti as u32, 2))
    }
}

#[cfg(test)]
mod tests;
