"""Do the words and regions that an explanation names make the score? Judged by deletion.

    python benchmarks/bench_explain.py [--config configs/demo.yaml] [--pairs 240] [--out FILE]

Pairs of a held-out query and the first product that answers it, by the home's newest matcher (or
--matcher DIR). Subject: the score without its heaviest 20 % (words, then cells of a grid). Floor:
the score without a random 20 %, the mean of 5 draws. The cosine of the first stage apart, and the
reranked logit where there is a reranker.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "demo.yaml"


def main() -> int:
    """Measure; print both ratios of each stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--matcher", type=Path, help="a saved matcher; else the live release's")
    parser.add_argument("--part", default="dev")
    parser.add_argument("--pairs", type=int, default=240)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    from xmodal.catalog.store import current_catalog
    from xmodal.layers import load_settings, resolve_home
    from xmodal.matcher.saved import load_matcher
    from xmodal.registry.pointer import read_pointer

    home = resolve_home(load_settings(options.config), options.config)
    folder = options.matcher
    if folder is None:
        release = read_pointer(home)
        if release is None:
            sys.stderr.write(f"{home} has no release; run jobs/pipeline.py, or give --matcher\n")
            return 2
        folder = release.matcher_folder(home)
    result = _measure(
        load_matcher(folder), _pairs(current_catalog(home), options.part, options.pairs)
    )
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0


def _pairs(catalog: Any, part: str, count: int) -> list[tuple[str, list[bytes]]]:
    """Texts and the pictures of the first product that each is judged to find."""
    import numpy as np

    judged = catalog.judged(part)
    ids = catalog.products(["product_id"])["product_id"].to_pylist()
    row_of = {product: row for row, product in enumerate(ids)}
    names = sorted(judged.queries)
    found = []
    for at in np.random.default_rng(0).permutation(len(names)).tolist():
        right = [row_of[p] for p, grade in judged.qrels[names[at]].items() if grade > 0]
        pictures = [encoded for row in right[:1] for *_, encoded in catalog.images(row, row + 1)]
        if pictures:
            found.append((judged.queries[names[at]], pictures))
        if len(found) == count:
            break
    return found


def _measure(matcher: Any, pairs: list[tuple[str, list[bytes]]]) -> dict[str, object]:
    import torch

    from xmodal.fingerprint import code_version

    torch.set_num_threads(1)
    stages = {"first stage": None, "reranked": matcher.reranker}
    return {
        **{
            name: _stage(matcher.encoder, reranker, pairs)
            for name, reranker in stages.items()
            if name == "first stage" or reranker is not None
        },
        "pairs": len(pairs),
        "code": code_version(),
    }


def _stage(encoder: Any, reranker: Any, pairs: list[tuple[str, list[bytes]]]) -> dict[str, object]:
    import numpy as np

    from xmodal.matcher.deletion import deletion, mean_deletion
    from xmodal.matcher.explain import PairScore, explain

    rng, found, took_s = np.random.default_rng(0), [], []
    for text, pictures in pairs:
        start = time.perf_counter()
        pair = PairScore(encoder, reranker, text, pictures)
        why = explain(pair)
        took_s.append(time.perf_counter() - start)
        found.append(deletion(pair, why, rng))
    whole = mean_deletion(found)
    return {
        "words_ratio": round(whole.words_ratio, 2),
        "regions_ratio": round(whole.regions_ratio, 2),
        **{name: round(value, 4) for name, value in vars(whole).items()},
        "explain_ms_p50": round(1000 * statistics.median(took_s), 1),
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main())
