"""Tests on real servers. They run with `-m engines`, and a server that cannot be had is skipped with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from engines import MISSING, RAN

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("engines")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if RAN or MISSING:
        terminalreporter.section("engines")
    for engine, version in RAN.items():
        terminalreporter.line(f"ran on {engine} {version}")
    for engine, reason in MISSING.items():
        terminalreporter.line(f"not run on {engine}: {reason}")
