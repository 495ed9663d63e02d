"""The published dataset itself: the tenth that training never sees, asked of the labelled rest."""

from typing import TYPE_CHECKING, Literal

from shared.dataset_version import Published
from shared.errors import RecipeError
from training.eval.sets.base import Named

if TYPE_CHECKING:
    from training.eval.sets.labelled import Labelled


class DatasetSet(Named):
    """The dataset that is trained on, with its held-out tenth."""

    kind: Literal["dataset"] = "dataset"
    """The published dataset, with its held-out tenth."""

    def content(self) -> str:
        """Return nothing: the dataset's name and version are known beside it."""
        return ""

    def opened(self, published: Published | None) -> "Labelled":
        """Return its labelled images, or all of its training images without labels."""
        import numpy as np

        from training.data.published_images import UNLABELLED, all_images
        from training.eval.sets.labelled import Labelled

        if published is None:
            raise RecipeError("The set `dataset` needs a published dataset, got none. Name other sets with --data.")
        images, is_query = all_images(published)
        name = self.name or f"{published.name} {published.version}"
        if not images.classes:
            return Labelled(name, images, np.flatnonzero(~is_query))
        has_label = images.label != UNLABELLED
        bank, queries = np.flatnonzero(has_label & ~is_query), np.flatnonzero(has_label & is_query)
        return Labelled(name, images, bank, queries, "the held-out tenth", images.label, tuple(images.classes))
