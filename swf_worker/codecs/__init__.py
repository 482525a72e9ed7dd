"""Codecs: what is done to a payload's text between the converter and the wire, and undone on the
way back. Compressed, encrypted, kept in S3, or what a class of your own does.

``codecs=[GzipCodec(), EncryptionCodec(keys), S3Codec(bucket)]`` are applied in this order when
something is written, and backwards when it is read.
"""

from __future__ import annotations

from .chain import Codec
from .encryption import EncryptionCodec
from .gzip import GzipCodec
from .s3 import S3Codec

__all__ = ["Codec", "EncryptionCodec", "GzipCodec", "S3Codec"]
