"""A workspace and a dataset version that someone names, or the only ones there are."""

from shared.dataset_version import Published, dataset_names, open_version
from shared.errors import UserError, WorkspaceError
from shared.images.file_names import absolute
from shared.storage import Store
from shared.storage.credentials import withheld


def existing(workspace: str) -> Store:
    """Open a workspace that is there. Raises WorkspaceError when it is not."""
    store = Store(absolute(withheld(workspace)))
    if not store.fs.exists(store.path()):
        raise WorkspaceError(f"There is no workspace {workspace}. Run `dinoflow demo`, or give the right folder.")
    return store


def only(store: Store) -> str:
    """Return the name of the only dataset. Raises UserError when there are several, or none."""
    names = dataset_names(store)
    if len(names) != 1:
        raise UserError(f"Say which dataset with its name, one of: {', '.join(names) or '(none published)'}.")
    return names[0]


def version_of(store: Store, which: str | None) -> Published:
    """Open NAME/VERSION, a VERSION of the only dataset, or the newest of NAME or of the only one."""
    name, _, version = (which or "").rpartition("/")
    if which and not name and which in dataset_names(store):
        name, version = which, ""
    return open_version(store, name or only(store), version or None)
