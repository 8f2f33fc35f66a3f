"""Whether the server in this container is ready: exit code 0, else 1."""

from __future__ import annotations

import os
import ssl
import sys
import urllib.request

port = os.environ.get("TING_PORT", "7880")
scheme = "https" if os.environ.get("TING_TLS_CERT") else "http"
# The certificate names the public host, not this one.
context = ssl._create_unverified_context() if scheme == "https" else None
try:
    with urllib.request.urlopen(f"{scheme}://127.0.0.1:{port}/readyz", timeout=4, context=context) as answer:
        sys.exit(answer.status != 200)
except OSError:
    sys.exit(1)
