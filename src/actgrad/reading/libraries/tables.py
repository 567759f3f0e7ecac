"""What math, NumPy, SciPy, TensorFlow, PyTorch, JAX and Keras call each meaning: one table a library.

An entry is `name`, `name=meaning` where the two differ, or `name(arguments)=meaning` where Python cannot
see the library's own signature. `mixing` marks what takes several elements at once; `random` what draws, and
is not known for it by its module (`jax.random`).
"""

from actgrad.reading.libraries.special_tables import SPECIAL, SPECIAL_METHODS

BUILTINS = """
abs=absolute max=python_max min=python_min any=python_any all=python_all round=python_round
sum=python_sum"""

_EVERYWHERE = """
abs=absolute absolute acos acosh arccos=acos arccosh=acosh arcsin=asin arcsinh=asinh arctan2=atan2
arctan=atan arctanh=atanh asin asinh atan atan2 atanh cbrt ceil conjugate=identity cos cosh deg2rad=radians
eq=equal erf erfc exp exp2 expm1 floor floor_divide fmod ge=greater_equal greater greater_equal gt=greater
hypot isclose=array_is_close isfinite=is_finite isinf=is_inf isnan=is_nan ldexp le=less_equal less less_equal
log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor lt=less mul=multiply
multiply ne=not_equal neg=negative negative not_equal positive=identity pow=power rad2deg=degrees reciprocal
remainder=mod rsqrt sigmoid sign sin sinc sinh sqrt square tan tanh true_divide=divide trunc
"""
"""What means the same as a function of every library that has it, and as a method."""

MATH = f"""{_EVERYWHERE}
ceil=whole_ceil copysign degrees fabs=absolute factorial floor=whole_floor fma fsum=total hypot=norm
dist=distance sumprod=sum_product isclose=is_close modf prod=product radians remainder=remainder_nearest
trunc=as_int
"""

_ALIKE = f"""{_EVERYWHERE}
add amax=row_max amin=row_min array=constant broadcast_to=expand concatenate=concatenated copy=copied divide
empty_like expand_dims=unsqueeze full full_like heaviside isneginf=is_neginf isposinf=is_posinf isreal=true
max=row_max maximum mean min=row_min minimum mod ndim=rank_of nonzero ones ones_like polyval power
prod=product result_type select shape=shape_of size=size_of squeeze subtract sum=total take where zeros
zeros_like
"""
"""What means the same in every array library that has it."""

_OF_NUMPY = f"""{_ALIKE}
all=row_all any=row_any asanyarray=as_array asarray=as_array ascontiguousarray=as_array atleast_1d=same
choose=take_from clip conj=identity copysign degrees digitize divmod=floor_divmod double=as_float equal
fabs=absolute fix=trunc float_power=power fmax fmin imag=zeros_like invert=bitwise_not iscomplexobj=false
isrealobj=true modf nan_to_num piecewise radians ravel=flatten real=identity reshape rint stack=stacked
vectorize=applied
"""
"""And in every one that follows NumPy."""

_NUMPY_LIKE = f"""{_OF_NUMPY}
bitwise_and bitwise_or bitwise_xor round=round_decimals around=round_decimals signbit angle=angle_numpy finfo
issubdtype interp searchsorted(a,v,side="left",sorter=None) bool_=as_bool float32=single float64=as_float
int32=as_int int64=as_int int_=as_int float16=narrow empty dot inner=dot vdot=dot
"""

NUMPY = f"""{_NUMPY_LIKE}
copyto putmask place longdouble=as_float linalg.norm=row_norm
frompyfunc(func,nin,nout,*,identity=None)=applied poly1d(c_or_r,r=False,variable=None)
"""

SCIPY_SPECIAL = f"""{_EVERYWHERE}
entr=entropy_term exp10 expit=sigmoid log_expit=log_sigmoid logit ndtr=normal_cdf softplus xlog1py xlogy
logsumexp softmax log_softmax
"""

TORCH = f"""{_ALIKE}
bernoulli=random multinomial=random normal=random poisson=random rand=random rand_like=random randint=random
randint_like=random randn=random randn_like=random randperm=random binomial=random
add(input,other,*,alpha=1,out=None) angle conj=identity real=identity resolve_conj=identity
resolve_neg=identity conj_physical=identity finfo promote_types=result_type vmap=applied func.vmap=applied
func.grad=gradient_of func.grad_and_value=gradient_and_value_of func.jacrev=jacobian_of
func.jacfwd=jacobian_of func.hessian=hessian_of func.jvp=jvp func.vjp=vjp func.linearize=linearize
autograd.grad=torch_gradient autograd.functional.jacobian=torch_jacobian
autograd.functional.hessian=torch_hessian autograd.functional.vjp=torch_vjp autograd.functional.jvp=torch_jvp
autograd.functional.vhp=torch_vhp autograd.functional.hvp=torch_vhp
utils.checkpoint.checkpoint(function,*args,use_reentrant=None,determinism_check=None,debug=False)=called
dropout(input,p,training) float_power(input,exponent,*,out=None)=power
fake_quantize_per_tensor_affine(input,scale,zero_point,quant_min,quant_max)=fake_quantize
addcdiv(input,tensor1,tensor2,*,value=1,out=None) addcmul(input,tensor1,tensor2,*,value=1,out=None)
as_tensor(data,dtype=None,device=None)=as_array celu(input,alpha=1.0)
clamp(input,min=None,max=None,*,out=None)=clip clamp_max(input,max,*,out=None)=clip_above
clamp_min(input,min,*,out=None)=clip_below clip(input,min=None,max=None,*,out=None)
clone(input,*,memory_format=None)=copied copysign=copysign_torch detach=stop_gradient
div(input,other,*,rounding_mode=None,out=None)=python_divide
divide(input,other,*,rounding_mode=None,out=None)=python_divide
empty_like(input,*,dtype=None,layout=None,device=None,requires_grad=False,memory_format=None) fix=trunc
flatten(input,start_dim=0,end_dim=-1) fmax fmin frac=fraction broadcast_to(input,size)=expand
full_like(input,fill_value,*,dtype=None,layout=None,device=None,requires_grad=False,memory_format=None)
heaviside(input,values,*,out=None) isclose(input,other,rtol=1e-05,atol=1e-08,equal_nan=False)=array_is_close
lerp(input,end,weight,*,out=None) logit(input,eps=None,*,out=None) masked_fill(input,mask,value)
maximum=maximum_half minimum=minimum_half nan_to_num(input,nan=0.0,posinf=None,neginf=None,*,out=None)
nonzero(input,*,out=None,as_tuple=False)
ones_like(input,*,dtype=None,layout=None,device=None,requires_grad=False,memory_format=None)
pow(input,exponent,*,out=None)=power prelu(input,weight) relu reshape(input,shape)
rrelu(input,lower=0.125,upper=0.3333333333333333,training=False)
round(input,*,decimals=0,out=None)=round_decimals rsub=reversed_subtract select=mixing selu signbit sgn=sign
squeeze(input,dim=None) take(input,index) index_select(input,dim,index)
gather(input,dim,index,*,sparse_grad=False)=index_select
searchsorted(sorted_sequence,input,*,out_int32=False,right=False,side=None,sorter=None)
bucketize(input,boundaries,*,out_int32=False,right=False,out=None)=position
sub(input,other,*,alpha=1,out=None)=subtract subtract(input,other,*,alpha=1,out=None)
tensor(data,*,dtype=None,device=None,requires_grad=False,pin_memory=False)=tensor
autograd.Variable(data,requires_grad=False,volatile=False)=tensor from_numpy(data)=as_array
threshold(input,threshold,value) unsqueeze(input,dim) where(condition,input=None,other=None,*,out=None) xlogy
zeros_like(input,*,dtype=None,layout=None,device=None,requires_grad=False,memory_format=None)
zeros(size,*,out=None,dtype=None,layout=None,device=None,pin_memory=False,requires_grad=False)
ones(size,*,out=None,dtype=None,layout=None,device=None,pin_memory=False,requires_grad=False)
full(size,fill_value,*,out=None,dtype=None,layout=None,device=None,pin_memory=False,requires_grad=False)
empty(size,*,out=None,dtype=None,layout=None,device=None,pin_memory=False,requires_grad=False)
special.entr=entropy_term special.erf=erf special.erfc=erfc special.exp2=exp2 special.expit=sigmoid
special.expm1=expm1 special.log1p=log1p special.logit(input,eps=None,*,out=None)=logit
special.ndtr=normal_cdf special.round(input,*,decimals=0,out=None)=round_decimals special.sinc=sinc
special.xlog1py=xlog1py special.xlogy=xlogy is_tensor=true is_floating_point=true is_complex=false
no_grad=Detached inference_mode=Detached enable_grad=Attached set_grad_enabled=GradMode cond=torch_cond
compile=applied max(input,other=None,dim=None,keepdim=False)=largest_of
min(input,other=None,dim=None,keepdim=False)=smallest_of amax(input,dim=None,keepdim=False)=row_max
amin(input,dim=None,keepdim=False)=row_min stack(tensors,dim=0,*,out=None)=stacked
cat(tensors,dim=0,*,out=None)=concatenated concat(tensors,dim=0,*,out=None)=concatenated
concatenate(tensors,dim=0,*,out=None)=concatenated
sum(input,dim=None,keepdim=False,*,dtype=None,out=None)=total
prod(input,dim=None,keepdim=False,*,dtype=None)=product
mean(input,dim=None,keepdim=False,*,dtype=None,out=None)=mean softmax(input,dim,dtype=None)
log_softmax(input,dim,dtype=None) logsumexp(input,dim,keepdim=False)
special.softmax(input,dim,dtype=None)=softmax special.log_softmax(input,dim,dtype=None)=log_softmax
special.logsumexp(input,dim,keepdim=False)=logsumexp bitwise_not bitwise_and bitwise_or bitwise_xor
"""

_ACTIVATIONS = """
celu elu gelu hard_shrink hard_sigmoid=hard_sigmoid_open hard_silu=hard_silu_open hard_swish=hard_silu_open
hard_tanh leaky_relu log_sigmoid mish relu relu6 selu=selu_tf sigmoid silu soft_shrink softplus softsign
sparse_plus sparse_sigmoid squareplus swish=silu tanh tanh_shrink threshold
"""
"""What means the same in every library of layers that has it."""

TORCH_FUNCTIONAL = f"""{_ACTIVATIONS}
gelu(input,*,approximate="none") hardshrink(input,lambd=0.5)=hard_shrink hardsigmoid=hard_sigmoid_open
hardswish=hard_silu_open hardtanh=hard_tanh_open logsigmoid(input)=log_sigmoid prelu(input,weight) selu
softplus(input,beta=1,threshold=20)=softplus_torch softshrink(input,lambd=0.5)=soft_shrink
tanhshrink=tanh_shrink rrelu(input,lower=0.125,upper=0.3333333333333333,training=False,inplace=False)
relu_(input)=relu elu_(input,alpha=1.0)=elu selu_(input)=selu celu_(input,alpha=1.0)=celu
hardtanh_(input,min_val=-1.0,max_val=1.0)=hard_tanh_open leaky_relu_(input,negative_slope=0.01)=leaky_relu
threshold_(input,threshold,value)=threshold dropout alpha_dropout=dropout dropout1d=dropout dropout2d=dropout
dropout3d=dropout feature_alpha_dropout=dropout gumbel_softmax=random
binary_cross_entropy_with_logits=cross_entropy_with_logits huber_loss=huber l1_loss=absolute_error
mse_loss=squared_error smooth_l1_loss=smooth_l1 soft_margin_loss=soft_margin
log_softmax(input,dim=None,_stacklevel=3,dtype=None) softmax(input,dim=None,_stacklevel=3,dtype=None)
"""

TF_MATH = f"""{_ALIKE}
divide_no_nan equal floordiv=quotient_floor floormod=mod is_finite is_inf is_nan log_sigmoid multiply_no_nan
reciprocal_no_nan=reciprocal_no_nan rint round=rint softplus squared_difference truediv=divide
xdivy=divide_zero xlog1py xlogy add_n=total accumulate_n=total conj=identity imag=zeros_like real=identity
angle reduce_all=row_all reduce_any=row_any reduce_euclidean_norm=row_norm reduce_logsumexp=logsumexp
reduce_max=row_max reduce_mean=mean reduce_min=row_min reduce_prod=product reduce_sum=total softmax
"""

TENSORFLOW = f"""{_ALIKE}
cast clip_by_value=clip constant=constant convert_to_tensor=as_array equal identity realdiv=divide round=rint
stop_gradient truediv=divide truncatediv=truncate_divide truncatemod=fmod fill=full rank=rank_of
ensure_shape=same reshape boolean_mask=masked_select cond case=tf_case switch_case=tf_switch_case
while_loop=tf_while_loop function=applied GradientTape=Tape is_tensor=true vectorized_map=mapped
map_fn=mapped guarantee_const=identity compat.v1.to_float=as_float compat.v1.to_double=as_float
compat.v1.mod=mod compat.v1.div=divide compat.v1.floordiv=quotient_floor compat.v1.floor_div=quotient_floor
compat.v1.floormod=mod compat.v1.where=where compat.v1.to_int32=as_int compat.v1.to_int64=as_int
concat=concatenated gather=take reduce_all=row_all reduce_any=row_any reduce_logsumexp=logsumexp
reduce_max=row_max reduce_mean=mean reduce_min=row_min reduce_prod=product reduce_sum=total stack=stacked
random.poisson=random random.stateless_normal=random random.stateless_truncated_normal=random
random.stateless_uniform=random
"""

TF_V1_NN = f"""{_ACTIVATIONS}
elu=elu_tf
"""

TF_NUMPY = f"""{_OF_NUMPY}
bitwise_and bitwise_or bitwise_xor empty dot inner=dot vdot=dot maximum=maximum_tnp
"""

# Not `fake_quant_with_min_max_args`, whose ties are those of float32.
TF_QUANTIZATION = "quantize_and_dequantize_v2=quantize_and_dequantize"

TF_RAW_OPS = """
Abs=absolute Acos=acos Acosh=acosh Add=add AddV2=add Asin=asin Asinh=asinh Atan=atan Atan2=atan2 Atanh=atanh
Ceil=ceil Cos=cos Cosh=cosh Div=divide DivNoNan=divide_no_nan Elu=elu_tf Erf=erf Erfc=erfc Exp=exp Expm1=expm1
Floor=floor FloorDiv=quotient_floor FloorMod=mod Greater=greater GreaterEqual=greater_equal Identity=identity
Inv=reciprocal IsFinite=is_finite IsInf=is_inf IsNan=is_nan LeakyRelu(features,alpha=0.2,name=None)=leaky_relu
Less=less LessEqual=less_equal Log=log Log1p=log1p LogicalAnd=logical_and LogicalNot=logical_not
LogicalOr=logical_or Maximum=maximum Minimum=minimum Mul=multiply MulNoNan=multiply_no_nan Neg=negative
OnesLike=ones_like Pow=power RealDiv=divide Reciprocal=reciprocal Relu=relu Relu6=relu6 Rint=rint Round=rint
Rsqrt=rsqrt Select(condition,x,y,name=None)=where Selu=selu_tf
Sigmoid=sigmoid Sign=sign Sin=sin Sinh=sinh Softplus=softplus Softsign=softsign Sqrt=sqrt Square=square
SquaredDifference=squared_difference StopGradient=stop_gradient Sub=subtract Tan=tan Tanh=tanh
TruncateDiv=truncate_divide TruncateMod=fmod Xdivy=divide_zero Xlog1py=xlog1py Xlogy=xlogy
ZerosLike=zeros_like
"""

TF_NN = f"""{_ACTIVATIONS}
elu=elu_tf crelu dropout log_poisson_loss=log_poisson
sigmoid_cross_entropy_with_logits=cross_entropy_tf experimental.stateless_dropout=random
experimental.general_dropout=random log_softmax softmax
"""

KERAS_OPS = f"""{_OF_NUMPY} {_ACTIVATIONS}
angle cast convert_to_tensor=as_array divide_no_nan round=round_decimals signbit stop_gradient
saturate_cast=cast is_tensor=true logaddexp2=logaddexp2_keras vectorized_map=mapped map=mapped cond
fori_loop=fori_loop scan switch=lax_switch while_loop=tf_while_loop log_softmax logsumexp searchsorted
softmax
"""

KERAS_ACTIVATIONS = f"""{_ACTIVATIONS}
exponential=exp linear=identity
"""

KERAS_BACKEND = f"""{_EVERYWHERE}
cast cast_to_floatx=as_float clip constant elu=elu_tf equal expand_dims=unsqueeze flatten
hard_sigmoid=hard_sigmoid_keras2 maximum minimum ones_like relu reshape round=rint shape=shape_of
ndim=rank_of softplus softsign squeeze switch=backend_switch stop_gradient zeros_like
concatenate=concatenated stack=stacked dropout=random random_bernoulli=random random_normal=random
random_uniform=random truncated_normal=random
"""

JAX_NUMPY = f"""{_NUMPY_LIKE}
abs=absolute_jax absolute=absolute_jax fabs=absolute_jax maximum=maximum_half minimum=minimum_half
clip=clip_half fmax=fmax_jax fmin=fmin_jax interp=interp_jax linalg.norm=row_norm concat=concatenated
hypot=hypot_jax astype=cast bitwise_invert=bitwise_not promote_types=result_type bitwise_not
"""

JAX_NN = f"""{_ACTIVATIONS}
gelu(x,approximate=True) identity leaky_relu=leaky_relu_jax selu soft_sign=softsign
sparse_sigmoid=sparse_sigmoid_half log_softmax logsumexp softmax
"""

JAX_LAX = f"""{_ALIKE}
abs=absolute_jax clamp=lax_clamp convert_element_type=cast div=divide integer_pow=power is_finite
logistic=sigmoid max=maximum_half min=minimum_half rem=fmod round=round_away select=where select_n
stop_gradient sub=subtract cond fori_loop scan switch=lax_switch while_loop=lax_while_loop
map=mapped expand_dims(array,dimensions)=unsqueeze optimization_barrier=identity reduce_precision
squeeze(array,dimensions) bitwise_not bitwise_and bitwise_or bitwise_xor
"""

JAX = """
grad=gradient_of value_and_grad=value_and_gradient_of jit=applied checkpoint=applied remat=applied
jacrev=jacobian_of jacfwd=jacobian_of jacobian=jacobian_of hessian=hessian_of linearize jvp vjp
vmap=applied named_call=applied block_until_ready=identity device_put=same
dtypes.result_type=result_type dtypes.finfo=finfo dtypes.issubdtype=issubdtype
"""

EQUINOX = """
filter_grad=gradient_of filter_value_and_grad=value_and_gradient_of filter_jacrev=jacobian_of
filter_jacfwd=jacobian_of filter_hessian=hessian_of filter_jvp=jvp filter_vjp=vjp
filter_jit=applied filter_vmap=applied filter_checkpoint=applied
"""

_COMMON: dict[str, str] = {
    "builtins": BUILTINS,
    "bisect": "bisect_left=searchsorted bisect_right",
    "math": MATH,
    "numpy": NUMPY,
    "numpy.polynomial.polynomial": "polyval=powers",
    "numpy.polynomial.chebyshev": "chebval",
    "numpy.polynomial.legendre": "legval",
    "numpy.polynomial.hermite": "hermval",
    "numpy.polynomial.hermite_e": "hermeval",
    "numpy.polynomial.laguerre": "lagval",
    "scipy.special": SCIPY_SPECIAL,
    "tensorflow": TENSORFLOW,
    "tensorflow.math": TF_MATH,
    "tensorflow.nn": TF_NN,
    "tensorflow.compat.v1.nn": TF_V1_NN,
    "tensorflow.experimental.numpy": TF_NUMPY,
    "tensorflow.quantization": TF_QUANTIZATION,
    "tensorflow.raw_ops": TF_RAW_OPS,
    "torch": TORCH,
    "torch.nn.functional": TORCH_FUNCTIONAL,
    "jax": JAX,
    "jax.numpy": JAX_NUMPY,
    "jax.nn": JAX_NN,
    "jax.lax": JAX_LAX,
    "jax.scipy.special": """entr=entropy_term erf erfc expit=sigmoid logit ndtr=normal_cdf xlog1py xlogy
        logsumexp""",
    "equinox": EQUINOX,
    "keras.ops": KERAS_OPS,
    "keras.activations": KERAS_ACTIVATIONS,
    "tensorflow.keras.backend": KERAS_BACKEND,
    **dict.fromkeys(("numpy.linalg", "torch.linalg", "jax.numpy.linalg", "tensorflow.linalg"), ""),
}
NAMES = {
    path: f"{_COMMON.get(path, '')} {SPECIAL.get(path, '')}" for path in {**_COMMON, **SPECIAL}
}

METHODS = f"""{SPECIAL_METHODS} {_EVERYWHERE}
over_arrays part_of place_of set_part dot element=get_item length_of
row.sum(axis=None,*,dim=None,keepdim=False,keepdims=False,dtype=None)=total
row.prod(axis=None,*,dim=None,keepdim=False,keepdims=False,dtype=None)=product
row.mean(axis=None,*,dim=None,keepdim=False,keepdims=False,dtype=None)=mean
row.max(axis=None,*,dim=None)=largest_of row.min(axis=None,*,dim=None)=smallest_of row.amax(dim=None)=row_max
row.amin(dim=None)=row_min row.softmax(dim)=softmax row.log_softmax(dim)=log_softmax
row.logsumexp(dim)=logsumexp __getitem__=get_item __setitem__=set_item __round__=python_round at=At
add(other,*,alpha=1) addcdiv(tensor1,tensor2,*,value=1) addcmul(tensor1,tensor2,*,value=1)
astype(dtype,order="K",casting="unsafe",subok=True,copy=True)=cast bfloat16(memory_format=None) bool=as_bool
byte char clamp(min=None,max=None)=clip clamp_max(max)=clip_above clamp_min(min)=clip_below
clip(min=None,max=None,out=None) clone(*,memory_format=None)=copied conj=identity
contiguous(memory_format=None)=same copy(order="C")=copied copysign=copysign_torch cpu=same
cuda(device=None)=same degrees detach=stop_gradient dim=rank_of div(other,*,rounding_mode=None)=python_divide
divide(other,*,rounding_mode=None)=python_divide double=as_float expand(*sizes) expand_as=expand
fabs=absolute fill_diagonal_=mixing fix=trunc flatten float=single fmax fmin frac=fraction get_shape=shape_of
half=narrow heaviside(values) int=as_int is_complex=false is_floating_point=true
index_put(indices,values,accumulate=False) is_contiguous=true is_integer item=identity lerp(end,weight)
logit(eps=None) long=as_int masked_scatter(mask,source) masked_fill(mask,value) masked_select(mask)
max=largest_of maximum=maximum_half min=smallest_of minimum=minimum_half
nan_to_num(nan=0.0,posinf=None,neginf=None) ndimension=rank_of nonzero(*,as_tuple=False) numpy=identity prelu
radians ravel=flatten relu reshape(*shape,order="C") reshape_as=reshape rint round(decimals=0)=round_decimals
short signbit sgn=sign size=shape_of squeeze(axis=None) sub(other,*,alpha=1)=subtract
subtract(other,*,alpha=1)
to(*args,dtype=None,device=None,other=None,non_blocking=False,copy=False,memory_format=None)
type(dtype=None,non_blocking=False)=torch_type type_as unsqueeze(dim) view(*shape)=reshape view_as=reshape
where(condition,other)=method_where xlogy zero_=cleared fill_=filled_with copy_=filled_with
take(index,axis=None) index_select(dim,index) gather(dim,index,*,sparse_grad=False)=index_select
numel=element_count nelement=element_count register_hook(hook)=hooked
new_zeros(size,*,dtype=None,device=None,requires_grad=False)=new_zeros
new_ones(size,*,dtype=None,device=None,requires_grad=False)=new_ones
new_tensor(data,*,dtype=None,device=None,requires_grad=False)=new_tensor new(data)
new_full(size,fill_value,*,dtype=None,device=None,requires_grad=False)=new_full
new_empty(size,*,dtype=None,device=None,requires_grad=False)=new_empty bernoulli=random bernoulli_=random
exponential_=random normal_=random uniform_=random random_=random
"""

METHOD_NAMES = [
    entry.partition("(")[0].partition("=")[0] for entry in METHODS.split() if "row." not in entry
]
