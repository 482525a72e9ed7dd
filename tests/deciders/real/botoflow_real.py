"""botoflow itself: what it writes (``write``), and what it makes of texts (``read``, from stdin).

For Python 2.7 and 3: only on 2.7 can botoflow write its own failures' tracebacks.
"""

import collections
import datetime
import decimal
import json
import sys
import traceback

import botoflow
from botoflow.data_converter import JSONDataConverter
from botoflow.exceptions import ActivityTaskFailedError

CONVERTER = JSONDataConverter()
Point = collections.namedtuple("Point", "x y")


class Order(object):
    def __init__(self):
        self.id, self.lines = "A-17", [(1, "two")]


class Lines(list):
    pass


class Prices(dict):
    def __getstate__(self):
        return dict(self)


def scheduled(*args, **kwargs):
    try:
        return CONVERTER.dumps([args, kwargs])
    except AttributeError:  # exceptions, from Python 3.11 on
        return None


def failed():
    try:
        raise ValueError("a negative amount")
    except ValueError as error:
        calls = traceback.extract_tb(sys.exc_info()[2])
        try:
            return {"reason": "", "details": CONVERTER.dumps([error, calls])}
        except AttributeError as unwritten:
            return {"reason": "", "details": None, "why": str(unwritten)}


def write():
    when = datetime.datetime(2024, 1, 2, 3, 4, 5, 678000)
    ordered = collections.OrderedDict([("b", 1), ("a", (2,))])
    return {
        "inputs": {
            "plain": scheduled("A-17", 3, amount=None, ok=True, price=1.5),
            "nothing": scheduled(),
            "collections": scheduled((1, (2, "x")), set([3]), frozenset([4]), [ordered]),
            "numbers": scheduled(decimal.Decimal("-1.50"), 2**70, float("nan")),
            "times": scheduled(when, datetime.timedelta(1, 2, 3)),
            "bytes": scheduled(b"\xff\xfe"),
            "objects": scheduled(Order(), Lines([1]), Prices(a=2), Point(1, 2), Order),
            "exception": scheduled(KeyError("size")),
        },
        "failed": failed(),
    }


def shown(value):
    """A value and its types, as text that is the same on both Pythons."""
    if isinstance(value, (tuple, list)):
        return [type(value).__name__, [shown(each) for each in value]]
    if isinstance(value, (set, frozenset)):
        return [type(value).__name__, sorted(shown(each) for each in value)]
    if isinstance(value, dict):
        return {key: shown(each) for key, each in value.items()}
    if isinstance(value, bytes):
        return ["bytes", value.decode("latin-1")]
    if value is None or isinstance(value, (bool, int, float, type(""))):
        return value
    return [type(value).__name__, str(value)]


def read(given):
    if "failed" in given:
        cause, calls = CONVERTER.loads(given["failed"]["details"])
        error = ActivityTaskFailedError(5, "type", "id", cause=cause, _traceback=calls)
        return {
            "cause": type(cause).__name__,
            "args": list(cause.args),
            "message": cause.message,
            "printed": "".join(error.format_exc()),
        }
    return {"results": [shown(CONVERTER.loads(text)) for text in given["results"]]}


if __name__ == "__main__":
    said = write() if sys.argv[1] == "write" else read(json.load(sys.stdin))
    said["library"] = "botoflow " + botoflow.__version__
    said["python"] = "%d.%d" % sys.version_info[:2]
    print(json.dumps(said, indent=1, sort_keys=True))
