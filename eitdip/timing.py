"""Where the seconds go."""

import time

from eitdip.operator import ForwardModel, LinearOperator


class Timed(ForwardModel):
    """A forward model that counts the wall seconds spent in it and in its derivatives.

    Attributes:
        seconds: So far.
    """

    def __init__(self, model: ForwardModel):
        self.model = model
        self.domain, self.range = model.domain, model.range
        self.seconds = 0.0

    def linearize(self, x):
        start = time.perf_counter()
        value, derivative = self.model.linearize(x)
        self.seconds += time.perf_counter() - start
        return value, _TimedOperator(derivative, self)


class _TimedOperator(LinearOperator):
    def __init__(self, operator: LinearOperator, clock: Timed):
        self._operator, self._clock = operator, clock
        self.domain, self.range = operator.domain, operator.range

    def _count(self, function, argument):
        start = time.perf_counter()
        value = function(argument)
        self._clock.seconds += time.perf_counter() - start
        return value

    def __call__(self, x):
        return self._count(self._operator, x)

    def adjoint(self, y):
        return self._count(self._operator.adjoint, y)
