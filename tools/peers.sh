#!/bin/sh
# Builds .venv-peers with the libraries that make bench compares with; without them it goes on.
set -u

[ -e .venv-peers/.tried ] && exit 0
echo "building .venv-peers (once) ..." >&2
rm -rf .venv-peers
"$PYTHON" -m venv .venv-peers &&
  .venv-peers/bin/pip install --quiet --disable-pip-version-check garcon==1.1.1 simpleflow==0.36.0 \
    >/dev/null 2>&1 ||
  { echo "garcon and simpleflow don't install here: they are left out" >&2; rm -rf .venv-peers; mkdir .venv-peers; }
touch .venv-peers/.tried
