"""Names under which libraries have what an elementwise activation cannot use."""

from __future__ import annotations

_MIXING = """
addbmm addmm addmv allclose append apply_along_axis argpartition argwhere array_equal avg_pool1d baddbmm
batch_norm batch_normalization bias_add bilinear cdist cholesky column_stack compress conv1d conv2d conv3d
conv_transpose1d conv_transpose2d conv_transpose3d convolution convolve corrcoef correlate
cosine_similarity count_nonzero cov cross cross_entropy cummin cumulative_logsumexp cumulative_prod
cumulative_sum cumulative_trapezoid det diag diagonal dist dot_general dot_product_attention dstack
ediff1d eig eigh embedding equal extract flatnonzero fliplr flipud fold gather_nd hsplit hstack
index_add index_select inner instance_norm interpolate inverse isin kron l2_loss lexsort
local_response_norm logcumsumexp logdet lp_pool1d matrix_exp max_pool1d max_pool2d moments moveaxis
msort mv nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod
nanquantile nanstd nansum nanvar narrow pad pairwise_distance partition pdist permute_dims pinverse
pixel_shuffle polyfit put qr renorm repeat repeat_interleave resize rot90 row_stack
scaled_dot_product_attention scatter scatter_add segment_sum std_mean svd swapaxes swapdims
take_along_axis take_along_dim tensor_split tile trace trapezoid trapz tril triu unfold
unique_consecutive unstack vander var_mean vecdot vsplit vstack
"""

MIXING = frozenset(_MIXING.split())
"""Functions that take several elements of their input."""

MIXING_MODULES = frozenset({"fft", "linalg"})

COMPLEX = frozenset(["complex", "polar", "view_as_complex", "view_as_real"])
"""Functions that make complex numbers."""

DRAW = frozenset(["sample", "rsample", "sample_n", "rsample_n", "rvs"])
"""Methods of distributions that draw random numbers."""
