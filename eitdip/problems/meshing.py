"""Settings of how measurements of a body become a problem; without finite elements, so that `--help` can tell them."""

from dataclasses import dataclass

from eitdip.settings import Settings, setting

SOLVERS = ("auto", "cholesky", "cholesky-blr", "last-factor", "multigrid")


@dataclass(frozen=True)
class Meshing(Settings):
    """How measurements of a body become a problem."""

    h: float | None = setting(
        "edge length of the mesh over the radius, where the data bring no mesh", plane=0.052, solid=0.1, least=1e-3
    )
    degree: int = setting("of geometry and potentials, 1 or 2; 1 for solids", 1)
    background: float | None = setting(
        "conductivity of the homogeneous body in the unit of the data; by default fitted to the reference", above=0
    )
    calibrate: bool = setting("fit current gains and voltage offsets to the reference", True)
    model_error: str | None = setting("file of `eitdip model-error`: errors of the model, whose covariance is added to "
                                      "that of the noise", None)  # fmt: skip
    solver: str = setting("of the linear systems", "auto", choices=SOLVERS)
    mesh_ranks: int = setting("ranks that share one mesh; 0 chooses", 0, least=0)
