"""Runs `ort-tl fit`, the engine of a federation, as a process of its own."""

import json
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import parameters as files
from .parameters import Parameters, Refused


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
            if not Path(out, "fit.json").exists():
                raise Refused(f"{self.command[0]} ended well and wrote no fit.json: it is no ort-tl that has fit")
            report = json.loads(Path(out, "fit.json").read_text(encoding="utf-8"))
            return Fitted(report, files.read(Path(out, "parameters.safetensors")))

    def _run(self, arguments: list[str]) -> None:
        """Runs the command to its end; whoever is interrupted meanwhile ends it, with what it has started."""
        try:
            process = subprocess.Popen(
                [*self.command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        except OSError as error:
            raise Refused(f"{self.command[0]} does not run: {error.strerror}") from error
        try:
            said, complained = process.communicate()
        except BaseException:
            _end(process)
            raise
        if process.returncode != 0:
            last = (complained.strip() or said.strip() or "it said nothing").splitlines()[-1]
            raise Refused(f"ort-tl fit ended with {process.returncode}: {last}")


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a process, and where processes come in groups, those that it has started: npx starts the command itself."""
    if os.name == "posix":
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    else:
        process.terminate()
    process.wait()


def engine_of(command: object, artifacts: object) -> Engine:
    """The engine of a setting, or where that is empty, of the variable ORT_TL, or of npx."""
    words = str(command or os.environ.get("ORT_TL") or "npx ort-tl")
    return Engine(tuple(shlex.split(words)), str(artifacts))
