"""Manifests and templates of work pools, against the schemas of Kubernetes, JobSet, Kubeflow Trainer and Prefect."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.workers.base import BaseJobConfiguration, BaseVariables
from prefect.workers.process import ProcessJobConfiguration

INFRA = Path(__file__).parents[2] / "infra"
MANIFESTS = [
    pytest.param(path, manifest, id=f"{path.name}-{manifest['kind']}")
    for path in sorted((INFRA / "kubernetes").glob("*.yaml"))
    for manifest in yaml.safe_load_all(path.read_text())
]
CUSTOM = {"JobSet": "JobsetV1alpha2JobSet", "TrainJob": "TrainerV1alpha1TrainJob"}
POOLS = sorted((INFRA / "work_pools").glob("*.json"))


def check(manifest: dict[str, Any]) -> None:
    """Raise where Kubernetes, read strictly, would refuse it: unknown keys too."""
    kubernetes = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    kubernetes.validate(manifest, "1.34", strict=True)


@pytest.mark.parametrize(("path", "manifest"), MANIFESTS)
def test_a_manifest_is_what_its_schema_allows(path: Path, manifest: dict[str, Any]) -> None:
    if manifest["kind"] not in CUSTOM:
        check(manifest)
        return
    models = pytest.importorskip("kubeflow_trainer_api.models", reason="pip install kubeflow-trainer-api")
    model = getattr(models, CUSTOM[manifest["kind"]])
    read = model.from_dict(manifest)
    assert json.loads(read.to_json()) == manifest, "a key is none of the schema's"


def test_the_job_inside_a_jobset_is_one_of_kubernetes() -> None:
    jobset = yaml.safe_load((INFRA / "kubernetes/jobset.yaml").read_text())
    for job in jobset["spec"]["replicatedJobs"]:
        check({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, **job["template"]})
        spec = job["template"]["spec"]
        (container,) = spec["template"]["spec"]["containers"]
        env = {one["name"]: one["value"] for one in container["env"]}
        machines = {str(spec["parallelism"]), str(spec["completions"]), env["PET_NNODES"]}
        assert len(machines) == 1, "numbers of machines that differ"
        first = f"{jobset['metadata']['name']}-{job['name']}-0-0.{jobset['metadata']['name']}"
        assert env["MASTER_ADDR"] == first, "JobSet names pods after the set, the job and two indices"


@pytest.mark.parametrize("path", POOLS, ids=lambda path: path.stem)
def test_a_work_pools_template_is_read_by_prefect_and_makes_a_job_that_kubernetes_takes(path: Path) -> None:
    template = json.loads(path.read_text())
    named = set(re.findall(r"{{ (\w+) }}", json.dumps(template["job_configuration"])))
    assert named == template["variables"]["properties"].keys(), "placeholders and variables differ"
    kind = BaseJobConfiguration if path.stem.startswith("kubernetes") else ProcessJobConfiguration
    values = {"name": "run", "labels": {"app": "dinoflow"}, "env": {"A": "b"}, "command": "prefect flow-run execute"}
    if kind is ProcessJobConfiguration:
        given = values | {"working_dir": "/tmp", "stream_output": True}
        made = kind.model_validate(template["job_configuration"] | given)
        assert made.command == values["command"]
        BaseVariables.model_validate({"env": template["variables"]["properties"]["env"]["default"]})
        return
    check(filled(template, values)["job_manifest"])


def filled(template: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The job that a worker makes of it: defaults and values in place of names, as Prefect's own function does it."""
    from prefect.utilities.templating import apply_values

    given = {
        name: variable["default"]
        for name, variable in template["variables"]["properties"].items()
        if "default" in variable
    }
    job = apply_values(template["job_configuration"], given | values, remove_notset=True)
    (container,) = job["job_manifest"]["spec"]["template"]["spec"]["containers"]
    container["env"] = [{"name": name, "value": value} for name, value in container["env"].items()]  # the worker's part
    container["args"] = container["args"].split()
    return dict(job)


def test_no_secret_stands_in_a_file() -> None:
    for path in [*(INFRA / "kubernetes").iterdir(), *POOLS]:
        assert "kind: Secret\n" not in path.read_text()
