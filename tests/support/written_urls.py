"""The URL of an image in the ways in which it may be written, with the signature `SECRET`."""

from __future__ import annotations

HOST = "https://mistralaiblackforestprod.blob.core.windows.net/images"
URL = f"{HOST}/a/image.jpg?se=2026-11-23T10%3A00%3A00Z&sp=r&sig=SECRET%2Bx"
QUERY = "se=2026-11-23T10%3A00%3A00Z&sp=r&sig=SECRET%2Bx%3D"
WRITTEN = {
    "percent-encoded name": URL.replace("sig=", "%73ig="),
    "percent-encoded twice": URL.replace("sig=", "%2573%2569%2567="),
    "percent-encoded separators": URL.replace("&sig=", "%26sig%3D"),
    "upper case": URL.replace("sig=", "SIG="),
    "escaped slashes": URL.replace("/", r"\/"),
    "escaped slashes within JSON within JSON": URL.replace("/", r"\\/").replace("&", r"\\u0026"),
    "all that Gson escapes": URL.replace("&", r"\u0026").replace("=", r"\u003d"),
    "over http": URL.replace("https", "http"),
    "with a port": URL.replace(".net/", ".net:443/"),
    "with a user": URL.replace("https://", "https://a@"),
    "with a dot at the end": URL.replace(".net/", ".net./"),
    "in capitals": URL.replace("https://mistralai", "HTTPS://MistralAI"),
    "without the ampersand": URL.replace("&sig", "sig"),
    "without the name": URL.replace("&sig=", "&"),
    "without a letter of the name": URL.replace("&sig=", "&sg="),
    "without the question mark": URL.replace("?", ""),
    "files endpoint": f"https://mistralaifilesapiprodswe.blob.core.windows.net/x?{QUERY}",
    **{f"path with {mark}": URL.replace("/a/", f"/a {mark}b/".replace(" ", "")) for mark in "()[]{}'|^"},
    "path with a pair": URL.replace("/a/", "/a(1)[2]{3}/"),
    "query with marks": URL.replace("?", "?rscd=file(1)'a'[b]&"),
    "marks after the signature of another": URL.replace("&sig=", "&token=(x)&sig="),
}
AROUND = {
    "alone": "{}",
    "Markdown": "![a cat]({})",
    "Markdown with a title": '![a cat]({} "cat")',
    "a linked image": "[![a cat]({})](https://example.com/x)",
    "in brackets": "(see {}), then",
    "autolink": "<{}>",
    "JSON": '{{"url":"{}","b":[1]}}',
    "repr": "{{'url': '{}', 'b': 1}}",
    "two": "{0} and {0}",
    "after a link": "[x](https://example.com/y){}",
}
