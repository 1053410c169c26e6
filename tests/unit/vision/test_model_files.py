"""Model files come whole or not at all."""

import hashlib

import pytest

from keyart.errors import ConfigError, ModelError
from keyart.settings import SelectSettings
from keyart.vision.model_files import ModelFile, fetch_model, model_files, state

CONTENT = b"a model"
FILE = ModelFile("m.onnx", hashlib.sha256(CONTENT).hexdigest(), "https://example.org/m.onnx")


def test_a_missing_or_damaged_file_is_fetched_and_a_whole_one_is_not(tmp_path):
    asked = []

    def get(address):
        asked.append(address)
        return CONTENT

    assert state(tmp_path / "models", FILE) == "missing"
    fetch_model(tmp_path / "models", FILE, get)
    fetch_model(tmp_path / "models", FILE, get)
    assert asked == [FILE.address] and state(tmp_path / "models", FILE) == "ok"
    (tmp_path / "models" / "m.onnx").write_bytes(b"cut")
    assert state(tmp_path / "models", FILE) == "damaged"
    assert fetch_model(tmp_path / "models", FILE, get).read_bytes() == CONTENT


def test_a_wrong_download_leaves_nothing(tmp_path):
    with pytest.raises(ModelError, match="nothing was written"):
        fetch_model(tmp_path, FILE, lambda _: b"<html>")
    assert list(tmp_path.iterdir()) == []


def test_the_configured_files_have_checksums_and_addresses():
    (yunet,) = model_files(SelectSettings().models)
    assert yunet.name == SelectSettings().yunet
    with pytest.raises(ConfigError, match="must be a sha256"):
        model_files({"m.onnx": "https://example.org/m.onnx"})
