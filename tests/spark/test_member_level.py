"""The member level against MLlib's generalized linear model, which knows offsets, on columns written out."""

import numpy as np
from pyspark.ml.functions import array_to_vector
from pyspark.ml.regression import GeneralizedLinearRegression
from scipy.special import expit

from keyart.learning.logistic import Rows, full_hessian, newton_sums, ridge_step
from keyart.seeding import rng


def test_weights_are_those_of_mllibs_logistic_model_with_offsets(spark):
    random = rng(4, "glm")
    z, x, count = random.normal(size=(60, 2)), random.normal(size=(12, 3)), 3000
    member, combination = np.sort(random.integers(0, 60, count)), random.integers(0, 12, count)
    columns = (z[member][:, :, None] * x[combination][:, None, :]).reshape(count, -1)
    offset, truth = random.normal(-1.0, 0.7, count), random.normal(0, 0.4, 6)
    take = (random.random(count) < expit(offset + columns @ truth)).astype(float)

    rows, weights = Rows(z, x, member, combination, take, offset), np.zeros((2, 3))
    for _ in range(10):
        sums = newton_sums(rows, weights[None])
        weights = ridge_step(full_hessian(sums["hessian"], 2, 3), sums["gradient"][0], weights, 1e-9)

    told = list(zip(take.tolist(), offset.tolist(), columns.tolist(), strict=True))
    table = spark.createDataFrame(told, "label double, offset double, columns array<double>")
    table = table.select("label", "offset", array_to_vector("columns").alias("features"))
    glm = GeneralizedLinearRegression(family="binomial", offsetCol="offset", fitIntercept=False, tol=1e-12, maxIter=50)
    np.testing.assert_allclose(weights.ravel(), glm.fit(table).coefficients.toArray(), atol=1e-6)
    assert np.abs(weights).max() > 0.1
