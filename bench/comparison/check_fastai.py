"""What docs/comparison.md says of fastai. Usage: python check_fastai.py FOLDER, of photos in train/ and val/."""

import sys
import warnings

import fastai
import torch
from fastai.vision.all import *

warnings.filterwarnings("ignore")
torch.set_num_threads(2)
folder = Path(sys.argv[1]).resolve()


def learner():
    set_seed(0, reproducible=True)
    photos = ImageDataLoaders.from_folder(folder, train="train", valid="val", bs=16, num_workers=0, item_tfms=Resize(32))
    path = Path("runs/comparison/fastai")
    made = vision_learner(photos, resnet18, metrics=accuracy, pretrained=False, n_out=len(photos.vocab), path=path)
    made.remove_cb(ProgressCallback)
    return made


def weights(trained):
    return {key: value.clone() for key, value in trained.model.state_dict().items()}


def equal(a, b):
    return all(torch.equal(a[key], b[key]) for key in a)


class Interrupt(Callback):
    def after_epoch(self):
        self.learn.save("interrupted")
        raise CancelFitException()


first = learner()
first.fit(2, 1e-3)
second = learner()
second.fit(2, 1e-3)
interrupted = learner()
interrupted.fit(2, 1e-3, cbs=Interrupt())
resumed = learner()
resumed.load("interrupted")
resumed.fit(2, 1e-3, start_epoch=1)

frozen = learner()
calls = []
frozen.model[0].register_forward_hook(lambda body, *_: calls.append(frozen.epoch) if body.training else None)
frozen.freeze()
frozen.fit(2)
counts = [calls.count(epoch) for epoch in (0, 1)]
frozen.fit(3, 1e-12, cbs=[EarlyStoppingCallback("accuracy", patience=1), SaveModelCallback("accuracy")])

print("----")
print("fastai", fastai.__version__, "torch", torch.__version__)
print("two runs: same bits", equal(weights(first), weights(second)))
print("interrupted and resumed: same bits", equal(weights(first), weights(resumed)))
print("batches through the frozen body by epoch:", counts)
print("learning rate found:", frozen.lr_find(show_plot=False))
Interpretation.from_learner(frozen).plot_top_losses(4)
print("top losses drawn; methods named onnx:", [name for name in dir(frozen) if "onnx" in name.lower()])
