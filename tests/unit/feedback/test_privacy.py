"""User keys are HMAC-SHA256, and a missing secret is told in one line."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyart.errors import SetupError
from keyart.feedback.privacy import KEY_LENGTH, secret, user_keys
from keyart.settings import PrivacySettings


@given(st.binary(min_size=1, max_size=80), st.lists(st.text(max_size=12), max_size=20))
def test_a_key_is_the_hmac_of_the_id(key, ids):
    expected = [hmac.new(key, member.encode(), hashlib.sha256).hexdigest()[:KEY_LENGTH] for member in ids]
    assert user_keys(key, ids) == expected


def test_another_secret_gives_other_keys():
    assert not set(user_keys(b"one", ["a", "b"])) & set(user_keys(b"two", ["a", "b"]))


def test_the_secret_comes_from_the_variable_that_the_settings_name(monkeypatch):
    monkeypatch.setenv("OTHER_KEY", "s3cret")
    assert secret(PrivacySettings(key_variable="OTHER_KEY")) == b"s3cret"


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_a_secret_one_line_says_how_to_set_it(monkeypatch, value):
    monkeypatch.delenv("OTHER_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("OTHER_KEY", value)
    with pytest.raises(SetupError, match="export OTHER_KEY=") as caught:
        secret(PrivacySettings(key_variable="OTHER_KEY"))
    assert "\n" not in str(caught.value)
