"""Writes the table of transformers into docs/models.md: python test/zoo/steps_table.py RESULTS.jsonl ...

The files are those that check_steps.py wrote; of a job that is in several, the last counts. Between the two markers of docs/models.md stands what this script
writes, and nothing else there.
"""

import json
import sys
from pathlib import Path

EXPORTERS = {"ts17": "TorchScript, 17", "dy18": "dynamo, 18", "dy23": "dynamo, 23"}
POLICIES = {"F1C0": "F1C0", "F1C1": "F1C1", "blocks2": "blocks:2", "bias": "bias", "lora8": "lora:8", "full": "full"}
NAMES = {
    "vit_b16": "ViT-B/16 (torchvision)",
    "deit_tiny": "DeiT-tiny",
    "deit_tiny_distilled": "DeiT-tiny, distilled, two heads",
    "swin_t": "Swin-T (torchvision)",
    "dinov2_s": "DINOv2-S (transformers)",
    "clip_vit_b32": "CLIP ViT-B/32, image encoder (transformers)",
    "mobilevit_s": "MobileViT-S",
    "coatnet_0": "CoAtNet-nano",
    "maxvit_tiny": "MaxViT-tiny",
    "fastvit_t8": "FastViT-T8",
    "tinyvit_5m": "TinyViT-5M",
    "efficientformer_l1": "EfficientFormer-L1",
    "efficientformerv2_s0": "EfficientFormerV2-S0",
    "levit_128s": "LeViT-128S",
    "edgenext_xxs": "EdgeNeXt-XXS",
    "convnextv2_atto": "ConvNeXt V2-atto",
}
BEGIN, END = "<!-- steps: begin -->", "<!-- steps: end -->"
# What the issue asks for.
PARAMETERS, LOGITS = 1e-4, 1e-5


def read(paths):
    results = {}
    for path in paths:
        for line in Path(path).read_text().splitlines():
            entry = json.loads(line)
            results[entry["job"]] = entry
    return results


def cell(result):
    if result is None:
        return "not run"
    for word in ("refused", "wrong", "broken"):
        if word in result:
            return word
    is_right = result["parameters"] < PARAMETERS and result["logits"] < LOGITS
    return f"{result['parameters']:.0e}".replace("e-0", "e-") + ("" if is_right else " **wrong**")


def table(results):
    rows, counts, reasons = [], {"right": 0, "refused": 0, "wrong": 0, "broken": 0, "not run": 0}, {}
    for model, title in NAMES.items():
        for exporter, told in EXPORTERS.items():
            for batch, batch_told in (("dynamic", "N"), ("batch1", "1")):
                found = {policy: results.get(f"{model}-{exporter}-{batch} {policy}") for policy in POLICIES}
                if not any(found.values()):
                    continue
                cells = {policy: cell(result) for policy, result in found.items()}
                for policy, text in cells.items():
                    kind = text if text in counts else "wrong" if "wrong" in text else "right"
                    counts[kind] += 1
                    reason = (found[policy] or {}).get("refused") or (found[policy] or {}).get("wrong")
                    if reason:
                        reasons.setdefault((title, reason), []).append(POLICIES[policy])
                logits = max((r["logits"] for r in found.values() if r and "logits" in r), default=None)
                worst = "" if logits is None else f"{logits:.0e}".replace("e-0", "e-")
                rows.append([title, told, batch_told, worst, *cells.values()])
    headings = ["model", "exporter, operator set", "batch", "logits", *POLICIES.values()]
    widths = [max(len(str(row[i])) for row in [headings, *rows]) for i in range(len(headings))]
    lines = ["| " + " | ".join(str(text).ljust(width) for text, width in zip(row, widths)) + " |" for row in [headings, *rows]]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    notes = [f"- {title}, {', '.join(dict.fromkeys(policies))}: {reason}" for (title, reason), policies in reasons.items()]
    return "\n".join([f"{len(rows)} exports, {told}:", "", *lines, *(["", *notes] if notes else [])])


def main():
    page = Path(__file__).parent.parent.parent / "docs" / "models.md"
    text = page.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n\n{table(read(sys.argv[1:]))}\n\n{END}{after}")


main()
