"""Dead features start again where the autoencoder does worst.

Bricken et al. 2023, "Towards monosemanticity", appendix "Neuron resampling": each dead feature takes the direction of a
row drawn with probability proportional to its squared loss; its encoder row has 0.2 of the living ones' mean norm, its
bias (and whatever else it has of its own) is 0, its optimizer state is reset. The losses are those of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from headway.ml.sae.objective import Model

ENCODER_SHARE = 0.2


@torch.no_grad()
def resample(model: Model, rows: Tensor, errors: Tensor, dead: Tensor, seed: int) -> None:
    """Overwrite the `dead` features in place. `errors` [batch, d_out] are x̂ - x, `seed` is of this one draw."""
    weights = model.weights
    generator = torch.Generator().manual_seed(seed)
    chances = errors.double().square().sum(1).square().cpu()
    if not len(dead) or chances.sum() <= 0:
        return
    drawn = torch.multinomial(chances, len(dead), replacement=True, generator=generator).to(rows.device)
    centred = rows[drawn] - weights.b_dec
    directions = centred / centred.norm(dim=1, keepdim=True).clamp_min_(1e-12)
    living = torch.ones(len(weights.enc), dtype=torch.bool, device=dead.device).index_fill_(0, dead, False)
    norms = weights.enc[living if living.any() else ~living].norm(dim=1)
    weights.dec[dead] = directions
    weights.enc[dead] = directions * (ENCODER_SHARE * norms.mean())
    for each in (weights.b_enc, *model.extra.values()):
        each[dead] = 0
