"""Every error and warning a user can meet. Each docstring is its help page."""

from __future__ import annotations


class ActgradError(Exception):
    """The base of every error that actgrad raises on purpose."""


class TraceError(ActgradError):
    """The function could not be read.

    actgrad reads an activation by calling it with a symbolic number. It must therefore be a pure
    function of numbers: no input or output, no randomness, no state that outlives the call.
    Calls into software that actgrad does not know cannot be followed; `host=True` runs such a
    function as it is, on the host CPU.
    """


class UnboundedError(TraceError):
    """A loop did not end, or the function has too many paths.

    Every `if` on the input doubles the paths at worst, and a `while` on the input adds one per
    turn. Bound the loop (`for _ in range(10)` with a `break`), or write independent choices as
    values (`max`, `min`, `np.where`), which cost no path.
    """


class MixingError(TraceError):
    """The function takes several elements of its input at once, as a sum or a maximum does.

    An elementwise activation computes each element from that element alone. Make it a function of the
    row, `activation(..., axis=-1)`; or take the other numbers as inputs or parameters of their own.
    """


class ImpureError(TraceError):
    """The function does something besides computing a number from its arguments.

    Printing, reading, drawing random numbers, looking at the clock, or changing a variable that
    outlives the call would happen once, while the function is read, and never again. Pass what
    varies as an input or as a parameter instead.
    """


class DefinitionError(ActgradError, TypeError):
    """The arguments of `activation(...)` do not fit together.

    For example two of `derivative=`, `surrogate=` and `gradient=`, a derivative with other inputs
    than its function, or one that returns the wrong number of gradients.
    """


class DtypeError(ActgradError, TypeError):
    """The tensor's dtype has no derivative, for example an integer.

    Convert it first: `tf.cast(x, tf.float32)`, `x.float()`, `x.astype(jnp.float32)`.
    """


class CallError(ActgradError, TypeError):
    """An activation was called with the wrong inputs or with a parameter that it does not have."""


class SettingError(ActgradError, ValueError):
    """`trainable(...)` or `sampled(...)` was given what is no such number, or lies outside of its bounds."""


class NoDerivativeError(ActgradError):
    """A derivative was asked for that nobody defined.

    A function run on the host (`host=True`) cannot be differentiated by rule; give it a
    `derivative=`. A `gradient=` rule defines reverse mode only.
    """


class ProgramError(ActgradError, ValueError):
    """A stored activation is damaged, too large, or from a newer version of actgrad.

    The message names the place in the file.
    """


class HostError(ActgradError):
    """A function run on the host cannot be saved, exported, or compiled.

    It exists only as Python code in this process. (Keras opens the file of `model.save` before it
    asks what to write, so it leaves an empty one, and what was there is gone.) Rewrite it with
    operations that actgrad can read (see `actgrad.language.ops`), and drop `host=True`.
    """


class ExportError(ActgradError):
    """What was asked for cannot be exported, or what was written is not the same.

    The message says why; nothing is left behind. `f.supports()` says beforehand what each target keeps.
    """


class MissingFrameworkError(ActgradError, ImportError):
    """The framework that was asked for is not installed."""


class OverrideError(ActgradError, ValueError):
    """`override` or `replace` cannot put the new activation where the model has the old one.

    Mostly the model has none of that name; the message lists those that it has. An activation that
    is called as a function (`keras.ops.relu(x)`, `F.relu(x)`) cannot be reached: make it a layer.
    """


class InputError(ActgradError, ValueError):
    """The `actgrad` command was given something that it cannot use.

    A file that is not there, a name that is not in it, data with nan in it, an output folder that
    cannot be written. The message says what was expected; nothing has been changed.
    """


class WriteError(ActgradError, OSError):
    """A file could not be written: the disk is full, say, or read-only.

    The message names the file and what to do. A file that was there before is as it was.
    """


class ActgradWarning(UserWarning):
    """The base of every warning that actgrad gives."""


class DerivativeMismatchWarning(ActgradWarning):
    """`derivative=` claims to be the true derivative, and measurably is not.

    If the difference is on purpose, say so with `surrogate=`.
    """


class SurrogateWarning(ActgradWarning):
    """A surrogate is zero everywhere, or not finite somewhere: nothing could be learned there."""


class ZeroDerivativeWarning(ActgradWarning):
    """The exact derivative is zero almost everywhere, so nothing before it can learn.

    Give a `surrogate=`.
    """


class UnreachedWarning(ActgradWarning):
    """`override` or `replace` left a part of the model as it was.

    There the activation is called as a function, not held by a layer. Make it a layer to reach it.
    """


class UnfusedWarning(ActgradWarning):
    """An activation could not be compiled, so an eager mode runs it operation by operation.

    The values are the same, the time is several times longer. With PyTorch, mostly there is no C++
    compiler: install one, or set `TORCH_COMPILE_DISABLE=1` to not try; given once in a process. With
    TensorFlow, XLA failed, or is not there; once in a process too. An activation that is too long to
    compile in seconds is named, in JAX too. The message has its reason.
    """
