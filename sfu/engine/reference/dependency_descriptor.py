"""The dependency descriptor header extension ("RTP Payload Format For AV1", appendix A).

Most descriptors are three bytes and name a template of a structure that came with the last keyframe; the structure
is remembered by the caller. Parsing returns None for a descriptor that lies and never raises.
"""

from __future__ import annotations

FRAME_NUMBER_BITS = 16
_MAX_TEMPLATES = 64
_MAX_SPATIAL = 3
_MAX_TEMPORAL = 7
_SWITCH = 2
_NOT_PRESENT = 0


class Template:
    """One frame dependency template: layer, decode target indications, frame number differences."""

    __slots__ = ("dtis", "frame_diffs", "spatial", "temporal")

    def __init__(self, spatial: int, temporal: int) -> None:
        self.spatial = spatial
        self.temporal = temporal
        self.dtis: list[int] = []
        self.frame_diffs: list[int] = []


class TemplateStructure:
    """What stays the same between keyframes. `targets[i]` is the (spatial, temporal) layer of decode target i."""

    __slots__ = ("chain_count", "id_offset", "targets", "templates")

    def __init__(self, id_offset: int, templates: list[Template], targets: list[tuple[int, int]]) -> None:
        self.id_offset = id_offset
        self.templates = templates
        self.targets = targets
        self.chain_count = 0


class DependencyDescriptor:
    """One parsed descriptor. `structure` is None (and the layers unknown) when no known structure has its template."""

    __slots__ = (
        "active_decode_targets",
        "attached_structure",
        "dtis",
        "end_of_frame",
        "frame_diffs",
        "frame_number",
        "spatial",
        "start_of_frame",
        "structure",
        "temporal",
    )

    def __init__(self, start_of_frame: bool, end_of_frame: bool, frame_number: int) -> None:
        self.start_of_frame = start_of_frame
        self.end_of_frame = end_of_frame
        self.frame_number = frame_number
        self.structure: TemplateStructure | None = None
        self.attached_structure = False
        self.active_decode_targets: int | None = None
        self.spatial = 0
        self.temporal = 0
        self.dtis: list[int] = []
        self.frame_diffs: list[int] = []

    def switch_temporals(self) -> int:
        """Bit t is set when this frame is a switch indication for the decode target of its spatial layer and t."""
        if self.structure is None:
            return 0
        mask = 0
        for dti, (spatial, temporal) in zip(self.dtis, self.structure.targets, strict=True):
            if dti == _SWITCH and spatial == self.spatial:
                mask |= 1 << temporal
        return mask


class _Bits:
    """Reads bits from the front. Past the end it yields zeros; `overrun` tells."""

    __slots__ = ("_left", "_value", "overrun")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8
        self.overrun = False

    def read(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            self.overrun = True
            return 0
        return (self._value >> self._left) & ((1 << count) - 1)

    def read_non_symmetric(self, choices: int) -> int:
        """ns(n) of the AV1 specification §4.10.7: a value below `choices`."""
        width = choices.bit_length()
        short = (1 << width) - choices
        value = self.read(width - 1)
        if value < short:
            return value
        return (value << 1) - short + self.read(1)


def parse_dependency_descriptor(data: bytes, known: TemplateStructure | None) -> DependencyDescriptor | None:
    """`known` is the structure remembered from before; a structure in `data` takes its place."""
    if len(data) < 3:
        return None
    first = data[0]
    descriptor = DependencyDescriptor(first >= 0x80, bool(first & 0x40), data[1] << 8 | data[2])
    bits = _Bits(data[3:])
    structure = known
    custom = 0
    if len(data) > 3:
        has_structure, has_active_targets, custom = bits.read(1), bits.read(1), bits.read(3)
        if has_structure:
            structure = _read_structure(bits)
            if structure is None:
                return None
            descriptor.attached_structure = True
            descriptor.active_decode_targets = (1 << len(structure.targets)) - 1
        if has_active_targets:
            if structure is None:
                return descriptor
            descriptor.active_decode_targets = bits.read(len(structure.targets))
    if structure is None:
        return descriptor
    index = ((first & 0x3F) - structure.id_offset) % _MAX_TEMPLATES
    if index >= len(structure.templates):
        # Of another structure, which was lost; or a lie if it came along.
        return None if descriptor.attached_structure else descriptor
    descriptor.structure = structure
    _apply_template(descriptor, structure, structure.templates[index], bits, custom)
    return None if bits.overrun else descriptor


def _apply_template(
    descriptor: DependencyDescriptor, structure: TemplateStructure, template: Template, bits: _Bits, custom: int
) -> None:
    """frame_dependency_definition() (A.8.2): the template, or what the custom flags put in place of its parts."""
    descriptor.spatial = template.spatial
    descriptor.temporal = template.temporal
    descriptor.dtis = [bits.read(2) for _ in structure.targets] if custom & 4 else template.dtis
    descriptor.frame_diffs = _read_custom_diffs(bits) if custom & 2 else template.frame_diffs
    if custom & 1:
        for _ in range(structure.chain_count):
            bits.read(8)


def _read_custom_diffs(bits: _Bits) -> list[int]:
    diffs = []
    size = bits.read(2)
    while size:
        diffs.append(bits.read(4 * size) + 1)
        size = bits.read(2)
    return diffs


def _read_structure(bits: _Bits) -> TemplateStructure | None:
    """template_dependency_structure() (A.8.2). None when it goes past the end or beyond the limits."""
    id_offset = bits.read(6)
    target_count = bits.read(5) + 1
    templates = _read_template_layers(bits)
    if templates is None:
        return None
    for template in templates:
        template.dtis = [bits.read(2) for _ in range(target_count)]
    for template in templates:
        while bits.read(1):
            template.frame_diffs.append(bits.read(4) + 1)
    chain_count = bits.read_non_symmetric(target_count + 1)
    if chain_count:
        for _ in range(target_count):
            bits.read_non_symmetric(chain_count)
        bits.read(4 * chain_count * len(templates))
    if bits.read(1):
        bits.read(32 * (templates[-1].spatial + 1))
    if bits.overrun:
        return None
    structure = TemplateStructure(id_offset, templates, _target_layers(templates, target_count))
    structure.chain_count = chain_count
    return structure


def _read_template_layers(bits: _Bits) -> list[Template] | None:
    templates: list[Template] = []
    spatial = temporal = 0
    while len(templates) < _MAX_TEMPLATES:
        templates.append(Template(spatial, temporal))
        next_layer = bits.read(2)
        if next_layer == 3:
            return templates
        if next_layer == 1:
            temporal += 1
        elif next_layer == 2:
            spatial += 1
            temporal = 0
        if bits.overrun or spatial > _MAX_SPATIAL or temporal > _MAX_TEMPORAL:
            return None
    return None


def _target_layers(templates: list[Template], target_count: int) -> list[tuple[int, int]]:
    """The highest layers among the templates that are present in each decode target."""
    targets = []
    for target in range(target_count):
        present = [template for template in templates if template.dtis[target] != _NOT_PRESENT]
        targets.append(
            (max((t.spatial for t in present), default=0), max((t.temporal for t in present), default=0)),
        )
    return targets


def write_frame_number(data: bytes, frame_number: int) -> bytes:
    """The descriptor with another frame number, cut to 16 bits. For descriptors that were parsed."""
    return data[:1] + (frame_number & 0xFFFF).to_bytes(2, "big") + data[3:]
