"""Classifiers of a few kilobytes, one for each oddity of heads, exporters and families that the zoo's large models have.

`make-models.py FOLDER --tiny` writes them; test/fixtures/zoo/ holds them. Weights are seeded and random, images 32 pixels a
side, classes five.
"""

import tempfile
from pathlib import Path

CLASSES = 5
SIDE = 32


def make(folder: Path) -> None:
    """Makes the models whose packages are installed, and leaves those of the others as they are."""
    for models in (handmade_models, torch_models, keras_models):
        with tempfile.TemporaryDirectory() as scratch:
            try:
                models(Path(scratch))
            except ModuleNotFoundError as error:
                print(f"{models.__name__}: {error}; see the requirements beside this script")
                continue
            for path in sorted(Path(scratch).iterdir()):
                data = path.read_bytes() if path.suffix == ".data" else without_traces(path)
                (folder / path.name).write_bytes(data)


def without_traces(path: Path) -> bytes:
    """The new exporter writes stack traces with this machine's paths into every node."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    graph = model.graph
    for each in [model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]:
        each.ClearField("metadata_props")
        each.ClearField("doc_string")
    return model.SerializeToString()


def torch_models(folder: Path) -> None:
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Squeeze(nn.Module):
        """SqueezeNet: a 1x1 convolution gives the classes before they are pooled."""

        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, 2)
            self.squeeze, self.one, self.three = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1)
            self.head = nn.Sequential(nn.Dropout(), nn.Conv2d(8, CLASSES, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.stem(x)), 3, 2, ceil_mode=True)
            x = F.relu(self.squeeze(x))
            return torch.flatten(self.head(torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)), 1)

    class Dense(nn.Module):
        """DenseNet: normalizations before their convolutions, and one between the last convolution and the head."""

        def __init__(self):
            super().__init__()
            self.stem, self.norm0 = nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4)
            self.norm1, self.conv1 = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1, bias=False)
            self.norm2, self.conv2 = nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1, bias=False)
            self.norm3, self.head = nn.BatchNorm2d(4), nn.Linear(4, CLASSES)

        def forward(self, x):
            x = F.relu(self.norm0(self.stem(x)))
            x = torch.cat([x, self.conv1(F.relu(self.norm1(x)))], 1)
            x = F.avg_pool2d(self.conv2(F.relu(self.norm2(x))), 2, 2)
            return self.head(torch.flatten(F.adaptive_avg_pool2d(F.relu(self.norm3(x)), 1), 1))

    class Inverted(nn.Module):
        """MobileNetV3: hard activations, a depthwise convolution, a squeeze-excite gate, two FC layers."""

        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
            self.deep = nn.Sequential(nn.Conv2d(8, 8, 5, 2, 2, groups=8, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
            self.gate = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 1), nn.Hardsigmoid()
            )
            self.last = nn.Sequential(nn.Conv2d(8, 12, 1, bias=False), nn.BatchNorm2d(12), nn.Hardswish())
            self.head = nn.Sequential(nn.Linear(12, 16), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(16, CLASSES))

        def forward(self, x):
            x = self.deep(self.stem(x))
            return self.head(torch.flatten(F.adaptive_avg_pool2d(self.last(x * self.gate(x)), 1), 1))

    class LayerNorm2d(nn.LayerNorm):
        def forward(self, x):
            return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    class Next(nn.Module):
        """ConvNeXt: layer normalizations over channels, FC layers within a block, a scaled residual."""

        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 4, 4), LayerNorm2d(8, 1e-6))
            self.deep, self.norm = nn.Conv2d(8, 8, 7, padding=3, groups=8), nn.LayerNorm(8, 1e-6)
            self.widen, self.narrow = nn.Linear(8, 16), nn.Linear(16, 8)
            self.scale = nn.Parameter(torch.full((8, 1, 1), 0.5))
            self.last, self.head = LayerNorm2d(8, 1e-6), nn.Linear(8, CLASSES)

        def forward(self, x):
            x = self.stem(x)
            y = self.norm(self.deep(x).permute(0, 2, 3, 1))
            x = x + self.scale * self.narrow(F.gelu(self.widen(y))).permute(0, 3, 1, 2)
            return self.head(torch.flatten(self.last(F.adaptive_avg_pool2d(x, 1)), 1))

    class Vgg(nn.Module):
        """VGG: several FC layers over a flattened map; probabilities at the end."""

        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
            self.head = nn.Sequential(
                nn.Linear(8 * 16, 12), nn.ReLU(), nn.Dropout(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, CLASSES)
            )

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.one(x)), 4)
            x = F.adaptive_avg_pool2d(F.max_pool2d(F.relu(self.two(x)), 2), 4)
            return F.softmax(self.head(x.view(x.size(0), -1)), 1)

    class Shuffle(nn.Module):
        """ShuffleNet: channels that are split and shuffled, whose new shape the graph computes; a mean as pooling."""

        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
            self.branch = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU())
            self.last, self.head = nn.Conv2d(8, 8, 1), nn.Linear(8, CLASSES)

        def forward(self, x):
            left, right = self.stem(x).chunk(2, 1)
            x = torch.cat([left, self.branch(right)], 1)
            n, c, h, w = x.size()
            x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
            return self.head(F.relu(self.last(x)).mean([2, 3]))

    class Pointwise(nn.Module):
        """A 1x1 convolution behind the pooling as head, and in a group convolution's residual block before it."""

        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
            self.group = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=2, bias=False), nn.BatchNorm2d(8))
            self.head = nn.Conv2d(8, CLASSES, 1)

        def forward(self, x):
            x = self.stem(x)
            x = F.relu(x + self.group(x))
            return self.head(F.adaptive_avg_pool2d(x, 1)).squeeze(-1).squeeze(-1)

    class Incept(nn.Module):
        """Inception: the image's channels transformed one by one, branches, an average over windows."""

        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 2, bias=False), nn.BatchNorm2d(6, 0.001), nn.ReLU())
            self.wide, self.tall = nn.Conv2d(6, 4, (1, 5), padding=(0, 2)), nn.Conv2d(6, 4, (5, 1), padding=(2, 0))
            self.pooled, self.head = nn.Conv2d(6, 4, 1), nn.Linear(12, CLASSES)

        def forward(self, x):
            channels = [torch.unsqueeze(x[:, c], 1) * (0.9 + 0.1 * c) + 0.05 * c for c in range(3)]
            x = self.stem(torch.cat(channels, 1))
            pooled = self.pooled(F.avg_pool2d(x, 3, 1, 1))
            x = F.relu(torch.cat([self.wide(x), self.tall(x), pooled], 1))
            return self.head(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))

    example = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))

    def settled(kind):
        """The seeded model, with the normalizations' statistics of noise."""
        torch.manual_seed(0)
        model = kind()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        with torch.no_grad():
            model.train()(torch.randn(8, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(7)))
        return model.eval()

    def old(name, kind, opset, dynamic=True, folding=True):
        torch.onnx.export(
            settled(kind),
            (example if dynamic else example[:1],),
            folder / f"{name}.onnx",
            dynamo=False,
            opset_version=opset,
            do_constant_folding=folding,
            training=torch.onnx.TrainingMode.EVAL if folding else torch.onnx.TrainingMode.PRESERVE,
            input_names=["input"],
            output_names=["logits"],
            dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}} if dynamic else None,
        )

    def new(name, kind, opset, external=False):
        torch.onnx.export(
            settled(kind),
            (example,),
            folder / f"{name}.onnx",
            dynamo=True,
            opset_version=opset,
            external_data=external,
            input_names=["input"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1024)},),
            verbose=False,
        )

    old("squeeze-opset9-batch1", Squeeze, 9, dynamic=False)
    old("dense-opset11-unfolded", Dense, 11, folding=False)
    old("vgg-opset9-softmax", Vgg, 9)
    old("shuffle-opset13", Shuffle, 13)
    old("incept-opset12", Incept, 12)
    old("pointwise-opset17-batch1-unfolded", Pointwise, 17, dynamic=False, folding=False)
    new("inverted-new", Inverted, 18)
    new("next-new", Next, 20)
    new("shuffle-new", Shuffle, 23)
    new("dense-new-opset25", Dense, 25)
    new("squeeze-new-opset26", Squeeze, 26)
    new("pointwise-new-external", Pointwise, 18, external=True)


def keras_models(folder: Path) -> None:
    import keras
    import numpy
    from keras import layers

    def stem():
        image = layers.Input((SIDE, SIDE, 3))
        x = layers.Rescaling(0.5, offset=-0.1)(image)
        x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        return image, layers.Activation("swish")(x)

    def gated(x):
        y = layers.GlobalAveragePooling2D(keepdims=True)(x)
        y = layers.Conv2D(4, 1, activation="swish")(y)
        return layers.Multiply()([x, layers.Conv2D(6, 1, activation="sigmoid")(y)])

    def efficient():
        """EfficientNet: rescaling of its own, padding by auto_pad, a gate, a dense head with Softmax."""
        image, x = stem()
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = gated(layers.Activation("swish")(layers.BatchNormalization()(x)))
        x = layers.BatchNormalization()(layers.Conv2D(8, 1, use_bias=False)(x))
        x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(layers.Activation("swish")(x)))
        return keras.Model(image, layers.Dense(CLASSES, activation="softmax")(x))

    def mobile():
        """MobileNet: 1x1 convolutions over the pooled pixel as FC layers, a Reshape to the classes, then Softmax."""
        image, x = stem()
        x = layers.ReLU(6.0)(layers.Conv2D(8, 3, padding="same")(x))
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Conv2D(10, 1, activation="relu")(x)
        x = layers.Reshape((CLASSES,))(layers.Conv2D(CLASSES, 1)(x))
        return keras.Model(image, layers.Activation("softmax")(x))

    for name, make, opset in (("keras-dense-head", efficient, 18), ("keras-conv-head-opset13", mobile, 13)):
        keras.utils.set_random_seed(0)
        model = make()
        generator = numpy.random.default_rng(7)
        for variable in model.weights:
            if variable.path.endswith("moving_mean"):
                variable.assign(generator.normal(0, 0.1, variable.shape))
            elif variable.path.endswith("moving_variance"):
                variable.assign(generator.uniform(0.5, 1.5, variable.shape))
            elif variable.path.endswith("bias") and make is efficient:  # Those of the other stay zero, and fall away.
                variable.assign(generator.normal(0, 0.1, variable.shape))
        model(numpy.zeros((1, SIDE, SIDE, 3), numpy.float32))
        model.export(str(folder / f"{name}.onnx"), format="onnx", opset_version=opset, verbose=False)


def handmade_models(folder: Path) -> None:
    """Constant nodes in every form, a full-size AveragePool, an input that nothing reads, the number of classes in a Reshape."""
    import numpy
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    generator = numpy.random.default_rng(7)

    def tensor(*shape):
        return numpy_helper.from_array(generator.normal(0, 0.3, shape).astype(numpy.float32))

    def constant(name, **value):
        return helper.make_node("Constant", [], [name], name=f"{name}_node", **value)

    nodes = [
        constant("conv_weight", value=tensor(8, 3, 3, 3)),
        constant("slope", value_float=0.1),
        constant("offsets", value_floats=[0.1] * 16),
        constant("pooled_shape", value_ints=[0, -1]),
        constant("head_weight", value=tensor(8, CLASSES)),
        constant("head_bias", value=tensor(CLASSES)),
        constant("classes", value_int=CLASSES),
        constant("axis", value_ints=[0]),
        constant("open", value_ints=[-1]),
        helper.make_node("Conv", ["input", "conv_weight"], ["c"], name="conv", auto_pad="SAME_UPPER", strides=[2, 2]),
        helper.make_node("Add", ["c", "offsets"], ["shifted"], name="shift"),
        helper.make_node("PRelu", ["shifted", "slope"], ["r"], name="relu"),
        helper.make_node("AveragePool", ["r"], ["p"], name="pool", kernel_shape=[16, 16]),
        helper.make_node("Reshape", ["p", "pooled_shape"], ["f"], name="flatten"),
        helper.make_node("MatMul", ["f", "head_weight"], ["m"], name="head"),
        helper.make_node("Add", ["head_bias", "m"], ["a"], name="bias"),
        helper.make_node("Unsqueeze", ["classes", "axis"], ["width"], name="width"),
        helper.make_node("Concat", ["open", "width"], ["result_shape"], name="shape", axis=0),
        helper.make_node("Softmax", ["a"], ["probabilities"], name="softmax", axis=-1),
        helper.make_node("Reshape", ["probabilities", "result_shape"], ["logits"], name="result"),
    ]
    # tf2onnx leaves constants that it has folded away among the inputs.
    left = helper.make_tensor_value_info("left", TensorProto.FLOAT, [1, 3])
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    result = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])
    graph = helper.make_graph(nodes, "constants", [image, left], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "constants.onnx")
