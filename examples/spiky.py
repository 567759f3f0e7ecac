"""Document D1: an activation with an `if`, and its derivative, in plain Python.

actgrad check examples/spiky.py:spiky
actgrad train examples/spiky.py:spiky
"""

import numpy as np

from actgrad import activation


def d_spiky(x):
    return 1.0 if x % 1 <= 0.5 else 0.0


@activation(derivative=d_spiky)
def spiky(x):
    r = x % 1
    return r if r <= 0.5 else 0


if __name__ == "__main__":
    x = np.array([0.2, 0.7, 1.2, 1.7], dtype=np.float32)
    print("x      ", x)
    print("y      ", spiky(x))
    print("dy/dx  ", spiky.derivative(x))
    print(spiky.check())
