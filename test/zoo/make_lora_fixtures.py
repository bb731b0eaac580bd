"""Makes test/fixtures/transformers/lora.json: five steps of SGD of hand-written LoRA layers, in PyTorch and float64.

    python test/zoo/make_lora_fixtures.py

The models are those that make_transformers.py exported with these weights. Every linear layer but the head is frozen and gets
y = xWᵀ + b + (alpha / rank) · (xAᵀ)Bᵀ, with B of zeros and A drawn as the test draws it; the head trains. For each model and after
one step and five: of each adapter, in the order in which they run, the sides, and of A and B (as [inputs, rank] and [rank, outputs])
and of the head's weight and bias the norm and the product with drawn numbers; the logits of the images before the next step.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from make_transformers import draws, settled, tiny

MODELS = {
    "vit": ["vit-ts17-dynamic", "vit-ts17-batch1", "vit-dy18-dynamic", "vit-dy23-batch1"],
    "swin": ["swin-dy18-dynamic", "swin-dy23-batch1"],
    "clip": ["clip-ts17-dynamic"],
}
RANK, ALPHA, RATE, STEPS = 2, 4, 0.5, (1, 5)


def spread(count):
    return torch.from_numpy(draws(count) / 2**19 - 1)


class Lora(nn.Module):
    def __init__(self, linear):
        super().__init__()
        self.linear = linear.requires_grad_(False)
        inputs, outputs = linear.in_features, linear.out_features
        self.a = nn.Parameter((spread(inputs * RANK) / inputs**0.5).reshape(inputs, RANK).T.contiguous())
        self.b = nn.Parameter(torch.zeros(outputs, RANK, dtype=torch.float64))

    def forward(self, x):
        return self.linear(x) + ALPHA / RANK * F.linear(F.linear(x, self.a), self.b)


def in_order(model, image):
    """Linear layers in the order in which they run."""
    found = []
    hooks = [
        (module, module.register_forward_hook(lambda module, *_: found.append(module)))
        for module in model.modules()
        if isinstance(module, nn.Linear)
    ]
    model(image)
    for _, hook in hooks:
        hook.remove()
    return found


def told(tensor):
    return [float(f"{x:.9g}") for x in (tensor.norm().item(), (tensor.flatten() * spread(tensor.numel())).sum().item())]


def steps(name, image):
    model = settled(tiny()[name], 32).double().requires_grad_(False)
    *linears, head = in_order(model, image)
    names = {module: key for key, module in model.named_modules()}
    adapters = []
    for linear in linears:
        parent, _, key = names[linear].rpartition(".")
        adapters.append(Lora(linear))
        setattr(model.get_submodule(parent), key, adapters[-1])
    head.requires_grad_(True)
    # What `nn.Linear` does not run of, such as the fused attention of torch, would be left out in silence.
    assert len(linears) == sum(isinstance(module, nn.Linear) for module in names) - 1
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=RATE)
    results = {}
    for step in range(1, max(STEPS) + 1):
        optimizer.zero_grad()
        F.cross_entropy(model(image), torch.tensor([1, 2])).backward()
        optimizer.step()
        if step in STEPS:
            results[step] = {
                "adapters": [
                    [a.linear.in_features, a.linear.out_features, *told(a.a.detach().T), *told(a.b.detach().T)] for a in adapters
                ],
                "head": [told(head.weight.detach()), told(head.bias.detach())],
                "logits": [float(f"{x:.9g}") for x in model(image).flatten().tolist()],
            }
    return results


def main():
    torch.set_default_dtype(torch.float32)
    pixels = (draws(2 * 32 * 32 * 3) % 256).reshape(2, 32, 32, 3)
    image = torch.from_numpy(pixels).permute(0, 3, 1, 2).double() / 255
    made = {"rank": RANK, "alpha": ALPHA, "rate": RATE, "files": MODELS}
    made["models"] = {name: steps(name, image) for name in MODELS}
    target = Path(__file__).parent.parent / "fixtures" / "transformers" / "lora.json"
    target.write_text(json.dumps(made, separators=(",", ":")) + "\n")
    for name, result in made["models"].items():
        print(name, len(result[1]["adapters"]), result[5]["adapters"][0], result[5]["logits"][:3])


main()
