"""What is built, and installed into empty environments: with uv, from a package index."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.fresh)
            item.add_marker(pytest.mark.timeout(600))


def run(*command, code=0, cwd=None, env=None):
    """What it printed; the exit code is ``code``."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def newcomer(*first_on_path):
    """The environment of somebody who has set nothing."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    path = [*map(str, first_on_path), "/usr/local/bin", "/usr/bin", "/bin"]
    return kept | {"PATH": os.pathsep.join(path), "AWS_EC2_METADATA_DISABLED": "true"}


def uv(*arguments, cwd=None):
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL")
    # As pip does it: by the certificates of the machine, and from its index.
    env = os.environ | {"UV_SYSTEM_CERTS": "1"} | ({"UV_DEFAULT_INDEX": index} if index else {})
    env.pop("VIRTUAL_ENV", None)
    return run(sys.executable, "-m", "uv", *arguments, cwd=cwd, env=env)


def environment_with(folder, *requirements):
    """An environment with pip and these; its folder of commands."""
    uv("venv", "--quiet", "--seed", "--python", sys._base_executable, folder)
    uv("pip", "install", "--quiet", "--python", folder / "bin" / "python", *requirements)
    return folder / "bin"


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The source distribution, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    run("tar", "-xzf", sdist, "-C", folder)
    (source,) = (each for each in folder.iterdir() if each.is_dir())
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=source)
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel
