"""The last thing between any text of the dashboard and the terminal: no control characters."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from devdb.masking import visible


class Visible(LineFilter):
    """Shows them in every widget; what the line gets longer by is cut off at its end."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments of a line, with the width they had."""
        del background
        shown = [
            Segment(segment.text if segment.control else visible(segment.text), *segment[1:])
            for segment in segments
        ]
        if shown == segments:
            return segments
        return Segment.adjust_line_length(shown, Segment.get_line_length(segments))
