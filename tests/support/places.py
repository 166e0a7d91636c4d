"""Where the project's files are."""

from pathlib import Path

SUPPORT = Path(__file__).parent
TESTS = SUPPORT.parent
ROOT = TESTS.parent
COOKBOOK = ROOT / "cookbook"
README = ROOT / "README.md"
