"""Options that hold while a pass runs and are what they were afterwards; no session is started."""

from types import SimpleNamespace

import pytest
from pyspark.errors import AnalysisException

from keyart.session import BATCH_BYTES, of_small_rows


class Options(dict):
    """As ``spark.conf``; ``fixed`` refuses what is set."""

    fixed = False

    def set(self, key, value):
        if self.fixed:
            raise AnalysisException("cannot be set here")
        self[key] = value

    def unset(self, key):
        del self[key]


@pytest.mark.parametrize("before", [{}, {BATCH_BYTES: "67108864b"}])
def test_batches_are_bounded_by_bytes_again(before):
    conf = Options(before)
    with pytest.raises(ValueError, match="stopped"), of_small_rows(SimpleNamespace(conf=conf)):
        assert conf[BATCH_BYTES] == "2147483647"
        raise ValueError("stopped")
    assert conf == before


def test_a_session_that_lets_nothing_be_set_is_used_as_it_is():
    conf = Options({BATCH_BYTES: "64m"})
    conf.fixed = True
    with of_small_rows(SimpleNamespace(conf=conf)):
        assert conf == {BATCH_BYTES: "64m"}
