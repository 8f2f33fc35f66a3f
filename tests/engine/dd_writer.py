"""Writes dependency descriptors bit by bit ("RTP Payload Format For AV1", appendix A), for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

ABSENT, DISCARDABLE, SWITCH, REQUIRED = 0, 1, 2, 3


@dataclass
class FrameTemplate:
    spatial: int
    temporal: int
    dtis: Sequence[int]
    frame_diffs: Sequence[int] = ()
    chain_diffs: Sequence[int] = ()


@dataclass
class Structure:
    """`templates` in the order of the wire: by spatial, then temporal layer."""

    target_count: int
    templates: list[FrameTemplate]
    id_offset: int = 0
    chain_count: int = 0
    protected_by: Sequence[int] = ()
    resolutions: Sequence[tuple[int, int]] = ()


@dataclass
class Frame:
    template: int
    number: int
    start: bool = True
    end: bool = True
    active_targets: int | None = None
    dtis: Sequence[int] | None = None
    frame_diffs: Sequence[int] | None = None
    chain_diffs: Sequence[int] | None = None
    bits: str = field(default="", repr=False)


def unsigned(value: int, width: int) -> str:
    return format(value, f"0{width}b") if width else ""


def non_symmetric(value: int, choices: int) -> str:
    width = choices.bit_length()
    short = (1 << width) - choices
    if value < short:
        return unsigned(value, width - 1)
    extra = value + short
    return unsigned(extra >> 1, width - 1) + unsigned(extra & 1, 1)


def structure_bits(structure: Structure) -> str:
    templates = structure.templates
    bits = unsigned(structure.id_offset, 6) + unsigned(structure.target_count - 1, 5)
    for template, following in zip(templates, [*templates[1:], None], strict=True):
        if following is None:
            step = 3
        elif following.spatial > template.spatial:
            step = 2
        else:
            step = following.temporal - template.temporal
        bits += unsigned(step, 2)
    for template in templates:
        bits += "".join(unsigned(dti, 2) for dti in template.dtis)
    for template in templates:
        bits += "".join("1" + unsigned(diff - 1, 4) for diff in template.frame_diffs) + "0"
    bits += non_symmetric(structure.chain_count, structure.target_count + 1)
    if structure.chain_count:
        bits += "".join(non_symmetric(chain, structure.chain_count) for chain in structure.protected_by)
        for template in templates:
            bits += "".join(unsigned(diff, 4) for diff in template.chain_diffs)
    bits += "1" if structure.resolutions else "0"
    return bits + "".join(unsigned(width - 1, 16) + unsigned(height - 1, 16) for width, height in structure.resolutions)


def write(frame: Frame, structure: Structure, *, attach: bool = False) -> bytes:
    template_id = (frame.template + structure.id_offset) % 64
    bits = ("1" if frame.start else "0") + ("1" if frame.end else "0")
    bits += unsigned(template_id, 6) + unsigned(frame.number, 16)
    custom = (frame.dtis, frame.frame_diffs, frame.chain_diffs)
    if attach or frame.active_targets is not None or any(part is not None for part in custom):
        bits += "1" if attach else "0"
        bits += "0" if frame.active_targets is None else "1"
        bits += "".join("0" if part is None else "1" for part in custom)
        if attach:
            bits += structure_bits(structure)
        if frame.active_targets is not None:
            bits += unsigned(frame.active_targets, structure.target_count)
        if frame.dtis is not None:
            bits += "".join(unsigned(dti, 2) for dti in frame.dtis)
        if frame.frame_diffs is not None:
            for diff in frame.frame_diffs:
                size = 1 if diff <= 16 else 2 if diff <= 256 else 3
                bits += unsigned(size, 2) + unsigned(diff - 1, 4 * size)
            bits += "00"
        if frame.chain_diffs is not None:
            bits += "".join(unsigned(diff, 8) for diff in frame.chain_diffs)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


L1T3 = Structure(
    target_count=3,
    templates=[
        FrameTemplate(0, 0, (SWITCH, SWITCH, SWITCH), (), (0,)),
        FrameTemplate(0, 0, (SWITCH, SWITCH, SWITCH), (4,), (4,)),
        FrameTemplate(0, 1, (ABSENT, DISCARDABLE, SWITCH), (2,), (2,)),
        FrameTemplate(0, 2, (ABSENT, ABSENT, DISCARDABLE), (1,), (1,)),
        FrameTemplate(0, 2, (ABSENT, ABSENT, DISCARDABLE), (1,), (3,)),
    ],
    id_offset=17,
    chain_count=1,
    protected_by=(0, 0, 0),
    resolutions=((640, 360),),
)
"""One spatial and three temporal layers, as senders describe them: T0 T2 T1 T2."""

L2T2 = Structure(
    target_count=4,
    templates=[
        FrameTemplate(0, 0, (SWITCH, SWITCH, SWITCH, SWITCH), ()),
        FrameTemplate(0, 0, (SWITCH, SWITCH, REQUIRED, REQUIRED), (4,)),
        FrameTemplate(0, 1, (ABSENT, DISCARDABLE, ABSENT, REQUIRED), (2,)),
        FrameTemplate(1, 0, (ABSENT, ABSENT, SWITCH, SWITCH), (1,)),
        FrameTemplate(1, 0, (ABSENT, ABSENT, SWITCH, SWITCH), (1, 4)),
        FrameTemplate(1, 1, (ABSENT, ABSENT, ABSENT, DISCARDABLE), (1, 2)),
    ],
    id_offset=60,
    resolutions=((320, 180), (640, 360)),
)
"""Two spatial layers with inter-layer prediction, two temporal ones; targets (0,0) (0,1) (1,0) (1,1)."""
