"""The demo's worker: archives folders into .tar.gz files. Run as any worker is:

swf-worker run swf_worker.cli.demo.archiver:worker --endpoint-url http://127.0.0.1:…
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

from swf_worker import ActivityCanceled, ActivityContext, ActivityWorker, activity


@dataclass
class ArchiveRequest:
    """What to archive, and into which file."""

    folder: Path
    archive: Path


@dataclass
class ArchiveResult:
    """What the archive holds."""

    files: int
    size: int


@activity(name="Archive", version="1.0", heartbeat_timeout=6, start_to_close_timeout=300)
def archive(context: ActivityContext, request: ArchiveRequest) -> ArchiveResult:
    """Archive a folder; a cancel request removes the half-written file."""
    if not request.folder.is_dir():
        raise FileNotFoundError(f"there is no folder {request.folder}")
    files = [path for path in sorted(request.folder.rglob("*")) if path.is_file()]
    half = request.archive.with_suffix(".part")
    try:
        with tarfile.open(half, "w:gz") as tar:
            for number, path in enumerate(files):
                if context.should_stop:
                    context.logger.info("undoing", removed=str(half))
                    raise ActivityCanceled({"files_before_cancel": number})
                tar.add(path, arcname=path.relative_to(request.folder.parent))
                context.heartbeat({"files": number + 1, "of": len(files)})
        half.rename(request.archive)
    finally:
        half.unlink(missing_ok=True)
    return ArchiveResult(files=len(files), size=request.archive.stat().st_size)


worker = ActivityWorker(
    domain="demo",
    task_list="archives",
    activities=[archive],
    max_concurrent_activities=4,
    progress_beats_per_second=20,
)
