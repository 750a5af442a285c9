//! The template structure: what the frames of a coded video sequence look like (AV1 RTP specification §A.8.2).

use arrayvec::ArrayVec;

use super::bits::{BitReader, BitWriter};
use super::{CHAINS_MAX, DECODE_TARGETS_MAX, Dtis, FRAME_DIFFS_MAX, LAYERS_MAX, TEMPLATES_MAX};
use crate::RtpError;

const TRUNCATED: RtpError = RtpError::Truncated("template structure");

/// What kinds of frames there are and which of them a decode target needs. Kept until the next one arrives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Structure {
    /// Template id of the first template; the following count up modulo 64.
    pub template_id_offset: u8,
    /// 1 to 32.
    pub decode_targets: u8,
    pub templates: ArrayVec<Template, TEMPLATES_MAX>,
    /// By decode target; empty where there are no chains.
    pub protected_by: ArrayVec<u8, DECODE_TARGETS_MAX>,
    /// At most as many as decode targets.
    pub chains: u8,
    /// By spatial id; empty where not sent.
    pub resolutions: ArrayVec<Resolution, LAYERS_MAX>,
}

/// One kind of frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    pub spatial_id: u8,
    pub temporal_id: u8,
    /// By decode target.
    pub dtis: Dtis,
    /// Distances of the frames referred to, 1 to 16.
    pub frame_diffs: ArrayVec<u8, FRAME_DIFFS_MAX>,
    /// By chain: distance of the chain's previous frame, 0 to 15; 0 where none is needed.
    pub chain_diffs: ArrayVec<u8, CHAINS_MAX>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolution {
    /// 1 to 65536.
    pub width: u32,
    pub height: u32,
}

/// The layer up to which a decode target reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TargetLayer {
    pub spatial_id: u8,
    pub temporal_id: u8,
}

impl Structure {
    /// The template that a frame's template id names.
    pub fn template(&self, template_id: u8) -> Option<&Template> {
        self.templates.get(usize::from(template_id.wrapping_sub(self.template_id_offset) & 0x3F))
    }

    /// All decode targets as a mask.
    pub fn all_targets(&self) -> u32 {
        u32::MAX.checked_shr(32 - u32::from(self.decode_targets.min(32))).unwrap_or(0)
    }

    /// The highest layer whose frames a decode target needs.
    pub fn target_layer(&self, target: u8) -> TargetLayer {
        let needed = self.templates.iter().filter(|template| template.dtis.get(target).is_some_and(|dti| dti.is_present()));
        needed.fold(TargetLayer::default(), |layer, template| TargetLayer {
            spatial_id: layer.spatial_id.max(template.spatial_id),
            temporal_id: layer.temporal_id.max(template.temporal_id),
        })
    }

    /// The highest spatial id; templates are sorted by it.
    pub fn spatial_id_max(&self) -> u8 {
        self.templates.last().map_or(0, |template| template.spatial_id)
    }

    pub(super) fn read(reader: &mut BitReader<'_>) -> Result<Structure, RtpError> {
        let mut structure = Structure {
            template_id_offset: reader.small(6).ok_or(TRUNCATED)?,
            decode_targets: reader.small(5).ok_or(TRUNCATED)? + 1,
            ..Structure::default()
        };
        structure.read_layers(reader)?;
        for template in &mut structure.templates {
            template.dtis = Dtis::read(reader, structure.decode_targets).ok_or(TRUNCATED)?;
        }
        for template in &mut structure.templates {
            while reader.bit().ok_or(TRUNCATED)? {
                let diff = reader.small(4).ok_or(TRUNCATED)? + 1;
                template.frame_diffs.try_push(diff).map_err(|_| RtpError::Limit("frame differences"))?;
            }
        }
        structure.read_chains(reader).ok_or(TRUNCATED)?;
        if reader.bit().ok_or(TRUNCATED)? {
            structure.read_resolutions(reader).ok_or(TRUNCATED)?;
        }
        Ok(structure)
    }

    fn read_layers(&mut self, reader: &mut BitReader<'_>) -> Result<(), RtpError> {
        let (mut spatial_id, mut temporal_id) = (0, 0);
        loop {
            let template = Template { spatial_id, temporal_id, ..Template::default() };
            self.templates.try_push(template).map_err(|_| RtpError::Limit("templates"))?;
            match reader.bits(2).ok_or(TRUNCATED)? {
                0 => {}
                1 => temporal_id += 1,
                2 => (spatial_id, temporal_id) = (spatial_id + 1, 0),
                _ => return Ok(()),
            }
            if usize::from(spatial_id.max(temporal_id)) >= LAYERS_MAX {
                return Err(RtpError::Limit("layers"));
            }
        }
    }

    fn read_chains(&mut self, reader: &mut BitReader<'_>) -> Option<()> {
        // The coding bounds both by the number of decode targets.
        let chains = reader.non_symmetric(u32::from(self.decode_targets) + 1)?;
        self.chains = chains as u8;
        if chains == 0 {
            return Some(());
        }
        for _ in 0..self.decode_targets {
            self.protected_by.try_push(reader.non_symmetric(chains)? as u8).ok()?;
        }
        for template in &mut self.templates {
            for _ in 0..chains {
                template.chain_diffs.try_push(reader.small(4)?).ok()?;
            }
        }
        Some(())
    }

    fn read_resolutions(&mut self, reader: &mut BitReader<'_>) -> Option<()> {
        for _ in 0..=self.spatial_id_max() {
            let resolution = Resolution { width: reader.bits(16)? + 1, height: reader.bits(16)? + 1 };
            self.resolutions.try_push(resolution).ok()?;
        }
        Some(())
    }

    pub(super) fn write(&self, writer: &mut BitWriter<'_>) -> Option<()> {
        writer.bits(u32::from(self.template_id_offset), 6)?;
        writer.bits(u32::from(self.decode_targets.checked_sub(1)?), 5)?;
        self.write_layers(writer)?;
        for template in &self.templates {
            template.dtis.write(writer, self.decode_targets)?;
        }
        for template in &self.templates {
            for diff in &template.frame_diffs {
                writer.bit(true)?;
                writer.bits(u32::from(diff.checked_sub(1)?), 4)?;
            }
            writer.bit(false)?;
        }
        self.write_chains(writer)?;
        writer.bit(!self.resolutions.is_empty())?;
        if !self.resolutions.is_empty() && self.resolutions.len() != usize::from(self.spatial_id_max()) + 1 {
            return None;
        }
        for resolution in &self.resolutions {
            writer.bits(resolution.width.checked_sub(1)?, 16)?;
            writer.bits(resolution.height.checked_sub(1)?, 16)?;
        }
        Some(())
    }

    fn write_layers(&self, writer: &mut BitWriter<'_>) -> Option<()> {
        let layer = |template: &Template| (template.spatial_id, template.temporal_id);
        if self.templates.first().map(layer) != Some((0, 0)) {
            return None;
        }
        for (template, next) in self.templates.iter().zip(self.templates.iter().skip(1)) {
            let (spatial_id, temporal_id) = layer(template);
            let step = match layer(next) {
                same if same == (spatial_id, temporal_id) => 0,
                up if up == (spatial_id, temporal_id + 1) => 1,
                up if up == (spatial_id + 1, 0) => 2,
                _ => return None,
            };
            writer.bits(step, 2)?;
        }
        writer.bits(3, 2)
    }

    fn write_chains(&self, writer: &mut BitWriter<'_>) -> Option<()> {
        writer.non_symmetric(u32::from(self.chains), u32::from(self.decode_targets) + 1)?;
        if self.chains == 0 {
            return Some(());
        }
        if self.protected_by.len() != usize::from(self.decode_targets) {
            return None;
        }
        for chain in &self.protected_by {
            writer.non_symmetric(u32::from(*chain), u32::from(self.chains))?;
        }
        for template in &self.templates {
            if template.chain_diffs.len() != usize::from(self.chains) {
                return None;
            }
            for diff in &template.chain_diffs {
                writer.bits(u32::from(*diff), 4)?;
            }
        }
        Some(())
    }
}
