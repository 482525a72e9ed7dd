"""Converters for the payloads of deciders that exist: this worker serves the activities that they
schedule, and they read its results and failures. Give one as ``converter=``."""

from __future__ import annotations

from .botoflow import BotoflowConverter
from .flow_java import FlowJavaConverter
from .flow_ruby import FlowRubyConverter
from .flowy import FlowyConverter
from .simpleflow import SimpleflowConverter

__all__ = [
    "BotoflowConverter",
    "FlowJavaConverter",
    "FlowRubyConverter",
    "FlowyConverter",
    "SimpleflowConverter",
]
