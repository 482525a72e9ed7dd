"""Identifiers as long and as awkward as SWF's, in base64 with ``/``, ``+`` and ``=``: what puts
them into URLs, names of files or narrow columns fails here first."""

from __future__ import annotations

import os
from base64 import b64encode

_AWKWARD = b"\xfb\xff\xbf"  # "+/+/" in base64


def task_token() -> str:
    """A task token: 320 characters."""
    return _base64(240)


def run_id() -> str:
    """A run id: 46 characters, the last of them ``=``."""
    return f"22{_base64(32)}"


def _base64(length: int) -> str:
    some = os.urandom(length - len(_AWKWARD))
    return b64encode(some[:12] + _AWKWARD + some[12:]).decode()
