"""Exports public architectures with seeded random weights, as ONNX files in a folder outside the repository.

    python make-models.py FOLDER [--only PATTERN]
    python make-models.py FOLDER --tiny

With the packages of requirements-torch.txt it makes the models of torchvision and timm, through the old exporter of
torch.onnx and the new one; with those of requirements-keras.txt, in an environment of its own, the models of Keras through
tf2onnx. What is installed decides which are made. Sizes are small where the architecture allows it, so that all of them
train in minutes. With --tiny it makes the few kilobytes of tiny_models.py instead, which test/fixtures/zoo/ holds.
"""

import argparse
import fnmatch
import logging
import warnings
from pathlib import Path

import tiny_models

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

CLASSES = 10

# Sides in pixels.
TORCHVISION = {
    "alexnet": 224,
    "convnext_tiny": 64,
    "densenet121": 64,
    **{f"efficientnet_b{index}": 64 for index in range(8)},
    "efficientnet_v2_s": 64,
    "inception_v3": 96,
    "mobilenet_v2": 64,
    "mobilenet_v3_large": 64,
    "mobilenet_v3_small": 64,
    "regnet_x_400mf": 64,
    "regnet_y_400mf": 64,
    "resnet18": 64,
    "resnet50": 64,
    "resnext50_32x4d": 64,
    "shufflenet_v2_x1_0": 64,
    "squeezenet1_1": 64,
    "vgg11": 224,
    "vgg11_bn": 224,
}
TIMM = {"mobileone_s0": 64, "efficientnet_b0": 64, "resnet18": 64, "mobilenetv3_small_100": 64, "repvgg_a0": 64}
KERAS = {
    "EfficientNetB0": 64,
    "EfficientNetV2B0": 64,
    "MobileNetV2": 64,
    "MobileNetV3Small": 64,
    "ResNet50": 64,
    "DenseNet121": 64,
    "InceptionV3": 96,
    "VGG16": 64,
}
# How the old exporter is asked, so that every operator set and every kind of file occurs: set, dynamic batch, constant folding.
VARIANTS = {
    "alexnet": (9, False, True),
    "vgg11": (9, True, False),
    "squeezenet1_1": (10, True, True),
    "resnet18": (9, True, False),
    "resnet50": (11, False, True),
    "mobilenet_v2": (12, True, False),
    "densenet121": (11, True, False),
    "efficientnet_b0": (13, True, False),
    "efficientnet_b1": (15, False, False),
}


def pictures(side):
    """Seeded images [24, side, side, 3] of normalized pixels: flat, patched and noisy, as unlike in light and contrast as photos."""
    import numpy

    generator = numpy.random.default_rng(7)

    def patches(count):
        coarse = generator.normal(size=(24, count, count, 3))
        places = numpy.arange(side) * count // side
        return coarse[:, places][:, :, places]

    light = 1.5 * generator.normal(size=(24, 1, 1, 1)) + 0.75 * generator.normal(size=(24, 1, 1, 3))
    contrast = numpy.linspace(0.3, 1.2, 24).reshape(24, 1, 1, 1)
    images = (1.2 * patches(4) + 0.6 * patches(side // 4) + light) * contrast + 0.2 * patches(side)
    return images.astype(numpy.float32)


def torch_models(folder: Path, wanted) -> None:
    import torch

    def settle(model, side):
        """Statistics of pictures, so that BatchNorm matters and signals neither vanish nor explode."""
        model.eval()
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
                module.train()
        with torch.no_grad():
            model(torch.from_numpy(pictures(side).transpose(0, 3, 1, 2).copy()))
        return model.eval()

    def export(model, name, side, new):
        target = folder / f"{name}.onnx"
        if not wanted(name) or target.exists():
            return
        example = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
        try:
            if new:
                batch = torch.export.Dim("batch", min=1, max=1024)
                torch.onnx.export(
                    model,
                    (example,),
                    target,
                    dynamo=True,
                    external_data=name.startswith("efficientnet_b2"),
                    input_names=["input"],
                    output_names=["logits"],
                    dynamic_shapes=({0: batch},),
                    verbose=False,
                )
            else:
                opset, dynamic, folding = VARIANTS.get(name.split("-")[0], (17, True, True))
                torch.onnx.export(
                    model,
                    (example if dynamic else example[:1],),
                    target,
                    dynamo=False,
                    opset_version=opset,
                    do_constant_folding=folding,
                    training=torch.onnx.TrainingMode.EVAL if folding else torch.onnx.TrainingMode.PRESERVE,
                    input_names=["input"],
                    output_names=["logits"],
                    dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}} if dynamic else None,
                )
            print(f"{target.name}: {target.stat().st_size / 1e6:.1f} MB", flush=True)
        except Exception as error:  # One that an exporter cannot do must not keep the others from being made.
            target.unlink(missing_ok=True)
            print(f"{name}: not exported: {str(error).splitlines()[0][:200]}", flush=True)

    import torchvision

    for name, side in TORCHVISION.items():
        for new in (False, True):
            full = f"{name}-{'torch' if new else 'torchscript'}"
            if wanted(full) and not (folder / f"{full}.onnx").exists():
                torch.manual_seed(0)
                extra = {"init_weights": False, "aux_logits": False} if name == "inception_v3" else {}
                model = getattr(torchvision.models, name)(weights=None, num_classes=CLASSES, **extra)
                export(settle(model, side), full, side, new)
    import timm

    for name, side in TIMM.items():
        full = f"timm_{name}-torchscript"
        if wanted(full) and not (folder / f"{full}.onnx").exists():
            torch.manual_seed(0)
            model = settle(timm.create_model(name, pretrained=False, num_classes=CLASSES, exportable=True), side)
            export(model, full, side, False)
            if name in ("mobileone_s0", "repvgg_a0"):
                from timm.utils.model import reparameterize_model

                export(reparameterize_model(model), f"timm_{name}_folded-torchscript", side, False)


def keras_models(folder: Path, wanted) -> None:
    import keras
    import numpy

    for name, side in KERAS.items():
        target = folder / f"{name}-tf2onnx.onnx"
        if not wanted(target.stem) or target.exists():
            continue
        keras.utils.set_random_seed(0)
        extra = {"include_preprocessing": False} if name.startswith(("EfficientNetV2", "MobileNetV3")) else {}
        try:
            model = getattr(keras.applications, name)(weights=None, classes=CLASSES, input_shape=(side, side, 3), **extra)
            # Weights that keep signals of one size (He et al. 2015), then statistics as above.
            generator = numpy.random.default_rng(7)
            for layer in model.layers:
                for variable in layer.weights:
                    if len(variable.shape) >= 2:
                        is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
                        inputs = numpy.prod(variable.shape[:-2] if is_depthwise else variable.shape[:-1])
                        variable.assign(generator.normal(0, (2 / inputs) ** 0.5, variable.shape))
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.momentum = 0.0
                elif isinstance(layer, keras.layers.Dropout):
                    layer.rate = 0.0
            # EfficientNetB0 takes pixels from 0 to 255 and normalizes them by itself.
            images = pictures(side)
            model(127 + 60 * images if name == "EfficientNetB0" else images, training=True)
            opset = 13 if name == "MobileNetV2" else 18
            model.export(str(target), format="onnx", opset_version=opset, verbose=False)
            settle_inputs(target, model)
            print(f"{target.name}: {target.stat().st_size / 1e6:.1f} MB", flush=True)
        except Exception as error:
            target.unlink(missing_ok=True)
            print(f"{name}: not exported: {str(error).splitlines()[0][:200]}", flush=True)


def settle_inputs(target: Path, model) -> None:
    """The exporter leaves the constants of a Normalization layer as inputs, which no runtime could feed: gives them values."""
    import numpy
    import onnx

    exported = onnx.load(target)
    left = [value for value in exported.graph.input if "normalization" in value.name]
    if not left:
        return
    (layer,) = (layer for layer in model.layers if type(layer).__name__ == "Normalization")
    for value in left:
        data = numpy.asarray(layer.mean if "Sub" in value.name else layer.variance, numpy.float32)
        exported.graph.initializer.append(onnx.numpy_helper.from_array(data, value.name))
        exported.graph.input.remove(value)
    onnx.save(exported, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="*", help="names of models, as a pattern")
    parser.add_argument("--tiny", action="store_true", help="the fixtures of the tests")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.tiny:
        tiny_models.make(arguments.folder)
        return
    wanted = lambda name: fnmatch.fnmatch(name, arguments.only)  # noqa: E731
    for make in (torch_models, keras_models):
        try:
            make(arguments.folder, wanted)
        except ModuleNotFoundError as error:
            print(f"{make.__name__}: {error}; see the requirements beside this script")


if __name__ == "__main__":
    main()
