"""Parameters as ort-tl has them in safetensors files, and as Flower sends them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord
from safetensors.numpy import load_file, save_file

Parameters = dict[str, np.ndarray]


class Refused(Exception):
    """What a device is refused for, in words for the server's log."""


def read(path: Path) -> Parameters:
    """The parameters of a safetensors file by their names, in the file's order."""
    return load_file(path)


def write(path: Path, parameters: Mapping[str, np.ndarray]) -> None:
    """Writes parameters beside `path` and renames them to it."""
    part = path.with_name(f".{path.name}.part")
    save_file({name: np.ascontiguousarray(values) for name, values in parameters.items()}, part)
    part.replace(path)


def record(parameters: Mapping[str, np.ndarray]) -> ArrayRecord:
    """Parameters as Flower sends them."""
    return ArrayRecord({name: Array(values) for name, values in parameters.items()})


def checked(arrays: ArrayRecord, like: Mapping[str, np.ndarray]) -> Parameters:
    """What Flower brought, if it has the names and shapes of `like` and is finite. Raises Refused."""
    if missing := next((name for name in like if name not in arrays), None):
        raise Refused(f'its parameters lack "{missing}"')
    if foreign := next((name for name in arrays if name not in like), None):
        raise Refused(f'its parameters have "{foreign}", which nobody asked for')
    parameters: Parameters = {}
    for name, expected in like.items():
        values = arrays[name].numpy()
        if values.shape != expected.shape or values.dtype != expected.dtype:
            raise Refused(
                f'its "{name}" is {values.dtype} {list(values.shape)}, not {expected.dtype} {list(expected.shape)}'
            )
        if not np.isfinite(values).all():
            raise Refused(f'its "{name}" is not finite: {count_words(values)}')
        parameters[name] = values
    return parameters


def count_words(values: np.ndarray) -> str:
    """How many values are no finite numbers."""
    return f"{np.count_nonzero(~np.isfinite(values))} of {values.size} values are NaN or infinite"
