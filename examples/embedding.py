"""A worker inside a service that has a life of its own: the service starts it, stops it, and
handles the signals.

    python examples/embedding.py      (AWS_ENDPOINT_URL_SWF=http://127.0.0.1:8765 for the local SWF)
"""

from __future__ import annotations

import asyncio
import signal

from swf_worker import ActivityWorker, activity

orders: dict[str, str] = {}


@activity(name="Ship", version="1.0")
async def ship(order: str) -> str:
    """Shares the process with the service, and so its memory."""
    orders[order] = "shipped"
    return orders[order]


worker = ActivityWorker(domain="shop", task_list="orders", activities=[ship], drain_timeout=30)


async def service() -> None:
    """What the program does besides; here it only waits for its end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    async with worker:  # polls until the block ends, then drains
        ended = asyncio.ensure_future(worker.wait_async())  # raises what ended the worker
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if ended.done():
            ended.result()
    await ended
    print(f"{len(orders)} orders shipped")


if __name__ == "__main__":
    asyncio.run(service())
