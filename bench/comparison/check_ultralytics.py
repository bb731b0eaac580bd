"""What docs/comparison.md says of Ultralytics. Usage: python check_ultralytics.py FOLDER, of photos in train/ and val/."""

import subprocess
import sys
from pathlib import Path

import torch
import ultralytics
from ultralytics import YOLO

photos = str(Path(sys.argv[1]).resolve())
settings = dict(data=photos, epochs=4, imgsz=32, batch=16, workers=0, device="cpu", seed=0, plots=False, exist_ok=True)
settings["project"] = str(Path("runs/comparison/ultralytics").resolve())


def weights(name):
    checkpoint = torch.load(f"{settings['project']}/{name}/weights/last.pt", weights_only=False)
    return (checkpoint["ema"] or checkpoint["model"]).state_dict()


def equal(a, b):
    return all(torch.equal(a[key], b[key]) for key in a)


for name in ("first", "second"):
    YOLO("yolo11n-cls.yaml").train(name=name, **settings)

interrupted = YOLO("yolo11n-cls.yaml")


def interrupt(trainer):
    if trainer.epoch == 1:
        raise KeyboardInterrupt


interrupted.add_callback("on_model_save", interrupt)
try:
    interrupted.train(name="interrupted", **settings)
except KeyboardInterrupt:
    pass
YOLO(f"{settings['project']}/interrupted/weights/last.pt").train(resume=True)

calls = []


def count(trainer):
    if trainer.epoch == 0:
        trainer.model.model[0].register_forward_hook(lambda *_: calls.append(trainer.epoch))


frozen = YOLO("yolo11n-cls.yaml")
frozen.add_callback("on_train_epoch_start", count)
frozen.train(name="frozen", freeze=9, **{**settings, "epochs": 2})

onnx = YOLO(f"{settings['project']}/first/weights/best.pt").export(format="onnx", imgsz=32)


def command(*words):
    done = subprocess.run(["yolo", "classify", "train", f"data={photos}", *words], capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if "Error: " in line]
    return f"exit code {done.returncode}, {errors[-1].split(': ')[0]}"


print("----")
print("ultralytics", ultralytics.__version__, "torch", torch.__version__)
print("two runs: same bits", equal(weights("first"), weights("second")))
print("interrupted and resumed: same bits", equal(weights("first"), weights("interrupted")))
print("batches through the first frozen layer by epoch:", [calls.count(epoch) for epoch in (0, 1)])
print("exported", Path(onnx).name)
print("train an ONNX file:", command(f"model={onnx}"))
print("a wrong argument:", command("model=yolo11n-cls.yaml", "epoch=1"))
