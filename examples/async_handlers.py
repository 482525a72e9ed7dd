"""Async handlers: thousands may wait at once, on one event loop.

python examples/async_handlers.py     # on the local SWF: AWS_ENDPOINT_URL_SWF=http://127.0.0.1:8765
swf-worker run examples.async_handlers:worker
"""

from __future__ import annotations

import asyncio

from swf_worker import ActivityContext, ActivityWorker, activity


@activity(name="WaitFor", version="1.0", heartbeat_timeout=15)
async def wait_for(context: ActivityContext, seconds: float) -> str:
    """Wait. A cancel request arrives as CancelledError, at the await."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        context.logger.info("stopped early", why=context.cancel_reason)
        raise  # the worker answers Canceled, if it was SWF that asked
    return "waited"


@activity(name="Gather", version="1.0")
async def gather(urls: list[str]) -> dict[str, int]:
    """Work on several things at once."""

    async def measure(url: str) -> int:
        await asyncio.sleep(0)  # where a real handler would await its HTTP client
        return len(url)

    return dict(zip(urls, await asyncio.gather(*map(measure, urls)), strict=True))


worker = ActivityWorker(
    domain="media", task_list="waits", activities=[wait_for, gather], max_concurrent_activities=1000
)

if __name__ == "__main__":
    raise SystemExit(worker.run())
