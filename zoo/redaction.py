"""Passwords in addresses: every text that zoo prints, logs or records is passed through `redact`.

An address may have a password for MLflow, Optuna, a data source or a proxy. URLs are recognized anywhere in a
text. A library may also quote only a part of the password, because it parses the URL in another way. So the
passwords in the environment and in the command's arguments are also searched.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote

_HIDDEN = "***"
_MIN_LENGTH = 6  # of a password that is hidden outside URLs; shorter ones and words occur in other texts
_SECRET_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY")
_ADDRESS_VARIABLE = re.compile(r"(URI|URL|DSN|PROXY)$", re.IGNORECASE)
# A user name or password may contain an unescaped `@`, so it ends at the last `@` of its URL.
_PASSWORD = re.compile(r"(://[^:/\s]*):(?:(?!://)\S)*@")
_TOKEN = re.compile(r"(https?://)[^:/@\s]+@")  # a user name without a password is a token
_QUERY = re.compile(
    r"([?&;][\w.-]*(?:password|passwd|pwd|token|secret|key)[\w.-]*=)[^&\s'\"`]+", re.IGNORECASE
)
# User name, password and host of an address, even with a mistake, such as `postgresql:me:secret@host`.
_PARTS = re.compile(r"(?:[a-zA-Z][\w+.-]*:/+|[a-zA-Z][\w+.-]*:(?=[^@]*:))?[^:/]*:(\S*)@([^\s:/?]*)")


def redact(text: str, *addresses: str) -> str:
    """Return `text` with every password replaced: `postgresql://me:***@host/db`.

    Args:
        addresses: addresses whose passwords may be in `text`, besides those in the environment and in the
            command.
    """
    text = _PASSWORD.sub(rf"\1:{_HIDDEN}@", text)
    text = _TOKEN.sub(rf"\1{_HIDDEN}@", text)
    text = _QUERY.sub(rf"\1{_HIDDEN}", text)
    for secret, shown in _secrets((*addresses, *_addresses()), tuple(map(os.environ.get, _SECRET_VARIABLES))):
        text = text.replace(secret, shown)
    return text


def _addresses() -> Iterator[str]:
    """Yield the addresses with an `@` in the environment and in the command's arguments."""
    for name, value in os.environ.items():
        if "@" in value and _ADDRESS_VARIABLE.search(name):
            yield value
    for argument in sys.argv[1:]:
        if "@" in argument and ":" in argument:
            yield argument.partition("=")[2] if argument.startswith("--") and "=" in argument else argument


@lru_cache(maxsize=16)
def _secrets(addresses: tuple[str, ...], values: tuple[str | None, ...]) -> list[tuple[str, str]]:
    """Return the texts to hide, longest first, and their replacements."""
    found = {value: _HIDDEN for value in values if value}
    for address in addresses:
        if (parts := _PARTS.match(address)) is None or not parts[1]:
            continue
        password, host = parts[1], parts[2]
        fragments = re.split("[@/?#:]", password)
        for one in {password, unquote(password), *fragments}:
            if len(one) >= _MIN_LENGTH and not re.fullmatch("[a-z]+", one):
                found[one] = _HIDDEN
        for start in range(len(fragments)):  # a library may take such a part for the host or the port
            tail = password[len(password) - len("@".join(fragments[start:])) :]
            found[f"{tail}@{host}"] = f"{_HIDDEN}@{host}"
            if len(fragments) > 1:
                found[f"'{fragments[start]}'"] = f"'{_HIDDEN}'"
    return sorted(found.items(), key=lambda item: -len(item[0]))
