import cv2
import numpy as np
import pytest

from keyart.report.images import file_name, jpeg_size, thumbnail


def encoded(width: int, height: int, suffix: str = ".png") -> bytes:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2] = (0, 0, 255)
    return cv2.imencode(suffix, picture)[1].tobytes()


@pytest.mark.parametrize(
    ("shape", "expected"), [((1000, 500), (320, 160)), ((3000, 10), (320, 1)), ((64, 48), (64, 48))]
)
def test_pictures_shrink_in_proportion_and_never_grow(shape, expected):
    small = thumbnail(encoded(*shape), 320)
    assert jpeg_size(small) == expected
    picture = cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[:2] == expected[::-1]
    assert picture[0, 5, 2] > 200 > 60 > picture[0, -5, 2], "the left half is red, as it was"


@pytest.mark.parametrize("content", [b"", b"no picture", encoded(40, 30)[:60]])
def test_what_is_no_picture_has_no_thumbnail(content):
    assert thumbnail(content, 320) is None


def test_the_same_picture_gives_the_same_bytes():
    content = encoded(700, 400, ".jpg")
    assert thumbnail(content, 320) == thumbnail(content, 320)


def test_names_tell_widths_apart_and_stay_in_the_folder():
    assert file_name("a" * 64, 320) != file_name("a" * 64, 640)
    assert "/" not in file_name("a" * 64, 320)


def test_only_jpegs_have_a_jpeg_size():
    with pytest.raises(ValueError):
        jpeg_size(b"\xff\xd8" + b"\xff\xe0\x00\x02" * 3)
