"""Steps of one transformer in PyTorch on a batch of noise, the frozen part inside; prints one line of JSON.

    python bench/transformers.py vit_b16|deit_tiny --policy F1C0|blocks:2|full --batch N --steps N --mode eager|bf16|compile|compile-bf16

Needs test/zoo/requirements-transformers.txt.
"""

import argparse
import json
import os
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn


def network(name):
    """The model, its blocks, and the norm behind them with the head."""
    if name == "vit_b16":
        import torchvision

        model = torchvision.models.vit_b_16(weights=None)
        model.heads.head = nn.Linear(768, 6)
        return model, list(model.encoder.layers), [model.encoder.ln, model.heads]
    import timm

    model = timm.create_model("deit_tiny_patch16_224", pretrained=False, num_classes=6)
    return model, list(model.blocks), [model.norm, model.head]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=["vit_b16", "deit_tiny"])
    parser.add_argument("--policy", choices=["F1C0", "blocks:2", "full"], required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--mode", choices=["eager", "bf16", "compile", "compile-bf16"], default="eager")
    arguments = parser.parse_args()
    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    # Dropout and stochastic depth are off, as in ort-tl.
    model, blocks, [norm, head] = network(arguments.name)
    model.eval()
    if arguments.policy != "full":
        model.requires_grad_(False)
        trained = [head] if arguments.policy == "F1C0" else [*blocks[-2:], norm, head]
        for module in trained:
            module.requires_grad_(True)
    parameters = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
    run = torch.compile(model, dynamic=False) if "compile" in arguments.mode else model
    images = torch.randn(arguments.batch, 3, 224, 224)
    labels = torch.arange(arguments.batch) % 6

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled="bf16" in arguments.mode):
            logits = run(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item()

    for _ in range(2):
        step()
    times = []
    for _ in range(arguments.steps):
        began = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - began))
    print(
        json.dumps(
            {
                "stepMs": statistics.median(times),
                "parameters": sum(each.numel() for each in parameters),
                "peakRssBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                "torch": torch.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
