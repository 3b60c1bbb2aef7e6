"""The trainable head as a torch module: `scorer.weights.HeadWeights` plus what training adds to them."""

import numpy as np
import torch
from torch import Tensor, nn

from scorer.types import Floats
from scorer.weights import HeadWeights


class Head(nn.Module):
    """Parameters are differences from where training starts, so weight decay pulls back to the start, not to zero."""

    groups_GD: Tensor
    bias_G: Tensor
    centre_D: Tensor
    projection_DK: Tensor
    llms_LK: Tensor
    prior_GL: Tensor
    log_temperature_L: Tensor

    def __init__(self, start: HeadWeights) -> None:
        super().__init__()
        self.start = start
        for name in ("groups_GD", "bias_G", "centre_D", "projection_DK", "llms_LK", "prior_GL"):
            self.register_buffer(name, torch.tensor(getattr(start, name)))
        self.register_buffer("log_temperature_L", torch.tensor(start.temperature_L).log())
        self.moved_projection_DK = nn.Parameter(torch.zeros(start.projection_DK.shape))
        self.moved_llms_LK = nn.Parameter(torch.zeros(start.llms_LK.shape))
        self.moved_prior_GL = nn.Parameter(torch.zeros(start.prior_GL.shape))
        self.moved_log_temperature_L = nn.Parameter(torch.zeros(start.temperature_L.shape))

    def forward(self, queries_QD: Tensor) -> tuple[Tensor, Tensor]:
        """Unit-norm queries in the shared space (Q, K), and logits (Q, L); the same arithmetic as `HeadWeights.logits`."""
        queries_QD = nn.functional.normalize(queries_QD - self.centre_D, dim=-1)
        queries_QK = nn.functional.normalize(queries_QD @ (self.projection_DK + self.moved_projection_DK), dim=-1)
        llms_LK = nn.functional.normalize(self.llms_LK + self.moved_llms_LK, dim=-1)
        temperature_L = (self.log_temperature_L + self.moved_log_temperature_L).exp()
        member_QG = (queries_QD @ self.groups_GD.T / self.start.softness + self.bias_G).softmax(dim=-1)
        logits_QL = member_QG @ (self.prior_GL + self.moved_prior_GL) + queries_QK @ llms_LK.T / temperature_L
        return queries_QK, logits_QL

    @torch.no_grad()
    def weights(self) -> HeadWeights:
        """Where training has come to."""
        return HeadWeights(
            roster=self.start.roster,
            groups_GD=self.start.groups_GD,
            bias_G=self.start.bias_G,
            prior_GL=_array(self.prior_GL + self.moved_prior_GL),
            softness=self.start.softness,
            centre_D=self.start.centre_D,
            projection_DK=_array(self.projection_DK + self.moved_projection_DK),
            llms_LK=_array(nn.functional.normalize(self.llms_LK + self.moved_llms_LK, dim=-1)),
            temperature_L=_array((self.log_temperature_L + self.moved_log_temperature_L).exp()),
        )


def _array(tensor: Tensor) -> Floats:
    return tensor.detach().clone().numpy().astype(np.float32)
