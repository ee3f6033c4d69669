"""How to trust a gradient: Taylor remainders, the dot test, and what an evaluation costs.

The misfit's gradient is exact for the *discrete* problem. Then |F(s + e d) - F(s) - e J d| falls
with e^2; any wrong sign or factor would show as order 1. And one factorization serves all.

    python demos/impedance/check_the_adjoint.py
"""

import numpy as np

from eitdip.fem import CompleteElectrodeModel, DirichletModel, NeumannModel, trigonometric
from eitdip.fem.patterns import adjacent
from eitdip.mesh import disk
from eitdip.verify import adjoint_error, taylor_orders


def main() -> None:
    rng = np.random.default_rng(0)
    domain = disk(radius=1.0, h=0.1, electrodes=16, width=0.2)
    waves = trigonometric(domain, 8)  # 16 boundary functions
    models = {
        "Dirichlet": lambda element: DirichletModel(domain, waves, sigma_element=element),
        "Neumann": lambda element: NeumannModel(domain, waves, sigma_element=element),
        "electrodes": lambda element: CompleteElectrodeModel(domain, adjacent(16), 0.01, sigma_element=element),
    }
    print(f"{'model':<12}{'sigma':<10}{'Taylor orders':<20}{'dot test':<11}factorizations / solves")
    for name, make in models.items():
        for element in ("cells", "vertices"):
            model = make(element)
            sigma = np.exp(0.3 * rng.standard_normal(model.domain.shape))
            direction = sigma * rng.uniform(-0.5, 0.5, model.domain.shape)
            orders = taylor_orders(model, sigma, direction)
            solver = model.system.solver
            before = solver.factorizations, solver.solves
            _, derivative = model.linearize(sigma)
            error = adjoint_error(derivative, rng)
            cost = solver.factorizations - before[0], solver.solves - before[1]
            print(
                f"{name:<12}{element:<10}{np.array2string(orders, precision=3):<20}{error:<11.0e}{cost[0]} / {cost[1]}"
            )
            assert (orders > 1.95).all() and error < 1e-10 and cost == (1, 16)


if __name__ == "__main__":
    main()
