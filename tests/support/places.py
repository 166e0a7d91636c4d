"""Where the project's files are."""

from pathlib import Path

SUPPORT = Path(__file__).parent
TESTS = SUPPORT.parent
ROOT = TESTS.parent
COOKBOOK = ROOT / "cookbook"
README = ROOT / "README.md"


def stored_images(folder: Path) -> list[Path]:
    """Return the complete images below a folder; a process that was killed leaves `.incoming-*.jpg` behind."""
    return [path for path in folder.rglob("*.jpg") if not path.name.startswith(".")]


def arriving(folder: Path) -> int:
    """Bytes of the largest image that is being written; a file may be renamed between the list and the look."""
    return max((_size(path) for path in folder.glob(".incoming-*")), default=0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
