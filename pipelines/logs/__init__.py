"""Logs and result files of other tools as logged calls: a reader a format, listed in `pipelines.logs.formats`; knows no project."""
