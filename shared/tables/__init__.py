"""Tables on storage: parts.py are their files, outputs.py what was made together, rows.py reads it as one.

column_digests.py says what stands in a column, so that equal columns are known without being read.
"""

from shared.tables.outputs import (
    REMEMBERED,
    Output,
    made_by,
    manifest_name,
    newest_manifest,
    output_of,
    recorded,
    sealed,
)
from shared.tables.parts import (
    FOLDER,
    Part,
    commit_part,
    describe_part,
    facts_of,
    part_name,
    read_part,
    with_facts,
)
from shared.tables.rows import Rows

__all__ = [
    "FOLDER",
    "REMEMBERED",
    "Output",
    "Part",
    "Rows",
    "commit_part",
    "describe_part",
    "facts_of",
    "made_by",
    "manifest_name",
    "newest_manifest",
    "output_of",
    "part_name",
    "read_part",
    "recorded",
    "sealed",
    "with_facts",
]
