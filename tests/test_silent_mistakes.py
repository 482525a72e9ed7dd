"""Mistakes of the first hour that would do nothing, or something else, in silence: each is refused,
and its message names the place and the fix."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import subprocess
import sys
import textwrap
from typing import Optional, Union

import pytest

from swf_worker import ActivityContext, ActivityWorker, Completed, ConfigurationError, activity
from swf_worker.testing import ActivityEnvironment
from tests.commands import environment

marked = activity(version="1")


@marked
def work() -> str:
    return "done"


def worker_with(**attributes):
    """A subclass with these in its body."""
    return type("Mine", (ActivityWorker,), {"domain": "d", "task_list": "t", **attributes})


# --- methods ------------------------------------------------------------------------------------


def name_first(name: str) -> str:
    return name


def nothing() -> None: ...


def self_and_name(self, name: str) -> str:
    return f"hi {name}"


def typed_self(me: ActivityWorker, name: str) -> str:
    return f"hi {name}"


@pytest.mark.parametrize(
    ("function", "says"), [(name_first, "has 'name' first"), (nothing, "takes no parameter")]
)
def test_a_method_without_self_is_named(function, says):
    with pytest.raises(ConfigurationError, match=rf"Mine\.greet {says}.*write self before it"):
        worker_with(greet=marked(function))()


@pytest.mark.parametrize(
    "method",
    [
        marked(self_and_name),
        marked(typed_self),
        marked(staticmethod(name_first)),
        staticmethod(marked(name_first)),
        marked(classmethod(lambda cls, name: name)),
        classmethod(marked(lambda cls, name: name)),
    ],
    ids=["self", "typed", "above static", "below static", "above class", "below class"],
)
def test_methods_of_all_kinds_are_handlers_whatever_order_the_decorators_have(method):
    for each in ("__func__", None):  # a lambda has no name of its own that fits
        function = getattr(method, each, method) if each else method
        if getattr(function, "__name__", "") == "<lambda>":
            function.__name__ = "greet"
    (definition,) = worker_with(greet=method)().definitions
    assert [parameter.name for parameter in definition.signature.inputs] == ["name"]


@pytest.mark.parametrize("kind", [property, functools.cached_property])
def test_what_is_read_and_not_called_is_no_handler(kind):
    with pytest.raises(ConfigurationError, match=rf"Mine\.size is a {kind.__name__}.* a method"):
        worker_with(size=kind(marked(self_and_name)))()
    with pytest.raises(ConfigurationError, match=rf"not a {kind.__name__}"):
        marked(kind(self_and_name))


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ({"max_concurrent_activites": 3}, "max_concurrent_activities"),
        ({"drain_timout": 300}, "drain_timeout"),
        ({"observer": [1]}, "observers"),
        ({"activites": [work]}, "activities"),
        ({"on_startup": lambda self: None}, "on_start"),
        ({"handle_unregisterd": lambda self, context, given: None}, "handle_unregistered"),
    ],
)
def test_a_misspelled_attribute_of_a_subclass_names_the_one_that_is_meant(wrong, meant):
    (name,) = wrong
    with pytest.raises(ConfigurationError, match=rf"Mine\.{name} does nothing.* mean {meant}\?"):
        worker_with(activities=[work], **wrong)()


def test_attributes_that_resemble_none_and_handlers_are_the_users_own():
    own = {"pool": 3, "timeout": 5, "on_message": lambda self: None, "_domain": 1}

    class Above(worker_with(activities=[work], **own)):
        @activity(version="1")
        def drain_timeouts(self) -> None: ...

    assert {d.type.name for d in Above().definitions} == {"work", "drain_timeouts"}


@pytest.mark.parametrize(
    ("variable", "code", "says"),
    [
        ("SWF_WORKER_TASKLIST", 2, "did you mean SWF_WORKER_TASK_LIST?"),
        ("SWF_WORKER_DRAIN_TIMOUT", 2, "did you mean SWF_WORKER_DRAIN_TIMEOUT?"),
        ("SWF_WORKER_IMAGE", 2, "no module 'nowhere'"),
        ("SWF_WORKER_PORT_8080_TCP_ADDR", 2, "no module 'nowhere'"),
    ],
)
def test_a_misspelled_variable_names_the_one_that_is_meant(variable, code, says):
    done = command("run", "nowhere:worker", **{variable: "files"})
    assert done.returncode == code
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def command(*arguments, code=None, **variables):
    call = [sys.executable, *(["-c", code] if code else ["-m", "swf_worker", *arguments])]
    given = {
        name: value for name, value in (environment() | variables).items() if value is not None
    }
    return subprocess.run(call, env=given, capture_output=True, text=True, check=False)


# --- contexts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ctx", "context", "activity_context"])
@pytest.mark.parametrize("place", ["first", "last"])
def test_a_context_without_annotation_is_named(name, place):
    parameters = f"{name}, page: int" if place == "first" else f"page: int, {name}"
    made: dict = {}
    exec(f"def handler({parameters}): ...", made)
    with pytest.raises(ConfigurationError, match=f"{name}: ActivityContext"):
        worker_with(activities=[marked(made["handler"])])()


@pytest.mark.parametrize(
    "annotation",
    [
        Optional[ActivityContext],  # noqa: UP045 (people write it)
        Union[None, ActivityContext],
        ActivityContext | None,
        "Optional[ActivityContext]",
        "typing.Optional['ActivityContext']",
        "ActivityContext | None",
        "None | swf_worker.ActivityContext",
    ],
    ids=str,
)
def test_a_context_that_may_be_none_is_one(annotation):
    def handler(ctx, page):
        return [type(ctx).__mro__[1].__name__, page]

    handler.__annotations__ = {"ctx": annotation, "page": int}
    outcome = ActivityEnvironment().outcome(marked(handler), 3)
    assert outcome == Completed('["ActivityContext",3]')


# --- event loops --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["with", "run"])
def test_what_would_block_an_event_loop_is_refused_on_entry(how):
    worker = worker_with(activities=[work])(endpoint_url="http://127.0.0.1:9")

    async def embedded():
        if how == "run":
            worker.run()
        with worker:
            pass

    with pytest.raises(RuntimeError, match="would block this event loop: use `async with worker:`"):
        asyncio.run(embedded())
    assert not worker.is_running


def test_the_wrong_outcome_of_an_environment_names_the_right_one():
    @marked
    async def later() -> str:
        return "done"

    environment = ActivityEnvironment()

    async def in_an_async_test():
        with pytest.raises(TypeError, match="work is a plain function: use outcome"):
            await environment.outcome_async(work)
        with pytest.raises(RuntimeError, match=r"later in an async test: use .*outcome_async"):
            environment.outcome(later)
        assert environment.outcome(work) == Completed('"done"')
        return await environment.outcome_async(later)

    assert asyncio.run(in_an_async_test()) == Completed('"done"')


# --- the command line ---------------------------------------------------------------------------

SUBCLASSES = """
    from swf_worker import ActivityWorker, activity

    @activity(version="1")
    def work() -> None: ...

    class Base(ActivityWorker):
        domain, task_list, activities = "d", "t", (work,)
        endpoint_url = "http://127.0.0.1:9"

    class NoSuper(Base):
        def __init__(self): self.pool = None

    class NeedsAPool(Base):
        def __init__(self, pool): super().__init__()

    class Breaks(Base):
        def __init__(self, **options):
            super().__init__(**options)
            self.pool = 1 / 0
"""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("NoSuper", "NoSuper.__init__ doesn't call super().__init__(...)"),
        ("NeedsAPool", "missing 1 required positional argument: 'pool'"),
        ("Breaks", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_subclass_that_cannot_be_made_is_one_line(tmp_path, name, says):
    (tmp_path / "mine.py").write_text(textwrap.dedent(SUBCLASSES))
    done = command("run", f"mine:{name}", "--identity", "me", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_a_subclass_whose_init_takes_no_options_gets_the_command_lines_all_the_same(tmp_path):
    class Plain(worker_with(activities=[work])):
        def __init__(self):
            super().__init__()
            self.pool = 3

    from swf_worker.cli.run import _worker

    worker = _worker("mine:Plain", Plain, {"identity": "me"})
    assert (worker.pool, worker.identity) == (3, "me")


INTERRUPTED = """
    import os, signal, sys
    sys.argv = ["/bin/swf-worker", COMMAND]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests' own may be ignored
    import swf_worker.cli
    os.kill(os.getpid(), signal.SIGINT)
    import swf_worker.cli.main
    sys.exit(swf_worker.cli.main.main())
"""


@pytest.mark.parametrize(("name", "code"), [("run", 0), ("dev", 0), ("demo", 130), ("task", 130)])
def test_a_ctrl_c_while_a_command_is_only_being_imported_shows_no_traceback(name, code):
    done = command(code=textwrap.dedent(INTERRUPTED).replace("COMMAND", repr(name)))
    assert (done.returncode, done.stderr, done.stdout) == (code, "", "")


def test_who_imports_the_command_line_keeps_its_own_ctrl_c():
    code = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import swf_worker.cli.main\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    )
    assert command(code=code).returncode == 0
    assert signal.getsignal(signal.SIGINT) is not None
    assert os.path.basename(sys.argv[0]) != "swf-worker"


def test_another_module_that_is_run_keeps_its_own_ctrl_c_too(tmp_path):
    (tmp_path / "other.py").write_text(
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import swf_worker.cli.main\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    )
    package = tmp_path / "package"
    package.mkdir()
    (package / "__main__.py").write_text((tmp_path / "other.py").read_text())
    for module in ("other", "package"):
        done = subprocess.run(
            [sys.executable, "-m", module],
            cwd=tmp_path,
            env=environment() | {"PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
