"""A browser that never answers, or never ends, does not hold up the tests that look at pages with it."""

from __future__ import annotations

import psutil
import pytest
from browser import Browser, find_browser

pytestmark = pytest.mark.slow
SILENT = """#!/bin/sh
trap '' TERM
exec sleep 600
"""


def children():
    return set(psutil.Process().children(recursive=True))


def test_a_browser_that_never_answers_is_killed(tmp_path):
    before = children()
    program = tmp_path / "silent"
    program.write_text(SILENT)
    program.chmod(0o755)
    with pytest.raises(TimeoutError, match=r"not answered Target.createTarget in 1 s"):
        Browser(str(program), patience=1)
    assert children() == before


def test_a_page_that_never_answers_is_an_error(tmp_path):
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium here")
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><script>for (;;) {}</script>")
    with Browser(program) as browser:
        browser.patience = 1
        with pytest.raises(TimeoutError, match=r"not answered Runtime.evaluate in 1 s"):
            browser.eval("new Promise(() => {})")
        with pytest.raises(TimeoutError, match=r"not answered (Page|Emulation)\.\w+ in 1 s"):
            browser.open(page, 800, 600)
