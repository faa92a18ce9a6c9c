"""The command line: dumps, manifests and configurations in, answers out, as text, JSON, CSV or a page."""

from dsmodel.cli import admitting, checking, exploring, forecasting, histories, planning, reporting, sweeping, tracing
from dsmodel.cli.terminal import JSON_SCHEMA, main

__all__ = [
    "JSON_SCHEMA",
    "admitting",
    "checking",
    "exploring",
    "forecasting",
    "histories",
    "main",
    "planning",
    "reporting",
    "sweeping",
    "tracing",
]
