"""Keras on JAX: one process, several devices, the data split among them.

    python examples/devices/keras_jax.py

Without accelerators, JAX makes two devices of the CPU.
"""

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "2")

import jax
import keras
import numpy as np
from digits import digits, heaviside


def main():
    devices = keras.distribution.list_devices()
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(64, activation=heaviside) for _ in range(2)]
    model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])

    x, t, x_test, t_test = digits()
    first = [np.array(w) for w in model.get_weights()]
    model.fit(x, t, epochs=20, batch_size=64, verbose=0)  # 64 in all: 32 for each of two devices
    for weight, before in zip(model.trainable_variables, first, strict=True):
        replicas = [np.asarray(shard.data) for shard in weight.value.addressable_shards]
        assert len(replicas) == len(devices)
        assert all(np.array_equal(replicas[0], other) for other in replicas)
        assert not np.array_equal(replicas[0], before), f"{weight.path} has not learnt"
    accuracy = float(np.mean(model.predict(x_test, batch_size=64, verbose=0).argmax(1) == t_test))
    print(f"{len(jax.devices())} devices, replicas equal, test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
