import cv2
import numpy as np
import pytest

from keyart.previews import preview
from keyart.report.images import file_name, jpeg_size, known_picture, thumbnail, write_thumbnail


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
    assert file_name("a" * 64, 320, 320, 180) != file_name("a" * 64, 640, 320, 180)
    assert "/" not in file_name("a" * 64, 320, 320, 180)


def test_a_written_thumbnail_is_known_by_its_name(tmp_path):
    written = write_thumbnail(encoded(1000, 500, ".jpg"), "a" * 64, 320, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [written.file]
    assert known_picture(written.file) == (("a" * 24, 320), (written.file, 320, 160))
    assert known_picture("notes.jpg") is None
    assert write_thumbnail(b"no picture", "b" * 64, 320, tmp_path) is None


def test_a_preview_is_written_as_it_is_and_only_made_smaller(tmp_path):
    stored = preview(np.full((720, 1280, 3), 90, np.uint8))
    assert jpeg_size(stored) == (640, 360)
    written = write_thumbnail(stored, "c" * 64, 640, tmp_path, trusted=True)
    assert (tmp_path / written.file).read_bytes() == stored
    assert write_thumbnail(stored, "c" * 64, 320, tmp_path, trusted=True).width == 320
    assert preview(np.zeros((360, 640, 3), np.uint8)) is None


@pytest.mark.parametrize("shape", [(1280, 720), (1281, 721), (3000, 2000)])
def test_a_jpeg_read_at_half_size_has_the_size_of_one_read_whole(shape):
    small = thumbnail(encoded(*shape, ".jpg"), 320)
    assert jpeg_size(small) == jpeg_size(thumbnail(encoded(*shape), 320))


def test_a_jpeg_that_lies_on_its_side_is_turned():
    upright = encoded(1200, 600, ".jpg")
    turn = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation 6
    content = upright[:2] + b"\xff\xe1" + (len(turn) + 2).to_bytes(2, "big") + turn + upright[2:]
    assert jpeg_size(thumbnail(content, 320)) == (320, 640)


def test_only_jpegs_have_a_jpeg_size():
    with pytest.raises(ValueError):
        jpeg_size(b"\xff\xd8" + b"\xff\xe0\x00\x02" * 3)
