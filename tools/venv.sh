#!/bin/sh
# Builds .venv from requirements.lock: with uv where it is on PATH, else with venv and pip.
set -eu

say() { echo "swf_worker: $*" >&2; exit 1; }

command -v "$PYTHON" >/dev/null 2>&1 ||
  say "$PYTHON is missing: install Python 3.11 or newer (Debian, Ubuntu: apt install python3 python3-venv)"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  say "$PYTHON is $("$PYTHON" -V 2>&1): Python 3.11 or newer is needed; name another with make PYTHON=python3.12"

echo "building .venv (once; it takes a minute) ..." >&2
rm -rf .venv
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fails() { cat "$log" >&2; say "$1"; }

if command -v uv >/dev/null 2>&1; then
  uv venv --quiet --python "$PYTHON" .venv >"$log" 2>&1 || fails "uv can't make .venv"
  VIRTUAL_ENV=.venv uv pip install --quiet --require-hashes -r requirements.lock >"$log" 2>&1 ||
    fails "the packages can't be installed: is a package index reachable?"
  VIRTUAL_ENV=.venv uv pip install --quiet --no-deps --no-build-isolation -e . >"$log" 2>&1 ||
    fails "swf_worker itself can't be installed"
else
  "$PYTHON" -m venv .venv >"$log" 2>&1 ||
    say "$PYTHON has no venv: install it (Debian, Ubuntu: apt install python3-venv)"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
    -r requirements.lock >"$log" 2>&1 ||
    fails "the packages can't be installed: is a package index reachable?"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
    --no-build-isolation -e . >"$log" 2>&1 || fails "swf_worker itself can't be installed"
fi
touch .venv/.ready
