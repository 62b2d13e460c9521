"""Where in which cluster an instance is: its `Spec.host`.

That is `kubernetes:context=C&namespace=N&storage-class=S&size=20Gi`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from devdb.config import FILE
from devdb.errors import UsageError

_SCHEME = "kubernetes:"
_KEYS = ("context", "namespace", "storage-class", "size")
DEFAULT_SIZE = "10Gi"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_SIZE = re.compile(r"[1-9][0-9]*(\.[0-9]+)?([kMGTPE]|[KMGTPE]i)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A namespace of a cluster, and what volumes new instances get there."""

    context: str | None = None
    """By its name in kubectl's configuration; None: the current one."""
    namespace: str | None = None
    """None: the context's own."""
    storage_class: str | None = None
    """None: the cluster's default."""
    size: str = DEFAULT_SIZE

    def __str__(self) -> str:
        values = (self.context, self.namespace, self.storage_class, self.size)
        told = {key: value for key, value in zip(_KEYS, values, strict=True) if value}
        return _SCHEME + urlencode(told)


def parse(text: str | None) -> Address:
    """The address in that text. Raises UsageError for a key or a value that there cannot be."""
    given = dict(parse_qsl((text or "").removeprefix(_SCHEME)))
    for key, value in given.items():
        if key not in _KEYS:
            raise UsageError(
                f"{FILE}: [kubernetes] has no key '{key}'.", f"Known: {', '.join(_KEYS)}."
            )
        pattern = {"namespace": _NAME, "storage-class": _NAME, "size": _SIZE}.get(key)
        if pattern and not pattern.fullmatch(value):
            example = DEFAULT_SIZE if key == "size" else f"my-{key}"
            raise UsageError(
                f"{FILE}: [kubernetes] {key} = '{value}' is none.", f'E.g. {key} = "{example}".'
            )
    return Address(**{key.replace("-", "_"): value for key, value in given.items()})
