"""Cancellation with undo: ask ``should_stop`` in the loop, undo, and raise ActivityCanceled.

python examples/cancel_with_undo.py     # on the local SWF: AWS_ENDPOINT_URL_SWF=http://127.0.0.1:8765
swf-worker run examples.cancel_with_undo:worker
"""

from __future__ import annotations

from pathlib import Path

from swf_worker import ActivityCanceled, ActivityContext, ActivityWorker, activity


@activity(name="Render", version="1.0", heartbeat_timeout=10)
def render(context: ActivityContext, pages: int, folder: Path) -> dict[str, int]:
    """Render pages into a folder; when asked to stop, remove what was rendered."""
    done: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, pages + 1):
        if context.should_stop:
            # Any cause: SWF's request, the worker's shutdown, a task that SWF has closed. The
            # worker knows which, and answers Canceled only if SWF asked for it.
            for page in done:
                page.unlink()
            raise ActivityCanceled({"pages_undone": len(done)})
        page = folder / f"page-{number}.txt"
        page.write_text(f"page {number} of {pages}\n")
        done.append(page)
        context.heartbeat({"pages": number, "of": pages})
        context.wait_for_stop(0.05)  # where the real work would be; wakes up when asked to stop
    return {"pages": len(done)}


worker = ActivityWorker(domain="media", task_list="pages", activities=[render])

if __name__ == "__main__":
    raise SystemExit(worker.run())
