"""The loop's stages: one module each, run as `python -m pipelines.STAGE` from the project's root."""
