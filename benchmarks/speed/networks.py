"""Networks of PyTorch whose training step is timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn


class Block(nn.Module):
    """The MLP block of GPT-2 small."""

    def __init__(self, act: Callable[[Any], Any], width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.act = act

    def forward(self, x: Any) -> Any:
        return x + self.down(self.act(self.up(self.norm(x))))


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, act: Callable[[Any], Any]) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outputs) for _ in range(2)])
        same = inputs == outputs and stride == 1
        self.skip = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.act = act

    def forward(self, x: Any) -> Any:
        y = self.act(self.norms[0](self.first(x)))
        return self.act(self.norms[1](self.second(y)) + self.skip(x))


def resnet18(act: Callable[[Any], Any]) -> Any:
    """For images of 32 x 32."""
    layers: list[Any] = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)]
    before = 64
    for i, width in enumerate((64, 64, 128, 128, 256, 256, 512, 512)):
        stride = 2 if i in (2, 4, 6) else 1
        layers.append(Residual(before, width, stride, act))
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def transformer(act: Callable[[Any], Any]) -> Any:
    """One block of width 256, with attention."""
    return nn.TransformerEncoderLayer(256, 4, 1024, 0.0, act, batch_first=True)
