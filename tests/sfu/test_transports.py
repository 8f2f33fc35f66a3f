"""How many transports a node sets up at once."""

from __future__ import annotations

import pytest

from sfu.config import SfuConfig
from sfu.errors import RequestError
from sfu.transport.transport import TransportRole
from sfu.transport.transports import Transports
from tests.sfu.transport_rig import Server


async def test_half_open_transports_are_limited_and_others_do_not_count() -> None:
    async with Server() as server:
        transports = Transports(SfuConfig(max_half_open_transports=2), server.runtime)
        made = [transports.make(TransportRole.PUBLISH, 0, False) for _ in range(2)]
        with pytest.raises(RequestError, match="being set up"):
            transports.make(TransportRole.PUBLISH, 0, False)
        made[0].connected = True
        made.append(transports.make(TransportRole.SUBSCRIBE, 0, False))
        with pytest.raises(RequestError) as refused:
            transports.make(TransportRole.PUBLISH, 0, False)
        assert refused.value.code == "limit_exceeded"
        await made.pop().close()
        made.append(transports.make(TransportRole.PUBLISH, 0, False))
        for transport in made:
            await transport.close()
        assert len(transports) == 0
