"""The job promote says what changed, and what makes the service follow."""

import pytest
from keyart.jobs import promote

from keyart.config import load


@pytest.mark.parametrize(("action", "status"), [("promote", 0), ("rollback", 0), ("refuse", 1)])
def test_where_the_champion_changes_publish_is_named(monkeypatch, capsys, action, status):
    row = {"action": action}
    for name, answer in {"Tables": None, "roll_back": row, "tried": row, "told": action, "follow": ""}.items():
        monkeypatch.setattr(promote, name, lambda *_, answer=answer: answer)
    settings = load(None, [f"promote.rollback={str(action == 'rollback').lower()}"])
    assert promote.run(None, settings) == status
    assert ("keyart publish" in capsys.readouterr().out) == (action != "refuse")
