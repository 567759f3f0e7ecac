"""A tensor with its rows along an axis, as a kernel has them: last. `f.source(...)` prints this text.

Nothing here has a derivative of its own: the framework follows these views.
"""


def along_axis(inputs, axis, squeezes, ops, common, rule):
    """The rule of inputs whose rows go last, all of the length that `common` makes of theirs.

    `ops` has `moveaxis`, `reshape` and `broadcast_to`. If the rule makes one number of a row, as `squeezes`
    says, the axis goes; otherwise it is laid back.
    """
    rank = max(len(x.shape) for x in inputs)
    if not -rank <= axis < rank:
        raise ValueError(f"a tensor of {rank} dimensions has no rows along axis {axis}")
    axis, last = axis % rank, rank - 1  # from the front, as PyTorch's exporter to ONNX needs them
    moved = []
    for x in inputs:
        missing = rank - len(x.shape)
        if missing and (axis != last or not len(x.shape)):
            x = ops.reshape(x, (*(1,) * missing, *x.shape))
        moved.append(x if axis == last else ops.moveaxis(x, axis, last))
    n = common([x.shape[-1] for x in moved])
    moved = [x if x.shape[-1] == n else ops.broadcast_to(x, (*x.shape[:-1], n)) for x in moved]
    result = rule(*moved)
    if squeezes:
        return result[..., 0]
    return result if axis == last else ops.moveaxis(result, last, axis)
