"""`python -m langchain_mistral_imagegen.sandbox --port 8080` runs the sandbox until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import threading

from langchain_mistral_imagegen.sandbox import Sandbox


def main() -> None:
    """Run the sandbox in the foreground."""
    parser = argparse.ArgumentParser(prog="python -m langchain_mistral_imagegen.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="port on 127.0.0.1; 0 for a free one (default: 8080)")
    parser.add_argument("--api-key", help="accept only this key (default: any)")
    args = parser.parse_args()
    with Sandbox(port=args.port, api_key=args.api_key) as sandbox:
        print(f"The Mistral sandbox listens on {sandbox.url}. Use it with", flush=True)  # noqa: T201
        print(f"  export MISTRAL_BASE_URL={sandbox.url} MISTRAL_API_KEY={args.api_key or 'sandbox'}", flush=True)  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
