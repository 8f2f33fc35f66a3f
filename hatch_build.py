"""Hatchling's hook: puts the built web app into the wheel as `signaling/webapp/`, into the sdist as `web/dist/`.

So neither `ting serve` nor an install from the sdist needs Node.js. Building itself is `scripts/build_web.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WebAppHook(BuildHookInterface):
    """Adds the built web app to wheels and sdists; editable installs read web/dist from the tree."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        sys.path.insert(0, str(Path(self.root) / "scripts"))
        from build_web import STAMP, build_web

        dist = build_web(Path(self.root))
        prefix = "signaling/webapp" if self.target_name == "wheel" else "web/dist"
        for path in sorted(dist.rglob("*")):
            name = path.relative_to(dist).as_posix()
            if path.is_file() and (name != STAMP or self.target_name == "sdist"):
                build_data["force_include"][str(path)] = f"{prefix}/{name}"
