"""InfoNCE beside what a teacher thinks of the same batch.

Shapes: B pairs on this worker, N of all workers.
"""

from torch import Tensor
from torch.nn.functional import kl_div

from xmodal.training.losses.contract import Loss, LossBatch
from xmodal.training.losses.info_nce import info_nce_rows


class Distill(Loss):
    """KL divergence of the student's similarities from the teacher's, both directions.

    The teacher's similarities are in its own space, at its own temperature: its embeddings may
    be of another size.

    Source: distillation of Hinton et al., arXiv 1503.02531, section 2, over in-batch similarity
    as in TinyCLIP, arXiv 2309.12314, section 3.1.
    """

    def __init__(self, smoothing: float = 0.0, share: float = 0.5) -> None:
        """`share`: of the teacher's term, between 0 and 1; the rest is InfoNCE."""
        super().__init__()
        self.smoothing, self.share = smoothing, share

    def forward(self, batch: LossBatch) -> Tensor:
        """Mean over rows of both terms."""
        assert batch.teacher_to_image_BN is not None
        assert batch.teacher_to_text_BN is not None
        scale = batch.log_scale.exp()
        to_image = _divergence(scale * batch.scores_to_image_BN, batch.teacher_to_image_BN)
        to_text = _divergence(scale * batch.scores_to_text_BN, batch.teacher_to_text_BN)
        rows = info_nce_rows(batch, self.smoothing).mean()
        return self.share * (to_image + to_text) / 2 + (1 - self.share) * rows


def _divergence(student_BN: Tensor, teacher_BN: Tensor) -> Tensor:
    """KL(teacher || student), mean over rows, of logits."""
    return kl_div(
        student_BN.log_softmax(dim=1),
        teacher_BN.log_softmax(dim=1),
        reduction="batchmean",
        log_target=True,
    )
