"""Takes the steps that steps.js wrote again, in PyTorch and float64, and compares: python test/zoo/check_steps.py OUT [NAME ...]

The graph that PyTorch differentiates is the exported model itself, read by the few operators below: so that its parameters have the
names that they have there. Prints a line for each, and writes them as JSON lines to OUT/results.jsonl.
"""

import json
import math
import shutil
import sys
from pathlib import Path

import numpy
import onnx
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper

torch.set_num_threads(1)


class Model:
    """An ONNX model over float64 tensors."""

    def __init__(self, path):
        self.proto = onnx.load(path)
        self.opset = {o.domain: o.version for o in self.proto.opset_import}.get("", 0)
        self.constants = {i.name: tensor_of(i) for i in self.proto.graph.initializer}
        # Exporters also leave parameters in Constant nodes.
        for node in self.proto.graph.node:
            for attribute in node.attribute if node.op_type == "Constant" else []:
                if attribute.name == "value":
                    self.constants[node.output[0]] = tensor_of(attribute.t)
        self.input = next(i.name for i in self.proto.graph.input if i.name not in self.constants)
        dims = next(i for i in self.proto.graph.input if i.name == self.input).type.tensor_type.shape.dim
        self.batch = dims[0].dim_value if dims[0].HasField("dim_value") else 0

    def __call__(self, image, parameters):
        values = {"": None, **self.constants, **parameters, self.input: image}
        for node in self.proto.graph.node:
            if node.op_type == "Constant" and node.output[0] in values:
                continue
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            inputs = [values[name] for name in node.input]
            rule = OPERATORS.get(node.op_type)
            if rule is None:
                raise NotImplementedError(node.op_type)
            result = rule(inputs, attributes, self.opset)
            results = result if isinstance(result, (tuple, list)) else (result,)
            for name, value in zip(node.output, results):
                values[name] = value
        return values[self.proto.graph.output[0].name]


def tensor_of(proto):
    tensor = torch.from_numpy(numpy_helper.to_array(proto).copy())
    return tensor.double() if tensor.is_floating_point() else tensor


def ints(value):
    return [int(v) for v in value.reshape(-1)] if isinstance(value, torch.Tensor) else list(value)


TYPES = {1: torch.float64, 6: torch.int32, 7: torch.int64, 9: torch.bool, 10: torch.float64, 11: torch.float64}


def reshape(x, a, _):
    target = [x[0].shape[i] if d == 0 and not a.get("allowzero", 0) else d for i, d in enumerate(ints(x[1]))]
    return x[0].reshape(target)


def slice_(x, a, _):
    starts, ends = ints(x[1]), ints(x[2])
    axes = ints(x[3]) if len(x) > 3 and x[3] is not None else list(range(len(starts)))
    steps = ints(x[4]) if len(x) > 4 and x[4] is not None else [1] * len(starts)
    result = x[0]
    for start, end, axis, step in zip(starts, ends, axes, steps):
        length = result.shape[axis]
        low, high = (-1, length - 1) if step < 0 else (0, length)
        first, last = (min(high, max(low, p + length if p < 0 else p)) for p in (start, end))
        result = result.index_select(axis, torch.tensor(list(range(first, last, step)), dtype=torch.int64))
    return result


def gather(x, a, _):
    axis = a.get("axis", 0) % x[0].dim()
    index = x[1].long()
    index = torch.where(index < 0, index + x[0].shape[axis], index)
    picked = x[0].index_select(axis, index.reshape(-1))
    return picked.reshape(list(x[0].shape[:axis]) + list(index.shape) + list(x[0].shape[axis + 1 :]))


def axes_of(x, a):
    if len(x) > 1 and x[1] is not None:
        return ints(x[1])
    return list(a["axes"]) if "axes" in a else None


def reduction(operation):
    def rule(x, a, _):
        axes = axes_of(x, a)
        if not axes:
            if a.get("noop_with_empty_axes", 0):
                return x[0]
            axes = list(range(x[0].dim()))
        return operation(x[0], axes, bool(a.get("keepdims", 1)))

    return rule


def split(x, a, _):
    axis = a.get("axis", 0)
    sizes = ints(x[1]) if len(x) > 1 and x[1] is not None else a.get("split")
    if sizes is None:
        count = a["num_outputs"]
        return torch.split(x[0], math.ceil(x[0].shape[axis] / count), axis)
    return torch.split(x[0], list(sizes), axis)


def conv(x, a, _):
    rank = x[0].dim() - 2
    pads = list(a.get("pads", [0] * 2 * rank))
    padded = F.pad(x[0], [p for axis in reversed(range(rank)) for p in (pads[axis], pads[axis + rank])])
    operation = {1: F.conv1d, 2: F.conv2d}[rank]
    return operation(
        padded, x[1], x[2] if len(x) > 2 else None, list(a.get("strides", [1] * rank)), 0, list(a.get("dilations", [1] * rank)), a.get("group", 1)
    )


def pool(kind):
    def rule(x, a, _):
        rank = x[0].dim() - 2
        kernel, strides = list(a["kernel_shape"]), list(a.get("strides", [1] * rank))
        pads = list(a.get("pads", [0] * 2 * rank))
        sides = [p for axis in reversed(range(rank)) for p in (pads[axis], pads[axis + rank])]
        ceil = bool(a.get("ceil_mode", 0))
        if kind == "max":
            return F.max_pool2d(F.pad(x[0], sides, value=-math.inf), kernel, strides, ceil_mode=ceil)
        if a.get("count_include_pad", 0) or not any(pads):
            return F.avg_pool2d(F.pad(x[0], sides), kernel, strides, ceil_mode=ceil)
        return F.avg_pool2d(x[0], kernel, strides, pads[:2], ceil_mode=ceil, count_include_pad=False)

    return rule


def gemm(x, a, _):
    left = x[0].T if a.get("transA", 0) else x[0]
    right = x[1].T if a.get("transB", 0) else x[1]
    result = a.get("alpha", 1.0) * (left @ right)
    return result + a.get("beta", 1.0) * x[2] if len(x) > 2 and x[2] is not None else result


def layer_norm(x, a, _):
    axis = a.get("axis", -1) % x[0].dim()
    axes = list(range(axis, x[0].dim()))
    centred = x[0] - x[0].mean(axes, keepdim=True)
    result = centred / (centred.square().mean(axes, keepdim=True) + a.get("epsilon", 1e-5)).sqrt() * x[1]
    return result + x[2] if len(x) > 2 and x[2] is not None else result


def rms_norm(x, a, _):
    axis = a.get("axis", -1) % x[0].dim()
    axes = list(range(axis, x[0].dim()))
    return x[0] / (x[0].square().mean(axes, keepdim=True) + a.get("epsilon", 1e-5)).sqrt() * x[1]


def batch_norm(x, a, _):
    shape = [1, -1] + [1] * (x[0].dim() - 2)
    scale = x[1] / (x[4] + a.get("epsilon", 1e-5)).sqrt()
    return (x[0] - x[3].reshape(shape)) * scale.reshape(shape) + x[2].reshape(shape)


def instance_norm(x, a, _):
    return F.instance_norm(x[0], weight=x[1], bias=x[2], eps=a.get("epsilon", 1e-5))


def attention(x, a, _):
    q, k, v = x[:3]
    mask = x[3] if len(x) > 3 else None
    flat = q.dim() == 3
    if flat:
        q, k, v = (
            t.reshape(t.shape[0], t.shape[1], h, -1).transpose(1, 2)
            for t, h in ((q, a["q_num_heads"]), (k, a["kv_num_heads"]), (v, a["kv_num_heads"]))
        )
    share = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
    scores = q @ k.transpose(-1, -2) * a.get("scale", 1 / math.sqrt(q.shape[-1]))
    if a.get("softcap", 0):
        scores = a["softcap"] * torch.tanh(scores / a["softcap"])
    if a.get("is_causal", 0):
        scores = scores.masked_fill(~torch.ones(scores.shape[-2:], dtype=torch.bool).tril(), -math.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    result = scores.softmax(-1) @ v
    return result.transpose(1, 2).reshape(result.shape[0], result.shape[2], -1) if flat else result


def multi_head_attention(x, a, _):
    q, k, v = x[:3]
    if len(x) > 3 and x[3] is not None:
        width = q.shape[-1]
        q, k, v = q + x[3][:width], k + x[3][width : width + k.shape[-1]], v + x[3][width + k.shape[-1] :]
    more = {"q_num_heads": a["num_heads"], "kv_num_heads": a["num_heads"]}
    if "scale" in a:
        more["scale"] = a["scale"]
    return attention([q, k, v] + ([x[5]] if len(x) > 5 else []), more, _)


def gelu(x, a, _):
    approximate = a.get("approximate", b"none")
    return F.gelu(x[0], approximate=approximate.decode())


def pad(x, a, _):
    pads = ints(x[1])
    axes = ints(x[3]) if len(x) > 3 and x[3] is not None else list(range(x[0].dim()))
    sides = [[0, 0] for _ in range(x[0].dim())]
    for index, axis in enumerate(axes):
        sides[axis] = [pads[index], pads[index + len(axes)]]
    flat = [p for side in reversed(sides) for p in side]
    value = x[2].item() if len(x) > 2 and x[2] is not None else 0
    return F.pad(x[0], flat, value=value)


def resize(x, a, _):
    if len(x) > 3 and x[3] is not None:
        size = ints(x[3])[-2:]
    else:
        size = [int(d * s) for d, s in zip(x[0].shape[-2:], x[2][-2:].tolist())]
    mode = a.get("mode", b"nearest").decode()
    if mode == "nearest":
        return F.interpolate(x[0], size=size, mode="nearest")
    how = a.get("coordinate_transformation_mode", b"half_pixel").decode()
    named = {"linear": "bilinear", "cubic": "bicubic"}[mode]
    return F.interpolate(x[0], size=size, mode=named, align_corners=how == "align_corners")


def scatter_nd(x, a, _):
    data, index, updates = x[0].clone(), x[1].long(), x[2]
    data[tuple(index[..., i] for i in range(index.shape[-1]))] = updates
    return data


def gather_nd(x, a, _):
    data, index, batch = x[0], x[1].long(), a.get("batch_dims", 0)
    rows = data.reshape(-1, *data.shape[batch:])
    picked = [
        row[tuple(at[..., i] for i in range(at.shape[-1]))]
        for row, at in zip(rows, index.reshape(-1, *index.shape[batch:]))
    ]
    return torch.stack(picked).reshape(*data.shape[:batch], *picked[0].shape)


def constant(x, a, _):
    for key, value in a.items():
        if key == "value":
            return tensor_of(value)
        return torch.tensor(value, dtype=torch.float64 if "float" in key else torch.int64)


def constant_of_shape(x, a, _):
    value = tensor_of(a["value"]) if "value" in a else torch.zeros(1, dtype=torch.float64)
    return value.reshape([]).expand(ints(x[0])).clone()


def divide(x, a, _):
    return x[0] / x[1] if x[0].is_floating_point() else torch.div(x[0], x[1], rounding_mode="trunc")


def unsqueeze(x, a, _):
    axes = axes_of(x, a)
    rank = x[0].dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = [x[0].unsqueeze(axis)]
    return x[0]


def squeeze(x, a, _):
    axes = axes_of(x, a)
    if axes is None:
        return x[0].squeeze()
    for axis in sorted((axis % x[0].dim() for axis in axes), reverse=True):
        x = [x[0].squeeze(axis)]
    return x[0]


def shape(x, a, _):
    return torch.tensor(list(x[0].shape)[a.get("start", 0) : a.get("end", None)], dtype=torch.int64)


def flatten(x, a, _):
    axis = a.get("axis", 1)
    return x[0].reshape(math.prod(x[0].shape[:axis]), -1)


def one(operation):
    return lambda x, a, _: operation(x[0])


def two(operation):
    return lambda x, a, _: operation(x[0], x[1])


def einsum(x, a, _):
    return torch.einsum(a["equation"].decode(), *x)


OPERATORS = {
    "Abs": one(torch.abs), "Add": two(torch.add), "And": two(torch.logical_and), "Attention": attention,
    "AveragePool": pool("average"), "BatchNormalization": batch_norm, "Cast": lambda x, a, _: x[0].to(TYPES[a["to"]]),
    "Ceil": one(torch.ceil), "Clip": lambda x, a, _: x[0].clamp(*(v if v is None else v.item() for v in (list(x[1:]) + [None, None])[:2])),
    "Concat": lambda x, a, _: torch.cat(x, a["axis"]), "Constant": constant, "ConstantOfShape": constant_of_shape,
    "Conv": conv, "Cos": one(torch.cos), "CumSum": lambda x, a, _: x[0].cumsum(int(x[1])), "Div": divide, "Einsum": einsum, "Equal": two(torch.eq), "Erf": one(torch.erf),
    "Exp": one(torch.exp), "Expand": lambda x, a, _: x[0].expand(torch.broadcast_shapes(x[0].shape, ints(x[1]))),
    "Flatten": flatten, "Floor": one(torch.floor), "Gather": gather, "GatherND": gather_nd, "Gelu": gelu, "Gemm": gemm,
    "GlobalAveragePool": lambda x, a, _: x[0].mean([2, 3], keepdim=True), "Greater": two(torch.gt), "GreaterOrEqual": two(torch.ge),
    "HardSigmoid": lambda x, a, _: (a.get("alpha", 0.2) * x[0] + a.get("beta", 0.5)).clamp(0, 1), "HardSwish": one(F.hardswish),
    "Identity": one(lambda x: x), "InstanceNormalization": instance_norm, "IsNaN": one(torch.isnan),
    "LayerNormalization": layer_norm, "LeakyRelu": lambda x, a, _: F.leaky_relu(x[0], a.get("alpha", 0.01)), "Less": two(torch.lt),
    "LessOrEqual": two(torch.le), "Log": one(torch.log), "MatMul": two(torch.matmul), "Max": two(torch.maximum), "MaxPool": pool("max"),
    "Min": two(torch.minimum), "Mod": two(torch.remainder), "Mul": two(torch.mul), "MultiHeadAttention": multi_head_attention,
    "Neg": one(torch.neg), "Not": one(torch.logical_not), "Or": two(torch.logical_or), "Pad": pad, "Pow": two(torch.pow),
    "RMSNormalization": rms_norm, "Range": lambda x, a, _: torch.arange(x[0].item(), x[1].item(), x[2].item()),
    "Reciprocal": one(torch.reciprocal), "ReduceL2": reduction(lambda x, d, k: x.square().sum(d, keepdim=k).sqrt()),
    "ReduceMax": reduction(lambda x, d, k: x.amax(d, keepdim=k)), "ReduceMean": reduction(lambda x, d, k: x.mean(d, keepdim=k)),
    "ReduceSum": reduction(lambda x, d, k: x.sum(d, keepdim=k)), "Relu": one(F.relu), "Reshape": reshape, "Resize": resize,
    "ScatterND": scatter_nd, "Shape": shape, "Sigmoid": one(torch.sigmoid), "Sin": one(torch.sin), "Slice": slice_,
    "Softmax": lambda x, a, _: x[0].softmax(a.get("axis", -1)), "Split": split, "Sqrt": one(torch.sqrt), "Squeeze": squeeze,
    "Sub": two(torch.sub), "Sum": lambda x, a, _: sum(x), "Tanh": one(torch.tanh), "Tile": lambda x, a, _: x[0].repeat(ints(x[1])),
    "Transpose": lambda x, a, _: x[0].permute(list(a["perm"])), "Unsqueeze": unsqueeze,
    "Where": lambda x, a, _: torch.where(x[0], x[1], x[2]),
}


def merge(weight, a, b, adapter):
    """W + scale · A · B, in the order in which the weight is stored."""
    product = torch.einsum("or...,ri...->oi...", b, a) if weight.dim() == 4 else a @ b
    return weight + adapter["scale"] * (product.T if adapter["isTransposed"] and weight.dim() == 2 else product)


def with_adapters(place, step, before, named):
    """The parameters with what adapters make of matrices, and of these the first values, which train, and those after the step."""
    numbers = torch.from_numpy(numpy.fromfile(place / "adapters.bin", numpy.float32)).double()
    shapes = {f"{i} {part}": adapter[part] for i, adapter in enumerate(step["adapters"]) for part in "ab"}
    found, at = {}, 0
    for turn in range(2):
        for key, dims in shapes.items():
            value = numbers[at : at + math.prod(dims)].reshape(dims).clone()
            at += value.numel()
            found[key] = (value.requires_grad_(), None) if turn == 0 else (found[key][0], value)
    merged = {
        adapter["weight"]: merge(before.constants[adapter["weight"]], found[f"{i} a"][0], found[f"{i} b"][0], adapter)
        for i, adapter in enumerate(step["adapters"])
    }
    return {**named, **merged}, found


def compare(place):
    step = json.loads((place / "step.json").read_text())
    before, after = Model(place / "before.onnx"), Model(place / "after.onnx")
    pixels = numpy.fromfile(place / "pixels.bin", numpy.uint8).reshape(step["shape"])
    image = torch.from_numpy(pixels).permute(0, 3, 1, 2).double() / 255
    parameters = {name: before.constants[name].clone().requires_grad_() for name in step["names"]}
    named = parameters
    parameters, found = with_adapters(place, step, before, named)
    if before.batch == 1:
        logits = torch.cat([before(image[index : index + 1], parameters) for index in range(len(image))])
    else:
        logits = before(image, parameters)
    F.cross_entropy(logits, torch.tensor(step["labels"])).backward()
    worst, where = 0.0, ""
    for name, parameter in {**named, **{key: begin for key, (begin, _) in found.items()}}.items():
        gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        expected = (parameter - step["learningRate"] * gradient).detach()
        # As large as the parameter is, or as it moved: what a step adds is compared too.
        moved = step["learningRate"] * gradient.abs().max().item()
        size = max(expected.abs().max().item(), 1e-12)
        error = ((found[name][1] if name in found else after.constants[name]) - expected).abs().max().item()
        relative = error / size
        if relative > worst:
            worst, where = relative, name
        if moved > 1e-6 * size and error > 0.01 * moved + 3e-7 * size:
            return {"wrong": f"{name} moved by {moved:.2e} and is off by {error:.2e}"}
    for index, adapter in enumerate(step["adapters"]):
        merged = merge(before.constants[adapter["weight"]], found[f"{index} a"][1], found[f"{index} b"][1], adapter)
        error = ((after.constants[adapter["weight"]] - merged).abs().max() / merged.abs().max()).item()
        if error > 1e-6:
            return {"wrong": f"{adapter['weight']} is merged with an error of {error:.2e}"}
    got = torch.tensor(step["logits"]).double().reshape(logits.shape)
    off = ((got - logits.detach()).abs().max() / max(1.0, logits.abs().max().item())).item()
    return {"parameters": worst, "where": where, "logits": off, "count": len(named) + len(found), "trained": step["parameters"]}


def main():
    out = Path(sys.argv[1])
    keep = "--keep" in sys.argv
    names = [name for name in sys.argv[2:] if not name.startswith("--")]
    log = out / "results.jsonl"
    for place in sorted(path for path in out.iterdir() if path.is_dir()):
        if names and not any(name in place.name for name in names):
            continue
        refused = place / "refused.txt"
        if refused.exists():
            result = {"refused": refused.read_text()}
        else:
            try:
                result = compare(place)
            except Exception as error:  # An operator that is missing above is this script's own fault.
                result = {"broken": f"{type(error).__name__}: {error}"}
        with log.open("a") as file:
            file.write(json.dumps({"job": place.name, **result}) + "\n")
        print(place.name, json.dumps(result), flush=True)
        if not keep:
            shutil.rmtree(place)


if __name__ == "__main__":
    main()
