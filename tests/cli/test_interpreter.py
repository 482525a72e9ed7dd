"""A handler process and a supervised one import what their parent can; and only Python is started
as Python is."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import textwrap
import zipfile
from contextlib import contextmanager

import pytest

from swf_worker import activity
from swf_worker.local import Completed, LocalSwf
from tests.commands import environment

WORKERS = """
    import os, sys
    from swf_worker import ActivityWorker, activity

    @activity(name="Where", version="1", isolation="process", heartbeat_interval=1)
    def where() -> list:
        return [__file__.rpartition("/")[2], os.getpid()]

    worker = ActivityWorker(domain="tests", task_list="tasks", activities=[where])
"""

# What an editable install of a namespace package leaves in site-packages (setuptools#3548): a
# finder, a path hook, and an entry of sys.path that is no folder but the hook's own mark.
FINDER = """
    import importlib.machinery, importlib.util, sys
    FOLDER = {folder!r}
    MARK = "__editable__.spaces.finder.__path_hook__"

    class Finder:
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            return None

    class NamespaceFinder:
        @classmethod
        def path_hook(cls, path):
            if path == MARK:
                return cls
            raise ImportError

        @classmethod
        def find_spec(cls, name, target=None):
            if name == "spaces":
                spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
                spec.submodule_search_locations = [FOLDER]
                return spec
            return None

    def install():
        sys.meta_path.append(Finder)
        sys.path_hooks.append(NamespaceFinder.path_hook)
        sys.path.append(MARK)
"""
LAUNCHER = """
    import site, sys
    site.addsitedir({folder!r})
    from swf_worker.cli.main import main
    sys.exit(main())
"""


@activity(name="Where", version="1", heartbeat_interval=1)
def where() -> None: ...


@pytest.fixture
def swf():
    with LocalSwf(poll_hold=0.3) as local:
        local.register([where], domain="tests")
        yield local


def write(path, text, **values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).format(**values) if values else textwrap.dedent(text))
    return path


@contextmanager
def running(swf, *command, **options):
    with subprocess.Popen(
        command,
        env=environment(AWS_ENDPOINT_URL_SWF=swf.endpoint_url) | options.pop("env", {}),
        stderr=subprocess.PIPE,
        text=True,
        **options,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def check(swf, *command, **options):
    scheduled = swf.schedule("Where", "1", domain="tests", task_list="tasks")
    with running(swf, *command, **options) as process:
        try:
            outcome = scheduled.outcome(20)
        except TimeoutError:
            process.kill()
            raise AssertionError(process.stderr.read()) from None
        assert isinstance(outcome, Completed), outcome
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    return json.loads(outcome.result)


def editable(folder):
    site = folder / "site"
    write(folder / "source" / "deep" / "workers.py", WORKERS)
    write(site / "__editable___spaces_finder.py", FINDER, folder=str(folder / "source"))
    write(site / "editable.pth", "import __editable___spaces_finder as f; f.install()\n")
    return "spaces.deep.workers:worker"


def on_the_path(folder):
    write(folder / "site" / "elsewhere" / "workers.py", WORKERS)
    write(folder / "site" / "more.pth", "elsewhere\n")
    return "workers:worker"


def in_a_zip(folder):
    (folder / "site").mkdir()
    with zipfile.ZipFile(folder / "site" / "all.zip", "w") as archive:
        archive.writestr("workers.py", textwrap.dedent(WORKERS))
    write(folder / "site" / "more.pth", "all.zip\n")
    return "workers:worker"


SUPERVISED = ["--processes", "1"]


@pytest.mark.parametrize(
    ("layout", "more"),
    [
        (editable, SUPERVISED),
        (in_a_zip, []),
        pytest.param(editable, [], marks=pytest.mark.full),
        pytest.param(on_the_path, SUPERVISED, marks=pytest.mark.full),
        pytest.param(on_the_path, [], marks=pytest.mark.full),
        pytest.param(in_a_zip, SUPERVISED, marks=pytest.mark.full),
    ],
)
def test_a_launchers_path_and_import_hooks_are_taken_along(swf, tmp_path, layout, more):
    target = layout(tmp_path)
    launcher = write(tmp_path / "launch.py", LAUNCHER, folder=str(tmp_path / "site"))
    file, _ = check(swf, sys.executable, str(launcher), "run", target, *more)
    assert file == "workers.py"


def test_a_folder_that_was_relative_when_it_was_put_there(swf, tmp_path):
    write(tmp_path / "relative" / "workers.py", WORKERS + "\n    os.chdir('/')\n")
    code = "import sys; sys.path.insert(0, 'relative'); from workers import worker; worker.run()"
    check(swf, sys.executable, "-c", code, cwd=tmp_path, env={"PYTHONPATH": os.getcwd()})


@pytest.mark.parametrize("more", [SUPERVISED, pytest.param([], marks=pytest.mark.full)])
def test_a_path_that_no_variable_holds(swf, tmp_path, more):
    """As Bazel and pex make them."""
    target = on_the_path(tmp_path)
    launcher = write(tmp_path / "launch.py", LAUNCHER, folder=str(tmp_path / "site"))
    longer = "import sys; sys.path[1:1] = [f'/nowhere/{n:0>90}' for n in range(4000)]\n"
    launcher.write_text(longer + launcher.read_text())
    check(swf, sys.executable, str(launcher), "run", target, *more)


def test_an_import_hook_that_is_an_object(swf, tmp_path):
    """As an application's own loader is, which keeps its state in it."""
    write(tmp_path / "lib" / "workers_elsewhere.py", WORKERS)
    write(
        tmp_path / "hooks.py",
        """
        import importlib.util

        class Finder:
            def __init__(self, names):
                self.names = names

            def find_spec(self, name, path=None, target=None):
                if name in self.names:
                    return importlib.util.spec_from_file_location(name, self.names[name])
                return None
        """,
    )
    code = f"""
import sys
from hooks import Finder
sys.meta_path.insert(0, Finder({{"made_up": {str(tmp_path / "lib" / "workers_elsewhere.py")!r}}}))
from made_up import worker
worker.run()
"""
    check(swf, sys.executable, "-c", code, cwd=tmp_path, env={"PYTHONPATH": os.getcwd()})


# --- what is no Python --------------------------------------------------------------------------

PROGRAM = """
    import os, sys
    sys.path.insert(0, {here!r})
    {setup}
    from swf_worker import ActivityWorker, ConfigurationError, activity
    import workers

    if __name__ == "__main__":
        try:
            workers.worker.run()
        except ConfigurationError as error:
            print(error, file=sys.stderr)
            sys.exit(1)
"""
APPLICATION = """
    #!/bin/sh
    echo run >> {folder}/runs
    [ $(wc -l < {folder}/runs) -lt 5 ] && exec {python} {folder}/program.py
"""


def application(folder, name, setup):
    """A program that runs itself when it is started, as frozen and embedding ones do."""
    app = write(folder / name, APPLICATION.lstrip(), folder=folder, python=sys.executable)
    app.chmod(app.stat().st_mode | stat.S_IXUSR)
    write(folder / "workers.py", WORKERS)
    write(folder / "program.py", PROGRAM, here=str(folder), setup=setup.format(app=str(app)))
    return app


FROZEN = {
    "frozen": "sys.frozen = True; sys.executable = {app!r}",
    "embedded": "sys.executable = {app!r}",
    "no executable": "sys.executable = ''",
    "none": "sys.executable = None",
}


@pytest.mark.parametrize("setup", FROZEN)
def test_no_child_runs_the_program(swf, tmp_path, setup):
    application(tmp_path, "application", FROZEN[setup])
    with running(swf, sys.executable, str(tmp_path / "program.py")) as process:
        _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert not (tmp_path / "runs").exists(), "it was never started again"
    assert "multiprocessing.set_executable" in err, "the way out"
    assert "sys.executable is" in err


@pytest.mark.parametrize("setup", ["frozen", "no executable"])
def test_nor_does_a_supervised_process(swf, tmp_path, setup):
    application(tmp_path, "application", FROZEN[setup])
    app = str(tmp_path / "application")
    code = (
        f"import sys; {FROZEN[setup].format(app=app)}; from swf_worker.cli.main import main; main()"
    )
    command = [sys.executable, "-c", code.replace("; main()", "; sys.exit(main())")]
    command += ["run", "workers:worker", "--processes", "2"]
    with running(swf, *command, cwd=tmp_path, env={"PYTHONPATH": os.getcwd()}) as process:
        _, err = process.communicate(timeout=20)
    assert process.returncode == 1, err
    assert not (tmp_path / "runs").exists()
    assert "multiprocessing.set_executable" in err


@pytest.mark.parametrize("setup", ["frozen", pytest.param("embedded", marks=pytest.mark.full)])
def test_an_interpreter_that_the_program_names_is_taken(swf, tmp_path, setup):
    named = f"import multiprocessing; multiprocessing.set_executable({sys.executable!r}); "
    application(tmp_path, "application", named + FROZEN[setup])
    check(swf, sys.executable, str(tmp_path / "program.py"))
    assert not (tmp_path / "runs").exists()


def test_one_that_only_has_pythons_name_ends_soon(swf, tmp_path):
    """Nothing tells it before it is started: the process it has become refuses to be a worker."""
    application(tmp_path, "python3", "sys.executable = {app!r}")
    with running(swf, sys.executable, str(tmp_path / "program.py")) as process:
        _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert (tmp_path / "runs").read_text() == "run\n"
    assert "is no Python" in err
