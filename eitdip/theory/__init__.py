"""What is proved about the deep image prior, as programs: each module states a theorem and computes both of its sides.

- `linear_generator`: gradient descent from zero finds the minimum-norm solution, and what that recovers.
- `two_layer`: singular values and vectors of the Jacobian of ReLU(U C) v.
- `recovery`: how that network denoises, and recovers a signal from few measurements.
- `spectral_bias`: which frequencies are fitted first.
- `analytic_dip`: the prior that can be solved by hand.

Everything is small and dense: a place to check ideas, not to reconstruct. Never DOLFINx, never MPI.
"""
