"""flowy itself: what it writes (``write``), and what it makes of texts (``read``, from stdin).

For Python 3.9 at the latest: botocore as flowy wants it doesn't import on later ones.
"""

import json
import sys
import uuid
from importlib.metadata import version

from flowy.config import ActivityConfig
from flowy.proxy import Proxy
from flowy.result import TaskError, error, wait
from flowy.swf.worker import load_events

ORDER = uuid.UUID("6fa459ea-ee8a-3ca4-894e-db77e160355e")


def write():
    scheduled = Proxy.serialize_input
    return {
        "inputs": {
            "plain": scheduled("A-17", 3, amount=None, ok=True, price=1.5),
            "nothing": scheduled(),
            "values": scheduled([(1, "caf\u00e9 \U0001f600")], {"a": {"b": [2**70]}}),
            "tagged": scheduled(ORDER, b"\xff\xfe", deep={"order": ORDER}),
        },
        "completed": {"result": ActivityConfig().serialize_result([1, b"x"])},
    }


def read(given):
    if "failed" in given:
        scheduled = {"activityTaskScheduledEventAttributes": {"activityId": "a"}}
        failed = {"activityTaskFailedEventAttributes": dict(given["failed"], scheduledEventId=1)}
        _, _, _, errors, _ = load_events(
            [
                dict(scheduled, eventType="ActivityTaskScheduled", eventId=1),
                dict(failed, eventType="ActivityTaskFailed", eventId=2),
            ]
        )
        try:
            wait(error(errors["a"], 0))
        except TaskError as raised:
            return {"said": str(raised)}
    return {"results": [repr(Proxy.deserialize_result(text)) for text in given["results"]]}


if __name__ == "__main__":
    said = write() if sys.argv[1] == "write" else read(json.load(sys.stdin))
    print(json.dumps({"library": "flowy " + version("flowy"), **said}, indent=1))
