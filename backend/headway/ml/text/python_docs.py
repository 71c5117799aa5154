"""Real text that every machine with Python has: the prose of the Python installation itself.

The language reference that `help()` shows (`pydoc_data.topics`) and the docstrings of the standard library's modules,
in a fixed order. About 2 MB of technical English under the PSF licence; the same for the same Python version.
"""

from __future__ import annotations

import ast
import inspect
import platform
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

from headway.ml.hub.errors import SourceError
from headway.ml.hub.files import SourceFile

PYTHON_DOCS = "python-docs"
LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "lib2to3", "pydoc_data", "__pycache__", "_vendor"}
SMALLEST_MODULE_BYTES = 4096
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class PythonDocsSource:
    """A source that makes one text file of each topic and of each module that has something to say."""

    def __init__(self) -> None:
        self._library = Path(sysconfig.get_path("stdlib"))

    def files(self) -> list[SourceFile]:
        """Topics and modules; sizes are those of what is read."""
        return [SourceFile(f"topics/{name}.txt", len(text)) for name, text in sorted(topics.items())] + [
            SourceFile(f"library/{path.relative_to(self._library).with_suffix('.txt')}", path.stat().st_size)
            for path in self._modules()
        ]

    def fetch(self, file: SourceFile, part: Path, on_bytes: Callable[[int], None]) -> None:
        """Write the prose of one topic or module."""
        part.write_text(self._prose(file.path), encoding="utf-8")
        on_bytes(file.size)

    def place(self, file: SourceFile) -> str:
        """Raises SourceError: the prose is made when it is brought."""
        raise SourceError(f"{file.path} is made from the Python installation: take it without `stream`")

    def describe(self) -> dict[str, Any]:
        """Which Python it is of."""
        return {"source": f"package:{PYTHON_DOCS}", "version": platform.python_version(), "license": "PSF-2.0"}

    def _modules(self) -> list[Path]:
        return sorted(
            path
            for path in self._library.rglob("*.py")
            if not LEFT_OUT & set(path.relative_to(self._library).parts)
            and path.stat().st_size >= SMALLEST_MODULE_BYTES
        )

    def _prose(self, name: str) -> str:
        folder, _, rest = name.partition("/")
        if folder == "topics":
            return topics[rest.removesuffix(".txt")]
        source = (self._library / rest).with_suffix(".py").read_text(encoding="utf-8", errors="replace")
        return "\n\n".join(_docstrings(ast.parse(source)))


def _docstrings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, Documented) and (text := ast.get_docstring(node)):
            name = "" if isinstance(node, ast.Module) else f"{node.name}: "
            yield name + inspect.cleandoc(text)
