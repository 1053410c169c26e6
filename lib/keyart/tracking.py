"""The only place that touches MLflow: runs, models as code and arrays, and the aliases that say which model serves.

A model is a folder of ``.npy`` arrays and one ``model.json``; it is logged as a numpy pyfunc whose code is keyart's own
(models from code), so nothing is pickled and loading it needs no Spark.
"""

import hashlib
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from keyart import __version__
from keyart.alone import alone
from keyart.errors import ModelError, TrackingError
from keyart.secrecy import hidden, resolved
from keyart.settings import TrackingSettings

__all__ = ["LoadedModel", "ModelArrays", "Tracking", "local_home", "set_aliases"]

CANDIDATE, CHAMPION = "candidate", "champion"
DATABASE = "mlflow.db"


@dataclass(frozen=True)
class ModelArrays:
    """What a model is: named arrays and a small JSON-able description (names, versions, options)."""

    kind: str
    arrays: Mapping[str, np.ndarray]
    about: Mapping[str, object]

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and one ``.npy`` an array; no pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in self.arrays.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        (folder / "model.json").write_text(json.dumps({"kind": self.kind, "about": dict(self.about)}, sort_keys=True))

    @classmethod
    def load(cls, folder: Path) -> "ModelArrays":
        """Read what ``save`` wrote; arrays are memory-mapped. ModelError where the folder holds no model."""
        try:
            said = json.loads((folder / "model.json").read_text())
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder} holds no keyart model: {error}") from error
        arrays = {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in sorted(folder.glob("*.npy"))}
        return cls(said["kind"], arrays, said["about"])


@dataclass(frozen=True)
class LoadedModel:
    """A registered model's arrays and where they came from."""

    model: ModelArrays
    name: str
    version: str
    run_id: str


def local_home(settings: TrackingSettings, tables_root: str) -> Path | None:
    """The folder of the local database and its models; None where a server keeps them."""
    return None if settings.uri else _beside(tables_root)


def _beside(tables_root: str) -> Path:
    return Path(tables_root.removeprefix("file:")).absolute().parent / "mlflow"


class Tracking:
    """One MLflow server or local database."""

    def __init__(self, settings: TrackingSettings, tables_root: str) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("DO_NOT_TRACK", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # 14 s; by itself it tries for four minutes
        warnings.filterwarnings("ignore", module="mlflow")
        import mlflow  # slow to import: only the jobs that train or read models pay for it

        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        self._mlflow = mlflow
        home = _beside(tables_root)
        uri = resolved(settings.uri)
        if not uri:
            home.mkdir(parents=True, exist_ok=True)
            if not (home / DATABASE).exists():
                with alone("mlflow", tables_root, wait=True):
                    _make(home / DATABASE)
            uri = f"sqlite:///{home}/{DATABASE}"
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(resolved(settings.registry_uri) or uri)
        self._uri = uri
        with self._answering():
            self._client = mlflow.MlflowClient()
            if self._client.get_experiment_by_name(settings.experiment) is None:
                where = None if settings.uri else f"file://{home}/artifacts"
                self._client.create_experiment(settings.experiment, artifact_location=where)
            mlflow.set_experiment(settings.experiment)
        self._prefix = settings.model_prefix

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """While the body runs, an MLflow that does not answer is a TrackingError of one line."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            uri, why = (hidden(text) for text in (self._uri, str(error).splitlines()[0][:200]))
            raise TrackingError(
                f"MLflow at {uri} does not do what it is asked ({why}). Start it, or name "
                "another by tracking.uri, and run the same command again: no table is half written"
            ) from error

    @contextmanager
    def run(self, name: str, parameters: Mapping[str, object]) -> Iterator[str]:
        """A training run; yields its id. A failure inside marks the run failed and is raised on."""
        with self._answering(), self._mlflow.start_run(run_name=name) as active:
            self._mlflow.set_tag("keyart_version", __version__)
            self._mlflow.set_tag("keyart_code", _code_hash())
            self._mlflow.log_params({key: hidden(str(value))[:500] for key, value in parameters.items()})
            yield active.info.run_id

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Add figures to the running run."""
        self._mlflow.log_metrics({key: float(value) for key, value in values.items()}, step=step)

    def text(self, name: str, lines: Sequence[str]) -> None:
        """Keep a small text file, or a picture as SVG, with the running run."""
        self._mlflow.log_text(hidden("\n".join([*lines, ""])), name)

    def register(
        self, name: str, model: ModelArrays, example: np.ndarray, output: np.ndarray, alias: str | None = CANDIDATE
    ) -> str:
        """Log the model in the running run, register it and point ``alias`` at it; returns the version.

        ``example`` and ``output`` give the signature: rows in, rows out.
        """
        from mlflow.models import infer_signature

        full = self._prefix + name
        with tempfile.TemporaryDirectory() as scratch:
            folder, code = Path(scratch) / "arrays", Path(scratch) / "pyfunc.py"
            model.save(folder)
            code.write_text(_source("pyfunc.py"))
            info = self._mlflow.pyfunc.log_model(
                name=name,
                python_model=str(code),
                artifacts={"arrays": str(folder)},
                signature=infer_signature(example, output),
                registered_model_name=full,
                pip_requirements=[f"numpy=={np.__version__}"],
            )
        version = str(info.registered_model_version)
        if alias:
            self._client.set_registered_model_alias(full, alias, version)
        return version

    def said(self, run_id: str) -> tuple[dict[str, str], dict[str, float]]:
        """Parameters and metrics of a run; ModelError where there is no such run."""
        from mlflow.exceptions import MlflowException

        try:
            data = self._client.get_run(run_id).data
        except MlflowException as error:
            raise ModelError(f"MLflow has no run {run_id}: {error}".splitlines()[0]) from error
        return dict(data.params), dict(data.metrics)

    def point(self, alias: str, versions: Mapping[str, str | None]) -> None:
        """Let ``alias`` of each registered model (full name) stand for the version, or for none, where it does not
        yet."""
        for full, version in versions.items():
            known = self._client.get_registered_model(full).aliases.get(alias)
            if version is None and known is not None:
                self._client.delete_registered_model_alias(full, alias)
            elif version is not None and known != version:
                self._client.set_registered_model_alias(full, alias, version)

    def load(self, name: str, alias: str = CANDIDATE) -> LoadedModel:
        """The model behind an alias, by default what was trained last; ModelError where no job registered one."""
        from mlflow.exceptions import MlflowException

        full = self._prefix + name
        try:
            known = self._client.get_registered_model(full).aliases
            if alias == CANDIDATE and alias not in known:
                alias = CHAMPION  # a registry from before there were candidates
            found = self._client.get_model_version_by_alias(full, alias)
            folder = self._mlflow.artifacts.download_artifacts(f"models:/{full}@{alias}")
        except MlflowException as error:
            raise ModelError(f"no model {full}@{alias}; run the job that trains it") from error
        return LoadedModel(
            ModelArrays.load(Path(folder) / "artifacts" / "arrays"), full, str(found.version), str(found.run_id)
        )

    def load_version(self, said: Mapping[str, str]) -> LoadedModel:
        """The very model that a policy names by ``name`` (full), ``version`` and ``run_id``; ModelError where it is
        gone."""
        from mlflow.exceptions import MlflowException

        full, version = said["name"], said["version"]
        try:
            folder = self._mlflow.artifacts.download_artifacts(f"models:/{full}/{version}")
        except MlflowException as error:
            raise ModelError(
                f"model {full} {version}, which a policy stands on, is gone; run assign-artwork"
            ) from error
        return LoadedModel(ModelArrays.load(Path(folder) / "artifacts" / "arrays"), full, version, said["run_id"])


def set_aliases(settings: TrackingSettings, tables_root: str, wanted: Mapping[str, Mapping[str, str | None]]) -> str:
    """Point aliases at versions by full model name; "" or, where MLflow does not answer, one line that says why.

    The tables know already who serves, so this may fail and be made good by the next run.
    """
    try:
        tracking = Tracking(settings, tables_root)
        for alias, versions in wanted.items():
            tracking.point(alias, versions)
    except Exception as error:  # whatever a server, a database or the network throws: said, and mended later
        return hidden(f"{type(error).__name__}: {error}".splitlines()[0])
    return ""


def _make(database: Path) -> None:
    """Make the local database under another name: MLflow takes seconds and a hundred statements, and one that it was
    killed over could never be opened again."""
    import mlflow

    if database.exists():  # another run made it while this one waited
        return
    fresh = database.with_suffix(".new")
    for left in database.parent.glob(f"{fresh.name}*"):  # and its journal
        left.unlink()
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{fresh}").search_experiments(max_results=1)
    fresh.rename(database)


def _source(module: str) -> str:
    """The text of a module of ours, which spark-submit's zip may hold: there it has no path."""
    return (resources.files("keyart") / module).read_text(encoding="utf-8")


def _code_hash() -> str:
    """Of the package's modules: two runs of the same version but other code differ."""
    digest, package = hashlib.sha256(), Path(__file__).parent
    archive = package.parent
    for path in [archive] if archive.is_file() else sorted(package.rglob("*.py")):  # a zip, with spark-submit
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
