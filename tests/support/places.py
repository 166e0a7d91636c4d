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
