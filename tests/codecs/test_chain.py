"""Several codecs one after the other, a user's own among them."""

from __future__ import annotations

import pytest

from swf_worker import CodecError, ConfigurationError
from swf_worker.codecs import GzipCodec
from swf_worker.codecs.chain import apply, checked, unapply


class Tags:
    """Writes its tag, so that the order can be seen."""

    def __init__(self, tag):
        self.tag = tag

    def encode(self, text):
        return f"{self.tag}({text})"

    def decode(self, text):
        return text.removeprefix(f"{self.tag}(").removesuffix(")")


class Does:
    """Does this, both ways."""

    def __init__(self, what):
        self.encode = self.decode = what


def test_they_are_applied_in_order_and_undone_backwards():
    codecs = [Tags("first"), Tags("second")]
    assert apply(codecs, "text") == "second(first(text))"
    assert unapply(codecs, "second(first(text))") == "text"


@pytest.mark.parametrize("way", [apply, unapply])
def test_nothing_stays_nothing(way):
    assert way([Does(len)], None) is None
    assert way([], "text") == "text"


class Quoting(Exception):
    """Says what it was given."""


def fails(text):
    try:
        raise KeyError(text)
    except KeyError as error:
        raise Quoting(text) from error


async def later(text):
    return text


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (fails, r"Does\.{} raised Quoting \(test_chain.py, line \d+\)"),
        (lambda text: None, r"Does\.{} returned a NoneType, not a str"),
        (lambda text: text.encode(), r"Does\.{} returned a bytes, not a str"),
        (later, r"Does\.{} returned a coroutine, not a str"),
        (lambda: "text", r"Does\.{} raised TypeError"),
    ],
)
@pytest.mark.parametrize(("way", "verb"), [(apply, "encode"), (unapply, "decode")])
def test_whatever_a_users_codec_does_is_a_codec_error_without_the_text(way, verb, what, says):
    with pytest.raises(CodecError, match=says.format(verb)) as caught:
        way([Does(what)], "my secret")
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is caught.value.__cause__ is None
    assert not caught.value.may_pass


def test_a_codec_error_of_a_users_own_is_passed_on():
    def busy(text):
        raise CodecError("the key service is busy", may_pass=True)

    with pytest.raises(CodecError, match="the key service is busy") as caught:
        apply([Does(busy)], "text")
    assert caught.value.may_pass


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (GzipCodec(), "codecs must be a list of codecs, not a GzipCodec"),
        ("gzip", "codecs must be a list of codecs, not a str"),
        (None, "not a NoneType"),
        ([GzipCodec(), GzipCodec], r"codecs\[1\] is the class GzipCodec: make one of it"),
        ([5], r"codecs\[0\], a int, has no encode\(text\)"),
        ([Does(later)], r"codecs\[0\], a Does: encode is async"),
    ],
)
def test_what_can_be_no_codec_is_refused_at_once(given, says):
    with pytest.raises(ConfigurationError, match=says):
        checked(given)


def test_codecs_are_taken_as_they_are():
    codecs = [GzipCodec(), Tags("mine")]
    assert checked(codecs) == tuple(codecs)
