"""Makes test/fixtures/transformers: tiny transformers as exporters write them, and what PyTorch computes of them in float64.

    python test/zoo/make_transformers.py --tiny FOLDER
    python test/zoo/make_transformer_fixtures.py FOLDER

`steps.json` holds for each model the logits of two images, of which the pixels are drawn as the test draws them, and of the cross-entropy of
labels 1 and 2 the gradient of each initializer: its norm, and its product with numbers drawn the same way. Exporters' notes on nodes are
left out of the models, to keep them small.
"""

import json
import sys
from pathlib import Path

import onnx
import torch
import torch.nn.functional as F

from check_steps import Model
from make_transformers import draws, settled, tiny

CHOSEN = [
    "clip-ts17-dynamic",
    "dinov2-dy23-dynamic",
    "swin-dy18-dynamic",
    "swin-dy23-batch1",
    "transformer_encoder-ts17-batch1",
    "transformer_encoder-dy18-dynamic",
    "vit-dy18-dynamic",
    "vit-dy23-batch1",
    "vit-ts17-batch1",
    "vit-ts17-dynamic",
    "vit_torchvision-dy18-batch1",
    "vit_torchvision-ts17-dynamic",
]


def stripped(model):
    for info in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        info.doc_string = ""
        del info.metadata_props[:]
    del model.graph.value_info[:]
    del model.functions[:]
    return model


def main():
    folder = Path(sys.argv[1])
    target = Path(__file__).parent.parent / "fixtures" / "transformers"
    target.mkdir(exist_ok=True)
    pixels = (draws(2 * 32 * 32 * 3) % 256).reshape(2, 32, 32, 3)
    image = torch.from_numpy(pixels).permute(0, 3, 1, 2).double() / 255
    steps = {}
    for name in CHOSEN:
        onnx.save(stripped(onnx.load(folder / f"{name}.onnx")), target / f"{name}.onnx")
        model = Model(target / f"{name}.onnx")
        parameters = {
            key: value.clone().requires_grad_() for key, value in model.constants.items() if value.is_floating_point()
        }
        if model.batch == 1:
            logits = torch.cat([model(image[index : index + 1], parameters) for index in range(2)])
        else:
            logits = model(image, parameters)
        own = settled(tiny()[name.rsplit("-", 2)[0]], 32).double()(image.float().double())
        assert torch.allclose(logits, own, atol=1e-5), name
        F.cross_entropy(logits, torch.tensor([1, 2])).backward()
        gradients = {}
        for key, value in parameters.items():
            if value.grad is None:
                continue
            direction = torch.from_numpy(draws(value.numel()) / 2**19 - 1).reshape(value.shape)
            gradients[key] = [float(f"{number:.7g}") for number in (value.grad.norm(), (value.grad * direction).sum())]
        steps[name] = {"logits": [float(f"{x:.8g}") for x in own.flatten().tolist()], "gradients": gradients}
        print(name, (target / f"{name}.onnx").stat().st_size, len(gradients))
    lines = ",\n".join(f"{json.dumps(name)}:{json.dumps(step, separators=(',', ':'))}" for name, step in steps.items())
    (target / "steps.json").write_text(f"{{\n{lines}\n}}\n")


main()
