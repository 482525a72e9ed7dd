"""README from the top, as it is typed: in an empty folder, block after block."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.fresh.conftest import ROOT, newcomer

PYTHON = """
import json, sys
names = {"__name__": "readme"}
for line in sys.stdin:
    exec(compile(json.loads(line), "README.md", "exec"), names)
    print("done", flush=True)
"""
SERVES = re.compile(r"(\S*/)?swf-worker (dev|run)\b")
"""Commands that go on until Ctrl-C."""
NOT_HERE = {"make test"}
"""It would run all tests inside of one."""


class Terminal:
    """One command, typed in a terminal of its own."""

    def __init__(self, line, folder, env):
        self.line, self.said = line, []
        self.serves = bool(SERVES.match(line))
        self._spoke = threading.Event()
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self.said.append(line)
            self._spoke.set()
        self._spoke.set()

    def wait_for_a_word(self):
        assert self._spoke.wait(300), self.line

    def end(self):
        if self.serves:
            assert self._process.poll() is None, f"{self.line} ended: {self.said}"
            self._process.send_signal(signal.SIGINT)
        code = self._process.wait(300)
        self._reader.join(30)
        assert code == 0, f"{self.line}: {code}\n{''.join(self.said)}"

    def kill(self):
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._reader.join(30)
        self._process.stdout.close()


class Reader:
    """Somebody who types what stands there."""

    def __init__(self, folder):
        self.folder = folder
        # python3 is the one that these tests run on, without their packages.
        self.env = newcomer(Path(sys._base_executable).parent)
        self.here = folder / "empty"
        self.here.mkdir()
        self.typed = []
        self._open = []
        self._python = None

    def type_block(self, text):
        env = dict(self.env)  # what a block exports stays in its terminals
        for line in text.splitlines():
            line = re.split(r"\s+#\s", line)[0].strip()
            if not line or line in NOT_HERE:
                continue
            self.typed.append(line)
            first, *rest = shlex.split(line)
            if first == "cd":
                self.here /= rest[0]
            elif first == "export":
                name, _, value = rest[0].partition("=")
                env[name] = value
            elif line == ". .venv/bin/activate":
                env["PATH"] = f"{self.here / '.venv/bin'}{os.pathsep}{env['PATH']}"
            else:
                terminal = Terminal(line.replace("REPOSITORY", str(ROOT)), self.here, env)
                self._open.append(terminal)
                if any(each.serves for each in self._open):
                    terminal.wait_for_a_word()  # the next line is typed in the next terminal
                else:
                    terminal.end()
        self._end_block()

    def _end_block(self):
        # What serves is stopped last, and the local SWF after what uses it.
        for terminal in sorted(self._open, key=lambda each: (each.serves, " dev" in each.line)):
            terminal.end()
        self.close_terminals()

    def close_terminals(self):
        for terminal in self._open:
            terminal.kill()
        self._open = []

    def run_python(self, text):
        if self._python is None:
            self._python = subprocess.Popen(
                [self.here / ".venv/bin/python", "-c", PYTHON],
                cwd=self.here,
                env=self.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        self._python.stdin.write(json.dumps(text) + "\n")
        self._python.stdin.flush()
        said = self._python.stdout.readline()
        assert said == "done\n", f"{text}\n{said}{self._python.stderr.read() if not said else ''}"

    def close(self):
        self.close_terminals()
        if self._python is not None:
            self._python.communicate(timeout=60)
            assert self._python.returncode == 0


def blocks():
    return re.findall(r"^```(sh|python)\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)


def test_readme_as_it_is_typed(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout: there is nothing to clone")
    reader = Reader(tmp_path)
    code, clone, *others = blocks()
    try:
        # The code on top is read before there is anything to run it with.
        for kind, text in (clone, code, *others):
            if kind == "python":
                reader.run_python(text)
            else:
                reader.type_block(text)
        assert [line for line in reader.typed if line.startswith("swf-worker schedule")]
    finally:
        reader.close()
