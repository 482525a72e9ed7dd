"""What ``--codecs`` names in tests."""

from __future__ import annotations

import os

from swf_worker.codecs import EncryptionCodec, GzipCodec, S3Codec
from tests.codecs.fake_s3 import BUCKET, QUICK

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OTHER_KEY = "HxwdHhsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="

gzip, encryption = GzipCodec(), EncryptionCodec([KEY])
s3 = S3Codec(BUCKET, endpoint_url=os.environ.get("TEST_S3"), client_config=QUICK)
ALL = [gzip, encryption, s3]
ENCRYPTED = (encryption,)
BACKWARDS = [encryption, gzip]
OTHER = [gzip, EncryptionCodec([OTHER_KEY])]


class Worker:
    codecs = tuple(ALL)


class Without:
    codecs = None


class Breaks:
    def encode(self, text):
        return text

    def decode(self, text):
        raise ValueError(text)


BREAKS = [Breaks()]
WRONG = [GzipCodec]
