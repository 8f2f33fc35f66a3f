//! The dependency descriptor header extension ("RTP Payload Format For AV1", appendix A).
//!
//! Most descriptors are three bytes and name a template of a structure that came with the last keyframe; the structure
//! is remembered by the caller. Parsing returns `None` for a descriptor that lies. Only a structure allocates.

/// The highest spatial layer.
pub const MAX_SPATIAL: u8 = 3;
/// Width of frame numbers.
pub const FRAME_NUMBER_BITS: u8 = 16;
const MAX_TEMPLATES: u8 = 64;
const MAX_TEMPORAL: u8 = 7;
const MAX_TARGETS: usize = 32;
const SWITCH: u8 = 2;
const NOT_PRESENT: u8 = 0;
const FIXED_BYTES: usize = 3;

/// Decode target indications, by decode target; those beyond the number of targets are 0.
pub type TargetIndications = [u8; MAX_TARGETS];

/// What is asked of a list of frame number differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameDiffs {
    /// How many there are.
    pub count: u16,
    /// The largest; 0 when there are none.
    pub max: u16,
}

impl FrameDiffs {
    fn add(&mut self, diff: u16) {
        self.count = self.count.saturating_add(1);
        self.max = self.max.max(diff);
    }
}

/// One frame dependency template: layer, decode target indications, frame number differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// Spatial layer, 0..=3.
    pub spatial: u8,
    /// Temporal layer, 0..=7.
    pub temporal: u8,
    /// By decode target.
    pub dtis: TargetIndications,
    /// To the frames that this one needs.
    pub frame_diffs: FrameDiffs,
}

/// What stays the same between keyframes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateStructure {
    /// The template id on the wire of the first template.
    pub id_offset: u8,
    /// 1..=64, in the order of the wire.
    pub templates: Vec<Template>,
    /// Decode targets, 1..=32.
    pub target_count: u8,
    /// The (spatial, temporal) layer of each decode target; (0, 0) beyond their number.
    pub targets: [(u8, u8); MAX_TARGETS],
    /// Chains, at most as many as decode targets.
    pub chain_count: u8,
}

/// One parsed descriptor.
#[derive(Clone, Debug)]
pub struct DependencyDescriptor {
    /// First packet of its frame.
    pub start_of_frame: bool,
    /// Last packet of its frame.
    pub end_of_frame: bool,
    /// 16 bits.
    pub frame_number: u16,
    /// The structure that came along: it takes the place of the one known before.
    pub attached: Option<TemplateStructure>,
    /// Index of the template in the structure (that which came along, else the known one). `None`, and the layers
    /// unknown, when no known structure has it.
    pub template: Option<usize>,
    /// Bit i for decode target i.
    pub active_decode_targets: Option<u32>,
    custom_dtis: Option<TargetIndications>,
    custom_diffs: Option<FrameDiffs>,
}

impl DependencyDescriptor {
    /// Decode target indications of the frame, whose template this is.
    #[must_use]
    pub fn dtis<'a>(&'a self, template: &'a Template) -> &'a TargetIndications {
        self.custom_dtis.as_ref().unwrap_or(&template.dtis)
    }

    /// Frame number differences of the frame, whose template this is.
    #[must_use]
    pub fn frame_diffs(&self, template: &Template) -> FrameDiffs {
        self.custom_diffs.unwrap_or(template.frame_diffs)
    }

    /// Bit t is set when this frame is a switch indication for the decode target of its spatial layer and t.
    /// `structure` is the one that has the template.
    #[must_use]
    pub fn switch_temporals(&self, structure: &TemplateStructure) -> u8 {
        let Some(template) = self.template.and_then(|index| structure.templates.get(index)) else { return 0 };
        let targets = structure.targets.iter().take(usize::from(structure.target_count));
        let mut mask = 0;
        for (&dti, &(spatial, temporal)) in self.dtis(template).iter().zip(targets) {
            if dti == SWITCH && spatial == template.spatial {
                mask |= 1 << (temporal & MAX_TEMPORAL);
            }
        }
        mask
    }
}

/// Reads bits from the front. Past the end it yields zeros; `overrun` tells.
struct Bits<'a> {
    data: &'a [u8],
    position: usize,
    overrun: bool,
}

impl Bits<'_> {
    /// At most 32 bits.
    fn read(&mut self, count: usize) -> u32 {
        let start = self.position;
        self.skip(count);
        if self.overrun || count == 0 {
            return 0;
        }
        let mut window = 0_u64;
        // 32 bits touch five bytes at most.
        for offset in 0..5 {
            window = window << 8 | u64::from(self.data.get(start / 8 + offset).copied().unwrap_or(0));
        }
        let shift = 40 - start % 8 - count;
        (window >> shift & ((1 << count) - 1)) as u32
    }

    /// At most 8 bits.
    fn read_u8(&mut self, count: usize) -> u8 {
        self.read(count) as u8
    }

    fn read_bool(&mut self) -> bool {
        self.read(1) != 0
    }

    fn skip(&mut self, count: usize) {
        self.position += count;
        if self.position > self.data.len() * 8 {
            self.overrun = true;
        }
    }

    /// ns(n) of the AV1 specification §4.10.7: a value below `choices` (1..=33).
    fn read_non_symmetric(&mut self, choices: u8) -> u8 {
        let width = u8::BITS - choices.leading_zeros();
        let short = (1_u8 << width).wrapping_sub(choices);
        let value = self.read_u8(width as usize - 1);
        if value < short {
            return value;
        }
        (value << 1).wrapping_sub(short).wrapping_add(self.read_u8(1))
    }
}

/// `known` is the structure remembered from before; a structure in `data` takes its place.
#[must_use]
pub fn parse_dependency_descriptor(data: &[u8], known: Option<&TemplateStructure>) -> Option<DependencyDescriptor> {
    let (&[first, high, low], rest) = data.split_first_chunk::<FIXED_BYTES>()?;
    let mut descriptor = DependencyDescriptor {
        start_of_frame: first & 0x80 != 0,
        end_of_frame: first & 0x40 != 0,
        frame_number: u16::from_be_bytes([high, low]),
        attached: None,
        template: None,
        active_decode_targets: None,
        custom_dtis: None,
        custom_diffs: None,
    };
    let mut bits = Bits { data: rest, position: 0, overrun: false };
    let mut custom = 0;
    let mut has_active_targets = false;
    if !rest.is_empty() {
        let has_structure = bits.read_bool();
        has_active_targets = bits.read_bool();
        custom = bits.read_u8(3);
        if has_structure {
            descriptor.attached = Some(read_structure(&mut bits)?);
        }
    }
    let attached = descriptor.attached.take();
    if let Some(structure) = &attached {
        descriptor.active_decode_targets = Some(((1_u64 << structure.target_count) - 1) as u32);
    }
    let Some(structure) = attached.as_ref().or(known) else { return Some(descriptor) };
    if has_active_targets {
        descriptor.active_decode_targets = Some(bits.read(usize::from(structure.target_count)));
    }
    let index = usize::from((first & 0x3F).wrapping_sub(structure.id_offset) % MAX_TEMPLATES);
    if index >= structure.templates.len() {
        // Of another structure, which was lost; or a lie if it came along.
        return if attached.is_some() { None } else { Some(descriptor) };
    }
    descriptor.template = Some(index);
    read_custom_parts(&mut descriptor, structure, &mut bits, custom);
    descriptor.attached = attached;
    (!bits.overrun).then_some(descriptor)
}

/// frame_dependency_definition() (A.8.2): what the custom flags put in place of the template's parts.
fn read_custom_parts(
    descriptor: &mut DependencyDescriptor,
    structure: &TemplateStructure,
    bits: &mut Bits<'_>,
    custom: u8,
) {
    if custom & 4 != 0 {
        descriptor.custom_dtis = Some(read_dtis(bits, structure.target_count));
    }
    if custom & 2 != 0 {
        let mut diffs = FrameDiffs::default();
        loop {
            let size = bits.read(2) as usize;
            if size == 0 {
                break;
            }
            diffs.add(bits.read(4 * size) as u16 + 1);
        }
        descriptor.custom_diffs = Some(diffs);
    }
    if custom & 1 != 0 {
        bits.skip(8 * usize::from(structure.chain_count));
    }
}

fn read_dtis(bits: &mut Bits<'_>, target_count: u8) -> TargetIndications {
    let mut dtis = [NOT_PRESENT; MAX_TARGETS];
    for dti in dtis.iter_mut().take(usize::from(target_count)) {
        *dti = bits.read_u8(2);
    }
    dtis
}

/// template_dependency_structure() (A.8.2). `None` when it goes past the end or beyond the limits.
fn read_structure(bits: &mut Bits<'_>) -> Option<TemplateStructure> {
    let id_offset = bits.read_u8(6);
    let target_count = bits.read_u8(5) + 1;
    let mut templates = read_template_layers(bits)?;
    for template in &mut templates {
        template.dtis = read_dtis(bits, target_count);
    }
    for template in &mut templates {
        while bits.read_bool() {
            template.frame_diffs.add(bits.read(4) as u16 + 1);
        }
    }
    let chain_count = bits.read_non_symmetric(target_count + 1);
    if chain_count > 0 {
        for _ in 0..target_count {
            bits.read_non_symmetric(chain_count);
        }
        bits.skip(4 * usize::from(chain_count) * templates.len());
    }
    if bits.read_bool() {
        bits.skip(32 * (usize::from(templates.last()?.spatial) + 1));
    }
    if bits.overrun {
        return None;
    }
    let targets = target_layers(&templates);
    Some(TemplateStructure { id_offset, templates, target_count, targets, chain_count })
}

fn read_template_layers(bits: &mut Bits<'_>) -> Option<Vec<Template>> {
    let mut templates = Vec::new();
    let (mut spatial, mut temporal) = (0, 0);
    while templates.len() < usize::from(MAX_TEMPLATES) {
        let dtis = [NOT_PRESENT; MAX_TARGETS];
        templates.push(Template { spatial, temporal, dtis, frame_diffs: FrameDiffs::default() });
        match bits.read(2) {
            3 => return Some(templates),
            1 => temporal += 1,
            2 => {
                spatial += 1;
                temporal = 0;
            }
            _ => (),
        }
        if bits.overrun || spatial > MAX_SPATIAL || temporal > MAX_TEMPORAL {
            return None;
        }
    }
    None
}

/// The highest layers among the templates that are present in each decode target.
fn target_layers(templates: &[Template]) -> [(u8, u8); MAX_TARGETS] {
    let mut targets = [(0, 0); MAX_TARGETS];
    for template in templates {
        for (dti, target) in template.dtis.iter().zip(&mut targets) {
            if *dti != NOT_PRESENT {
                *target = (target.0.max(template.spatial), target.1.max(template.temporal));
            }
        }
    }
    targets
}

/// Write another frame number into a descriptor that was parsed.
pub(crate) fn write_frame_number(data: &mut [u8], frame_number: u16) {
    if let Some(field) = data.get_mut(1..FIXED_BYTES) {
        field.copy_from_slice(&frame_number.to_be_bytes());
    }
}
