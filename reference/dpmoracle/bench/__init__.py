"""Benchmarks beside the code people use today and beside the machine's limit, all measured in one run.

`python -m benchmarks` and `dpmoracle bench` run them; `suite.BENCHMARKS` lists them.
"""
