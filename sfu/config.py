"""Settings of the SFU: those of its parts together, each with its default and what it is for.

`signaling.config` fills this from flags, environment and file; nothing here reads either. The keys are one level, in
whichever part they lie.
"""

from __future__ import annotations

from dataclasses import dataclass

from sfu.control.settings import ControlSettings
from sfu.engine.settings import EngineSettings


@dataclass(frozen=True)
class SfuConfig(ControlSettings, EngineSettings):
    """What `sfu.factory.create_sfu` takes."""
