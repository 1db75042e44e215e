"""Reading a CSV file in chunks: separator, encoding, header, and the place of each damaged cell."""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import io
import itertools
import os
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from zoo import Table, ZooError, progress
from zoo.builtin._common import reason_of

if TYPE_CHECKING:
    import pandas as pd

UTF_8 = "utf-8-sig"  # with or without a byte order mark
GZIP = b"\x1f\x8b"
OTHER_FILES = {  # by the first bytes of the file
    b"PK\x03\x04": "a ZIP archive or an Excel file; expected CSV. Unpack it, or save it as CSV.",
    b"PAR1": "a Parquet file; expected CSV. Use the dataset parquet_images.",
}
SEPARATORS = ",;\t|"
MAX_LINE_SIZE = 2**26  # bytes
SAMPLE_SIZE = 65_536  # characters at the start of a file; for finding its separator
CELLS_PER_CHUNK = 4_000_000
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
BOMS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
        codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip


@dataclass(frozen=True)
class _Layout:
    """A CSV file, with the encoding, separator, quotes and header that its reader needs."""

    path: Path
    encoding: str
    separator: str
    quote: str
    decimal: str
    names: list[str]  # names of the columns; "" without a header
    has_header: bool
    num_skipped: int  # lines before the first row
    rows_per_chunk: int
    num_chunks: int  # an estimate, for the progress bar

    def open(self) -> TextIO:
        return _open(self.path, self.encoding)


def csv_table(
    path: Path, header: bool, separator: str | None, encoding: str | None, label_column: str | int | None
) -> Table:
    """Return a CSV file as a table; raise ZooError if its first line is not as expected."""
    with _readable(path):
        layout = _layout(path, header, separator, encoding or UTF_8)
    if header and _is_row(layout.names, label_column):
        raise ZooError(
            f"{path}: line 1: expected the names of the columns, got {', '.join(layout.names)[:40]!r}. Set "
            "header = false if line 1 is an image, or label_column to the column with the label.",
            fix={"header": False},
        )
    return Table(
        name=str(path),
        columns=layout.names,
        chunks=lambda text_columns: _chunks(layout, text_columns),
        cell=lambda row, column: _cell(layout, row, column),
    )


def truncation_warning(path: Path) -> str:
    """Return a warning if the file has no line break at its end; usually ""."""
    with path.open("rb") as file:
        if file.read(2) == GZIP:  # the checksum of a gzip file shows a truncation
            return ""
        file.seek(-2, os.SEEK_END)
        if file.read().endswith((b"\n", b"\r", b"\n\0", b"\r\0")):
            return ""
        file.seek(0)
        num_lines = sum(1 for _ in file)
    return (
        f"{path} has no line break after line {num_lines:,}: it may be truncated. Images, or digits of "
        "the last pixel, may be missing. If the file is complete, add a line break at its end."
    )


def _open(path: Path, encoding: str) -> TextIO:
    with path.open("rb") as file:
        start = file.read(4)
    if start in OTHER_FILES:
        raise ZooError(f"{path} is {OTHER_FILES[start]}")
    content = gzip.open(path) if start.startswith(GZIP) else path.open("rb")  # noqa: SIM115
    return io.TextIOWrapper(_BoundedLines(path, content), encoding, newline="")


class _BoundedLines(io.BufferedReader):
    """The content of a file; raises ZooError for a line that is too long for an image.

    Otherwise a small compressed file without a line break would fill the memory.
    """

    def __init__(self, path: Path, file: Any) -> None:
        super().__init__(file)
        self._path = path
        self._length = 0  # bytes of the current line so far

    def read1(self, size: int = -1) -> bytes:
        """Return the next bytes; `io.TextIOWrapper` reads with this method."""
        content = super().read1(size)
        last = content.rfind(b"\n")
        self._length = self._length + len(content) if last < 0 else len(content) - last - 1
        if self._length > MAX_LINE_SIZE:
            raise ZooError(
                f"{self._path} has a line of more than {MAX_LINE_SIZE:,} bytes; "
                "expected a line for each image."
            )
        return content


def _layout(path: Path, header: bool, separator: str | None, encoding: str) -> _Layout:
    with _open(path, encoding) as file:
        sample = file.read(SAMPLE_SIZE)
        if len(sample) == SAMPLE_SIZE:
            sample += file.readline()
    if sample.count("\0") > len(sample) / 4:
        _raise_encoding(path, "utf-16-le" if sample[1] == "\0" else "utf-16-be")
    if not sample.strip():
        raise ZooError(f"{path} is empty: expected a line for each image.")
    lines = sample.lstrip("\r\n").splitlines()
    num_blank = len(sample.splitlines()) - len(lines)
    stated = re.fullmatch(r'"?sep=(.)"?', lines[0]) if lines else None  # written and read by Excel
    if stated:
        separator, lines = stated[1], lines[1:]
    separator, quote = _dialect(lines, separator)
    header_line = next(csv.reader(lines, delimiter=separator, quotechar=quote, skipinitialspace=True), [])
    names = [name.strip().lstrip("\ufeff") for name in header_line]
    if len(names) < 2:
        raise ZooError(
            f"{path}: line 1: expected a label and pixels, separated by {separator!r}, "
            f"got {lines[0][:40]!r}. Set separator to the character between two values."
        )
    is_decimal_comma = separator != "," and re.search(r"\d,\d", lines[-1])
    line_size = len(lines[-1]) + 1
    rows_per_chunk = max(1, CELLS_PER_CHUNK // len(names))
    return _Layout(
        path,
        encoding,
        separator,
        quote,
        "," if is_decimal_comma else ".",
        names if header else [""] * len(names),
        header,
        num_blank + int(header) + (stated is not None),
        rows_per_chunk,
        path.stat().st_size // (line_size * rows_per_chunk) + 1,
    )


def _dialect(lines: Sequence[str], separator: str | None) -> tuple[str, str]:
    """Return separator and quotes; a comma and `"` if the lines do not show them."""
    if separator is not None and (len(separator) != 1 or separator in '\r\n"'):
        raise ZooError(f"separator = {separator!r}: expected one character, such as ';'.")
    candidates = [separator] if separator else [SEPARATORS, " "]
    for sample, delimiters in itertools.product((lines[:20], lines[:1]), candidates):
        with contextlib.suppress(csv.Error):
            dialect = csv.Sniffer().sniff("\n".join(sample), delimiters)
            return separator or dialect.delimiter, dialect.quotechar or '"'
    return separator or ",", '"'


def _is_row(names: Sequence[str], label_column: str | int | None) -> bool:
    """Return True if line 1 is an image, not names of columns; names may be consecutive numbers."""
    numbers = [float(name) for name in names if NUMBER.fullmatch(name)]
    if len(numbers) == len(names) and label_column is None:
        return True
    does_count = all(after - before == 1 for before, after in itertools.pairwise(numbers))
    return len(numbers) > 1 and len(numbers) >= len(names) - 1 and not does_count


def _chunks(layout: _Layout, text_columns: Sequence[int]) -> Iterator[pd.DataFrame]:
    """Yield the rows below the header; raise ZooError if a row and the header have different lengths."""
    import pandas as pd

    with _readable(layout.path), layout.open() as file, warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # if the first row is longer than the header
        try:
            chunks = pd.read_csv(
                file,
                sep=layout.separator,
                quotechar=layout.quote,
                decimal=layout.decimal,
                header=None,
                names=range(len(layout.names)),
                index_col=False,  # otherwise an extra value in each row becomes an index
                skiprows=layout.num_skipped,
                skip_blank_lines=False,
                skipinitialspace=True,
                keep_default_na=False,  # "NA" may be a class
                dtype=dict.fromkeys(text_columns, str),
                low_memory=False,
                chunksize=layout.rows_per_chunk,
            )
            num_rows = 0
            for frame in progress(chunks, f"reading {layout.path}", total=layout.num_chunks):
                is_empty = (frame.iloc[:, -1].astype(str) == "").to_numpy()
                if is_empty.any():  # a short row, or an empty last cell
                    _cell(layout, num_rows + int(is_empty.argmax()), -1)
                if len(frame):
                    yield frame
                num_rows += len(frame)
        except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
            for _ in _rows(layout):  # raises ZooError with the number of the line
                pass
            raise ZooError(f"{layout.path} cannot be read as CSV ({reason_of(error)}). Replace it.") from None
        except pd.errors.EmptyDataError:
            return


def _cell(layout: _Layout, row: int, column: int) -> tuple[str, str]:
    """Return place and text of a cell; raise ZooError if this row or an earlier one has another length."""
    with _readable(layout.path):
        line, cells = next(itertools.islice(_rows(layout), row, None))
    position = range(len(cells))[column]
    name = f" ({layout.names[column][:40]!r})" if layout.has_header else ""
    return f"line {line}, column {position + 1}{name}", cells[column]


def _rows(layout: _Layout) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and values of every row; raise ZooError for a damaged row."""
    with layout.open() as file:
        reader = csv.reader(
            file, delimiter=layout.separator, quotechar=layout.quote, skipinitialspace=True, strict=True
        )
        line = 1
        try:
            for cells in reader:
                if line > layout.num_skipped:
                    _check_row(layout, line, cells)
                    yield line, cells
                line = reader.line_num + 1
        except csv.Error as error:
            raise ZooError(f"{layout.path}: line {line}: {reason_of(error)}. Correct the line.") from None


def _check_row(layout: _Layout, line: int, cells: Sequence[str]) -> None:
    if not "".join(cells).strip() and len(cells) < 2:
        raise ZooError(f"{layout.path}: line {line} is blank; expected an image. Remove the line.")
    if len(cells) != len(layout.names):
        raise ZooError(
            f"{layout.path}: line {line}: expected {len(layout.names):,} values, got {len(cells):,}."
        )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise ZooError if the file cannot be opened, is damaged, or has another encoding."""
    try:
        yield
    except UnicodeError:
        _raise_encoding(path, None)
    except LookupError as error:
        raise ZooError(
            f"encoding: {reason_of(error)}. Set it to a name such as utf-8, utf-16 or cp1252."
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ZooError(f"{path} is damaged ({reason_of(error)}). Replace it.") from error
    except OSError as error:
        raise ZooError(
            f"{path} cannot be read: {error.strerror}. Correct the path, or its permissions."
        ) from error


def _raise_encoding(path: Path, encoding: str | None) -> NoReturn:
    """Raise ZooError with the encoding that the file probably has."""
    with path.open("rb") as file:
        start = file.read(4)
        encoding = encoding or next((name for bom, name in BOMS.items() if start.startswith(bom)), None)
        file.seek(0)
        if encoding is not None:
            raise ZooError(
                f'{path} is not UTF-8, but {encoding.upper()}. Set encoding = "{encoding}".',
                fix={"encoding": encoding},
            )
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                text = line[max(error.start - 10, 0) : error.end + 10].decode("cp1252", "replace")
                raise ZooError(
                    f"{path}: line {number}: expected UTF-8, got the byte 0x{line[error.start]:02x}. Set "
                    f'encoding to that of the file: with encoding = "cp1252", the line has {text.strip()!r}.'
                ) from None
    raise ZooError(f"{path}: the text has another encoding. Set encoding to that of the file.")
