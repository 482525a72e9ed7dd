"""Handlers that log with the standard library, in all three modes."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import warnings

import structlog

from swf_worker import ActivityWorker, activity

if os.environ.get("BASIC_CONFIG"):
    logging.basicConfig(level=logging.DEBUG, format="MINE %(message)s")  # as modules do
if os.environ.get("STRUCTLOG_TO_LOGGING"):
    structlog.configure(
        processors=[structlog.stdlib.render_to_log_kwargs],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
if os.environ.get("STRUCTLOG_IN_OTHER_WORDS"):  # to where ours goes: the factory is left as it is
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            {
                "text": structlog.processors.KeyValueRenderer(key_order=["event"]),
                "json": structlog.processors.JSONRenderer(),
            }[os.environ["STRUCTLOG_IN_OTHER_WORDS"]],
        ]
    )
if os.environ.get("OWN_HANDLERS"):
    logging.basicConfig(level=logging.INFO, format="MINE %(message)s", force=True)
APP = logging.getLogger("app")


def log() -> None:
    APP.debug("a debug line")
    APP.info("an order of %d", 5, extra={"order": 7})
    logging.getLogger("botocore.endpoint").debug("taskToken=a-secret")
    structlog.get_logger("other").info("with structlog")
    warnings.warn("a warning", UserWarning, stacklevel=1)
    try:
        card = "4111-1111-card"
        raise ValueError("no money")
    except ValueError:
        APP.exception("caught")
        del card
    APP.info("%d", "broken")
    odd = ("event", "level", "timestamp", "logger", "self", "method_name", "run_id", "exc")
    APP.warning("odd names", exc_info=True, extra={name: f"my {name}" for name in odd})
    child = multiprocessing.get_context("fork").Process(target=APP.warning, args=("in a fork",))
    child.start()
    child.join()


@activity(name="Logs", version="thread", heartbeat_interval=1)
def plain() -> None:
    log()


@activity(name="Logs", version="async", heartbeat_interval=1)
async def coroutine() -> None:
    log()
    await asyncio.to_thread(APP.info, "from another thread")


@activity(name="Logs", version="process", heartbeat_interval=1, isolation="process")
def in_process() -> None:
    log()


worker = ActivityWorker(
    domain="tests", task_list="tasks", activities=[plain, coroutine, in_process]
)
