"""Trains with the vendor's last training wheel, onnxruntime-training 1.19.2, and prints a line of JSON: the losses, and the logits
that its own export of the trained model gives for the first batch.

    python onnxruntime_training.py ARTIFACTS DATA OUT

DATA holds plan.json ({ shape, learningRate, labels: a list for each batch }) and pixels.bin, the batches one after another; the
trained checkpoint goes to OUT. Needs bench/peers/requirements-onnxruntime-training.txt.
"""

import json
import pathlib
import sys
import tempfile

import numpy as np
import onnxruntime
from onnxruntime.training.api import CheckpointState, Module, Optimizer

artifacts, data, out = map(pathlib.Path, sys.argv[1:4])
plan = json.loads((data / "plan.json").read_text())
batches = np.fromfile(data / "pixels.bin", np.uint8).reshape(-1, *plan["shape"])

options = onnxruntime.SessionOptions()
options.log_severity_level = 3
options.intra_op_num_threads = 1
state = CheckpointState.load_checkpoint(artifacts / "checkpoint")
module = Module(artifacts / "training_model.onnx", state, artifacts / "eval_model.onnx", session_options=options)
optimizer = Optimizer(artifacts / "optimizer_model.onnx", module)
optimizer.set_learning_rate(plan["learningRate"])

losses = []
module.train()
for pixels, labels in zip(batches, plan["labels"], strict=True):
    loss, _ = module(pixels, np.array(labels, np.int64))
    losses.append(float(loss))
    optimizer.step()
    module.lazy_reset_grad()
CheckpointState.save_checkpoint(state, out, include_optimizer_state=True)

with tempfile.TemporaryDirectory() as folder:
    path = f"{folder}/inference.onnx"
    module.eval()
    module.export_model_for_inferencing(path, ["logits"])
    [logits] = onnxruntime.InferenceSession(path, options).run(None, {"pixels": batches[0]})
print(json.dumps({"losses": losses, "logits": logits.tolist()}))
