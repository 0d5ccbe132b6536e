"""An ingest in a table for a person."""

from xmodal.catalog.ingest import IngestSummary


def rows_of(summary: IngestSummary) -> dict[str, str]:
    """Name to value, in reading order."""
    manifest = summary.catalog.manifest
    rows = {"catalogue": str(summary.catalog.path)}
    if not summary.is_new:
        rows["state"] = "unchanged since the last ingest: nothing was done"
    rows["products"] = f"{manifest.n_products:,}, {manifest.n_images:,} images"
    for split, count in manifest.counts.items():
        made = " (cut from train)" if split == "val" and manifest.made_val else ""
        rows[f"  {split}"] = f"{count:,}{made}"
    n_bad = sum(manifest.quarantine.values())
    rows["quarantine"] = f"{n_bad:,} rows"
    for reason, count in manifest.quarantine.items():
        rows[f"  {reason}"] = f"{count:,} rows, in quarantine/{reason}.parquet"
    if summary.dropped_images:
        rows["images dropped"] = f"{summary.dropped_images:,} (their products have others)"
    if summary.converted_images:
        rows["images converted"] = f"{summary.converted_images:,} (to upright RGB)"
    for part, count in manifest.n_queries.items():
        made = "made of titles" if manifest.made_queries.get(part) else "given"
        rows[f"queries {part}"] = f"{count:,} ({made})"
    for part, count in manifest.straddling.items():
        rows[f"{part} shares a picture with train"] = f"{count:,} products"
    for part, others in manifest.near_duplicates.items():
        found = ", ".join(f"{count:,} in {other}" for other, count in others.items())
        if part != "train":
            rows[f"near-duplicates of {part}"] = f"of its products have one: {found}"
    rows["pairs"] = f"{manifest.n_pairs:,}"
    return rows
