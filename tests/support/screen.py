"""What a terminal shows in the end, after all the codes that it was sent."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\x1b\[[?\d;]*([A-Za-z])|\x1b\][^\x07]*\x07|\x1b.|\r|\n|[^\x1b\r\n]+")


class Screen:
    """A terminal of so many columns and any number of rows."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self.rows: list[list[str]] = [[]]
        self._row = self._column = 0

    def move(self, row: int, column: int) -> None:
        self._row, self._column = max(0, row), column
        while len(self.rows) <= self._row:
            self.rows.append([])

    def write(self, text: str) -> None:
        for letter in text:
            if self._column == self._columns:
                self.move(self._row + 1, 0)
            line = self.rows[self._row]
            line += [" "] * (self._column + 1 - len(line))
            line[self._column] = letter
            self._column += 1

    def obey(self, token: str, code: str | None) -> None:
        if token == "\r":
            self.move(self._row, 0)
        elif token == "\n":
            self.move(self._row + 1, 0)
        elif code == "A":
            self.move(self._row - int((re.findall(r"\d+", token) or [1])[0]), self._column)
        elif code == "K":
            self.rows[self._row] = self.rows[self._row][: self._column] if token == "\x1b[K" else []
        elif not token.startswith("\x1b"):
            self.write(token)


def screen_lines(sent: str, columns: int) -> list[str]:
    """Return the lines without the empty ones at the end; long lines go on in the next row, as on a terminal."""
    screen = Screen(columns)
    for found in _TOKEN.finditer(sent):
        screen.obey(found[0], found[1])
    lines = ["".join(row).rstrip() for row in screen.rows]
    while lines and not lines[-1]:
        lines.pop()
    return lines
