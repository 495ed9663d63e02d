"""One process of test_judging: scores a model on a set and prints what every rank found, as JSON."""

import json
import sys

from shared.params import Compute
from training.eval.evaluate import evaluate_models
from training.eval.params import EvaluateParams

if __name__ == "__main__":
    model, data = sys.argv[1:]
    params = EvaluateParams.model_validate(
        {
            "sets": [{"kind": "folder", "url": data}],
            "batch_size": 4,
            "evaluations": [{"kind": "knn", "k": 3, "also": []}, "linear", "effective_rank", "uniformity", "alignment"],
        }
    )
    facts = evaluate_models({"vit": model}, params, Compute(workers=1, device="cpu"), None)
    sys.stdout.write(json.dumps(facts["results"]) + "\n")
