"""The example for Airflow names jobs, options and an order that there are; failures of the entry point are raised."""

import ast
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

from keyart import cli
from keyart.cli import JOBS
from keyart.config import load
from keyart.operations.graph import requirements
from keyart.pipeline import STAGES

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"


class Dag:
    """As much of Airflow as the example calls."""

    def __init__(self, dag_id, **given):
        self.dag_id, self.given = dag_id, given

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


class Bash:
    made: list["Bash"] = []

    def __init__(self, task_id, bash_command, **given):
        self.task_id, self.command = task_id, bash_command
        self.after = None
        Bash.made.append(self)

    def __rshift__(self, other):
        other.after = self.task_id
        return other


@pytest.fixture
def airflow(monkeypatch):
    """The example, run on a stand-in for Airflow: its globals, and the tasks it made."""
    for name, content in {"airflow": {"DAG": Dag}, "airflow.operators": {}, "airflow.operators.bash": {}}.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules["airflow.operators.bash"].BashOperator = Bash
    Bash.made = []
    return runpy.run_path(str(EXAMPLES / "airflow_dag.py")), Bash.made


@pytest.fixture
def accepted(monkeypatch):
    """Whether keyart takes the words: its parser, and the settings that they set."""

    def check(words):
        monkeypatch.setattr(cli, "_execute", lambda job, parsed: bool(load(None, parsed.set)) - 1)
        return cli.main(words) == 0

    with pytest.raises(SystemExit):
        check(["status", "--jsn"])
    assert not check(["status", "--set", "loging.file=x"])
    return check


def test_airflow(airflow, accepted):
    tree = ast.parse((EXAMPLES / "airflow_dag.py").read_text())
    assert ast.get_docstring(tree)
    tasks = airflow[1]
    assert [task.task_id for task in tasks] == ["run-pipeline", "status", "maintain"]
    for task in tasks:
        program, *words = task.command.split()
        assert program == "keyart"
        assert words[0] == task.task_id
        assert words[0] in JOBS
        assert accepted(words)
    assert next(task for task in tasks if task.task_id == "status").after == "run-pipeline"


def test_airflows_parts_wait_for_what_the_graph_says(airflow):
    parts = airflow[0]["PARTS"]
    assert list(parts) == [stage.job for stage in STAGES]

    def before(job):
        return set().union({*parts[job]}, *(before(other) for other in parts[job]))

    for job, needs in requirements(STAGES).items():
        assert needs <= before(job), f"{job} would start too early"


@pytest.mark.parametrize("status", [0, 1, 2])
def test_a_failure_is_raised_to_whom_looks_at_exceptions(monkeypatch, status):
    monkeypatch.setattr(cli, "main", lambda: status)
    if not status:
        assert cli.task() is None
        return
    with pytest.raises(SystemExit) as stopped:
        cli.task()
    assert stopped.value.code == status
