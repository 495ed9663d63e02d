"""The flow that keeps a workspace small, by hand or on a schedule: what no published version needs goes."""

from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

from flows.orchestration.flows import begin_run, nothing_new
from flows.orchestration.forms import form
from flows.orchestration.pages.run_names import named
from flows.plan.garbage import collect
from shared.errors import WorkspaceError
from shared.storage import Store
from shared.storage.credentials import withheld

DAY = 24.0


@flow(name="gc", flow_run_name=named("tidy up"))
@form
def gc(workspace: str = "workspace", delete: bool = False, hours: float = DAY) -> Any:
    """Delete what no published version needs: unused stage outputs, drafts of killed commands, unlisted shards."""
    begin_run()
    store = Store(withheld(workspace))
    if not store.fs.exists(store.path()):
        raise WorkspaceError(f"There is no workspace {workspace}. Curate into it first, or name the right one.")
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        get_run_logger().info(line)

    facts = collect(store, delete=delete, hours=hours, say=say)
    total, count = sum(facts["bytes"].values()), sum(facts["files"].values())
    done = f"{total:,} bytes in {count:,} files {'deleted' if delete else 'could be deleted'}"
    create_markdown_artifact(markdown(facts, lines), key="gc", description=done)
    why = f"Every file of {store.url} is needed, or younger than {hours:g} hours"
    return facts if count else nothing_new(why, facts)


def markdown(facts: dict[str, Any], lines: list[str]) -> str:
    """Return what was deleted, or would be, as a table."""
    rows = [f"| {what} | {count:,} | {facts['bytes'][what]:,} |" for what, count in facts["files"].items()]
    table = ["| what | files | bytes |", "|---|--:|--:|", *rows] if rows else []
    advice = [] if facts["removed"] or not rows else ["", "Set `delete` to have it done."]
    return "\n".join([*table, "", lines[-1], *advice])
