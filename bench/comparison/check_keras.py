"""What docs/comparison.md says of Keras. Usage: python check_keras.py FOLDER MODEL.onnx, of photos in train/ and val/."""

import os
import shutil
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np
import tensorflow as tf

folder, onnx = Path(sys.argv[1]), sys.argv[2]
out = Path("runs/comparison/keras")
shutil.rmtree(out, ignore_errors=True)
out.mkdir(parents=True)


def photos(split, shuffle):
    return keras.utils.image_dataset_from_directory(
        folder / split, image_size=(32, 32), batch_size=16, seed=0, shuffle=shuffle, verbose=False
    )


class Counter(keras.layers.Layer):
    """Counts the batches that pass."""

    def __init__(self):
        super().__init__()
        self.batches = tf.Variable(0, trainable=False)

    def call(self, batch):
        self.batches.assign_add(1)
        return batch


def model(*first):
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    base = keras.Sequential(
        [
            *first,
            keras.layers.Rescaling(1 / 127.5, offset=-1),
            keras.applications.MobileNetV2(input_shape=(32, 32, 3), include_top=False, weights=None, alpha=0.35),
        ]
    )
    base.trainable = False
    made = keras.Sequential([base, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(6)])
    made.build((None, 32, 32, 3))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    return made


def fit(made, shuffle, *callbacks, epochs=3):
    validation = photos("val", False)
    made.fit(photos("train", shuffle), epochs=epochs, validation_data=validation, verbose=0, callbacks=[*callbacks])
    return [np.array(weight) for weight in made.get_weights()]


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b))


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


print("----")
print("keras", keras.__version__, "tensorflow", tf.__version__)
for shuffle in (True, False):
    first = fit(model(), shuffle)
    print("shuffled" if shuffle else "in order", "two runs: same bits", equal(first, fit(model(), shuffle)))
    backup = out / f"backup-{shuffle}"
    try:
        fit(model(), shuffle, keras.callbacks.BackupAndRestore(backup), Interrupt())
    except KeyboardInterrupt:
        pass
    resumed = fit(model(), shuffle, keras.callbacks.BackupAndRestore(backup))
    print("interrupted and resumed: same bits", equal(first, resumed))

counter = Counter()
counted = model(keras.layers.Input((32, 32, 3)), counter)
passed = []
for epoch in range(2):
    counted.fit(photos("train", True), epochs=1, verbose=0)
    passed.append(int(counter.batches.numpy()) - sum(passed))
print("batches through the frozen base by epoch:", passed)

trained = model()
stop = keras.callbacks.EarlyStopping("val_accuracy", patience=1, restore_best_weights=True)
fit(trained, True, stop, keras.callbacks.ModelCheckpoint(out / "best.keras", "val_accuracy", save_best_only=True))
trained.export(str(out / "exported.onnx"), format="onnx", verbose=False)
print("exported", (out / "exported.onnx").name)
try:
    keras.saving.load_model(onnx)
except ValueError as error:
    print("load an ONNX file:", str(error).split(":")[0])
print("callbacks:", *(name for name in dir(keras.callbacks) if name[0].isupper()))
