"""Where version 0.1 had the PyTorch module: a file of `torch.save` names the place of its class."""

from actgrad.frameworks.torch.modules import ActivationModule, _restored

__all__ = ["ActivationModule", "_restored"]
