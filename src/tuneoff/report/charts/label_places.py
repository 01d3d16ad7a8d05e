"""Places for the names of points, so that no name is printed over another name or over another point.

A chart on a page is as wide as the card around it. Places that are apart in the narrowest chart are apart in every
wider one, because a name moves with its point and keeps its size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len

CHARACTER = 6.8  # pixels of width, a little more than a usual letter has at this size
LINE = 15  # pixels of height
LONGEST = 150  # pixels, after which a name ends with an ellipsis
DISTANCE = 9  # pixels from a point to the start of its name
RADIUS = 7  # pixels of a point
FAR = 20  # pixels above or below its point, from which a line joins a name to it
RINGS = 9  # lines to try above and below a point


@dataclass(frozen=True, kw_only=True)
class Point:
    """A point in pixels from the left and from the top, and its name."""

    name: str
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a name stands: on which side of its point, and how many pixels below it."""

    side: Literal["left", "right"]
    down: float

    @property
    def is_far(self) -> bool:
        """Whether a line should join the name to its point."""
        return abs(self.down) > FAR


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle in pixels."""

    left: float
    right: float
    top: float
    bottom: float

    def compute_overlap(self, other: Box) -> float:
        """Return the area in both, in square pixels."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0) * max(height, 0)


def place_labels(
    points: Sequence[Point], *, width: float, height: float, taken: Sequence[Box] = ()
) -> dict[str, Place]:
    """Return a place for each point's name, earlier points first.

    A name prefers to be close to its point, inside the chart, and over nothing else. Where there is no such place, it
    gets the one that covers least.

    Args:
        points: with names that differ.
        width: pixels of the narrowest chart.
        height: pixels.
        taken: what is already in the chart.
    """
    dots = {p.name: Box(left=p.x - RADIUS, right=p.x + RADIUS, top=p.y - RADIUS, bottom=p.y + RADIUS) for p in points}
    placed, boxes = {}, list(taken)
    for point in points:
        others = [*boxes, *(dot for name, dot in dots.items() if name != point.name)]
        best = min(_list_places(), key=lambda place: _rate(point, place, others, width, height))
        placed[point.name] = best
        boxes.append(measure_label(point, best))
    return placed


def measure_label(point: Point, place: Place) -> Box:
    """Return the rectangle of a name."""
    length = min(CHARACTER * cell_len(point.name), LONGEST)
    left = point.x + DISTANCE if place.side == "right" else point.x - DISTANCE - length
    middle = point.y + place.down
    return Box(left=left, right=left + length, top=middle - LINE / 2, bottom=middle + LINE / 2)


def _list_places() -> Iterator[Place]:
    """Yield all places, those that are preferred first."""
    for ring in range(RINGS):
        for down in (-DISTANCE - ring * LINE, DISTANCE + ring * LINE):
            for side in ("right", "left"):
                yield Place(side=side, down=down)


def _rate(point: Point, place: Place, others: Sequence[Box], width: float, height: float) -> float:
    """Return how bad a place is: what it covers or loses, in square pixels, and then how far it is."""
    box = measure_label(point, place)
    inside = box.compute_overlap(Box(left=0, right=width, top=0, bottom=height))
    lost = (box.right - box.left) * LINE - inside
    covered = sum(box.compute_overlap(other) for other in others)
    return 3 * lost + covered + abs(place.down) / 10 + (place.side == "left") / 100
