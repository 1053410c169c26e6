"""implicit's AlternatingLeastSquares on a matrix that als.py left; runs in an environment of its own.

OPENBLAS_NUM_THREADS=1 ENV/bin/python bench/als_peer.py IN.npz OUT.npz RANK L2 ITERATIONS
"""

import sys
import time

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

source, target, rank, l2, iterations = sys.argv[1:]
with np.load(source) as given:
    # Its confidences are the matrix itself (alpha 1): ours, 1 + alpha x quality.
    matrix = csr_matrix((given["confidence"], given["titles"], given["offsets"]), shape=given["shape"])
model = AlternatingLeastSquares(
    factors=int(rank), regularization=float(l2), iterations=int(iterations), alpha=1.0, random_state=1
)
start = time.perf_counter()
model.fit(matrix, show_progress=False)
seconds = time.perf_counter() - start
np.savez(target, members=model.user_factors, titles=model.item_factors, seconds=seconds)
