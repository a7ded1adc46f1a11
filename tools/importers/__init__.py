"""Importers of published judge benchmarks: one module a benchmark, each with a table of published facts.

A benchmark's module has SUITES (suite name -> Facts) and samples(name, source, options), which yields for every row
of the published files a sample (a dictionary in the form of samples.jsonl, media as Media) or a Dropped.
"""
