"""Names under which libraries have what an elementwise activation cannot use."""

from __future__ import annotations

_MIXING = """
addbmm addmm addmv allclose apply_along_axis argwhere array_equal baddbmm batch_dot batch_norm
batch_normalization bias_add bilinear bincount bmm cholesky compress conv2d conv3d conv_transpose1d
conv_transpose2d conv_transpose3d convolution cross cross_entropy cumulative_prod cumulative_sum
cumulative_trapezoid det diagonal dot_product_attention dstack eig eigh eye equal extract
flatnonzero fliplr fold group_norm histogram hsplit index_add instance_norm interpolate
inverse isin l2_loss lexsort linear local_response_norm logdet lp_pool1d matrix_exp max_pool2d mm
mode moveaxis movedim mv nanargmax nanargmin nancumprod nancumsum permute permute_dimensions
permute_dims pinverse pixel_shuffle polyfit put qr reduce renorm resize rot90
scaled_dot_product_attention scatter_add segment_sum svd swapaxes swapdims t tolist trace transpose
unique unique_consecutive vander vsplit
"""

_CURES = {
    "nansum nanmean nanmax nanmin nanprod nanstd nanvar nanmedian nanquantile nanpercentile": (
        "Put a number where there is nan first: `np.where(np.isnan(x), 0.0, x)`."
    ),
    "outer kron vstack row_stack column_stack tensordot cov corrcoef diag tril triu cdist": (
        "Here are rows and no matrices: write what becomes of it, as in `x * np.sum(y)` for "
        "`np.outer(x, y).sum(1)`."
    ),
    "einsum tensordot vecdot dot_general": "Multiply and sum: `np.sum(x * y)`.",
    "cummax cummin maximum.accumulate minimum.accumulate associative_scan scan": (
        "There are running sums and products. Of rows of 5 to 8 numbers, a running maximum is `y = x` and "
        "`for s in (1, 2, 4): y = np.concatenate([y[:s], np.maximum(y[s:], y[:-s])])`; of 9 to 16 with 8."
    ),
    "logcumsumexp cumulative_logsumexp cumlogsumexp logaddexp.accumulate": (
        "Of rows of 5 to 8 numbers, write `y = x`, and `for s in (1, 2, 4): y = np.concatenate([y[:s], "
        "np.logaddexp(y[s:], y[:-s])])`; of 9 to 16 with 8 too."
    ),
    "trapezoid trapz": "Write `np.sum(x[1:] + x[:-1]) / 2`.",
    "gradient": "Write what it is within the row, `(x[2:] - x[:-2]) / 2`, and at its ends.",
    "convolve correlate conv1d max_pool1d avg_pool1d unfold": (
        "Combine shifted rows: `0.5 * x[1:] + 0.5 * x[:-1]`, `np.maximum(x[::2], x[1::2])`."
    ),
    "cosine_similarity": "Write `np.sum(x * y) / (np.linalg.norm(x) * np.linalg.norm(y))`.",
    "dist pairwise_distance pdist": "Write `np.linalg.norm(x - y)`.",
    "slice slice_in_dim dynamic_slice": "Index it: `x[1:4]`, `x[0]`.",
    "iota broadcasted_iota": "Write `np.arange(len(x))`.",
    "sparsemax": "Take `actgrad.rows.sparsemax`.",
    "fromiter": "Make the array of a list: `np.array([v * 2 for v in x])`.",
    "delete": "Concatenate the rest: `np.concatenate([x[:1], x[2:]])`.",
}
CURES = {name: cure for names, cure in _CURES.items() for name in names.split()}
"""What to write in a function of a row in the place of some."""

_LOOKUPS = """
dynamic_index_in_dim dynamic_slice embedding embedding_lookup gather_nd one_hot take take_along_axis
take_along_dim
"""
LOOKUPS = frozenset(_LOOKUPS.split())
"""Functions that also read a table, at the number that is the input."""

MIXING = frozenset([*_MIXING.split(), *(name for name in CURES if "." not in name), *LOOKUPS])
"""Functions that take several elements of their input."""

MIXING_MODULES = frozenset({"fft", "linalg"})

COMPLEX = frozenset(["complex", "polar", "view_as_complex", "view_as_real"])
"""Functions that make complex numbers."""

DRAW = frozenset(["sample", "rsample", "sample_n", "rsample_n", "rvs"])
"""Methods of distributions that draw random numbers."""

DIFFERENTIATES = frozenset(["jacobian", "hessian", "vjp", "jvp", "hvp", "vhp", "gradients"])
"""Functions that take a derivative."""
