"""Signed URLs are taken out of everything, however it is cut."""

from __future__ import annotations

import pytest
from written_urls import AROUND, HOST, QUERY, URL, WRITTEN

from langchain_mistral_imagegen._protocol import signed_urls
from langchain_mistral_imagegen._protocol.signed_urls import (
    ImageHosts,
    RememberedUrls,
    SignedUrls,
    image_ids,
)
from langchain_mistral_imagegen._protocol.text_stream import TextStream, redacted_parts

OTHER = f"{HOST}/b/image.jpg?sp=r&sig=SECRET2"


def test_the_first_image_of_an_entry_gets_its_id_and_the_next_a_number():
    urls = SignedUrls()
    assert urls.redact([f"see {URL} and {OTHER}"], "e1") == ["see mistral-image:e1 and mistral-image:e1:1"]
    assert urls.memory == {"e1": URL, "e1:1": OTHER}


def test_the_same_image_keeps_its_id_wherever_it_is_mentioned_again():
    urls = SignedUrls()
    urls.redact({"info": {"result": f'{{"url": "{URL}"}}'}}, "tool_1")
    assert urls.redact(f"![cat]({URL.replace('SECRET', 'NEWER')})", "msg_1") == "![cat](mistral-image:tool_1)"


def test_json_text_stays_json_and_escaped_ampersands_are_seen_through():
    urls = SignedUrls()
    escaped = URL.replace("&", r"\u0026")
    assert urls.redact(f'{{"url": "{escaped}"}}', "e") == '{"url": "mistral-image:e"}'
    assert urls.memory["e"] == URL


def test_the_memory_is_bounded_and_forgets_the_oldest():
    urls = SignedUrls()
    for number in range(1200):
        urls.redact(URL.replace("/a/", f"/{number}/"), f"e{number}")
    assert len(urls.memory) == 1000
    assert next(iter(urls.memory)) == "e200"


def test_a_url_that_another_thread_forgets_meanwhile_is_no_error(monkeypatch):
    monkeypatch.setattr(signed_urls, "_REMEMBERED", 1)

    class Memory(dict):
        """Loses its oldest URL while somebody looks which one that is."""

        def __iter__(self):
            oldest = next(super().__iter__())
            self.pop(oldest)
            return iter([oldest])

    memory = Memory()
    for number in range(3):
        SignedUrls(memory).redact(URL, f"e{number}")
    assert list(memory.values()) == [URL]


@pytest.mark.parametrize(
    "text",
    ["https://docs.mistral.ai/x?page=2", "http and https:// are schemes", "the signature=x", "", "designs=3 http://a"],
)
def test_what_is_not_signed_survives(text):
    assert SignedUrls().redact(text, "e") == text


@pytest.mark.parametrize("name", ["sig", "Signature", "X-Amz-Signature", "X-Goog-Signature", "token"])
def test_other_clouds_signatures_are_known(name):
    assert SignedUrls().redact(f"<https://host/x?a=1&{name}=SECRET>", "e") == "<mistral-image:e>"


OURS = RememberedUrls(ImageHosts(frozenset({"new.blob.core.windows.net"}), "http://127.0.0.1:8000"))


@pytest.mark.parametrize("host", [HOST, "https://new.blob.core.windows.net", "http://127.0.0.1:8000/blob"])
def test_in_messages_the_urls_of_image_hosts_are_replaced(host):
    assert SignedUrls(OURS).redact(f"{host}/i.jpg?sig=S", "e") == "mistral-image:e"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/reset?token=abc",
        "https://bucket.s3.amazonaws.com/x?X-Amz-Signature=S",
        "https://mistralx.blob.core.windows.net/i.jpg?sig=S",
        "https://mistralaiblackforestprod.blob.core.windows.net.evil.com/i.jpg?sig=S",
        "http://127.0.0.1:9/i.jpg?sig=S",
        "https://host:port/i.jpg?sig=S",
    ],
)
def test_in_messages_other_signed_links_stay_as_they_are(url):
    assert SignedUrls(OURS).redact(f"see {url}", "e") == f"see {url}"
    assert "mistral-image:e" in SignedUrls(OURS).redact({"result": url}, "e", of_any_host=True)["result"]


def test_ids_are_found_again():
    assert image_ids("![a](mistral-image:tool_1), mistral-image:msg_2:1. mistral-image:tool_1") == ["tool_1", "msg_2:1"]


TEXTS = [
    f"Here: ![a cat]({URL})\n\nand <{OTHER}>, see https://docs.mistral.ai/h.",
    "with the width of http",
    rf'{{"url": "{URL}"}} {URL}'.replace("&", r"\u0026"),
    "oh https://x y HTTPS://Z?SIG=SECRET h",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_in_pieces_is_redacted_like_the_whole(text):
    whole = SignedUrls().redact(text, "e")
    assert "SECRET" not in whole
    splits = [[text[:cut], text[cut:]] for cut in range(len(text))] + [list(text)]
    for pieces in splits:
        stream = TextStream(SignedUrls(), "e")
        passed_on = [stream.feed(piece) for piece in pieces] + [stream.flush()]
        assert "".join(passed_on) == whole
        assert not any("SECRET" in piece or "sig=" in piece for piece in passed_on)


@pytest.mark.parametrize("hosts", [None, OURS], ids=["any", "ours"])
@pytest.mark.parametrize("written", WRITTEN)
def test_no_way_to_write_an_images_url_shows_its_signature(written, hosts):
    for around in AROUND.values():
        text = around.format(WRITTEN[written])
        clean = SignedUrls(hosts).redact(text, "e")
        assert "SECRET" not in clean
        assert "mistral-image:e" in clean
        stream = TextStream(SignedUrls(hosts), "e")
        passed_on = [stream.feed(letter) for letter in text] + [stream.flush()]
        assert "".join(passed_on) == clean


@pytest.mark.parametrize(
    "written", ["path with (", "path with '", "path with [", "escaped slashes", "query with marks"]
)
def test_text_around_a_url_with_marks_stays_and_the_url_can_be_downloaded(written):
    urls = SignedUrls(RememberedUrls(ImageHosts()))
    url = WRITTEN[written]
    assert (
        urls.redact(f"![a]({url}) ({url}), [{url}]", "e")
        == "![a](mistral-image:e) (mistral-image:e), [mistral-image:e]"
    )
    assert urls.memory == {"e": url.replace(r"\/", "/")}


@pytest.mark.parametrize(
    "text",
    [
        f"{HOST}/a.jpg",
        f"![a]({HOST}/a.jpg)![b]({HOST}/b.jpg)",
        f"Is it {HOST}/a.jpg)? No (x=1).",
        "[a](https://example.com/x(1)?token=abc), see",
        r"C:\/x and https:\/\/example.com\/?page=2",
        "https://proxy.example/?u=mistralaiblackforestprod",
    ],
)
def test_links_without_a_signature_of_ours_stay(text):
    assert SignedUrls(RememberedUrls(ImageHosts())).redact(text, "e") == text
    stream = TextStream(SignedUrls(RememberedUrls(ImageHosts())), "e")
    assert "".join([stream.feed(letter) for letter in text] + [stream.flush()]) == text


@pytest.mark.parametrize("lost", [".net?", "host", "windows", "mistralai"])
@pytest.mark.parametrize("damage", ["&sig=>&sg=", "sig=>sig", "&sig=>", "sig=SECRET>&sv=SECRET"])
def test_a_damaged_url_of_a_damaged_host_is_redacted_in_logs_and_errors(damage, lost):
    url = URL.replace(lost[:-1], lost[1:]).replace(*damage.split(">"))
    assert "SECRET" not in SignedUrls().redact(f"![a]({url})", "e")


BROKEN = f"See ![a cat]({URL}) and {OTHER} there."


@pytest.mark.parametrize("hosts", [None, OURS], ids=["any", "ours"])
def test_a_url_that_is_broken_over_two_texts_goes_into_the_one_where_it_begins(hosts):
    whole = SignedUrls(hosts).redact(BROKEN, "e")
    for cut in range(len(BROKEN)):
        texts = redacted_parts([BROKEN[:cut], BROKEN[cut:]], SignedUrls(hosts), "e")
        assert "".join(texts) == whole
        assert not any("SECRET" in text or "sig=" in text for text in texts)
        if cut < len("See ![a cat]("):
            assert texts[0] == BROKEN[:cut]


def test_a_url_may_be_broken_over_many_texts_and_other_links_stay_where_they_are():
    plain = [f"{HOST[:20]}", f"{HOST[20:]}/a", ".jpg?x", " y"]
    urls = SignedUrls(RememberedUrls(ImageHosts()))
    assert redacted_parts(plain, urls, "e") == plain
    assert redacted_parts(["a", *URL, " b"], urls, "e") == ["a", "mistral-image:e", *[""] * (len(URL) - 1), " b"]
    assert urls.memory == {"e": URL}


def test_a_whole_signature_is_not_continued_by_the_next_text():
    urls = SignedUrls(RememberedUrls(ImageHosts()))
    assert redacted_parts([f"{HOST}/a.jpg?{QUERY}", "The cat."], urls, "e") == ["mistral-image:e", "The cat."]
    assert urls.memory == {"e": f"{HOST}/a.jpg?{QUERY}"}
    assert redacted_parts([f"{HOST}/a.jpg?{QUERY}", "&sv=1 The cat."], urls, "e") == ["mistral-image:e", " The cat."]
