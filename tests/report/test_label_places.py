import itertools

from tuneoff.report.charts.label_places import Box, Place, Point, measure_label, place_labels

WIDTH, HEIGHT = 240, 280


def measure_all(points: list[Point], scale: float = 1, taken: tuple[Box, ...] = ()) -> list[Box]:
    """Place the names in a narrow chart, and return their rectangles in a chart that is wider by a factor."""
    places = place_labels(points, width=WIDTH, height=HEIGHT, taken=taken)
    return [measure_label(Point(name=p.name, x=scale * p.x, y=p.y), places[p.name]) for p in points]


def overlaps(boxes: list[Box]) -> bool:
    return any(a.compute_overlap(b) for a, b in itertools.combinations(boxes, 2))


def test_a_name_alone_is_close_to_its_point() -> None:
    (place,) = place_labels([Point(name="lora", x=100, y=100)], width=WIDTH, height=HEIGHT).values()
    assert (place.side, place.is_far) == ("right", False)


def test_names_of_points_in_one_place_are_apart_at_every_width() -> None:
    points = [Point(name=f"soft-prompt-{i}", x=150 + i, y=120 + 2 * i) for i in range(8)]
    for scale in (1, 1.5, 3):
        assert not overlaps(measure_all(points, scale))


def test_a_name_at_the_edge_stays_inside_the_chart() -> None:
    for x, y in itertools.product((3, 237), (4, 276)):
        (box,) = measure_all([Point(name="last-layer", x=x, y=y)])
        assert 0 <= box.left < box.right <= WIDTH
        assert 0 <= box.top < box.bottom <= HEIGHT


def test_a_name_is_not_over_what_is_in_the_chart_already() -> None:
    taken = Box(left=0, right=WIDTH, top=80, bottom=99)
    (box,) = measure_all([Point(name="lora", x=100, y=100)], taken=(taken,))
    assert not box.compute_overlap(taken)


def test_a_wide_character_takes_the_width_of_two() -> None:
    place = Place(side="right", down=0)
    boxes = [measure_label(Point(name=name, x=0, y=0), place) for name in ("漢字", "abcd")]
    assert boxes[0] == boxes[1]
