"""simpleflow's jumbo fields: one bucket is read and written, and no other."""

from __future__ import annotations

import boto3
import pytest

from swf_worker.converter import encoded_result
from swf_worker.deciders import SimpleflowConverter
from swf_worker.errors import CodecError, InputDecodeError, PayloadTooLargeError
from swf_worker.outcome import MAX_PAYLOAD

from .recorded import ANY_CALL
from .s3 import s3_on_a_socket


@pytest.fixture
def s3(monkeypatch):
    with s3_on_a_socket(monkeypatch) as s3:
        yield s3


LONG = "é" * MAX_PAYLOAD


@pytest.mark.parametrize("place", ["jumbo", "jumbo/deep/folder", "jumbo/"])
def test_a_long_result_goes_to_the_bucket_and_comes_back(s3, place):
    converter = SimpleflowConverter(jumbo_bucket=place)
    text = converter.encode(LONG)
    (name,) = s3.objects
    assert name.startswith(place)
    assert text == f"simpleflow+s3://{name} {len(LONG) + 2}"
    assert converter.decode(text, str) == LONG


def test_a_result_that_fits_goes_as_it_is(s3):
    fits = "x" * (MAX_PAYLOAD - 2)
    assert SimpleflowConverter(jumbo_bucket="jumbo").encode(fits) == f'"{fits}"'
    assert s3.objects == {}


def test_units_count_and_not_characters(s3):
    SimpleflowConverter(jumbo_bucket="jumbo").encode("\U0001f600" * (MAX_PAYLOAD // 2))
    assert len(s3.objects) == 1


@pytest.mark.parametrize("bucket", [None, "jumbo"])
def test_what_no_field_takes_is_too_large(s3, bucket):
    with pytest.raises(PayloadTooLargeError):
        encoded_result(SimpleflowConverter(jumbo_bucket=bucket), "x" * 6_000_000)
    assert s3.objects == {}


def test_an_input_is_read_from_the_bucket(s3):
    s3.objects["jumbo/a"] = b'{"args":["' + b"x" * 40_000 + b'"],"kwargs":{"b":1}}'
    converter = SimpleflowConverter("jumbo", session=boto3.Session())
    args, kwargs = converter.decode_arguments("simpleflow+s3://jumbo/a 40027", ANY_CALL)
    assert (len(args[0]), kwargs) == (40_000, {"b": 1})


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (None, "simpleflow+s3://jumbo/a 5"),
        ("jumbo", "simpleflow+s3://other/a 5"),
        ("jumbo/folder", "simpleflow+s3://jumbo/a 5"),
        ("jumbo", "simpleflow+s3://jumbo/missing 5"),
        ("jumbo", "simpleflow+s3://jumbo/binary 5"),
        ("jumbo", "simpleflow+s3://jumbo/long 5"),
        ("jumbo", "simpleflow+s3://jumbo/reference 5"),
        ("jumbo", "simpleflow+s3://jumbo/a"),
        ("jumbo", "simpleflow+s3://jumbo/a x"),
        ("jumbo", "simpleflow+s3://jumbo 5"),
        ("jumbo", "simpleflow+s3:///a 5"),
    ],
)
def test_any_other_reference_is_refused(s3, place, text):
    s3.objects |= {
        "jumbo/a": b"[]",
        "other/a": b"[]",
        "jumbo/binary": b"\xff",
        "jumbo/long": b"x" * (20 * 1024**2 + 1),
        "jumbo/reference": b"simpleflow+s3://jumbo/a 5",
    }
    with pytest.raises(InputDecodeError) as refused:
        SimpleflowConverter(place).decode_arguments(text, ANY_CALL)
    assert "//" not in str(refused.value)


def test_what_goes_wrong_at_s3_is_typed(s3):
    s3.denies = True
    converter = SimpleflowConverter("jumbo")
    with pytest.raises(CodecError):
        converter.decode_arguments("simpleflow+s3://jumbo/a 5", ANY_CALL)
    with pytest.raises(CodecError):
        converter.encode(LONG)
