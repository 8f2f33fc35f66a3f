"""What holds on one node holds over two: scenarios of the other modules with every second caller on another node."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.harness.server import EmbeddedCluster
from tests.integration.test_data import *  # noqa: F403
from tests.integration.test_data_tracks import *  # noqa: F403
from tests.integration.test_layers import *  # noqa: F403
from tests.integration.test_media import test_both_ways_in_one_call, test_the_speaker_is_named
from tests.integration.test_state import test_rights_change_during_the_call

__all__ = ["test_both_ways_in_one_call", "test_rights_change_during_the_call", "test_the_speaker_is_named"]
pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[EmbeddedCluster]:
    cluster = EmbeddedCluster("one", "two", default_kind="open")
    await cluster.start()
    yield cluster
    await cluster.stop()
