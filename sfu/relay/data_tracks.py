"""Data tracks over nodes: their packets go to the nodes on which somebody wants them."""

from __future__ import annotations

from collections.abc import Callable

from sfu.api import DataTrackInfo
from sfu.control.data.data_tracks import DataReception, DataTrack
from sfu.control.remote import RemoteMember
from sfu.ids import ParticipantId, TrackId


class ArrivingDataTrack(DataTrack):
    """One whose publisher is on another node. `tell` hears when it is wanted here, and when not any more."""

    def __init__(self, owner: RemoteMember, info: DataTrackInfo, tell: Callable[[bool], None]) -> None:
        super().__init__(owner, info)
        self._tell = tell

    def add(self, receiver: ParticipantId, reception: DataReception) -> None:
        before = self.wanted
        super().add(receiver, reception)
        if not before:
            self._tell(True)

    def remove(self, receiver: ParticipantId) -> None:
        before = self.wanted
        super().remove(receiver)
        if before and not self.wanted:
            self._tell(False)


class NodeDataReception:
    """Another node that receives a data track of this one."""

    def __init__(self, track_id: TrackId, send: Callable[[TrackId, bytes], bool]) -> None:
        self._track_id = track_id
        self._send = send

    def forward(self, packet: bytes, now_s: float) -> bool:
        return self._send(self._track_id, packet)
