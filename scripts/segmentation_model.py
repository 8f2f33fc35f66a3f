"""Makes web/src/effects/segmenter.tflite, which tells people from what is behind them:

    npm pack @mediapipe/selfie_segmentation@0.1.1675465747 && tar xf mediapipe-selfie_segmentation-*.tgz
    python scripts/segmentation_model.py package/selfie_segmentation_landscape.tflite web/src/effects/segmenter.tflite

The model is Google's (Apache-2.0), from the newest package that has it. MediaPipe's tasks ask it for metadata that it
lacks: that it takes RGB, as values from 0 to 1. They are put before the model, whose own bytes stay: in a FlatBuffer
what refers to something stands before it. Tables: tensorflow/lite/schema/schema.fbs and
tensorflow/lite/support/metadata/metadata_schema.fbs.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ALIGNMENT = 16


@dataclass
class Old:
    """What the model already has, by its place there."""

    place: int


@dataclass
class Table:
    """Fields by their number in the schema. A whole number stands for itself; `small` ones take one byte."""

    fields: Mapping[int, int | Node]
    small: set[int] = field(default_factory=set)


Node = Old | Table | Sequence["Old | Table"] | Sequence[float] | str | bytes


class Writer:
    """Writes what refers before what is referred to."""

    def __init__(self, identifier: bytes) -> None:
        self.out = bytearray(4) + identifier
        self.old: list[tuple[int, int]] = []

    def align(self, to: int, before: int = 0) -> None:
        while (len(self.out) + before) % to:
            self.out.append(0)

    def refer(self, slot: int, node: Node) -> None:
        if isinstance(node, Old):
            self.old.append((slot, node.place))
            return
        place = self.write(node)
        struct.pack_into("<I", self.out, slot, place - slot)

    def write(self, node: Table | Sequence[Old | Table] | Sequence[float] | str | bytes) -> int:
        if isinstance(node, Table):
            return self._table(node)
        if isinstance(node, str | bytes):
            return self._bytes(node)
        self.align(4)
        place = len(self.out)
        self.out += struct.pack("<I", len(node)) + bytes(4 * len(node))
        for slot, one in zip(range(place + 4, len(self.out), 4), node, strict=True):
            if isinstance(one, float):
                struct.pack_into("<f", self.out, slot, one)
            else:
                self.refer(slot, one)
        return place

    def _bytes(self, data: str | bytes) -> int:
        self.align(ALIGNMENT, before=4)
        place = len(self.out)
        content = data if isinstance(data, bytes) else data.encode()
        self.out += struct.pack("<I", len(content)) + content + b"\0"
        return place

    def _table(self, table: Table) -> int:
        count = max(table.fields) + 1
        self.align(4)
        start = len(self.out)
        offsets = {number: 4 + 4 * index for index, number in enumerate(table.fields)}
        size = 4 + 4 * len(offsets)
        self.out += struct.pack(f"<HH{count}H", 4 + 2 * count, size, *(offsets.get(at, 0) for at in range(count)))
        self.align(4)
        place = len(self.out)
        self.out += struct.pack("<i", place - start) + bytes(size - 4)
        for number, value in table.fields.items():
            slot = place + offsets[number]
            if isinstance(value, int):
                struct.pack_into("<B" if number in table.small else "<I", self.out, slot, value)
            else:
                self.refer(slot, value)
        return place


def metadata() -> bytes:
    normalization = Table({0: [0.0], 1: [255.0]})
    image = Table({0: 1}, small={0})
    content = Table({0: 2, 1: image}, small={0})
    units = [Table({0: 1, 1: normalization}, small={0})]
    tensor = Table({0: "image", 3: content, 4: units})
    mask = Table({0: "mask"})
    graphs = [Table({2: [tensor], 3: [mask]})]
    writer = Writer(b"M001")
    writer.refer(0, Table({0: "selfie segmentation", 3: graphs}))
    return bytes(writer.out)


def with_metadata(model: bytes) -> bytes:
    def number(at: int) -> int:
        return int.from_bytes(model[at : at + 4], "little")

    root = number(0)
    fields = root - struct.unpack_from("<i", model, root)[0]

    def place(of: int) -> int:
        return root + int.from_bytes(model[fields + 4 + 2 * of : fields + 6 + 2 * of], "little")

    def target(slot: int) -> Old:
        return Old(slot + number(slot))

    buffers = target(place(4)).place
    kept = [target(buffers + 4 + 4 * index) for index in range(number(buffers))]
    with_own: list[Old | Table] = [*kept, Table({0: metadata()})]
    writer = Writer(b"TFL3")
    model_table = Table(
        {
            0: number(place(0)),
            1: target(place(1)),
            2: target(place(2)),
            4: with_own,
            6: [Table({0: "TFLITE_METADATA", 1: len(kept)})],
        }
    )
    writer.refer(0, model_table)
    writer.align(ALIGNMENT)
    for slot, old in writer.old:
        struct.pack_into("<I", writer.out, slot, len(writer.out) + old - slot)
    return bytes(writer.out) + model


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(with_metadata(Path(sys.argv[1]).read_bytes()))
