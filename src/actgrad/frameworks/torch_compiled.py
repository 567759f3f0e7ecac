"""The activation as one call in a graph of torch.compile, constant in its program.

Imported while such a graph is traced, and never before: it loads the compiler. The compiler compares
programs by content, so an edited function is compiled anew.
"""

from __future__ import annotations

import torch

from actgrad.frameworks import torch_rule

apply = torch._dynamo.nonstrict_trace(torch_rule.apply)
gradients = torch._dynamo.nonstrict_trace(torch_rule.gradients)
