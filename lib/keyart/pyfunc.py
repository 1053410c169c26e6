"""keyart's models as an MLflow pyfunc: numbers in, affinities or scores out. Loaded as code, never unpickled."""

from pathlib import Path

import mlflow
import numpy as np
from mlflow.pyfunc import PythonModel

from keyart.learning.predict import PREDICTORS
from keyart.tracking import ModelArrays


class ArraysModel(PythonModel):
    """Answers ``predict`` from the arrays beside it, by the predictor that the model's kind names."""

    def load_context(self, context) -> None:
        self.model = ModelArrays.load(Path(context.artifacts["arrays"]))

    def predict(self, context, model_input: np.ndarray, params=None) -> np.ndarray:
        return PREDICTORS[self.model.kind](self.model.arrays, np.asarray(model_input, dtype=np.float64))


mlflow.models.set_model(ArraysModel())
