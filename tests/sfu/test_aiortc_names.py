"""The pin on aiortc's private names."""

from __future__ import annotations

import importlib.metadata
import inspect

from aiortc import RTCSctpTransport

from sfu.transport.aiortc_sctp import AIORTC_VERSION, _Below


def test_aiortc_is_the_version_whose_private_names_we_use() -> None:
    """sfu/transport/aiortc_sctp.py relies on these; read aiortc's changes before moving the pin."""
    assert importlib.metadata.version("aiortc").rsplit(".", 1)[0] == AIORTC_VERSION
    for name in ("_handle_data", "_transmit"):
        assert inspect.iscoroutinefunction(getattr(RTCSctpTransport, name)), name
    source = inspect.getsource(RTCSctpTransport)
    for name in ("_inbound_streams", "_advertised_rwnd", "_sack_misordered", "_association_state"):
        assert f"self.{name}" in source, name


def test_aiortc_asks_nothing_of_its_dtls_transport_that_ours_has_not() -> None:
    source = inspect.getsource(RTCSctpTransport)
    asked = {word.split("(")[0].split(" ")[0] for word in source.replace("\n", " ").split("self.__transport.")[1:]}
    asked |= {word.split(" ")[0] for word in source.replace("\n", " ").split("self.transport.")[1:]}
    assert asked >= {"_send_data", "_role"}
    for name in asked:
        assert name in dir(_Below) or name == "_role", name
