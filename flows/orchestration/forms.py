"""The fields of Prefect's forms: what a parameter of a flow means is said once, whichever flows have it."""

import inspect
from collections.abc import Callable
from typing import TypeVar

Body = TypeVar("Body", bound=Callable[..., object])
Texts = tuple[str, ...]

FIELDS = {
    "recipe": "A shipped recipe (demo, laptop, single-gpu) or the path of a YAML file.",
    "workspace": "Folder or URL that holds datasets, runs and the stage cache.",
    "sources": "Folders or URLs of images, without passwords: forms are stored. Empty = those of the recipe.",
    "name": "Name of the dataset. Empty = the recipe's.",
    "version": "Dataset version, as v0001. Empty = the newest.",
    "settings": "Changes to the recipe, each as KEY=VALUE, for example curation.dedup.near.threshold=0.98.",
    "curation": "All curation parameters, in place of the recipe's. None = the recipe's.",
    "training": "All training parameters, in place of the recipe's. None = the recipe's.",
    "evaluation": "All evaluation parameters, in place of the recipe's. None = the recipe's.",
    "params": "All parameters of this stage, in place of the recipe's. None = the recipe's.",
    "follow": "Go on until the run's training is done.",
    "patience": "Seconds that a followed run may stay without a sign of life.",
    "vary": "What to try instead of the recipe's value, each as KEY=VALUE,VALUE…, for example curation.balance=on.",
    "grid": "Every combination of the values, instead of one change to the recipe at a time.",
    "seeds": "Trainings of each variant. One claims nothing; 5 see smaller effects.",
    "steps": "Length of each training; the recipe's where none is given.",
}


def form(body: Body) -> Body:
    """Add to a flow's docstring, which Prefect makes its form of, what each of its parameters means."""
    lines = [f"    {name}: {FIELDS[name]}" for name in inspect.signature(body).parameters]
    body.__doc__ = "\n".join([inspect.getdoc(body) or "", "", "Args:", *lines])
    return body
