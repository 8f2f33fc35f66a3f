#!/usr/bin/env bash
# Write the locks in requirements/ anew: everything is resolved together first, so that no package has two versions.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=$1
all=$(mktemp)
trap 'rm -f "$all"' EXIT
compile() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-annotate \
    --custom-compile-command "make lock" "$@"
}
compile --upgrade --group image --group lint --group test --group uv --output-file "$all" pyproject.toml
mkdir -p requirements
compile --generate-hashes --constraint "$all" --group run --output-file requirements/run.txt pyproject.toml
for group in image bench lint test; do
  compile --generate-hashes --constraint "$all" --group "$group" --output-file "requirements/$group.txt" pyproject.toml
done
compile --generate-hashes --constraint "$all" --group uv --output-file requirements/uv.txt
