//! The dependency descriptor, written bit by bit and read again.

use ting_core::api::Codec;
use ting_core::codecs::{CodecState, FrameInfo, describe};
use ting_core::dependency_descriptor::parse_dependency_descriptor;

use crate::common::Random;

const PAYLOAD: [u8; 6] = *b"\x10\x30data";
const SWITCH: u8 = 2;

/// Bits to the front of bytes.
#[derive(Default)]
struct Writer(Vec<bool>);

impl Writer {
    fn unsigned(&mut self, value: u32, width: u32) -> &mut Self {
        self.0.extend((0..width).rev().map(|bit| value >> bit & 1 != 0));
        self
    }

    fn non_symmetric(&mut self, value: u32, choices: u32) -> &mut Self {
        let width = u32::BITS - choices.leading_zeros();
        let short = (1 << width) - choices;
        if value < short { self.unsigned(value, width - 1) } else { self.unsigned(value + short, width) }
    }

    fn bytes(&self) -> Vec<u8> {
        self.0
            .chunks(8)
            .map(|bits| bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | u8::from(*bit) << (7 - at)))
            .collect()
    }
}

#[derive(Clone)]
struct Template {
    layer: (u8, u8),
    dtis: Vec<u8>,
    diffs: Vec<u32>,
}

struct Structure {
    id_offset: u32,
    targets: u32,
    chains: u32,
    with_resolutions: bool,
    templates: Vec<Template>,
}

#[derive(Clone, Default)]
struct Frame {
    template: usize,
    number: u16,
    middle: bool,
    attach: bool,
    active_targets: Option<u32>,
    dtis: Option<Vec<u8>>,
    diffs: Option<Vec<u32>>,
    chains: bool,
}

impl Structure {
    fn write(&self, bits: &mut Writer) {
        bits.unsigned(self.id_offset, 6).unsigned(self.targets - 1, 5);
        for (at, template) in self.templates.iter().enumerate() {
            let step = match self.templates.get(at + 1) {
                None => 3,
                Some(next) if next.layer.0 > template.layer.0 => 2,
                Some(next) => u32::from(next.layer.1 - template.layer.1),
            };
            bits.unsigned(step, 2);
        }
        for dti in self.templates.iter().flat_map(|template| &template.dtis) {
            bits.unsigned(u32::from(*dti), 2);
        }
        for template in &self.templates {
            for diff in &template.diffs {
                bits.unsigned(1, 1).unsigned(diff - 1, 4);
            }
            bits.unsigned(0, 1);
        }
        bits.non_symmetric(self.chains, self.targets + 1);
        if self.chains > 0 {
            for target in 0..self.targets {
                bits.non_symmetric(target % self.chains, self.chains);
            }
            for _ in 0..self.chains * self.templates.len() as u32 {
                bits.unsigned(5, 4);
            }
        }
        bits.unsigned(self.with_resolutions.into(), 1);
        if self.with_resolutions {
            for _ in 0..=self.templates[self.templates.len() - 1].layer.0 {
                bits.unsigned(639, 16).unsigned(359, 16);
            }
        }
    }

    fn descriptor(&self, frame: &Frame) -> Vec<u8> {
        let mut bits = Writer::default();
        let edges = if frame.middle { 0 } else { 3 };
        bits.unsigned(edges, 2).unsigned((frame.template as u32 + self.id_offset) % 64, 6);
        bits.unsigned(frame.number.into(), 16);
        let has_custom_parts = frame.dtis.is_some() || frame.diffs.is_some() || frame.chains;
        if !frame.attach && frame.active_targets.is_none() && !has_custom_parts {
            return bits.bytes();
        }
        bits.unsigned(frame.attach.into(), 1).unsigned(frame.active_targets.is_some().into(), 1);
        bits.unsigned(frame.dtis.is_some().into(), 1).unsigned(frame.diffs.is_some().into(), 1);
        bits.unsigned(frame.chains.into(), 1);
        if frame.attach {
            self.write(&mut bits);
        }
        if let Some(active) = frame.active_targets {
            bits.unsigned(active, self.targets);
        }
        for dti in frame.dtis.iter().flatten() {
            bits.unsigned(u32::from(*dti), 2);
        }
        if let Some(diffs) = &frame.diffs {
            for diff in diffs {
                let size = if *diff <= 16 { 1 } else { 2 + u32::from(*diff > 256) };
                bits.unsigned(size, 2).unsigned(diff - 1, 4 * size);
            }
            bits.unsigned(0, 2);
        }
        for _ in 0..if frame.chains { self.chains } else { 0 } {
            bits.unsigned(7, 8);
        }
        bits.bytes()
    }
}

fn template(layer: (u8, u8), dtis: &[u8], diffs: &[u32]) -> Template {
    Template { layer, dtis: dtis.to_vec(), diffs: diffs.to_vec() }
}

/// One spatial and three temporal layers, as senders describe them: T0 T2 T1 T2.
fn l1t3() -> Structure {
    let templates = vec![
        template((0, 0), &[2, 2, 2], &[]),
        template((0, 0), &[2, 2, 2], &[4]),
        template((0, 1), &[0, 1, 2], &[2]),
        template((0, 2), &[0, 0, 1], &[1]),
        template((0, 2), &[0, 0, 1], &[1]),
    ];
    Structure { id_offset: 17, targets: 3, chains: 1, with_resolutions: true, templates }
}

/// Two spatial layers with inter-layer prediction, two temporal ones.
fn l2t2() -> Structure {
    let templates = vec![
        template((0, 0), &[2, 2, 2, 2], &[]),
        template((0, 0), &[2, 2, 3, 3], &[4]),
        template((0, 1), &[0, 1, 0, 3], &[2]),
        template((1, 0), &[0, 0, 2, 2], &[1]),
        template((1, 0), &[0, 0, 2, 2], &[1, 4]),
        template((1, 1), &[0, 0, 0, 1], &[1, 2]),
    ];
    Structure { id_offset: 60, targets: 4, chains: 0, with_resolutions: true, templates }
}

fn follow(structure: &Structure, frames: &[Frame]) -> Vec<FrameInfo> {
    let mut state = CodecState::default();
    let mut describe =
        |frame: &Frame| describe(Codec::Av1, &PAYLOAD, false, Some(&structure.descriptor(frame)), &mut state).unwrap();
    frames.iter().map(&mut describe).collect()
}

#[test]
fn one_spatial_and_three_temporal_layers() {
    let order = [0, 3, 2, 4, 1, 3, 2, 4, 1, 3, 2, 4];
    let frames: Vec<Frame> = (0..)
        .zip(order)
        .map(|(number, template)| Frame { template, number, attach: number == 0, ..Frame::default() })
        .collect();
    let infos = follow(&l1t3(), &frames);
    for (at, info) in infos.iter().enumerate() {
        assert_eq!(info.temporal, [0, 2, 1, 2][at % 4]);
        assert_eq!(info.is_keyframe, at == 0);
        assert_eq!(info.frame_number, Some(at as u16));
        // From the base layer up: the first T2 and the T1 after T0, and not the T2 that may need that T1.
        assert_eq!(info.switching_point, at % 4 != 3);
        assert_eq!(info.active_decode_targets, (at == 0).then_some(0b111));
    }
}

#[test]
fn two_spatial_layers() {
    let frame = |template: usize, number: u16| Frame { template, number, attach: number == 10, ..Frame::default() };
    let custom = |number: u16, diffs: &[u32]| Frame { diffs: Some(diffs.to_vec()), ..frame(4, number) };
    let mut frames = vec![frame(0, 10), frame(3, 11), frame(1, 14), frame(4, 15), frame(2, 16), frame(5, 17)];
    // A frame of the higher layer that needs its own picture only, and one that needs the picture before as well.
    frames.extend([frame(1, 18), custom(19, &[1]), frame(1, 20), custom(21, &[1, 2])]);
    let infos = follow(&l2t2(), &frames);
    let layers: Vec<(u8, u8)> = infos.iter().map(|info| (info.spatial, info.temporal)).collect();
    assert_eq!(layers, [(0, 0), (1, 0), (0, 0), (1, 0), (0, 1), (1, 1), (0, 0), (1, 0), (0, 0), (1, 0)]);
    let switching: Vec<usize> = (0..10).filter(|at| infos[*at].spatial_switching_point).collect();
    assert_eq!(switching, [0, 1, 7]);
    assert!(infos.iter().enumerate().all(|(at, info)| info.is_keyframe == (at == 0)));
}

#[test]
fn before_the_first_structure_nothing_is_known() {
    let mut state = CodecState::default();
    for active_targets in [None, Some(3)] {
        let dd = l1t3().descriptor(&Frame { template: 3, number: 7, active_targets, ..Frame::default() });
        let info = describe(Codec::Av1, &PAYLOAD, true, Some(&dd), &mut state).unwrap();
        let expected = FrameInfo {
            starts_frame: true,
            ends_frame: true,
            ends_picture: true,
            switching_point: true,
            frame_number: Some(7),
            ..FrameInfo::default()
        };
        assert_eq!(info, expected);
    }
    assert!(state.structure.is_none());
}

#[test]
fn a_template_of_another_structure_is_unknown_or_a_lie() {
    let mut state = CodecState::default();
    let attached = l1t3().descriptor(&Frame { attach: true, ..Frame::default() });
    assert!(describe(Codec::Av1, &PAYLOAD, false, Some(&attached), &mut state).is_some());
    let other = l2t2().descriptor(&Frame { template: 5, ..Frame::default() });
    let info = describe(Codec::Av1, &PAYLOAD, false, Some(&other), &mut state).unwrap();
    assert_eq!((info.spatial, info.temporal, info.is_keyframe), (0, 0, false));
    assert_eq!(state.structure.map(|structure| structure.id_offset), Some(17));
    let mut lie = attached;
    lie[0] = lie[0] & 0xC0 | 40;
    assert!(parse_dependency_descriptor(&lie, None).is_none());
}

#[test]
fn truncated_at_each_byte() {
    for structure in [l1t3(), l2t2()] {
        let frame = Frame { attach: true, active_targets: Some(1), diffs: Some(vec![1, 17, 300]), ..Frame::default() };
        let data = structure.descriptor(&frame);
        for size in 0..data.len() {
            let mut state = CodecState::default();
            let info = describe(Codec::Av1, &PAYLOAD, false, Some(&data[..size]), &mut state);
            assert!(size == 3 || info.is_none());
            assert!(state.structure.is_none());
        }
    }
}

#[test]
fn layers_and_templates_have_a_limit() {
    let parses = |layers: &mut dyn Iterator<Item = (u8, u8)>| {
        let templates = layers.map(|layer| template(layer, &[SWITCH], &[])).collect();
        let structure = Structure { id_offset: 1, targets: 1, chains: 0, with_resolutions: false, templates };
        let data = structure.descriptor(&Frame { attach: true, ..Frame::default() });
        parse_dependency_descriptor(&data, None).is_some()
    };
    assert!(parses(&mut (0..4).map(|spatial| (spatial, 0))));
    assert!(!parses(&mut (0..50).map(|spatial| (spatial, 0))));
    assert!(parses(&mut (0..8).map(|temporal| (0, temporal))));
    assert!(!parses(&mut (0..9).map(|temporal| (0, temporal))));
    assert!(parses(&mut (0..64).map(|_| (0, 0))));
    assert!(!parses(&mut (0..65).map(|_| (0, 0))));
}

fn random_structure(random: &mut Random) -> Structure {
    let targets = 1 + random.below(32);
    let mut layers = vec![(0_u8, 0_u8)];
    for _ in 0..random.below(20) {
        let (spatial, temporal) = layers[layers.len() - 1];
        let next = [(spatial, temporal), (spatial, temporal + 1), (spatial + 1, 0)][random.below(3)];
        if next.0 <= 3 && next.1 <= 7 {
            layers.push(next);
        }
    }
    let templates = layers
        .into_iter()
        .map(|layer| Template {
            layer,
            dtis: (0..targets).map(|_| random.below(4) as u8).collect(),
            diffs: (0..random.below(4)).map(|_| 1 + random.below(16) as u32).collect(),
        })
        .collect();
    Structure {
        id_offset: random.below(64) as u32,
        targets: targets as u32,
        chains: random.below(targets.min(4) + 1) as u32,
        with_resolutions: random.below(2) == 0,
        templates,
    }
}

#[test]
fn what_is_written_is_read() {
    let mut random = Random(11);
    for _ in 0..500 {
        let structure = random_structure(&mut random);
        let targets = structure.targets as usize;
        let frame = Frame {
            template: random.below(structure.templates.len()),
            number: random.next() as u16,
            middle: random.below(2) == 0,
            attach: true,
            active_targets: (random.below(2) == 0).then(|| (random.next() & ((1 << targets) - 1)) as u32),
            dtis: (random.below(2) == 0).then(|| (0..targets).map(|_| random.below(4) as u8).collect()),
            diffs: (random.below(2) == 0)
                .then(|| (0..random.below(4)).map(|_| 1 + random.below(4096) as u32).collect()),
            chains: random.below(2) == 0,
        };
        let attached = parse_dependency_descriptor(&structure.descriptor(&frame), None).unwrap();
        let known = attached.attached.clone().unwrap();
        assert_eq!((known.templates.len(), known.target_count as usize), (structure.templates.len(), targets));
        let later = structure.descriptor(&Frame { attach: false, ..frame.clone() });
        let later = parse_dependency_descriptor(&later, Some(&known)).unwrap();
        assert!(later.attached.is_none());
        let written = &structure.templates[frame.template];
        let diffs = frame.diffs.as_ref().unwrap_or(&written.diffs);
        let everything = u32::MAX >> (32 - targets);
        for (parsed, default) in [(attached, Some(everything)), (later, None)] {
            let read = &known.templates[parsed.template.unwrap()];
            assert_eq!((read.spatial, read.temporal), written.layer);
            assert_eq!(parsed.dtis(read)[..targets], frame.dtis.as_ref().unwrap_or(&written.dtis)[..]);
            let found = parsed.frame_diffs(read);
            assert_eq!(usize::from(found.count), diffs.len());
            assert_eq!(u32::from(found.max), diffs.iter().copied().max().unwrap_or(0));
            assert_eq!((parsed.start_of_frame, parsed.frame_number), (!frame.middle, frame.number));
            assert_eq!(parsed.active_decode_targets, frame.active_targets.or(default));
        }
    }
}

#[test]
fn targets_are_derived_from_the_templates() {
    let data = l2t2().descriptor(&Frame { attach: true, ..Frame::default() });
    let structure = parse_dependency_descriptor(&data, None).unwrap().attached.unwrap();
    assert_eq!(structure.targets[..4], [(0, 0), (0, 1), (1, 0), (1, 1)]);
}
