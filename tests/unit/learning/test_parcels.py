"""What one stage sends the next receives, with a folder or without."""

import numpy as np
import pytest

from keyart.learning.parcels import received, sent


@pytest.mark.parametrize("shared", [True, False])
def test_parts_arrive_in_any_order(tmp_path, shared):
    parts = [{"normal": np.full((3, 2), i, dtype=np.float32), "value": np.asarray(float(i))} for i in range(4)]
    payloads = list(sent(parts, str(tmp_path) if shared else None))
    assert len(list(tmp_path.iterdir())) == int(shared)
    for i in (2, 0, 3, 1):
        found = received(payloads[i])
        np.testing.assert_array_equal(found["normal"], parts[i]["normal"])
        assert found["value"] == i
