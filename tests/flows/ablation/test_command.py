"""`dinoflow ablate` as a person meets it when the request is wrong, and as Prefect's pages show it."""

import pytest

from flows.ablation.text import headline, notes, verdict
from tests.command_line import dinoflow, process_of


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--vary", "curation.balance=on"], "ablate needs images to curate. Name a folder or URL with --source"),
        (["--vary", "curation.dedup.near.treshold=1"], "Did you mean 'threshold'"),
        ([], "requires an argument"),
    ],
)
def test_a_wrong_request_ends_with_2_and_a_sentence(words, complaint, tmp_path):
    way = dinoflow if words else process_of
    ended = way("ablate", "laptop", "--workspace", tmp_path / "w", *words)
    assert ended.returncode == 2
    assert complaint in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "w").exists()


def facts(variants: int, seeds: int) -> dict:
    rows = [{"name": f"v{i}", "equal_compute": i != 1} for i in range(variants)]
    questions = {"classes": 5, "guarded": seeds > 2}
    proxy = {"steps": 10, "batch_size": 8, "seeds": seeds}
    how = {"queries": 100, "bank": 900}
    return {"verdict_on": "knn top1", "protocol": how, "variants": rows, "questions": questions, "proxy": proxy}


def test_what_cannot_be_claimed_is_said():
    assert "Holm" in " ".join(notes(facts(3, 3)))
    assert "Holm" not in " ".join(notes(facts(2, 3)))
    assert "nothing is claimed" in notes(facts(2, 1))[-1]
    assert "Nothing keeps copies of what is asked out of training" in " ".join(notes(facts(2, 1)))
    assert headline(facts(2, 3))[0].startswith("knn top1 of 100 queries (5 classes, chance about 20 %) against 900")
    assert headline(facts(2, 3))[-1] == "Not at equal compute: v1."
    difference = {"mean": 0.01, "low": -0.01, "high": 0.03, "detectable": 0.04}
    unsure = {"verdict": "no difference seen", "difference": difference}
    assert verdict(unsure) == "no difference seen (one of 4.0 would be, 4 times in 5)"
    assert verdict({"verdict": "helped", "difference": difference, "p_holm": 0.012}) == "helped (p = 0.012)"


def test_the_flow_has_a_form_that_explains_its_fields_and_is_found_again_by_name():
    from prefect.flows import load_flow_from_entrypoint
    from prefect.types.entrypoint import EntrypointType

    from flows.orchestration.ablation_flow import ablate

    deployment = ablate.to_deployment("ablation", entrypoint_type=EntrypointType.MODULE_PATH)
    assert load_flow_from_entrypoint(deployment.entrypoint).name == "ablate"
    form = ablate.parameters.properties
    assert "for example curation.balance=on" in form["vary"]["description"]
    assert all(field.get("description") for field in form.values())
