"""The manifest: lines that are there or not, and one writer."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest
from synced_disk import SyncedDisk

from langchain_mistral_imagegen._cli.manifest import BadManifestError, Manifest, append_record, read_manifest

LINE = {"id": "a", "prompt": "A.", "status": "failed", "time": "2026-01-01T00:00:00+00:00"}


def test_the_last_line_of_an_id_counts_and_none_is_changed(tmp_path):
    path = tmp_path / "below" / "m.jsonl"
    with Manifest(path) as manifest:
        manifest.write(LINE)
        manifest.write({**LINE, "id": "b", "prompt": "\u2028\x85é"})
        manifest.write({**LINE, "status": "text"})
        assert manifest.get("a")["status"] == "text"
    assert {name: one["status"] for name, one in read_manifest(path).items()} == {"a": "text", "b": "failed"}
    assert path.read_bytes().count(b"\n") == 3


def test_after_a_power_cut_a_line_is_there_with_all_its_folders(tmp_path, monkeypatch):
    disk = SyncedDisk(tmp_path, monkeypatch)
    path = tmp_path / "new" / "images" / "m.jsonl"
    with Manifest(path) as manifest:
        manifest.write(LINE)
    assert disk.cut_power().get("new/images/m.jsonl") == path.read_bytes()


def test_after_a_power_cut_the_line_of_a_single_prompt_is_there_with_all_its_folders(tmp_path, monkeypatch):
    disk = SyncedDisk(tmp_path, monkeypatch)
    path = tmp_path / "new" / "images" / "m.jsonl"
    append_record(path, LINE)
    assert disk.cut_power().get("new/images/m.jsonl") == path.read_bytes()


@pytest.mark.parametrize("cut", [2, 20, 80])
def test_a_line_that_was_cut_does_not_count_and_is_removed_by_the_next_writer(tmp_path, cut):
    path = tmp_path / "m.jsonl"
    with Manifest(path) as manifest:
        manifest.write(LINE)
        manifest.write({**LINE, "status": "text"})
    path.write_bytes(path.read_bytes()[:-cut])
    assert read_manifest(path)["a"]["status"] == "failed"
    with Manifest(path) as manifest:
        assert manifest.get("a")["status"] == "failed"
        manifest.write({**LINE, "id": "b"})
    assert list(read_manifest(path)) == ["a", "b"]


@pytest.mark.parametrize(
    "line",
    ["{}", "[]", "x", '{"id": 1, "prompt": "A.", "status": "failed", "time": "t"}',
     '{"id": "a", "prompt": "A.", "status": "new", "time": "t"}',
     '{"id": "a", "prompt": "A.", "status": "asked", "time": "t"}',
     '{"id": "a", "prompt": "A.", "status": "stored", "time": "t", "images": [{}]}'],
)  # fmt: skip
def test_what_is_no_manifest_is_not_written_to(tmp_path, line):
    path = tmp_path / "m.jsonl"
    path.write_text(f"{line}\n")
    before = path.read_bytes()
    with pytest.raises(BadManifestError, match="line 1: not a line of a manifest"), Manifest(path):
        pass
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "edited",
    [
        lambda data: data[:-1],
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: b"\n" + data.replace(b"\n", b"\n \n\n"),
    ],
    ids=["no last line break", "BOM", "CRLF", "blank lines"],
)
def test_what_editors_do_to_it_loses_no_line(tmp_path, edited):
    path = tmp_path / "m.jsonl"
    with Manifest(path) as manifest:
        manifest.write(LINE)
        manifest.write({**LINE, "status": "text"})
    path.write_bytes(edited(path.read_bytes()))
    with Manifest(path) as manifest:
        assert manifest.get("a")["status"] == "text"
        manifest.write({**LINE, "id": "b"})
    append_record(path, {**LINE, "id": "c"})
    assert {name: one["status"] for name, one in read_manifest(path).items()} == {
        "a": "text", "b": "failed", "c": "failed",
    }  # fmt: skip


def test_a_broken_line_is_to_be_corrected_not_left_behind(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"id": "a", "prompt": "A.", oops\n')
    with pytest.raises(BadManifestError, match="Correct the line: it may be the only record") as caught, Manifest(path):
        pass
    assert "another file" not in str(caught.value)


@pytest.mark.slow
def test_two_runs_cannot_write_at_once(tmp_path):
    path = tmp_path / "m.jsonl"
    code = "import sys; from pathlib import Path; from langchain_mistral_imagegen._cli.manifest import Manifest; Manifest(Path(sys.argv[1])).__enter__()"
    with Manifest(path):
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert "Another run is writing" in done.stderr
    with Manifest(path):  # it is free again
        pass


def test_a_full_disk_is_an_error(tmp_path):
    with Manifest(tmp_path / "m.jsonl") as manifest:
        manifest._file.close()
        manifest._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115, PTH123
        with pytest.raises(OSError) as caught:
            manifest.write(LINE)
    assert caught.value.errno == errno.ENOSPC
    assert manifest.get("a") is None
