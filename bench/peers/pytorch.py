"""The work of one ort-tl training in PyTorch, measured; prints one line of JSON.

    python pytorch.py train --plan PLAN.json --features usual|cached [--run-epochs N] --mode eager
    python pytorch.py steps --plan PLAN.json --policy F1C1 --batch 32 --steps 10 --mode compile-bf16

PLAN.json is written by plan.js: photos, their order in every epoch, learning rates, the new head. `usual` decodes every
photo and runs the frozen part on it in every epoch; `cached` does so once and keeps the features in memory, at ort-tl's own
boundary. Modes: eager, bf16 (autocast), compile, compile-bf16; all of them in channels_last. What torch.compile takes to
compile is told apart and counts in no other time. Needs requirements-torch.txt.
"""

import argparse
import json
import os
import resource
import statistics
import time

import numpy as np
import onnx
import torch
import torch.nn.functional as F
import torchvision
from onnx import numpy_helper
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as V


def efficientnet_b0(path, classes, padding):
    """torchvision's EfficientNet-B0 with the weights of an ONNX file that has the same layers in the same order."""
    network = torchvision.models.efficientnet_b0(weights=None, num_classes=classes)
    graph = onnx.load(path).graph
    values = {tensor.name: torch.tensor(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in ("Conv", "BatchNormalization", "Gemm")]
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
    if len(nodes) != len(layers):
        raise SystemExit(f"{path} is no EfficientNet-B0: {len(nodes)} layers, expected {len(layers)}")
    for node, layer in zip(nodes, layers):
        attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        if isinstance(layer, nn.Linear):
            continue
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = attributes.get("epsilon", 1e-5)
            names = ("weight", "bias", "running_mean", "running_var")
        else:
            names = ("weight", "bias")[: len(node.input) - 1]
        for name, source in zip(names, node.input[1:]):
            getattr(layer, name).data.copy_(values[source])
        if isinstance(layer, nn.Conv2d) and padding == "exact":
            top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
            if (top, left) != (bottom, right):
                layer.padding = (0, 0)
                # A pre-hook would break torch.compile's graph; a subclass does not.
                layer.__class__ = PaddedConv2d
                layer.explicit_padding = (left, right, top, bottom)
    return network.eval()


class PaddedConv2d(nn.Conv2d):
    """Pads unevenly, as TensorFlow's "same" does where the stride is 2."""

    def forward(self, x):
        return super().forward(F.pad(x, self.explicit_padding))


class Pixels(nn.Module):
    """uint8 [N, H, W, 3] to normalized float [N, 3, H, W] in channels_last, padded as the first convolution wants it.

    Never compiled: Inductor's (2.15) kernel for it reads behind the end of the pixels, and crashes.
    """

    def __init__(self, preprocessing, first):
        super().__init__()
        self.mean = torch.tensor(preprocessing["mean"]).view(1, 3, 1, 1) * 255
        self.std = torch.tensor(preprocessing["std"]).view(1, 3, 1, 1) * 255
        self.padding = getattr(first, "explicit_padding", None)
        if self.padding:
            first.__class__ = nn.Conv2d

    def forward(self, pixels):
        images = pixels.permute(0, 3, 1, 2).float().sub_(self.mean).div_(self.std)
        return F.pad(images, self.padding) if self.padding else images


def split(network, policy):
    """The frozen and the trained part, from normalized images on."""
    pool = nn.Sequential(network.avgpool, nn.Flatten())
    linear = network.classifier[1]
    if policy == "F1C0":
        frozen, trained = nn.Sequential(network.features, pool), nn.Sequential(linear)
    elif policy == "F1C1":
        frozen, trained = network.features[:8], nn.Sequential(network.features[8], pool, linear)
    elif policy == "F1C3":
        # From the last block's depthwise convolution on; the block's gate stays frozen, and has to be run in every step.
        block = network.features[7][0].block
        block[2].requires_grad_(False)
        frozen = nn.Sequential(network.features[:7], block[:1])
        trained = nn.Sequential(block[1:], network.features[8], pool, linear)
    elif policy == "blocks:2":
        frozen = nn.Sequential(network.features[:6], network.features[6][:3])
        trained = nn.Sequential(network.features[6][3:], network.features[7:], pool, linear)
    elif policy == "full":
        frozen, trained = None, nn.Sequential(network.features, pool, linear)
    else:
        raise SystemExit(f"no policy {policy} here")
    if frozen:
        frozen.requires_grad_(False)
    return frozen, trained


class Training:
    """One network, split and perhaps compiled, with its optimizer."""

    def __init__(self, plan, policy, batch, mode, padding):
        network = efficientnet_b0(plan["model"], len(plan["classes"]), padding)
        weight, bias = plan["head"]
        linear = network.classifier[1]
        linear.weight.data.copy_(torch.tensor(weight["values"]).reshape(weight["shape"]))
        linear.bias.data.copy_(torch.tensor(bias["values"]))
        network = network.to(memory_format=torch.channels_last)
        # BatchNorm keeps its statistics and nothing is dropped: evaluation mode throughout.
        self.frozen_part, self.trained_part = split(network, policy)
        self.pixels = Pixels(plan["preprocessing"], network.features[0][0])
        parameters = [each for each in self.trained_part.parameters() if each.requires_grad]
        settings = plan["optimizer"]
        decayed = [each for each in parameters if each.dim() > 1 or plan["decay"] == "all"]
        spared = [each for each in parameters if each.dim() <= 1 and plan["decay"] != "all"]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": settings["weightDecay"]}, {"params": spared, "weight_decay": 0}],
            lr=0,
            betas=(settings["beta1"], settings["beta2"]),
            eps=settings["epsilon"],
            fused=True,
        )
        self.bf16 = "bf16" in mode
        self.batch, self.frozen, self.trained = batch, self.frozen_part, self.trained_part
        if "compile" in mode:
            # For one size of batch; what does not fill one goes through the modules as they are. Freezing folds
            # BatchNormalization into the convolutions and packs weights, so it is for the frozen part only.
            self.trained = torch.compile(self.trained_part, dynamic=False)
            if self.frozen_part:
                self.frozen = torch.compile(self.frozen_part, dynamic=False, options={"freezing": True})

    def autocast(self):
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16)

    def features(self, pixels):
        """What the trained part takes."""
        images = self.pixels(pixels)
        if self.frozen is None:
            return images
        with torch.no_grad(), self.autocast():
            return (self.frozen if len(images) == self.batch else self.frozen_part)(images)

    def trained_on(self, features):
        with self.autocast():
            return (self.trained if len(features) == self.batch else self.trained_part)(features).float()

    def step(self, features, labels, rate):
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = F.cross_entropy(self.trained_on(features), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def logits(self, features):
        with torch.no_grad():
            return self.trained_on(features)

    def warm_up(self, pixels, sizes):
        """Compiles, runs every size of batch that will come, and leaves the parameters as they were."""
        began = time.perf_counter()
        before = {name: value.clone() for name, value in self.trained_part.state_dict().items()}
        for size in sizes:
            batch = self.features(pixels[:size])
            self.step(batch, torch.zeros(size, dtype=torch.long), 0.0)
            self.logits(batch)
        self.trained_part.load_state_dict(before)
        self.optimizer.state.clear()
        return time.perf_counter() - began


class Photos(Dataset):
    def __init__(self, photos, preprocessing):
        self.photos, self.size = photos, (preprocessing["height"], preprocessing["width"])

    def __len__(self):
        return len(self.photos)

    def __getitem__(self, index):
        path, label = self.photos[index]
        with Image.open(path) as file:
            image = file.convert("RGB")
        height, width = self.size
        scale = max(height / image.height, width / image.width)
        wanted = [max(height, int(image.height * scale + 1e-6)), max(width, int(image.width * scale + 1e-6))]
        image = V.center_crop(V.resize(image, wanted, InterpolationMode.BILINEAR), [height, width])
        return torch.from_numpy(np.array(image)), label


class Batches:
    """A batch sampler that goes through a given order, another one in every epoch."""

    def __init__(self, batch):
        self.batch, self.order = batch, []

    def __iter__(self):
        for first in range(0, len(self.order), self.batch):
            yield self.order[first : first + self.batch]

    def __len__(self):
        return (len(self.order) + self.batch - 1) // self.batch


def loader(photos, plan, workers):
    batches = Batches(plan["batch"])
    batches.order = list(range(len(photos)))
    options = {"num_workers": workers, "persistent_workers": workers > 0}
    if workers:
        options["prefetch_factor"] = 4
    return DataLoader(Photos(photos, plan["preprocessing"]), batch_sampler=batches, **options), batches


def train(plan, arguments):
    began = time.perf_counter()
    training = Training(plan, plan["policy"], plan["batch"], arguments.mode, arguments.padding)
    train_loader, order = loader(plan["train"], plan, arguments.workers)
    val_loader, _ = loader(plan["val"], plan, arguments.workers)
    prepare_s = time.perf_counter() - began
    batch = plan["batch"]
    sizes = {batch, len(plan["train"]) % batch, len(plan["val"]) % batch} - {0}
    side = plan["preprocessing"]
    zeros = torch.zeros(batch, side["height"], side["width"], 3, dtype=torch.uint8)
    warm_up_s = training.warm_up(zeros, sorted(sizes, reverse=True))

    epochs = []
    cache = None
    for epoch in range(arguments.run_epochs or plan["epochs"]):
        began = time.perf_counter()
        if arguments.features == "cached" and cache is None:
            cache = [
                stored(training, each, len(photos))
                for each, photos in ((train_loader, plan["train"]), (val_loader, plan["val"]))
            ]
            frozen_s = time.perf_counter() - began
        order.order = plan["orders"][epoch]
        rates = plan["learningRates"][epoch]
        losses = 0.0
        for index, (features, labels) in enumerate(
            batches_of(cache[0], batch, order.order) if cache else decoded(training, train_loader)
        ):
            losses += training.step(features, labels, rates[index]) * len(labels)
        trained_s = time.perf_counter() - began
        val_loss, correct = 0.0, 0
        for features, labels in batches_of(cache[1], batch) if cache else decoded(training, val_loader):
            logits = training.logits(features)
            val_loss += F.cross_entropy(logits, labels, reduction="sum").item()
            correct += (logits.argmax(1) == labels).sum().item()
        epochs.append(
            {
                "seconds": time.perf_counter() - began,
                "trainSeconds": trained_s,
                "trainLoss": losses / len(plan["train"]),
                "valLoss": val_loss / len(plan["val"]),
                "top1": correct / len(plan["val"]),
            }
        )
    return {
        "trainPhotos": len(plan["train"]),
        "valPhotos": len(plan["val"]),
        "epochs": epochs,
        "prepareS": prepare_s,
        "warmUpS": warm_up_s,
        **({"frozenS": frozen_s} if cache else {}),
    }


def decoded(training, photos):
    for pixels, labels in photos:
        yield training.features(pixels), labels


def stored(training, photos, count):
    """Features and labels of all photos, in the order of the list."""
    kept, labels, at = None, torch.empty(count, dtype=torch.long), 0
    for features, some in decoded(training, photos):
        if kept is None:
            layout = torch.channels_last if features.dim() == 4 else torch.contiguous_format
            kept = torch.empty((count, *features.shape[1:]), dtype=features.dtype, memory_format=layout)
        kept[at : at + len(some)] = features
        labels[at : at + len(some)] = some
        at += len(some)
    return kept, labels


def batches_of(cache, batch, order=None):
    features, labels = cache
    if order is None:
        for first in range(0, len(labels), batch):
            yield features[first : first + batch], labels[first : first + batch]
        return
    order = torch.tensor(order)
    for first in range(0, len(order), batch):
        some = order[first : first + batch]
        yield features[some], labels[some]


def steps(plan, arguments):
    """Steps with the frozen part inside, and its pieces, on one batch of noise."""
    training = Training(plan, arguments.policy, arguments.batch, arguments.mode, arguments.padding)
    side = plan["preprocessing"]
    generator = torch.Generator().manual_seed(0)
    shape = (arguments.batch, side["height"], side["width"], 3)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    labels = torch.arange(arguments.batch) % len(plan["classes"])
    warm_up_s = training.warm_up(pixels, [arguments.batch])

    def timed(run):
        times = []
        for _ in range(arguments.steps + 1):
            began = time.perf_counter()
            run()
            times.append(1000 * (time.perf_counter() - began))
        return {"median": statistics.median(times[1:]), "min": min(times[1:]), "max": max(times[1:])}

    whole = timed(lambda: training.step(training.features(pixels), labels, 1e-4))
    peak = peak_rss()
    features = training.features(pixels)
    trained = timed(lambda: training.step(features, labels, 1e-4)) if training.frozen else whole
    return {
        "batch": arguments.batch,
        "stepMs": whole,
        "forwardMs": timed(lambda: training.logits(training.features(pixels))),
        "trainedStepMs": trained,
        "warmUpS": warm_up_s,
        "peakRssBytes": peak,
    }


def peak_rss():
    """Of this process; DataLoader's workers are processes of their own and not counted."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=["train", "steps"])
    parser.add_argument("--plan", required=True)
    parser.add_argument("--mode", choices=["eager", "bf16", "compile", "compile-bf16"], default="eager")
    parser.add_argument("--features", choices=["usual", "cached"], default="usual")
    parser.add_argument("--run-epochs", type=int, help="fewer than planned; the schedule stays that of all")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--policy", default="F1C1")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=8)
    # torchvision's own symmetric padding is not what the weights were trained with, but saves a copy of the image.
    parser.add_argument("--padding", choices=["exact", "torchvision"], default="exact")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with open(arguments.plan) as file:
        plan = json.load(file)
    result = train(plan, arguments) if arguments.task == "train" else steps(plan, arguments)
    result = {
        "peakRssBytes": peak_rss(),
        **result,
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
    }
    print(json.dumps(result))
