"""Random functions in each library's own spelling, with arguments by position, by name, and odd ones."""

from __future__ import annotations

import importlib
import random
from dataclasses import dataclass
from typing import Any

# What an argument may be: texts of numbers, of booleans, and so on.
_N = ("0.3", "-0.7", "1.5", "0", "2", "1.0", "-1", "0.25")
_P = ("0.5", "1.0", "2", "3.0")
_B = ("True", "False")
_X = ("x", "0.5 * x", "x - 1", "1.5 - x", "abs(x)")
_D = ("0", "1", "2")

# name: arguments after the first, each with what it may be; `*` before one that goes by name only.
_TORCH = """
F.relu inplace:B
F.relu6 inplace:B
F.leaky_relu negative_slope:N inplace:B
F.elu alpha:P inplace:B
F.celu alpha:P inplace:B
F.selu inplace:B
F.silu inplace:B
F.mish inplace:B
F.hardtanh min_val:-1|-0.5 max_val:1|2 inplace:B
F.hardswish inplace:B
F.hardsigmoid inplace:B
F.hardshrink lambd:P
F.softshrink lambd:P
F.threshold threshold!:N value!:N inplace:B
F.softplus beta:P threshold:P
F.gelu *approximate:'none'|'tanh'
F.logsigmoid
F.softsign
F.tanhshrink
F.dropout p:0.5 training:B inplace:B
torch.clamp min:N max:N|None *out:None
torch.clip min:N|None max:N
torch.round *decimals:D
torch.div other!:P|x+3.5 *rounding_mode:None|'floor'|'trunc'
torch.remainder other!:P
torch.fmod other!:P
torch.floor_divide other!:P
torch.pow exponent!:2|3|2.0
torch.add other!:N|X *alpha:P
torch.sub other!:N|X *alpha:P
torch.mul other!:N|X
torch.maximum other!:X
torch.minimum other!:X
torch.max other!:X
torch.sum dim:0|-1 keepdim:B *dtype:torch.float32
torch.mean dim:0|-1 keepdim:B
torch.softmax dim!:0|-1
torch.cumsum dim!:0
torch.where input!:X other!:X|N @x>0
torch.lerp end!:X weight!:0.3
torch.nan_to_num nan:N posinf:N neginf:N
torch.logit eps:0.01|None
torch.heaviside values!:torch.tensor(0.5,dtype=x.dtype)
torch.sigmoid *out:None
torch.tanh *out:None
torch.logaddexp other!:X
torch.hypot other!:X
torch.atan2 other!:X
torch.copysign other!:N|X
torch.addcmul tensor1!:X tensor2!:X *value:P
torch.xlogy other!:abs(x)+1
torch.norm p:2 dim:0
torch.sort dim:0
"""
_TF = """
tf.nn.relu name:'n'|None
tf.nn.relu6 name:None
tf.nn.leaky_relu alpha:P name:None
tf.nn.elu name:None
tf.nn.gelu approximate:B name:None
tf.nn.silu beta:P
tf.nn.softplus name:None
tf.nn.softmax axis:-1|0
tf.nn.dropout rate!:0.5
tf.clip_by_value clip_value_min!:-1|-0.5 clip_value_max!:1|2 name:None
tf.cast dtype!:tf.float64|tf.float32|tf.int32|tf.bool|tf.float16
tf.where x!:X y!:X @x>0
tf.math.floordiv y!:P name:None
tf.math.floormod y!:P
tf.math.mod y!:P
tf.math.divide y!:P
tf.math.divide_no_nan y!:X
tf.math.pow y!:2|3.0
tf.math.maximum y!:N|X
tf.math.minimum y!:N|X
tf.math.squared_difference y!:X
tf.math.round name:None
tf.math.rint
tf.math.sign
tf.math.atan2 x!:X
tf.math.xlogy y!:abs(x)+1
tf.reduce_sum axis:0|None keepdims:B
tf.reduce_mean axis:0
tf.cumsum axis:0 exclusive:B
tf.truncatediv y!:P
tf.math.multiply_no_nan y!:X
"""
_KERAS = """
ops.relu
ops.leaky_relu negative_slope:P
ops.elu alpha:P
ops.gelu approximate:B
ops.clip x_min!:-1|-0.5 x_max!:1|2
ops.round decimals:D
ops.where x1!:X x2!:X|N @x>0
ops.maximum x2!:N|X
ops.power x2!:2|3.0
ops.mod x2!:P
ops.floor_divide x2!:P
ops.divide x2!:P
ops.softmax axis:-1
ops.sum axis:0 keepdims:B
ops.mean axis:0
ops.cast dtype!:'float64'|'float32'|'int32'|'float16'
ops.threshold threshold!:N default_value!:N
ops.hard_shrink threshold:P
ops.soft_shrink threshold:P
ops.celu alpha:P
ops.nan_to_num nan:N posinf:N neginf:N
activations.relu negative_slope:P max_value:2|6|None threshold:0.5|0.0|-1
activations.leaky_relu negative_slope:P
activations.elu alpha:P
activations.gelu approximate:B
activations.softmax axis:-1
activations.hard_shrink threshold:P
"""
_NUMPY = """
np.clip a_min:-1|None a_max:2|1 *out:None *dtype:np.float64
np.where x!:X y!:X|N @x>0
np.round decimals:D out:None
np.around decimals:D
np.maximum x2!:N|X *where:True|x>0 *dtype:np.float64|np.float32|np.float16
np.minimum x2!:N|X
np.mod x2!:P
np.remainder x2!:P
np.fmod x2!:P
np.floor_divide x2!:P
np.power x2!:2|3.0
np.float_power x2!:2
np.divide x2!:P *where:x>0 *casting:'same_kind'
np.heaviside x2!:0.5|1
np.copysign x2!:N|X
np.hypot x2!:X
np.arctan2 x2!:X
np.logaddexp x2!:X
np.sum axis:None|-1 dtype:None out:None keepdims:B
np.mean axis:None|0
np.prod axis:0
np.max axis:0
np.cumsum axis:0
np.sort
np.any
np.nan_to_num copy:B nan:N posinf:N neginf:N
np.sign *dtype:np.float64
np.tanh *out:None *where:True
np.abs *dtype:np.float32
np.interp xp!:[-1.0,0.5,2.0] fp!:[0.0,1.0,-1.0] left:N right:N
np.select choicelist![]:[x,-x] default:N @[x>1,x<-1]
np.linalg.norm ord:2 axis:0
np.sinc
np.square *dtype:np.float16
"""
_JAX = """
nn.relu
nn.leaky_relu negative_slope:P
nn.elu alpha:P
nn.gelu approximate:B
nn.softmax axis:-1
jnp.clip min:-1 max:2
jnp.where x!:X y!:X|N @x>0
jnp.round decimals:D
jnp.maximum y!:N|X
jnp.mod x2!:P
jnp.fmod x2!:P
jnp.floor_divide x2!:P
jnp.power x2!:2|3.0
jnp.sum axis:0 keepdims:B
jnp.nan_to_num copy:B nan:N
lax.round rounding_method:0|1
lax.clamp x!:x max!:1.0 @-1.0
lax.rem y!:0.75+0*x
"""
TABLES = {"torch": _TORCH, "tensorflow": _TF, "keras": _KERAS, "numpy": _NUMPY, "jax": _JAX}
MODULES = {
    "torch": {"torch": "torch", "F": "torch.nn.functional"},
    "tensorflow": {"tf": "tensorflow"},
    "keras": {"ops": "keras.ops", "activations": "keras.activations"},
    "numpy": {"np": "numpy"},
    "jax": {"jnp": "jax.numpy", "nn": "jax.nn", "lax": "jax.lax"},
}
_ODD = (
    "out=None", "dtype=None", "axis=0", "axis=-1", "keepdims=True", "where=x > 0", "inplace=True",
    "name='n'", "digits=1", "approximate=True", "threshold=0.5", "foo=1",
)  # fmt: skip
_AROUND = ("{}", "{}", "x * {}", "0.5 * {} + x", "-{}", "{} - 0.3", "{} ** 2")


@dataclass(frozen=True)
class Spelled:
    package: str
    text: str

    def function(self) -> Any:
        names = {n: importlib.import_module(m) for n, m in MODULES[self.package].items()}
        return eval(f"lambda x: {self.text}", names)


def spelled(package: str, seed: int) -> Spelled:
    """The seed's function of this library."""
    choose = random.Random(seed)
    lines = [line for line in TABLES[package].split("\n") if line]
    name, *words = choose.choice(lines).split()
    first = choose.choice(_X)
    if words and words[-1].startswith("@"):
        first = words.pop()[1:]
    arguments, by_name = [first], False
    for word in words:
        argument, _, values = word.partition(":")
        keyword_only, needed = argument.startswith("*"), "!" in argument
        argument = argument.strip("*").partition("!")[0]
        if not needed and choose.random() < 0.5:
            by_name = True  # what is left out makes all that follow go by name
            continue
        value = _value(choose, values)
        by_name |= keyword_only or choose.random() < 0.3
        arguments.append(f"{argument}={value}" if by_name else value)
    if choose.random() < 0.1:
        odd = choose.choice(_ODD)
        if not any(each.startswith(odd.partition("=")[0] + "=") for each in arguments):
            arguments.append(odd)
    return Spelled(package, choose.choice(_AROUND).format(f"{name}({', '.join(arguments)})"))


def _value(choose: random.Random, values: str) -> str:
    if values.startswith("["):
        return values
    kinds = {"N": _N, "P": _P, "B": _B, "X": _X, "D": _D}
    value = choose.choice(values.split("|"))
    return choose.choice(kinds[value]) if value in kinds else value
