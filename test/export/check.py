"""Opens exported models in the ONNX project's checker and in OpenVINO, and compares their classes with the trained model's.

    python3 -m venv VENV && VENV/bin/pip install -r test/export/requirements.txt
    npm run build && VENV/bin/python test/export/check.py RUN…

Each RUN is a folder that `ort-tl train` wrote. It is exported in every precision, also with preprocessing inside and with Softmax, and every file
passes `onnx.checker` with full checks and is run by OpenVINO on photos of the run. What ONNX Runtime says of the same photos is what
`ort-tl predict` prints, so the two runtimes share no code. It exits with 1 when OpenVINO's class is another for more than 2 % of the photos
(of int8: 5 %, for the two round sums differently).
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import onnx
import openvino

ROOT = Path(__file__).resolve().parents[2]
CLI = ["node", str(ROOT / "dist/bin/main.js")]
VARIANTS = {
    "fp32": ["--precision", "fp32"],
    "fp16": ["--precision", "fp16"],
    "int8": ["--precision", "int8"],
    "int8, first and last in float": ["--precision", "int8", "--keep-float", "first,last"],
    "fp32, preprocessing baked, softmax": ["--preprocessing", "baked", "--softmax"],
}
PHOTOS = 200
# Prepares photos exactly as ort-tl does, and keeps them as PNG files, so that what is compared is the runtimes.
PREPARE = """
import { openDataset, readModel } from '%(dist)s/index.js';
import { decodePhoto } from '%(dist)s/data/decode.js';
import sharp from 'sharp';
import { writeFileSync } from 'node:fs';
const { model, data, out, most } = JSON.parse(process.argv[1]);
const { metadataProps } = readModel(model).proto;
const preprocessing = JSON.parse(metadataProps.find(({ key }) => key === 'preprocessing').value);
const { width, height } = preprocessing;
const { val } = await openDataset(data, {});
const chosen = val.filter((photo, index) => index %% Math.ceil(val.length / most) === 0);
const pixels = await Promise.all(chosen.map((photo) => decodePhoto(photo, preprocessing)));
const paths = pixels.map((_, index) => `${out}-${index}.png`);
await Promise.all(
  pixels.map((each, index) => sharp(each, { raw: { width, height, channels: 3 } }).png().toFile(paths[index])),
);
writeFileSync(out, Buffer.concat(pixels));
console.log(JSON.stringify({ paths, preprocessing }));
"""


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def photos_of(folder: Path, scratch: Path):
    """Paths of the run's validation photos as prepared, the same as uint8 [N, H, W, 3], and how they were prepared."""
    data = next(
        line.split(":", 1)[1].strip()
        for line in (folder / "args.yaml").read_text().splitlines()
        if line.startswith("data:")
    )
    raw = scratch / "pixels"
    given = {"model": str(folder / "model.onnx"), "data": data, "out": str(raw), "most": PHOTOS}
    program = PREPARE % {"dist": (ROOT / "dist").as_uri()}
    told = json.loads(run("node", "--input-type=module", "-e", program, json.dumps(given)))
    size = (told["preprocessing"]["height"], told["preprocessing"]["width"])
    pixels = numpy.fromfile(raw, dtype=numpy.uint8).reshape(-1, *size, 3)
    return told["paths"], pixels, told["preprocessing"]


def openvino_classes(path: Path, pixels: numpy.ndarray, preprocessing: dict) -> list[int]:
    compiled = openvino.Core().compile_model(str(path), "CPU")
    baked = compiled.input(0).element_type == openvino.Type.u8
    channels_first = compiled.input(0).partial_shape[1] == 3
    classes = []
    for image in pixels:
        if baked:
            given = image[None]
        else:
            given = (image[None].astype(numpy.float32) / 255 - preprocessing["mean"]) / preprocessing["std"]
            given = given.astype(numpy.float32)
            if channels_first:
                given = given.transpose(0, 3, 1, 2)
        classes.append(int(numpy.argmax(compiled(numpy.ascontiguousarray(given))[0])))
    return classes


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    failures = 0
    print(f"onnx {onnx.__version__}, OpenVINO {openvino.__version__}")
    for folder in map(Path, sys.argv[1:]):
        folder = folder.resolve()
        with tempfile.TemporaryDirectory() as scratch:
            scratch = Path(scratch)
            paths, pixels, preprocessing = photos_of(folder, scratch)
            for name, flags in VARIANTS.items():
                file = scratch / "exported.onnx"
                run(*CLI, "export", str(folder), *flags, "--verify", "32", "--quiet", "--out", str(file))
                onnx.checker.check_model(str(file), full_check=True)
                labels = json.loads({entry.key: entry.value for entry in onnx.load(file).metadata_props}["labels"])
                predictions = json.loads(run(*CLI, "predict", "--model", str(file), "--json", *paths))
                ours = [labels.index(prediction["classes"][0]["label"]) for prediction in predictions]
                theirs = openvino_classes(file, pixels, preprocessing)
                same = sum(a == b for a, b in zip(ours, theirs))
                share = same / len(ours)
                failed = share < (0.95 if "int8" in name else 0.98)
                failures += failed
                print(
                    f"{folder.name}, {name}: the checker passes; OpenVINO gives the class of ONNX Runtime for "
                    f"{same} of {len(ours)} photos{' (too few)' if failed else ''}",
                    flush=True,
                )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
