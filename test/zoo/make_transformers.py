"""Exports transformers and hybrids with seeded random weights, each by three exporters and with a free and a fixed batch.

    python test/zoo/make_transformers.py FOLDER [NAME ...]      the real architectures, some gigabytes
    python test/zoo/make_transformers.py --tiny FOLDER          two blocks of width 16, kilobytes, for test/fixtures/transformers

Its requirements are requirements-transformers.txt. `ts17` is the TorchScript exporter with operator set 17, `dy18` and `dy23` the new
exporter; `batch1` is what torch.onnx.export writes where nobody asks for a dynamic batch. A file that is there is not made again.
"""

import sys
import warnings
from pathlib import Path

import numpy
import torch
from torch import nn

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
# The fused layer of nn.MultiheadAttention has no form in ONNX.
torch.backends.mha.set_fastpath_enabled(False)

EXPORTERS = ("ts17", "dy18", "dy23")
CLASSES = 10


def draws(count):
    """Whole numbers below 2^20 by the generator of make_gradients.py."""
    state, numbers = 1, []
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        numbers.append(state >> 12)
    return numpy.array(numbers)


def timm_model(name, **options):
    import timm

    return lambda: timm.create_model(name, pretrained=False, num_classes=CLASSES, exportable=True, **options)


def torchvision_model(name, **options):
    import torchvision

    return lambda: getattr(torchvision.models, name)(weights=None, num_classes=CLASSES, **options)


class Clip(nn.Module):
    """CLIP's image encoder with its projection, and a linear head on the embedding."""

    def __init__(self, **sizes):
        super().__init__()
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        config = CLIPVisionConfig(**sizes)
        config._attn_implementation = "sdpa"
        self.encoder = CLIPVisionModelWithProjection(config)
        self.head = nn.Linear(config.projection_dim, CLASSES)

    def forward(self, image):
        return self.head(self.encoder(pixel_values=image).image_embeds)


class Dino(nn.Module):
    """DINOv2 of Hugging Face with its classifier: LayerScale, position embeddings that may be interpolated."""

    def __init__(self, **sizes):
        super().__init__()
        from transformers import Dinov2Config, Dinov2ForImageClassification

        self.model = Dinov2ForImageClassification(Dinov2Config(num_labels=CLASSES, **sizes))

    def forward(self, image):
        return self.model(image).logits


REAL = {
    "vit_b16": (torchvision_model("vit_b_16"), 224),
    "deit_tiny": (timm_model("deit_tiny_patch16_224"), 224),
    "deit_tiny_distilled": (timm_model("deit_tiny_distilled_patch16_224"), 224),
    "swin_t": (torchvision_model("swin_t"), 224),
    "dinov2_s": (lambda: Dino(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=224), 224),
    "clip_vit_b32": (lambda: Clip(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, patch_size=32), 224),
    "mobilevit_s": (timm_model("mobilevit_s"), 256),
    "coatnet_0": (timm_model("coatnet_nano_rw_224"), 224),
    "maxvit_tiny": (timm_model("maxvit_tiny_tf_224"), 224),
    "fastvit_t8": (timm_model("fastvit_t8"), 256),
    "tinyvit_5m": (timm_model("tiny_vit_5m_224"), 224),
    "efficientformer_l1": (timm_model("efficientformer_l1"), 224),
    "efficientformerv2_s0": (timm_model("efficientformerv2_s0"), 224),
    "levit_128s": (timm_model("levit_128s"), 224),
    "edgenext_xxs": (timm_model("edgenext_xx_small"), 256),
    "convnextv2_atto": (timm_model("convnextv2_atto"), 224),
}


def tiny():
    from timm.models.vision_transformer import VisionTransformer
    from timm.models.deit import VisionTransformerDistilled
    from timm.models.swin_transformer import SwinTransformer
    from timm.models.convnext import ConvNeXt
    import torchvision

    sizes = dict(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=CLASSES)
    return {
        "vit": lambda: VisionTransformer(**sizes),
        "vit_gap": lambda: VisionTransformer(**sizes, global_pool="avg", class_token=False, init_values=0.5),
        "vit_torchvision": lambda: torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=CLASSES),
        "deit_distilled": lambda: VisionTransformerDistilled(**sizes),
        "swin": lambda: SwinTransformer(
            img_size=32, patch_size=2, embed_dim=8, depths=(2, 2), num_heads=(2, 2), window_size=4, num_classes=CLASSES
        ),
        "swin_torchvision": lambda: torchvision.models.SwinTransformer(
            [2, 2], 8, [2, 2], [2, 2], [4, 4], stochastic_depth_prob=0.0, num_classes=CLASSES
        ),
        "dinov2": lambda: Dino(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8),
        "clip": lambda: Clip(
            hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8, projection_dim=12
        ),
        "convnextv2": lambda: ConvNeXt(depths=(1, 1), dims=(8, 16), use_grn=True, ls_init_value=None, num_classes=CLASSES),
        "transformer_encoder": Encoder,
    }


class Encoder(nn.Module):
    """nn.TransformerEncoder with the batch as its second axis, as torch's own layers want it, and the norm behind each shortcut."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.position = nn.Parameter(torch.zeros(16, 1, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        # Torch copies the layer, and the exporter would write what is equal once.
        for parameter in self.encoder.layers[1].parameters():
            nn.init.uniform_(parameter, -0.2, 0.2)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, image):
        tokens = self.patch(image).flatten(2).permute(2, 0, 1) + self.position
        return self.head(self.encoder(tokens).mean(0))


def settled(make, size):
    """A model with seeded weights that all count: what is zero or one at first is neither, and running statistics are of noise."""
    torch.manual_seed(0)
    model = make()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.numel() == 0:
                continue
            spread = parameter.std().item() if parameter.numel() > 1 else 0.0
            if not spread > 1e-3:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d) and module.track_running_stats:
                module.momentum = 1.0
        model.train()(torch.randn(4, 3, size, size, generator=generator))
    return model.eval()


def export(model, size, exporter, fixed, path):
    example = torch.randn(1 if fixed else 2, 3, size, size, generator=torch.Generator().manual_seed(3))
    common = dict(input_names=["input"], output_names=["logits"], opset_version=int(exporter[2:]))
    with torch.no_grad():
        if exporter.startswith("ts"):
            axes = None if fixed else {"input": {0: "N"}, "logits": {0: "N"}}
            torch.onnx.export(model, (example,), path, dynamo=False, dynamic_axes=axes, **common)
        else:
            shapes = None if fixed else ({0: torch.export.Dim("batch", min=1, max=1024)},)
            torch.onnx.export(
                model, (example,), path, dynamo=True, external_data=False, dynamic_shapes=shapes, verbose=False, **common
            )


def main():
    arguments = sys.argv[1:]
    is_tiny = "--tiny" in arguments
    folder, *names = [argument for argument in arguments if argument != "--tiny"]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    models = {name: (make, 32) for name, make in tiny().items()} if is_tiny else REAL
    for name, (make, size) in models.items():
        if names and name not in names:
            continue
        model = None
        for exporter in EXPORTERS:
            for batch in ("batch1", "dynamic"):
                path = folder / f"{name}-{exporter}-{batch}.onnx"
                refusal = path.with_suffix(".txt")
                if path.exists() or refusal.exists():
                    continue
                try:
                    model = model or settled(make, size)
                    export(model, size, exporter, batch == "batch1", path)
                    print(f"{path.name}: {path.stat().st_size} bytes", flush=True)
                except Exception as error:  # What PyTorch cannot export is told in the table.
                    path.unlink(missing_ok=True)
                    reason = str(error).strip().split("\n")[0]
                    refusal.write_text(f"{type(error).__name__}: {reason}\n")
                    print(f"{path.name}: {type(error).__name__}: {reason}", flush=True)


if __name__ == "__main__":
    main()
