"""Parquet files that carry their checksums: whoever reads one finds damage, and says which file it is.

A Parquet file has a checksum in every page, which costs only what is read, and before its footer a trailer: the
SHA-256 of all that stands before it, and the SHA-256 of that digest with the footer. The second one names the whole
file. Any Parquet reader passes over it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared.errors import DamagedFileError
from shared.storage.store import Store

MAGIC = b"dinosum1"
END = 8
"""Bytes after a Parquet footer: its length, and PAR1."""
TRAILER = len(MAGIC) + 64
TAIL = 1 << 16
"""Bytes at the end of a file that mostly hold the footer whole."""
CHUNK = 1 << 22


def parquet_bytes(table: pa.Table, compression: str = "zstd", **options: Any) -> bytes:
    """Return a table as a Parquet file without trailer; options are those of pyarrow.parquet.write_table.

    Only words get a dictionary: vectors and thumbnails with one take four times as long to write and to read.
    """
    return bytes(_parquet(table, compression, **options))


def _parquet(table: pa.Table, compression: str, **options: Any) -> memoryview:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression=compression, **_as_always(table.schema), **options)
    return memoryview(sink.getvalue())


def _as_always(schema: pa.Schema) -> dict[str, Any]:
    words = [field.name for field in schema if _is_word(field.type)]
    return {"use_dictionary": words, "write_page_checksum": True}


def _is_word(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind) or pa.types.is_string(kind))


def with_trailer(data: bytes) -> tuple[bytes, str]:
    """Return a Parquet file with its trailer, and its checksum in hex."""
    pieces, checksum = _pieces(memoryview(data))
    return b"".join(pieces), checksum


def _pieces(data: memoryview) -> tuple[list[memoryview | bytes], str]:
    start = len(data) - END - int.from_bytes(data[-END : -END + 4], "little")
    trailer, checksum = _trailer(hashlib.sha256(data[:start]).digest(), data[start:])
    return [data[:start], trailer, data[start:]], checksum


def _trailer(body: bytes, footer: bytes | memoryview) -> tuple[bytes, str]:
    whole = hashlib.sha256(body + footer).digest()
    return MAGIC + body + whole, whole.hex()


def write_table(store: Store, name: str, table: pa.Table, compression: str = "zstd", **options: Any) -> None:
    """Commit a table as a Parquet file with its trailer; options are those of parquet_bytes()."""
    pieces, _ = _pieces(_parquet(table, compression, **options))
    with store.commit(name, sum(map(len, pieces))) as draft, draft.open("wb") as file:
        file.writelines(pieces)


def write_tables(store: Store, name: str, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Commit tables as one Parquet file with its trailer; no more than one of them is in memory."""
    with store.commit(name) as draft:
        with pq.ParquetWriter(draft, schema, compression="zstd", **_as_always(schema)) as writer:
            for table in tables:
                writer.write_table(table)
        with draft.open("r+b") as file:
            start = (size := file.seek(0, 2)) - _tail_length(file, size)
            body = _digest(file, start)
            footer = file.read()
            file.seek(start)
            file.writelines((_trailer(body, footer)[0], footer))


def _digest(file: Any, length: int) -> bytes:
    """Return the SHA-256 of the first bytes of a file, which stands behind them then."""
    file.seek(0)
    state = hashlib.sha256()
    while length and (piece := file.read(min(length, CHUNK))):
        state.update(piece)
        length -= len(piece)
    return state.digest()


def read_table(
    store: Store, name: str, checksum: str = "", columns: Sequence[str] | None = None, filters: Any = None
) -> pa.Table:
    """Read a Parquet file; columns and filters as for pyarrow.parquet.read_table. Raises DamagedFileError.

    That function makes a dataset of the file, which takes longer than to read a small one: it is asked where rows are
    chosen.
    """
    with _opened(store, name) as file:
        _check_tail(file, name, checksum)
        if filters is not None:
            return pq.read_table(file, columns=columns, filters=filters, page_checksum_verification=True)
        groups = pq.ParquetFile(file, page_checksum_verification=True)
        missing = set(columns or ()) - set(groups.schema_arrow.names)
        if missing:
            raise DamagedFileError(name, f"has no column {min(missing)}")
        return read_columns(groups, columns)


def read_columns(file: pq.ParquetFile, columns: Sequence[str] | None) -> pa.Table:
    """Return the columns of a file in this order, all of them for None."""
    table = file.read(columns=columns)
    return table if columns is None else table.select(columns)


@contextmanager
def opened_table(store: Store, name: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file to read some of its row groups. Raises DamagedFileError."""
    with _opened(store, name) as file:
        _check_tail(file, name, "")
        yield pq.ParquetFile(file, page_checksum_verification=True)


def read_footer(store: Store, name: str) -> tuple[pq.FileMetaData, dict[bytes, bytes], str]:
    """Return the footer of a Parquet file, the metadata of its schema, and its checksum. Raises DamagedFileError."""
    with _opened(store, name) as file:
        checksum = _check_tail(file, name, "")[1]
        footer = pq.ParquetFile(file)
        return footer.metadata, dict(footer.schema_arrow.metadata or {}), checksum


def check_whole(store: Store, name: str, checksum: str = "") -> None:
    """Read a Parquet file to its last byte. Raises DamagedFileError where one is not as it was written."""
    with _opened(store, name) as file:
        body, found = _check_tail(file, name, checksum)
        if not found:  # of an older dinoflow: only Parquet's own rules can be broken
            pq.ParquetFile(file).read()
            return
        size = file.seek(0, 2)
        if _digest(file, size - _tail_length(file, size) - TRAILER) != body:
            raise DamagedFileError(name, "has other bytes than were written")


@contextmanager
def _opened(store: Store, name: str) -> Iterator[Any]:
    """Open a file for Arrow; what Arrow cannot read is damage, what a disk or store refuses is not."""
    try:
        with store.open_arrow(name) as file:
            yield file
    except FileNotFoundError as error:
        raise DamagedFileError(name, "is missing") from error
    except pa.ArrowException as error:
        raise DamagedFileError(name, f"cannot be read ({_line(error)})") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise DamagedFileError(name, f"cannot be read ({_line(error)})") from error


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0][:120]


def _tail_length(file: Any, size: int) -> int:
    """Return how many bytes footer and end have together."""
    file.seek(max(0, size - END))
    end = file.read(END)
    return int.from_bytes(end[:4], "little") + END if len(end) == END and end[4:] == b"PAR1" else 0


def _check_tail(file: Any, name: str, checksum: str) -> tuple[bytes, str]:
    """Hold the footer against the trailer, and that against a checksum; return the digest of the body and the checksum.

    Both are empty where there is no trailer: an older dinoflow wrote none.
    """
    size = file.seek(0, 2)
    size = file.tell() if size is None else size
    length = _tail_length(file, size)
    if not length or length > size:
        raise DamagedFileError(name, "is cut short, or its footer is damaged")
    file.seek(max(0, size - length - TRAILER))
    tail = file.read(min(size, length + TRAILER))
    magic, body, whole = tail[:8], tail[8:40], tail[40:TRAILER]
    if magic != MAGIC:
        body, whole = b"", b""
    elif hashlib.sha256(body + tail[TRAILER:]).digest() != whole:
        raise DamagedFileError(name, "has another footer than was written")
    if checksum and whole.hex() != checksum:
        raise DamagedFileError(name, "is not the file that its seal names")
    file.seek(0)
    return body, whole.hex()
