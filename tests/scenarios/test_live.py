"""The first contact with the real API: `MISTRAL_API_KEY=... pytest -m live --live`, and `--pay` for the paid questions."""

from __future__ import annotations

import json
import os

import pytest

REAL = {name: os.environ[name] for name in ("MISTRAL_API_KEY", "MISTRAL_BASE_URL") if name in os.environ}


@pytest.mark.live
def test_the_real_api_does_what_the_package_assumes(command, request):
    if "MISTRAL_API_KEY" not in REAL:
        pytest.fail("--live needs MISTRAL_API_KEY")
    extent = ["--pay", "--yes"] if request.config.getoption("--pay") else ["--free"]
    done = command("check", "--json", *extent, **REAL)
    assert done.stdout.startswith("{"), done.stderr
    results = json.loads(done.stdout)
    print(json.dumps(results, indent=2))
    assert results["not_deleted"] == []
    assert [row for row in results["findings"] if row["fits"] is False] == []
    assert results["findings"], done.stderr
