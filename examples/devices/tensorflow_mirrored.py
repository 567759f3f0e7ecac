"""TensorFlow: one process, several devices, by `tf.distribute.MirroredStrategy`.

    python examples/devices/tensorflow_mirrored.py

Without accelerators, TensorFlow makes two logical devices of the CPU.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from digits import digits, heaviside


def devices():
    if tf.config.list_physical_devices("GPU"):
        return tf.config.list_logical_devices("GPU")
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    return tf.config.list_logical_devices("CPU")


def main():
    strategy = tf.distribute.MirroredStrategy([device.name for device in devices()])
    keras.utils.set_random_seed(0)
    with strategy.scope():
        layers = [keras.layers.Dense(64, activation=heaviside) for _ in range(2)]
        model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])

    x, t, x_test, t_test = digits()
    first = [np.array(w) for w in model.get_weights()]
    model.fit(x, t, epochs=20, batch_size=64, verbose=0)  # 64 in all: 32 for each of two devices
    for weight, before in zip(model.trainable_variables, first, strict=True):
        replicas = [part.numpy() for part in strategy.experimental_local_results(weight.value)]
        assert len(replicas) == strategy.num_replicas_in_sync
        assert all(np.array_equal(replicas[0], other) for other in replicas)
        assert not np.array_equal(replicas[0], before), f"{weight.path} has not learnt"
    accuracy = float(np.mean(model.predict(x_test, verbose=0).argmax(1) == t_test))
    count = strategy.num_replicas_in_sync
    print(f"{count} devices, replicas equal, test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
