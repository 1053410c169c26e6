"""ONNX plug-ins: tiny models made here, whose answers are known by arithmetic."""

import numpy as np
import pytest

from keyart.errors import ConfigError, ModelError
from keyart.vision.plugins import build_plugin, prepared, read_plugin

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def save(path, nodes, shape, out, constants=()):
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())


@pytest.fixture
def reddest(tmp_path):
    """Mean of each colour channel: the label of the strongest wins."""
    save(
        tmp_path / "reddest.onnx",
        [helper.make_node("GlobalAveragePool", ["pixels"], ["m"]), helper.make_node("Flatten", ["m"], ["answer"])],
        [1, 3, 8, 12],
        [1, 3],
    )
    file = tmp_path / "reddest.yaml"
    file.write_text(
        "name: hue\nmodel: reddest.onnx\nkind: classifier\nlabels: [red, green, blue]\n"
        "width: 12\nheight: 8\nscale: 0.03\nthreshold: 0.6\n"
    )
    return file


@pytest.mark.parametrize(
    ("bgr", "label"), [((0, 0, 250), "hue:red"), ((0, 250, 0), "hue:green"), ((250, 0, 0), "hue:blue")]
)
def test_a_classifier_names_what_it_sees(reddest, bgr, label):
    (seen,) = build_plugin(read_plugin(reddest))(np.full((90, 160, 3), bgr, np.uint8))
    # softmax of (7.5, 0, 0)
    assert seen.label == label and seen.score == pytest.approx(np.exp(7.5) / (np.exp(7.5) + 2), rel=1e-4)
    assert build_plugin(read_plugin(reddest))(np.full((90, 160, 3), 99, np.uint8)) == [], "below the threshold"


def test_colours_in_the_wrong_order_would_name_another(reddest):
    reddest.write_text(reddest.read_text() + "colour: bgr\n")
    (seen,) = build_plugin(read_plugin(reddest))(np.full((90, 160, 3), (0, 0, 250), np.uint8))
    assert seen.label == "hue:blue"


def test_preprocessing_is_scale_then_mean_then_std(reddest):
    reddest.write_text(reddest.read_text() + "mean: [1, 2, 3]\nstd: [2, 4, 8]\n")
    fed = prepared(np.full((8, 12, 3), (30, 20, 10), np.uint8), read_plugin(reddest))
    assert fed.shape == (1, 3, 8, 12)
    assert fed[0, :, 0, 0] == pytest.approx([(0.3 - 1) / 2, (0.6 - 2) / 4, (0.9 - 3) / 8])


def test_a_detector_gives_boxes_as_shares_surest_first(tmp_path):
    rows = [[2, 2, 8, 6, 0.7, 1], [0, 0, 4, 4, 0.9, 0], [0, 0, 4, 4, 0.2, 0]]
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["m"], axes=[0, 1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["m", "zero"], ["z"]),
        helper.make_node("Add", ["rows", "z"], ["answer"]),
    ]
    save(tmp_path / "d.onnx", nodes, [1, 8, 16, 3], [3, 6], [("rows", rows), ("zero", 0.0)])
    file = tmp_path / "d.yaml"
    file.write_text(
        "name: things\nmodel: d.onnx\nkind: detector\nlabels: [dog, cat]\nwidth: 16\nheight: 8\nlayout: nhwc\n"
    )
    dog, cat = build_plugin(read_plugin(file))(np.zeros((90, 160, 3), np.uint8))
    assert (dog.label, cat.label) == ("things:dog", "things:cat")
    assert (cat.x, cat.y, cat.width, cat.height) == pytest.approx((2 / 16, 2 / 8, 6 / 16, 4 / 8))


def test_what_is_wrong_with_a_plugin_is_one_line(tmp_path, reddest):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_plugin(tmp_path / "none.yaml")
    broken = tmp_path / "b.yaml"
    broken.write_text("name: x\nmodel: b.onnx\nkind: classifier\nlabels: [a]\nwdth: 3\n")
    with pytest.raises(ConfigError, match="unknown key wdth"):
        read_plugin(broken)
    (tmp_path / "b.onnx").write_bytes(b"no model")
    broken.write_text("name: x\nmodel: b.onnx\nkind: classifier\nlabels: [a]\n")
    with pytest.raises(ModelError, match="fetch it again"):
        read_plugin(broken)
    reddest.write_text(reddest.read_text().replace("[red, green, blue]", "[red, green]"))
    with pytest.raises(ModelError, match="3 outputs for 2 labels"):
        build_plugin(read_plugin(reddest))(np.zeros((90, 160, 3), np.uint8))
