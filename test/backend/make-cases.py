"""Lays the ONNX project's backend test cases out in a folder, from the `onnx` package on PyPI.

    python3 test/backend/make-cases.py FOLDER

Needs Python 3.10 or later, and pip to reach PyPI. The folder gets one folder a release, and in it one a case, with
`model.onnx` and `test_data_set_0/{input,output}_*.pb`. Newer wheels hold the operators' cases as Python functions, which
run here, with a fixed seed, in a virtual environment of their own; older wheels hold them as files, which are unpacked.
"""

import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

# The release whose cases are run, and NumPy beside it so that the cases are the same each time.
NEWEST = "1.23.2"
PACKAGES = [f"onnx=={NEWEST}", "numpy==2.4.6"]
# Releases whose wheels hold the cases as files; each wrote its models for the operator set of its time.
# 1.4.1 has operator set 9, 1.5.0 has 10, and so on up to 17 in 1.12.0. Beside each, a Python that it was built for.
OLDER = {"1.4.1": "36", "1.5.0": "37", "1.6.0": "37", "1.7.0": "37", "1.8.1": "37", "1.12.0": "37"}
SUITES = ("node", "simple", "pytorch-operator", "pytorch-converted")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        environment = Path(scratch, "venv")
        venv.create(environment, with_pip=True)
        python = str(environment / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        subprocess.run([python, "-W", "ignore", __file__, "--collect", folder / NEWEST], check=True)
        for release, built_for in OLDER.items():
            unpack(python, release, built_for, folder / release, Path(scratch, release))
    print(f"{sum(1 for _ in folder.glob('*/*/model.onnx'))} cases in {folder}")


def unpack(python: str, release: str, built_for: str, target: Path, scratch: Path) -> None:
    """Unpacks a wheel's cases; the wheel is never installed, so one for any old Python will do."""
    subprocess.run(
        [python, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", f"--python-version={built_for}"]
        + ["--platform=manylinux1_x86_64", "--platform=manylinux2010_x86_64", "--platform=manylinux2014_x86_64"]
        + ["--implementation=cp", f"--abi=cp{built_for}m", "--dest", scratch, f"onnx=={release}"],
        check=True,
    )
    shutil.rmtree(target, ignore_errors=True)
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            parts = Path(name).parts
            # onnx/backend/test/data/SUITE/CASE/...
            if parts[:4] != ("onnx", "backend", "test", "data") or len(parts) < 7 or parts[4] not in SUITES:
                continue
            if name.endswith("/"):
                continue
            path = target.joinpath(*parts[5:])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))


def collect(target: Path) -> None:
    """Runs the installed release's case functions; a value that is no tensor (a sequence, a map) is left out."""
    import numpy
    from onnx import TensorProto, numpy_helper
    from onnx.backend.test.case.node import collect_testcases

    numpy.random.seed(0)
    shutil.rmtree(target, ignore_errors=True)
    for case in collect_testcases(None):
        folder = target / case.name
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(case.model.SerializeToString())
        for index, (inputs, outputs) in enumerate(case.data_sets):
            data = folder / f"test_data_set_{index}"
            data.mkdir()
            for kind, values, infos in (
                ("input", inputs, case.model.graph.input),
                ("output", outputs, case.model.graph.output),
            ):
                for position, (value, info) in enumerate(zip(values, infos)):
                    if not isinstance(value, TensorProto) and info.type.HasField("tensor_type"):
                        value = numpy_helper.from_array(numpy.asarray(value), info.name)
                    if isinstance(value, TensorProto):
                        (data / f"{kind}_{position}.pb").write_bytes(value.SerializeToString())


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--collect":
        collect(Path(sys.argv[2]))
    elif len(sys.argv) == 2 and not sys.argv[1].startswith("-"):
        main(Path(sys.argv[1]))
    else:
        sys.exit(__doc__)
