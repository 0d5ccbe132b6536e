"""Facts of a saved matcher (`matcher.json`) and its model card (`README.md`)."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from xmodal.errors import MatcherError
from xmodal.matcher.spec import EncoderSpec


@dataclass(frozen=True)
class Facts:
    """Where a matcher comes from and what it reaches. All of it is JSON."""

    data: str = ""
    """Fingerprint of the catalogue it was trained on."""
    run: str = ""
    code: str = ""
    """Version of the code, with its commit."""
    settings: Mapping[str, object] = field(default_factory=dict)
    evaluation: Mapping[str, float] = field(default_factory=dict)
    """Mean metrics on `val`, by name."""
    encoder: str = ""
    reranker: str = ""
    calibration: str = ""
    fields: str = ""
    """Fingerprints of the parts, empty where one is not there; filled when the matcher is saved."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Fingerprint of each file by its path in the folder; filled when the matcher is saved."""

    @property
    def parts(self) -> list[str]:
        """Fingerprints of the parts that it has: what makes a matcher another one."""
        return [self.encoder, self.reranker, *filter(None, [self.calibration, self.fields])]

    def save(self, path: Path) -> None:
        """Write the facts as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Facts":
        """Read what `save` wrote. Raises MatcherError where the file is missing or damaged."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            known = {entry.name for entry in fields(cls)}
            return cls(**{name: value for name, value in document.items() if name in known})
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise MatcherError(
                f"{path}: cannot read it ({error}); give the folder of a saved matcher, or copy "
                "it again"
            ) from error


def model_card(spec: EncoderSpec, facts: Facts) -> str:
    """The model card in Markdown."""
    table = "\n".join(f"| {name} | {mean:.4f} |" for name, mean in sorted(facts.evaluation.items()))
    return _CARD.format(
        spec=spec,
        facts=facts,
        size=f"{spec.image_size[0]} x {spec.image_size[1]}",
        text="trained" if spec.train_text else "frozen",
        reranker=f"cross-encoder, fingerprint `{facts.reranker}`" if facts.reranker else "none",
        evaluation=f"| metric | mean |\n|---|---|\n{table}" if table else "Not evaluated yet.",
    )


_CARD = """---
library_name: xmodal
pipeline_tag: feature-extraction
tags: [product-search, text-to-image, bilingual]
---
# A product matcher

Unit vectors of {spec.dim} dimensions for product pictures and queries, in one space.

| | |
|---|---|
| base | `{spec.base}` |
| encoder | {spec.family}, fingerprint `{facts.encoder}` |
| reranker | {reranker} |
| pictures | {size} pixels (height x width), fit: {spec.fit} |
| trained | {spec.trained_blocks} upper image blocks; the text model is {text} |
| catalogue | `{facts.data}` |
| run | `{facts.run}` |
| code | `{facts.code}` |

## Measured on held-out queries of `val`

{evaluation}

## Use

```python
from pathlib import Path
from xmodal.matcher.saved import load_matcher

encoder = load_matcher(Path("this-folder")).encoder
vectors = encoder.encode_text(encoder.inputs.texts(["red shoes", "红色鞋子"]))
```

## Limits

It ranks the pictures of the shop whose captions it was trained on; other shops, languages and
kinds of products have to be measured first. It is not meant for pictures of people as such.
"""
