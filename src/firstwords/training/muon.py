"""Muon: momentum whose update is orthogonalized, so that every direction of a matrix learns alike.

Jordan et al. 2024 (kellerjordan.github.io/posts/muon; arXiv 2502.16982) replace the update of a
weight matrix by the nearest orthogonal matrix. Here all blocks of one shape are stacked and
orthogonalized together: a small model has dozens of matrices, and one batched product is several
times faster than a loop over tiny ones.

Shapes: N blocks, R rows, C columns, R <= C.
"""

import torch
from torch import Tensor, baddbmm
from torch import dtype as TorchDtype
from torch.linalg import matrix_norm

# Odd polynomials a x + b x^3 + c x^5 that, one after the other, take every singular value in
# [0.01, 1] to within 0.27 of 1. Each has the least maximum error for what the one before leaves:
# Polar Express (arXiv 2505.16932). Five steps of a single polynomial (Jordan et al.) end about as
# close and train no better (docs/lab-notebook.md#heads-and-muon-steps).
POLAR_EXPRESS = (
    (8.0934, -23.6204, 17.4462),
    (3.6366, -2.7219, 0.5365),
    (2.6613, -1.9772, 0.4526),
)
MLP_BLOCK_SIZE = 64  # hidden units
NORM_MARGIN = 1.02  # keeps singular values below 1 despite rounding; above 1 they would diverge


def orthogonalize(g_NRC: Tensor, dtype: TorchDtype) -> Tensor:
    """Return the approximate orthogonal factor (N, R, C) of each of N matrices.

    Each step of the method multiplies the matrix from the left by a polynomial of its Gram matrix.
    These polynomials commute, so they are multiplied with each other first, R x R each, and with
    the matrix once at the end. `dtype` is that of the products with the matrix; bfloat16 is exact
    enough where the machine is fast in it.
    """
    x_NRC = g_NRC.to(dtype)
    x_NRC = x_NRC / (NORM_MARGIN * matrix_norm(x_NRC, keepdim=True) + 1e-7)
    gram_NRR = (x_NRC @ x_NRC.mT).float()  # (N, R, C) @ (N, C, R) -> (N, R, R)
    factor_NRR = _polynomial(gram_NRR, *POLAR_EXPRESS[0])
    for coefficients in POLAR_EXPRESS[1:]:
        # The Gram matrix after the steps so far.
        stepped_NRR = factor_NRR @ gram_NRR @ factor_NRR
        factor_NRR = _polynomial(stepped_NRR, *coefficients) @ factor_NRR
    return (factor_NRR.to(dtype) @ x_NRC).to(g_NRC.dtype)  # (N, R, R) @ (N, R, C) -> (N, R, C)


def _polynomial(gram_NRR: Tensor, a: float, b: float, c: float) -> Tensor:
    """Return a I + b G + c G G for each Gram matrix G."""
    value_NRR = baddbmm(gram_NRR, gram_NRR, gram_NRR, beta=b, alpha=c)
    value_NRR.diagonal(dim1=-2, dim2=-1).add_(a)
    return value_NRR


def block_shape(name: str, shape: torch.Size, head_dim: int) -> tuple[int, int]:
    """Return the rows and columns of a weight's blocks that are orthogonalized apart.

    `shape` is that of a linear layer's weight: (outputs, inputs). An attention head is a block of
    its own on either side of its projection, and so are 64 hidden units of an MLP if its width
    divides by 64. Learning is as good as with whole matrices or better, and the products are
    smaller (docs/lab-notebook.md#muon-blocks).
    """
    n_out, n_in = shape
    into_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
    size, width = head_dim, n_in if into_residual else n_out
    if ".mlp." in name:
        size = MLP_BLOCK_SIZE if width % MLP_BLOCK_SIZE == 0 else width
    return (n_out, size) if into_residual else (size, n_in)


def muon_blocks(name: str, weight_OI: Tensor, head_dim: int) -> Tensor:
    """Return a view (N, R, C), R <= C, of the blocks of a weight (`block_shape`), transposed if
    they have more rows than columns."""
    n_rows, n_columns = block_shape(name, weight_OI.shape, head_dim)
    if n_columns < weight_OI.shape[1]:  # blocks side by side: (O, N * C) -> (N, O, C)
        blocks_NRC = weight_OI.unflatten(1, (-1, n_columns)).transpose(0, 1)
    else:  # (N * R, I) -> (N, R, I)
        blocks_NRC = weight_OI.unflatten(0, (-1, n_rows))
    return blocks_NRC.mT if n_rows > n_columns else blocks_NRC
