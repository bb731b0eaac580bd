"""Runs `ort-tl fit`, the engine of a federation, as a process of its own."""

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import parameters as files
from .parameters import Parameters, Refused

# ort-tl ends when the other end of this descriptor closes, so also when this process is killed.
LIFELINE = "ORT_TL_LIFELINE"


@dataclass(frozen=True)
class Fitted:
    """What a call of `ort-tl fit` gave back: its fit.json, and the parameters."""

    report: dict[str, Any]
    parameters: Parameters


@dataclass(frozen=True)
class Engine:
    """`ort-tl fit` with the artifacts that it works on."""

    command: tuple[str, ...]
    artifacts: str

    def fit(self, flags: Mapping[str, str | int | float], parameters: Mapping[str, np.ndarray] | None = None) -> Fitted:
        """One call of `ort-tl fit` with these flags, from these parameters on (by default those of the artifacts).

        Raises Refused with the engine's own words when it ends otherwise than with 0.
        """
        with tempfile.TemporaryDirectory(prefix="ort-tl-flower-") as folder:
            out = Path(folder, "out")
            given: list[str] = []
            if parameters is not None:
                files.write(Path(folder, "in.safetensors"), parameters)
                given = ["--parameters", str(Path(folder, "in.safetensors"))]
            told = [text for name, value in flags.items() for text in (f"--{name}", str(value))]
            self._run(["fit", self.artifacts, *given, *told, "--out", str(out), "--json"])
            report = json.loads(Path(out, "fit.json").read_text(encoding="utf-8"))
            return Fitted(report, files.read(Path(out, "parameters.safetensors")))

    def _run(self, arguments: list[str]) -> None:
        with _lifeline() as (descriptors, variables):
            try:
                ended = subprocess.run(
                    [*self.command, *arguments],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    pass_fds=descriptors,
                    env={**os.environ, **variables},
                )
            except OSError as error:
                raise Refused(f"{self.command[0]} does not run: {error.strerror}") from error
        if ended.returncode != 0:
            last = (ended.stderr.strip() or ended.stdout.strip() or "it said nothing").splitlines()[-1]
            raise Refused(f"ort-tl fit ended with {ended.returncode}: {last}")


@contextmanager
def _lifeline() -> Iterator[tuple[tuple[int, ...], dict[str, str]]]:
    """A pipe that breaks when this process ends; none where processes inherit no descriptors."""
    if os.name != "posix":
        yield (), {}
        return
    near, far = os.pipe()
    try:
        yield (near,), {LIFELINE: str(near)}
    finally:
        os.close(near)
        os.close(far)


def engine_of(command: object, artifacts: object) -> Engine:
    """The engine of a setting, or where that is empty, of the variable ORT_TL, or of npx."""
    words = str(command or os.environ.get("ORT_TL") or "npx ort-tl")
    return Engine(tuple(shlex.split(words)), str(artifacts))
