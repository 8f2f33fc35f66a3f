"""What holds on one node holds over two: scenarios of the other modules with every second caller on another node."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.harness.server import EmbeddedCluster
from tests.integration.test_data import *  # noqa: F403
from tests.integration.test_data_tracks import *  # noqa: F403
from tests.integration.test_layers import *  # noqa: F403
from tests.integration.test_media import *  # noqa: F403
from tests.integration.test_state import *  # noqa: F403

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[EmbeddedCluster]:
    cluster = EmbeddedCluster("one", "two", default_kind="open")
    await cluster.start()
    yield cluster
    await cluster.stop()
