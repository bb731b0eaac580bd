"""One training step in the vendor's last training wheel, onnxruntime-training 1.19.2, measured; prints one line of JSON.

    python onnxruntime_training.py --model M.onnx --policy F1C1 --batch 32 --steps 8 [--keep FOLDER]

The frozen part is inside the step, as the vendor's format has it; its BatchNormalizations are folded into its convolutions
beforehand. Those of the trained part, whose statistics are frozen, become a product and a sum, since the wheel's gradient
of BatchNormalization takes its statistics from the batch. `--keep` leaves the artifacts for the WebAssembly build to run.
Needs requirements-onnxruntime-training.txt.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnxruntime.training import artifacts
from onnxruntime.training.api import CheckpointState, Module, Optimizer

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def prepare(path, policy, classes, size):
    """The model with a new head, without BatchNormalization, and the names of the parameters that train."""
    model = onnx.load(path)
    graph = model.graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    head = layers[-1]
    inputs = values[head.input[1]].shape[1]
    bound = 1 / np.sqrt(inputs)
    random = np.random.default_rng(0)
    values[head.input[1]] = random.uniform(-bound, bound, (classes, inputs)).astype(np.float32)
    values[head.input[2]] = np.zeros(classes, np.float32)

    trained = {"F1C0": layers[-1:], "F1C1": layers[-2:], "full": layers}[policy]
    names = [name for node in trained for name in node.input[1:]]
    producers = {output: node for node in graph.node for output in node.output}
    nodes = []
    for node in graph.node:
        if node.op_type != "BatchNormalization":
            nodes.append(node)
            continue
        epsilon = next((each.f for each in node.attribute if each.name == "epsilon"), 1e-5)
        scale, shift, mean, variance = (values[name] for name in node.input[1:5])
        rate = 1 / np.sqrt(variance + epsilon)
        convolution = producers[node.input[0]]
        if convolution.input[1] not in names:
            weight = convolution.input[1]
            values[weight] = values[weight] * (scale * rate)[:, None, None, None]
            bias = f"{weight}/bias"
            values[bias] = shift - mean * scale * rate
            convolution.input.append(bias)
            nodes.append(helper.make_node("Identity", [node.input[0]], [node.output[0]]))
            continue
        # y = (x − μ)/σ · γ + β with constants of the statistics, [1, C, 1, 1].
        name = node.output[0]
        at = (1, -1, 1, 1)
        values[f"{name}/rate"], values[f"{name}/mean"] = rate.reshape(at), mean.reshape(at)
        for parameter in node.input[1:3]:
            values[parameter] = values[parameter].reshape(at)
            names.append(parameter)
        nodes += [
            helper.make_node("Mul", [node.input[1], f"{name}/rate"], [f"{name}/scale"]),
            helper.make_node("Mul", [f"{name}/mean", f"{name}/scale"], [f"{name}/moved"]),
            helper.make_node("Sub", [node.input[2], f"{name}/moved"], [f"{name}/shift"]),
            helper.make_node("Mul", [node.input[0], f"{name}/scale"], [f"{name}/scaled"]),
            helper.make_node("Add", [f"{name}/scaled", f"{name}/shift"], [name]),
        ]
    used = {name for node in nodes for name in node.input}
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in values.items() if name in used
    )
    graph.output[0].type.tensor_type.shape.dim[1].dim_value = classes
    image = graph.input[0].type.tensor_type.shape.dim
    image[2].dim_value = image[3].dim_value = size
    return model, names


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--policy", choices=["F1C0", "F1C1", "full"], required=True)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--classes", type=int, default=6)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--keep")
    arguments = parser.parse_args()

    model, names = prepare(arguments.model, arguments.policy, arguments.classes, arguments.size)
    folder = pathlib.Path(arguments.keep or tempfile.mkdtemp(prefix="ort-tl-peers-"))
    folder.mkdir(parents=True, exist_ok=True)
    every = [tensor.name for tensor in model.graph.initializer]
    artifacts.generate_artifacts(
        model,
        requires_grad=names,
        frozen_params=[name for name in every if name not in names],
        loss=artifacts.LossType.CrossEntropyLoss,
        optimizer=artifacts.OptimType.AdamW,
        artifact_directory=folder,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    state = CheckpointState.load_checkpoint(folder / "checkpoint")
    module = Module(folder / "training_model.onnx", state, folder / "eval_model.onnx", session_options=options)
    optimizer = Optimizer(folder / "optimizer_model.onnx", module)
    optimizer.set_learning_rate(1e-4)

    pixels = np.random.default_rng(0).integers(0, 256, (arguments.batch, arguments.size, arguments.size, 3), np.uint8)
    images = np.ascontiguousarray(((pixels / 255 - MEAN) / STD).astype(np.float32).transpose(0, 3, 1, 2))
    labels = (np.arange(arguments.batch) % arguments.classes).astype(np.int64)
    times, losses = [], []
    module.train()
    for _ in range(arguments.steps + 1):
        began = time.perf_counter()
        losses.append(float(module(images, labels)))
        optimizer.step()
        module.lazy_reset_grad()
        times.append(1000 * (time.perf_counter() - began))
    print(
        json.dumps(
            {
                "batch": arguments.batch,
                "stepMs": {"median": statistics.median(times[1:]), "min": min(times[1:]), "max": max(times[1:])},
                "losses": losses,
                "peakRssBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "versions": {"onnxruntime-training": onnxruntime.__version__},
            }
        )
    )
