"""What is minimized: a misfit plus penalties, as named terms."""

from eitdip.objective.averaged import Averaged
from eitdip.objective.sure import Sure
from eitdip.objective.terms import Objective, Terms
from eitdip.objective.variational import Variational

__all__ = ["Averaged", "Objective", "Sure", "Terms", "Variational"]
