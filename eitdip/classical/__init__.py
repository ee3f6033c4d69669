"""Solvers without a network: Gauss-Newton, total variation, two values, maximum likelihood of counts."""
