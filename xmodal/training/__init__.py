"""Fine-tunes the matcher: losses, batches, the step, and its Ray Train and Ray Tune forms."""
