"""Publications of this node as other nodes get them."""

from __future__ import annotations

from collections.abc import Mapping

from sfu.control.context import ControlContext
from sfu.control.publish.dynacast import HIGHEST_QUALITY, OFF
from sfu.control.publish.encoding import Encoding
from sfu.control.publish.publication import Need, Publication
from sfu.engine.api import HIGHEST_LAYER, Codec, EngineCommands, Extension, OutboundPayload, SubscriptionConfig
from sfu.ids import ParticipantId, RoomName, SubscriptionHandle
from sfu.kind import Kind
from sfu.relay.link import EXTENSIONS, Link, Ssrcs
from sfu.relay.messages import EncodingThere, EncodingWish, PublicationThere

Pairs = tuple[tuple[int, int], ...]
"""Of each stream: media and retransmission."""


class Departure:
    """One publication, and the nodes that want something of it."""

    def __init__(self, room: RoomName, publication: Publication, context: ControlContext, ssrcs: Ssrcs):
        self.room = room
        self.publication = publication
        self._context = context
        self._free_ssrcs = ssrcs
        self._ssrcs: dict[str, Pairs] = {}
        self._receptions: dict[str, dict[str, NodeReception]] = {}
        """By node and name of the codec."""
        self.told: PublicationThere | None = None
        """What the other nodes know of it."""

    def describe(self) -> PublicationThere:
        publication = self.publication
        return PublicationThere(
            room=self.room,
            participant_id=publication.owner.info.participant_id,
            track_id=publication.track_id,
            stream_label=publication.stream_label,
            encodings=[
                EncodingThere(one.name, one.cid, one.received, one.layers, self.ssrcs_of(one))
                for one in publication.encodings
            ],
        )

    def ssrcs_of(self, encoding: Encoding) -> Pairs:
        """Two for each stream, the same to every node."""
        streams = len(encoding.received.track.layers)
        known = self._ssrcs.get(encoding.name, ())
        more = tuple((self._free_ssrcs.take(), self._free_ssrcs.take()) for _ in range(streams - len(known)))
        self._ssrcs[encoding.name] = (*known, *more)[:streams]
        return self._ssrcs[encoding.name]

    def handle_wish(self, node: str, link: Link, wishes: Mapping[str, EncodingWish]) -> None:
        """What a node wants from now on."""
        receptions = self._receptions.setdefault(node, {})
        for codec in [codec for codec in receptions if codec not in wishes]:
            receptions.pop(codec).end()
        for codec, wish in wishes.items():
            reception = receptions.get(codec)
            if reception is None:
                reception = receptions[codec] = NodeReception(self, node, codec, link, self._context)
            reception.set_wish(wish)

    def apply(self) -> None:
        """Encodings have changed, or a link has become ready."""
        for receptions in self._receptions.values():
            for reception in receptions.values():
                reception.reattach()

    def forget_node(self, node: str) -> None:
        for reception in self._receptions.pop(node, {}).values():
            reception.end()

    def close(self) -> None:
        for node in list(self._receptions):
            self.forget_node(node)
        for pairs in self._ssrcs.values():
            self._free_ssrcs.free(ssrc for pair in pairs for ssrc in pair)


class NodeReception:
    """A `Reception`: one node receiving one codec of a publication, each stream by itself."""

    def __init__(self, departure: Departure, node: str, codec: str, link: Link, context: ControlContext) -> None:
        self._departure = departure
        self._publication = departure.publication
        self._codec = codec
        self._link = link
        self._context = context
        self._wish = EncodingWish((), 0, OFF)
        self._key = ParticipantId(f"{node}/{codec}")
        self._handles: dict[int, SubscriptionHandle] = {}
        self._encoding: Encoding | None = None
        self._publication.subscriptions[self._key] = self

    def set_wish(self, wish: EncodingWish) -> None:
        self._wish = wish
        self._apply()
        self._publication.note_demand(self)

    # --- as a Reception -----------------------------------------------------------------------------------

    def wants(self) -> tuple[str, int]:
        return self._codec, min(self._wish.quality, HIGHEST_QUALITY)

    def needs(self) -> Need | None:
        return Need(self._codec, self._wish.spatial, self._wish.quality) if self._wish.streams else None

    def apply_settings(self, engine: EngineCommands) -> None:
        """The other node sees for itself which layers there are."""

    def reattach(self) -> None:
        if self._encoding is not self._find_encoding():
            self._stop()
        self._apply()

    def renegotiate(self) -> None:
        """The other node sees the codec that comes."""

    def end(self) -> None:
        self._stop()
        self._wish = EncodingWish((), 0, OFF)
        if self._publication.subscriptions.pop(self._key, None) is not None:
            self._publication.note_departure(self)

    # --- the engine's subscriptions ---------------------------------------------------------------------------

    def _find_encoding(self) -> Encoding | None:
        return next((one for one in self._publication.encodings if one.name == self._codec), None)

    def _apply(self) -> None:
        encoding = self._find_encoding()
        if encoding is None or not self._link.ready:
            return
        self._encoding = encoding
        ssrcs = self._departure.ssrcs_of(encoding)
        wanted = {stream for stream in self._wish.streams if stream < len(ssrcs)}
        for stream in [stream for stream in self._handles if stream not in wanted]:
            self._remove(self._handles.pop(stream))
        for stream in wanted:
            if stream not in self._handles:
                self._handles[stream] = self._add(encoding, *ssrcs[stream])
            # Streams of simulcast are targets of their own; layers inside of one go as far as anybody sees them.
            spatial = stream if len(ssrcs) > 1 else self._wish.spatial
            self._context.engine.set_target_layer(self._handles[stream], spatial, HIGHEST_LAYER)

    def _add(self, encoding: Encoding, ssrc: int, rtx_ssrc: int) -> SubscriptionHandle:
        video = encoding.received.kind is Kind.VIDEO
        payloads = encoding.received.track.payloads
        extensions = dict(EXTENSIONS)
        if not any(payload.codec is Codec.AV1 for payload in payloads):
            del extensions[Extension.DEPENDENCY_DESCRIPTOR]  # as `sfu.sdp.negotiate.offered_extensions` says
        config = SubscriptionConfig(
            ssrc=ssrc,
            mid="",
            cname=self._publication.owner.info.participant_id,
            payloads={
                payload.payload_type: OutboundPayload(payload.payload_type, payload.rtx_payload_type)
                for payload in payloads
            },
            rtx_ssrc=rtx_ssrc if video else None,
            extensions=extensions,
            nack=video,
            cache_packets=self._context.config.retransmission_packets,
        )
        handle = self._context.engine.add_subscription(self._link.handle, encoding.track, config)
        self._context.engine.set_subscription_paused(handle, False)
        self._context.subscriptions.add(handle)
        return handle

    def _remove(self, handle: SubscriptionHandle) -> None:
        self._context.subscriptions.discard(handle)
        self._context.engine.remove_subscription(handle)

    def _stop(self) -> None:
        for handle in self._handles.values():
            self._remove(handle)
        self._handles.clear()
        self._encoding = None
