use proptest::prelude::*;

use super::*;

/// Captured from a browser that sends three spatial and three temporal layers.
const L3T3: &str = "c1017280081485214eafffaaaa863cf0430c10c302afc0aaa0063c00430010c002a000a80006000040001d954926e082b04a0941b820ac1282503157f974000ca864330e222222eca8655304224230eca877530077004200ef008601df010d";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn symbols(dtis: Dtis) -> String {
    dtis.iter().map(|dti| ['-', 'D', 'S', 'R'][dti as usize]).collect()
}

#[test]
fn a_browsers_structure() {
    let descriptor = DependencyDescriptor::parse(&hex(L3T3), None).unwrap();
    assert_eq!(descriptor.mandatory, Mandatory { start_of_frame: true, end_of_frame: true, template_id: 1, frame_number: 0x0172 });
    assert_eq!((descriptor.spatial_id, descriptor.temporal_id), (0, 0));
    let structure = descriptor.structure.as_deref().unwrap();
    assert_eq!((structure.decode_targets, structure.chains, structure.template_id_offset), (9, 3, 0));
    assert_eq!(structure.protected_by[..], [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    assert_eq!(symbols(descriptor.dtis), "SSSSSSSSS", "a key frame");
    assert_eq!(descriptor.frame_diffs.len(), 0);
    assert_eq!(descriptor.chain_diffs[..], [0, 0, 0]);
    let sizes: Vec<_> = structure.resolutions.iter().map(|size| (size.width, size.height)).collect();
    assert_eq!(sizes, [(120, 67), (240, 135), (480, 270)]);
    assert_eq!(descriptor.resolution, Some(Resolution { width: 120, height: 67 }));
    assert_eq!(descriptor.targets_now(), Some(0x1FF));
    let layers: Vec<_> = (0..9).map(|t| structure.target_layer(t)).map(|l| (l.spatial_id, l.temporal_id)).collect();
    assert_eq!(layers, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]);
}

#[test]
fn frames_of_a_known_structure() {
    let key = DependencyDescriptor::parse(&hex(L3T3), None).unwrap();
    let known = key.structure.as_deref();
    let follow = DependencyDescriptor::parse(&hex("860173"), known).unwrap();
    assert_eq!((follow.mandatory.frame_number, follow.mandatory.template_id), (0x0173, 6));
    assert_eq!((follow.spatial_id, follow.temporal_id), (1, 0));
    assert_eq!(follow.frame_diffs[..], [1], "the layer above the key frame");
    assert!(follow.structure.is_none() && follow.targets_now().is_none());
    // As before with a mask of the active targets: flags 01000, then nine bits; the third spatial layer is off.
    let masked = DependencyDescriptor::parse(&hex("86017340fc"), known).unwrap();
    assert_eq!(masked.active_targets, Some(0b0_0011_1111));
    assert_eq!(DependencyDescriptor::parse(&hex("860173"), None), Err(RtpError::UnknownStructure));
    assert_eq!(DependencyDescriptor::parse(&hex("bf0173"), known), Err(RtpError::UnknownStructure));
}

#[test]
fn cut_short_anywhere() {
    let bytes = hex(L3T3);
    for len in 0..bytes.len() - 1 {
        assert!(DependencyDescriptor::parse(&bytes[..len], None).is_err(), "{len}");
    }
}

#[test]
fn written_as_the_browser_wrote_it() {
    let bytes = hex(L3T3);
    let descriptor = DependencyDescriptor::parse(&bytes, None).unwrap();
    let mut buf = [0xFF; 200];
    let len = descriptor.write(descriptor.structure.as_deref().unwrap(), &mut buf).unwrap();
    assert_eq!(buf[..len], bytes[..]);
}

/// Three temporal layers (AV1 RTP specification §A.10.2.1).
fn l1t3() -> Structure {
    let template = |temporal_id, dtis: [Dti; 3], frame_diffs: &[u8], chain_diff: u8| Template {
        spatial_id: 0,
        temporal_id,
        dtis: Dtis::new(&dtis).unwrap(),
        frame_diffs: frame_diffs.iter().copied().collect(),
        chain_diffs: [chain_diff].into_iter().collect(),
    };
    use Dti::{Discardable as D, NotPresent as N, Switch as S};
    Structure {
        template_id_offset: 60,
        decode_targets: 3,
        templates: [
            template(0, [S, S, S], &[], 0),
            template(0, [S, S, S], &[4], 4),
            template(1, [S, D, N], &[2], 2),
            template(2, [D, N, N], &[1], 1),
            template(2, [D, N, N], &[1], 3),
        ]
        .into_iter()
        .collect(),
        protected_by: [0, 0, 0].into_iter().collect(),
        chains: 1,
        resolutions: ArrayVec::new(),
    }
}

#[test]
fn template_ids_wrap() {
    let structure = l1t3();
    assert_eq!(structure.template(63).unwrap().temporal_id, 2);
    assert_eq!(structure.template(0).unwrap().chain_diffs[..], [3], "the fifth, after 63");
    assert_eq!(structure.template(1), None);
    assert_eq!(structure.all_targets(), 7);
    assert_eq!(structure.target_layer(1), TargetLayer { spatial_id: 0, temporal_id: 1 });
}

#[test]
fn limits() {
    // Offset 0, one target, then layer steps "temporal id + 1" without end.
    let mut bytes = vec![0x80, 0, 0, 0x80, 0x00];
    bytes.extend([0x55; 40]);
    assert_eq!(DependencyDescriptor::parse(&bytes, None), Err(RtpError::Limit("layers")));
    bytes.truncate(5);
    bytes.extend([0x00; 40]);
    assert_eq!(DependencyDescriptor::parse(&bytes, None), Err(RtpError::Limit("templates")));
}

prop_compose! {
    fn templates(targets: usize, chains: usize)
        (steps in prop::collection::vec((0u8..3, prop::collection::vec(0u8..4, targets), prop::collection::vec(1u8..=16, 0..=FRAME_DIFFS_MAX), prop::collection::vec(0u8..16, chains)), 1..20))
        -> Vec<Template>
    {
        let (mut spatial_id, mut temporal_id) = (0u8, 0u8);
        steps.into_iter().enumerate().map(|(index, (step, dtis, frame_diffs, chain_diffs))| {
            match step {
                1 if index > 0 && temporal_id < 7 => temporal_id += 1,
                2 if index > 0 && spatial_id < 7 => (spatial_id, temporal_id) = (spatial_id + 1, 0),
                _ => {}
            }
            let dtis: Vec<_> = dtis.into_iter().map(|bits| Dti::from_bits(bits.into())).collect();
            Template { spatial_id, temporal_id, dtis: Dtis::new(&dtis).unwrap(), frame_diffs: frame_diffs.into_iter().collect(), chain_diffs: chain_diffs.into_iter().collect() }
        }).collect()
    }
}

fn structures() -> impl Strategy<Value = Structure> {
    (1usize..=32).prop_flat_map(|targets| (Just(targets), 0..=targets)).prop_flat_map(|(targets, chains)| {
        let protected = prop::collection::vec(0..chains.max(1) as u8, if chains == 0 { 0 } else { targets });
        let sizes = prop::collection::vec((1u32..=65536, 1u32..=65536), LAYERS_MAX);
        (0u8..64, templates(targets, chains), protected, sizes, any::<bool>()).prop_map(
            move |(offset, templates, protected, sizes, sized)| {
                let mut structure = Structure {
                    template_id_offset: offset,
                    decode_targets: targets as u8,
                    templates: templates.into_iter().collect(),
                    protected_by: protected.into_iter().collect(),
                    chains: chains as u8,
                    resolutions: ArrayVec::new(),
                };
                if sized {
                    let count = usize::from(structure.spatial_id_max()) + 1;
                    structure.resolutions =
                        sizes.into_iter().take(count).map(|(width, height)| Resolution { width, height }).collect();
                }
                structure
            },
        )
    })
}

proptest! {
    #[test]
    fn round_trip(structure in structures(), pick: prop::sample::Index, attach: bool, mask: Option<u32>, custom: [bool; 3], diffs in prop::collection::vec(1u16..=4096, 0..=FRAME_DIFFS_MAX), chain: u8, frame_number: u16) {
        let index = pick.index(structure.templates.len());
        let template = &structure.templates[index];
        let descriptor = DependencyDescriptor {
            mandatory: Mandatory { start_of_frame: true, end_of_frame: false, template_id: (structure.template_id_offset + index as u8) % 64, frame_number },
            spatial_id: template.spatial_id,
            temporal_id: template.temporal_id,
            dtis: if custom[0] { Dtis::new(&vec![Dti::Required; structure.decode_targets.into()]).unwrap() } else { template.dtis },
            frame_diffs: if custom[1] { diffs.into_iter().collect() } else { template.frame_diffs.iter().map(|d| (*d).into()).collect() },
            chain_diffs: if custom[2] { vec![chain; structure.chains.into()].into_iter().collect() } else { template.chain_diffs.clone() },
            resolution: structure.resolutions.get(usize::from(template.spatial_id)).copied(),
            active_targets: mask.map(|mask| mask & structure.all_targets()),
            custom: Custom { dtis: custom[0], frame_diffs: custom[1], chain_diffs: custom[2] },
            structure: attach.then(|| Box::new(structure.clone())),
        };
        let mut buf = [0xFF; 2000];
        let len = descriptor.write(&structure, &mut buf).unwrap();
        let known = (!attach).then_some(&structure);
        prop_assert_eq!(DependencyDescriptor::parse(&buf[..len], known), Ok(descriptor));
    }

    #[test]
    fn total(data in prop::collection::vec(any::<u8>(), 0..300), force: bool) {
        let mut data = data;
        if let (true, Some(byte)) = (force, data.get_mut(3)) {
            *byte |= 0x80;
        }
        let known = l1t3();
        for structure in [None, Some(&known)] {
            if let Ok(descriptor) = DependencyDescriptor::parse(&data, structure) {
                let _ = descriptor.targets_now();
                if let Some(structure) = &descriptor.structure {
                    (0..=255).for_each(|target| { structure.target_layer(target); });
                }
            }
        }
    }
}
