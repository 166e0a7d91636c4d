"""README and guides, and the code in them.

    python tests/support/documents.py FOLDER

writes each Python example into a file of its own, for checkers of types.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from places import COOKBOOK, README

GUIDES = sorted((COOKBOOK / "guides").glob("*.md"))
PAGES = [README, *GUIDES]


def fences(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in a language, which is the whole of what stands behind the backticks."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def guide(name: str) -> Path:
    """Return a guide by its name."""
    return COOKBOOK / "guides" / f"{name}.md"


def write_examples(folder: Path) -> list[Path]:
    """Write each Python example of the pages into a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page in PAGES:
        for number, code in enumerate(fences(page, "python")):
            written.append(folder / f"{page.stem.lower()}_{number}.py")
            written[-1].write_text(code)
    return written


if __name__ == "__main__":
    write_examples(Path(sys.argv[1]))
