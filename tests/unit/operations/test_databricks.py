"""databricks.yml: its keys are the platform's, its tasks those of the pipeline's graph, its names those of conf/.

Resources are held against Databricks' own types (databricks-bundles), the rest against a schema written from the public
reference of bundle configuration; no workspace is asked.
"""

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.bundles.jobs import Job, JobPermission
from databricks.bundles.schemas import Schema
from databricks.bundles.secret_scopes import SecretScope
from databricks.bundles.volumes import Volume
from jsonschema import Draft202012Validator

from keyart import cli
from keyart.config import load
from keyart.operations.graph import requirements
from keyart.pipeline import STAGES, stages_for

ROOT = Path(__file__).resolve().parents[3]
KINDS = {"jobs": Job, "schemas": Schema, "volumes": Volume, "secret_scopes": SecretScope}

TEXT, NAMES = {"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}


def closed(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    """A mapping of these keys and no others."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(required),
    }


def named(value: dict[str, Any]) -> dict[str, Any]:
    """A mapping from names that are ours to choose."""
    return {"type": "object", "additionalProperties": value, "minProperties": 1}


RUN_AS = closed(service_principal_name=TEXT, user_name=TEXT)
WORKSPACE = closed(host=TEXT, profile=TEXT, root_path=TEXT, file_path=TEXT, artifact_path=TEXT, state_path=TEXT)
BUNDLE = closed(
    required=("bundle", "resources", "targets"),
    bundle=closed(("name",), name=TEXT, databricks_cli_version=TEXT),
    variables=named(closed(("description",), description=TEXT, default={"type": ["string", "integer"]})),
    artifacts=named(closed(("type", "path"), type={"enum": ["whl"]}, build=TEXT, path=TEXT)),
    sync=closed(include=NAMES, exclude=NAMES, paths=NAMES),
    resources=closed(**{kind: named({"type": "object"}) for kind in KINDS}),
    targets=named(
        closed(
            default={"type": "boolean"},
            mode={"enum": ["development", "production"]},
            variables=named({"type": ["string", "integer"]}),
            presets=closed(
                name_prefix=TEXT,
                trigger_pause_status={"enum": ["PAUSED", "UNPAUSED"]},
                jobs_max_concurrent_runs={"type": "integer"},
                tags=named(TEXT),
            ),
            run_as=RUN_AS,
            workspace=WORKSPACE,
            permissions={"type": "array", "items": {"type": "object"}},
        )
    ),
)
FREE = {"tags", "custom_tags", "spark_env_vars", "variables", "artifacts", "targets", *KINDS}
"""Mappings whose own keys are names of ours; what those lead to is checked again."""


def bundle() -> dict[str, Any]:
    """The file, with a value of its own wherever an alias stands, so that each may be changed."""
    return json.loads(as_json())


@cache
def as_json() -> str:
    return json.dumps(yaml.safe_load((ROOT / "databricks.yml").read_text()))


def problems(tree: dict[str, Any]) -> list[str]:
    """What the platform would not know: keys, types, values, references to what is not there."""
    found = [error.message for error in Draft202012Validator(BUNDLE).iter_errors(tree)]
    for kind, model in KINDS.items():
        for name, value in tree.get("resources", {}).get(kind, {}).items():
            found += refused(model, value, f"{kind}.{name}")
    for name, target in tree.get("targets", {}).items():
        for value in target.get("permissions", []):
            found += refused(JobPermission, value, f"targets.{name}.permissions")
        unknown = set(target.get("variables", {})) - set(tree.get("variables", {}))
        found += [f"targets.{name} sets {one}, which is no variable" for one in unknown]
    for text in texts(tree):
        for path in re.findall(r"\$\{([^}]+)\}", text):
            if not reference(tree, path.split(".")):
                found.append(f"{path} is nothing that there is")
    return found


def refused(model: type, value: dict[str, Any], where: str) -> list[str]:
    """Why the platform's type does not take the value."""
    try:
        model.from_dict(copy.deepcopy(value))
    except (ValueError, TypeError, AttributeError) as error:
        return [f"{where}: {error}"]
    return []


def reference(tree: dict[str, Any], path: list[str]) -> bool:
    match path:
        case ["var", name]:
            return name in tree.get("variables", {})
        case ["workspace", name]:
            return name in WORKSPACE["properties"]
        case ["resources", kind, name, field]:
            return field in tree.get("resources", {}).get(kind, {}).get(name, {})
    return False


def texts(value: Any) -> Iterator[str]:
    """Every text in a tree."""
    if isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif isinstance(value, str):
        yield value


def keys(value: Any, path: tuple = (), free: bool = False) -> Iterator[tuple]:
    """Paths to every key that the platform gave its name."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        if isinstance(value, dict) and not free:
            yield (*path, key)
        yield from keys(one, (*path, key), free=isinstance(value, dict) and not free and key in FREE)


def test_the_platform_knows_every_key_and_reference():
    assert problems(bundle()) == []


def test_a_misspelt_key_is_found_wherever_it_stands():
    paths = list(keys(bundle()))
    assert len(paths) > 250
    for path in paths:
        tree = bundle()
        place = tree
        for part in path[:-1]:
            place = place[part]
        place[path[-1] + "s"] = place.pop(path[-1])
        assert problems(tree), f"{'.'.join(map(str, path))}s would pass"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("run_if: ALL_DONE", "run_if: ALWAYS"),
        ("data_security_mode: SINGLE_USER", "data_security_mode: SINGLE"),
        ("mode: production", "mode: prod"),
        ("level: CAN_VIEW", "level: CAN_LOOK"),
        ("${var.most_workers}", "${var.workers}"),
        ("${resources.schemas.keyart.name}", "${resources.schemas.keyarts.name}"),
        ("${workspace.file_path}", "${workspace.files}"),
        ("      most_workers: 2", "      workers: 2"),
    ],
)
def test_a_wrong_value_or_reference_is_found(old, new):
    text = (ROOT / "databricks.yml").read_text()
    assert old in text
    assert problems(yaml.safe_load(text.replace(old, new)))


def behind(needs: dict[str, set[str]], job: str) -> set[str]:
    """All that has to have ended before."""
    return set(needs[job]).union(*(behind(needs, other) for other in needs[job]))


def unlike_the_graph(tree: dict[str, Any]) -> dict[str, set[str]]:
    """Stages that are no task, or wait for more or for less than the pipeline's graph says."""
    tasks = tree["resources"]["jobs"]["keyart_daily"]["tasks"]
    found = {task["task_key"]: {one["task_key"] for one in task.get("depends_on", [])} for task in tasks}
    wanted = {job: set(needs) for job, needs in requirements(STAGES).items()}
    missing = {job: {"is no task"} for job in wanted if job not in found}
    return missing or {job: difference for job in wanted if (difference := behind(found, job) ^ behind(wanted, job))}


def test_every_stage_is_a_task_and_waits_for_what_the_graph_says():
    assert unlike_the_graph(bundle()) == {}
    for place, stage in enumerate(STAGES):
        less = bundle()
        tasks = less["resources"]["jobs"]["keyart_daily"]["tasks"]
        assert tasks[place]["task_key"] == stage.job
        if place:
            del tasks[place]["depends_on"]
            assert unlike_the_graph(less), f"{stage.job} waiting for nobody would pass"
        del tasks[place]
        assert unlike_the_graph(less) == {stage.job: {"is no task"}}


def variables_of(tree: dict[str, Any], target: str) -> dict[str, Any]:
    """Variables by name, as a target sets them."""
    defaults = {name: one["default"] for name, one in tree["variables"].items()}
    return defaults | tree["targets"][target].get("variables", {})


def jobs_of(tree: dict[str, Any], target: str) -> dict[str, dict[str, Any]]:
    """The jobs as a target has them: variables and paths of the workspace put in."""
    chosen = variables_of(tree, target)

    def put(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: put(one) for key, one in value.items()}
        if isinstance(value, list):
            return [put(one) for one in value]
        if isinstance(value, str):
            value = re.sub(r"\$\{var\.(\w+)\}", lambda found: str(chosen[found[1]]), value)
            return value.replace("${workspace.file_path}", str(ROOT))
        return value

    return put(tree["resources"]["jobs"])


@pytest.mark.parametrize("target", ["dev", "prod"])
def test_tasks_are_commands_that_keyart_takes(target, monkeypatch):
    ran = []

    def run(job, settings):
        ran.append((job, settings))
        return 0

    monkeypatch.setattr(cli, "_run", run)
    setup = (ROOT / "setup.py").read_text()
    for job in jobs_of(bundle(), target).values():
        clusters = {cluster["job_cluster_key"] for cluster in job["job_clusters"]}
        for task in job["tasks"]:
            assert task["job_cluster_key"] in clusters
            wheel = task["python_wheel_task"]
            assert wheel["package_name"] == "keyart"
            assert f"{wheel['entry_point']}=keyart.cli:task" in setup
            known = {"{{task.name}}": task["task_key"], "{{job.run_id}}": "17", "{{job.repair_count}}": "0"}
            words = wheel["parameters"]
            for name, value in known.items():
                words = [word.replace(name, value) for word in words]
            assert "{{" not in "".join(words)
            assert cli.main(words) == 0
    stages = [settings.pipeline.stages for job, settings in ran if job == "run-pipeline"]
    assert stages == [(stage.job,) for stage in STAGES]
    assert {settings.pipeline.run_id for job, settings in ran if job == "run-pipeline"} == {"databricks-17-0"}
    assert [job for job, _ in ran if job != "run-pipeline"] == ["status", "maintain"]

    class Learning:
        def exists(self, table):
            return True

    for _, settings in ran[: len(STAGES)]:
        assert len(stages_for(settings, Learning())) == 1, "a task that would find nothing to do"


@pytest.mark.parametrize(("target", "catalogue"), [("dev", "dev"), ("prod", "main")])
def test_settings_name_what_the_bundle_makes(target, catalogue):
    tree = bundle()
    variables = variables_of(tree, target)
    schema = tree["resources"]["schemas"]["keyart"]["name"]
    volumes = {volume["name"] for volume in tree["resources"]["volumes"].values()}
    settings = load(ROOT / "conf" / variables["config"])
    assert variables["catalog"] == catalogue
    assert settings.tables == f"catalog:{catalogue}.{schema}"
    assert settings.tracking.model_prefix == f"{catalogue}.{schema}."
    folders = [settings.catalog.videos, settings.taste.checkpoints, settings.publish.folder, settings.report.folder]
    folders.append(variables["logs"])
    assert sorted(folders) == sorted(f"/Volumes/{catalogue}/{schema}/{volume}" for volume in volumes)


def test_keys_come_from_the_scope_that_the_bundle_makes():
    scope = bundle()["resources"]["secret_scopes"]["keyart"]["name"]
    privacy = load(None).privacy
    for job in bundle()["resources"]["jobs"].values():
        for cluster in job["job_clusters"]:
            assert cluster["new_cluster"]["spark_env_vars"] == {
                privacy.key_variable: f"{{{{secrets/{scope}/user_key}}}}",
                privacy.suppression_variable: f"{{{{secrets/{scope}/suppression_key}}}}",
            }
