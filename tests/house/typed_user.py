"""What a user writes, with types: mypy and pyright take it as it is (see test_typed_user.py)."""

import numpy as np
from matplotlib.figure import Figure

from actgrad import Activation, Monitor, activation, activations, surrogates
from actgrad.frameworks.keras import ActivationLayer
from actgrad.frameworks.torch.modules import ActivationModule
from actgrad.study.check import Check
from actgrad.study.propagation import Propagation
from actgrad.trainability.monitor import Watch

f: Activation = activation(lambda x, beta=1.0: x if x > 0 else beta * x, name="f")
gelu: Activation = activations.gelu
spike: Activation = surrogates.atan(alpha=3.0)
shaped: Activation = f(beta=2.0)
number: float = f(1.5)
array: np.ndarray = f(np.linspace(-1.0, 1.0, 9), beta=0.5)
verdict: Check = f.check()
picture: Figure = f.plot(-2.0, 2.0)
numbers: Propagation = f.propagation(beta=0.5)
module: ActivationModule = f.module(beta=0.5)
layer: ActivationLayer = f.layer("leaky", beta=0.5)
watch: Watch = Monitor({"hidden": f}, terminal=False)
