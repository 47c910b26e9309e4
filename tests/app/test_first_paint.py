"""What the first screen sets off once it is painted. That it waits for nothing heavy is tested in test_case_review."""

from __future__ import annotations

from pages.shared import resources, widgets
from tests.app.conftest import picture_bytes, upload


def test_the_first_screen_is_painted_and_then_its_reference_begins_to_load(open_app, monkeypatch, tiny_reference):
    order = []
    monkeypatch.setattr(resources, "begin_loading", lambda path: order.append(path))
    describe = widgets.describe
    monkeypatch.setattr(widgets, "describe", lambda entry: order.append("painted") or describe(entry))
    app = open_app()
    assert not app.exception
    assert order[-2:] == ["painted", tiny_reference], "the page ends early where no case is open"


def test_imported_modules_are_not_searched_for_garbage_after_every_run(tiny_reference):
    import gc

    from pages.shared import resources

    resources._load(str(tiny_reference))
    assert gc.get_freeze_count() > 100_000
    assert len(gc.get_objects()) < gc.get_freeze_count()


def test_a_chart_that_nobody_sees_waits_for_the_first_case(app):
    """It is there before a case is open, is hidden, and goes when there is one."""
    assert [chart.proto.id for chart in app.get("plotly_chart")] != []
    assert any(
        ".st-key-unseen" in block.proto.body and "visibility: hidden" in block.proto.body for block in app.get("html")
    )
    upload(app, ("a.png", picture_bytes()))
    assert not any(".st-key-unseen" in block.proto.body for block in app.get("html"))
