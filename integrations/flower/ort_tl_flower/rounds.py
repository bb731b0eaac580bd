"""The folder in which a federation is kept, so that it goes on from its last whole round.

federation.json                   what was agreed: fingerprint, policy, classes, strategy
rounds/0000/parameters.safetensors   what it began with
rounds/0001/parameters.safetensors   after the first round; momentum.safetensors beside it, where the strategy has one
rounds.jsonl                      a line for each whole round
tuned.onnx                        at the end
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import parameters as files
from .parameters import Parameters


class Rounds:
    """A federation's folder. Whole is a round whose line is written, which is done last."""

    def __init__(self, folder: Path, agreement: Mapping[str, Any]) -> None:
        """Makes the folder, or goes on with it. Raises ValueError where another federation is kept there."""
        self.folder = folder
        (folder / "rounds").mkdir(parents=True, exist_ok=True)
        self._agree(folder / "federation.json", dict(agreement))
        self._lines = folder / "rounds.jsonl"
        self.last = self._last_whole()

    def _agree(self, path: Path, agreement: dict[str, Any]) -> None:
        if not path.exists():
            _write(path, json.dumps(agreement, indent=2) + "\n")
            return
        before = json.loads(path.read_text(encoding="utf-8"))
        if other := next((key for key, value in agreement.items() if before.get(key) != value), None):
            raise ValueError(
                f"{self.folder} has a federation with another {other}: {before.get(other)}, not {agreement[other]}"
            )

    def _last_whole(self) -> int | None:
        """The last round whose line was written to its end; a line that was cut off is taken away."""
        text = self._lines.read_text(encoding="utf-8") if self._lines.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            _write(self._lines, whole)
        lines = whole.splitlines()
        return int(json.loads(lines[-1])["round"]) if lines else None

    def _place(self, number: int) -> Path:
        return self.folder / "rounds" / f"{number:04}"

    def parameters(self, number: int) -> Parameters:
        """The parameters after a round."""
        return files.read(self._place(number) / "parameters.safetensors")

    def momentum(self, number: int) -> Parameters | None:
        """The server's momentum after a round; None where it has none."""
        path = self._place(number) / "momentum.safetensors"
        return files.read(path) if path.exists() else None

    def keep(
        self, line: Mapping[str, Any], parameters: Mapping[str, np.ndarray], momentum: Mapping[str, np.ndarray] | None
    ) -> None:
        """Keeps a round: its folder by a rename, then its line."""
        place = self._place(int(line["round"]))
        part = place.with_name(f".{place.name}")
        for left in (part, place):
            # Of a round that was cut off before its line was written.
            shutil.rmtree(left, ignore_errors=True)
        part.mkdir()
        files.write(part / "parameters.safetensors", parameters)
        if momentum is not None:
            files.write(part / "momentum.safetensors", momentum)
        part.rename(place)
        with self._lines.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.last = int(line["round"])


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
