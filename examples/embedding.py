"""A worker inside a service that has a life of its own: FastAPI starts it, stops it, and shares its
event loop with it, and so the pool of connections that belongs to that loop.

    pip install fastapi uvicorn
    python examples/embedding.py      (AWS_ENDPOINT_URL_SWF=http://127.0.0.1:8765 for the local SWF)
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Response

from swf_worker import ActivityWorker, SwfWorkerError, activity


class Pool:
    """In the place of asyncpg's or aiohttp's: whoever uses it must be on the loop it belongs to."""

    def __init__(self, size: int) -> None:
        self._free: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._rows: dict[str, str] = {}
        for _ in range(size):
            self._free.put_nowait(self._rows)

    async def set(self, order: str, state: str) -> str:
        """Waits for a connection, as a busy service does."""
        connection = await self._free.get()
        try:
            await asyncio.sleep(0.01)
            connection[order] = state
            return state
        finally:
            self._free.put_nowait(connection)

    async def count(self, state: str) -> int:
        """How many orders are in that state."""
        return sum(each == state for each in self._rows.values())


pool = Pool(2)


@activity(name="Ship", version="1.0")
async def ship(order: str) -> str:
    """Runs on FastAPI's loop, because of event_loop= below."""
    return await pool.set(order, "shipped")


def worker_failed(error: SwfWorkerError) -> None:
    """The service would go on without its worker: end it, so that it is started again."""
    print(f"the worker can't work: {error}")
    os.kill(os.getpid(), signal.SIGTERM)


worker = ActivityWorker(
    domain="shop",
    task_list="orders",
    activities=[ship],
    drain_timeout=30,
    event_loop="current",  # the one that `async with worker:` is in
    on_fatal_error=worker_failed,
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Polls while the service serves, then drains."""
    async with worker:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/orders/{order}")
async def take(order: str) -> str:
    """The service's own use of the pool."""
    return await pool.set(order, "taken")


@app.get("/ready")
async def ready(response: Response) -> dict[str, int | bool]:
    """For the probe of whoever runs the service."""
    response.status_code = 200 if worker.is_running else 503
    return {"worker": worker.is_running, "shipped": await pool.count("shipped")}


if __name__ == "__main__":
    # uvicorn raises SIGTERM once more when it has stopped: this process is at its end then.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), log_level="warning")
