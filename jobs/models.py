"""models: list the model files of the configuration and fetch those that are missing."""

import sys

from keyart.cli import run_job
from keyart.errors import ModelError
from keyart.settings import Settings
from keyart.vision.model_files import fetch_model, model_files, state


def needs_session(settings: Settings) -> bool:
    """No Spark is needed."""
    return False


def run(spark, settings: Settings) -> int:
    """One line a file; exit status 1 where one could not be had."""
    folder, failed = settings.select.models_folder, 0
    for file in model_files(settings.select.models):
        before, problem = state(folder, file), ""
        try:
            fetch_model(folder, file)
        except ModelError as error:
            failed, problem = failed + 1, f": {error}"
        after = state(folder, file)
        print(f"{folder}/{file.name}: {after if after == before else f'{before}, now {after}'}{problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run_job("models"))
