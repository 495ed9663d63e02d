"""Names for types of arrays, once for all of curation: they tell the numbers, and legends beside them the shape.

vectors.py, draws.py: many vectors, and chance by their ids · exact.py: sums without order · kmeans.py: k-means of them
runs.py: rows of one group side by side.
"""

from typing import Any

import numpy as np

Ints = np.ndarray[Any, np.dtype[np.int64]]
Words = np.ndarray[Any, np.dtype[np.uint64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float32]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Array = np.ndarray[Any, Any]
