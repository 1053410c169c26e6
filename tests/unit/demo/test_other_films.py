"""A demo on other films starts with empty tables; on the same films it keeps what it knows."""

import pytest

from keyart.config import load
from keyart.demo.run import forget_other_films


@pytest.fixture
def demo(tmp_path):
    """A home with a table and an audience, and a function that starts a demo there and says what is left of them."""

    def start(*overrides: str, videos: str | None = None) -> tuple[bool, bool]:
        settings = load(None, [f"tables={tmp_path / 'tables'}", *overrides])
        forget_other_films(settings, videos, tmp_path)
        left = (tmp_path / "tables" / "videos").exists(), (tmp_path / "audience.key").exists()
        (tmp_path / "tables" / "videos").mkdir(parents=True, exist_ok=True)
        (tmp_path / "audience.key").write_text("key")
        return left

    start()
    return start


def test_the_same_films_are_kept(demo):
    assert demo() == (True, True)
    assert demo("demo.world=homogeneous") == (True, True), "another audience is no other films"


@pytest.mark.parametrize(("overrides", "videos"), [(["demo.seed=8"], None), (["demo.titles=5"], None), ([], "films")])
def test_other_films_start_anew(demo, overrides, videos):
    assert demo(*overrides, videos=videos) == (False, False)
    assert demo(*overrides, videos=videos) == (True, True)
    assert demo() == (False, False)


def test_what_is_none_of_our_tables_stays(demo, tmp_path):
    (tmp_path / "tables" / "mine").mkdir()
    demo("demo.seed=8")
    assert (tmp_path / "tables" / "mine").is_dir()
