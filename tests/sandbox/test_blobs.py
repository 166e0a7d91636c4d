"""Bytes: files behind the key, blobs behind a signature."""

import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest


@pytest.fixture
def start(http):
    """Start a conversation; keyword arguments are fields of the request."""

    def starting(inputs="Draw an orange cat.", headers=None, **fields):
        whole = {"model": "m", "tools": [{"type": "image_generation"}], "inputs": inputs, **fields}
        return http.post("/v1/conversations", json=whole, headers=headers)

    return starting


@pytest.fixture
def url(start):
    return json.loads(start().json()["outputs"][0]["info"]["result"])["url"]


@pytest.fixture
def file_id(start):
    return start().json()["outputs"][-1]["content"][-1]["file_id"]


def test_signed_url_looks_like_azures(url):
    parts = urlsplit(url)
    assert parts.path.startswith("/blob/images/blackforest/")
    assert parts.path.endswith("/image.jpg")
    query = parse_qs(parts.query)
    assert query.keys() == {"se", "sp", "sv", "sr", "sig"}
    assert query["sp"] == ["r"]


def test_blob_needs_no_key_and_sends_its_length(url):
    response = httpx.get(url)
    assert response.headers["content-type"] == "application/octet-stream"
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.content.startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize("change", ["sig=wrong", "nothing=here"])
def test_wrong_or_missing_signature_is_refused(url, change):
    response = httpx.get(f"{url.partition('sig=')[0]}{change}")
    assert response.status_code == 403
    assert "<Code>AuthenticationFailed</Code>" in response.text


def test_changed_expiry_breaks_the_signature(url):
    later = url.replace(parse_qs(urlsplit(url).query)["se"][0][:4], "2099")
    assert httpx.get(later).status_code == 403


def test_file_and_blob_are_the_same_image(start, http):
    execution, message = start().json()["outputs"]
    content = http.get(f"/v1/files/{message['content'][-1]['file_id']}/content").content
    assert httpx.get(json.loads(execution["info"]["result"])["url"]).content == content


def test_content_needs_the_key(sandbox, file_id):
    assert httpx.get(f"{sandbox.url}/v1/files/{file_id}/content").status_code == 401


def test_api_signs_a_url_for_a_file(http, file_id):
    url = http.get(f"/v1/files/{file_id}/url", params={"expiry": 2}).json()["url"]
    assert httpx.get(url).content == http.get(f"/v1/files/{file_id}/content").content


@pytest.mark.parametrize("expiry", ["0", "169", "x"])
def test_expiry_of_a_signed_url_has_bounds(http, file_id, expiry):
    assert http.get(f"/v1/files/{file_id}/url", params={"expiry": expiry}).status_code == 422


def test_deleted_file_is_gone_everywhere(http, file_id):
    assert http.delete(f"/v1/files/{file_id}").json() == {"id": file_id, "object": "file", "deleted": True}
    for path in ("", "/content", "/url"):
        assert http.get(f"/v1/files/{file_id}{path}").status_code == 404


def test_expired_files_are_gone_everywhere_and_new_ones_are_not(http, sandbox, file_id):
    url = http.get(f"/v1/files/{file_id}/url").json()["url"]
    sandbox.expire_files()
    assert [http.get(f"/v1/files/{file_id}{path}").status_code for path in ("", "/content", "/url")] == [404] * 3
    assert httpx.get(url).status_code == 403
    new = http.post("/v1/files", files={"file": ("a.pdf", b"x")}).json()["id"]
    assert http.get(f"/v1/files/{new}/content").content == b"x"


def test_files_are_listed_by_page_purpose_and_search(http):
    for name, purpose in (("a.jsonl", "batch"), ("b.pdf", "ocr"), ("c.pdf", "ocr")):
        http.post("/v1/files", files={"file": (name, b"x")}, data={"purpose": purpose})
    listed = http.get("/v1/files", params={"purpose": "ocr", "page_size": 1})
    assert (listed.json()["total"], len(listed.json()["data"])) == (2, 1)
    assert [one["filename"] for one in http.get("/v1/files", params={"search": "a.j"}).json()["data"]] == ["a.jsonl"]
    assert http.get("/v1/files", params={"include_total": "false"}).json()["total"] is None


def test_upload_without_a_file_is_a_422(http):
    assert http.post("/v1/files", data={"purpose": "ocr"}).status_code == 422
