#!/bin/sh
# What the stages of the Dockerfile run, each by its name: so that it can be run, and is tested, without Docker, too.
# Run in the folder of the sources.
set -eu

web() { # web/dist, from web/
  cd web
  npm ci --omit=dev --no-audit --no-fund
  npm run --silent build
}

engine() { # sfu/rust/target/release/libting_engine.so, for the stable ABI: for any Python from 3.11 on
  cd sfu/rust
  PYO3_NO_PYTHON=1 PYO3_BUILD_EXTENSION_MODULE=1 cargo build --release --locked --package ting-engine
}

packages() { # a virtual environment in $1 with Ting (and web/dist inside), the engine, PostgreSQL's client
  python3 -m venv "$1.tools"
  "$1.tools/bin/pip" install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/uv.txt
  uv="$1.tools/bin/uv"
  "$uv" venv --quiet --python "$(command -v python3)" "$1"
  "$uv" pip install --quiet --python "$1/bin/python" --require-hashes -r requirements/image.txt
  "$uv" pip install --quiet --python "$1/bin/python" --no-deps --no-build-isolation .
  site=$("$1/bin/python" -c "import sysconfig; print(sysconfig.get_path('platlib'))")
  cp sfu/rust/target/release/libting_engine.so "$site/ting_engine.abi3.so"
  # The container's file system is read-only: what is not compiled now is compiled at every start.
  "$1/bin/python" -m compileall -q -j 0 "$site"
  rm -rf "$1.tools"
}

"$@"
