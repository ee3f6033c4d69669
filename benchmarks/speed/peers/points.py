"""pyEIT: its own, easier problem of point electrodes, the only one it has; forward only.

Its derivative is the dense inverse of the matrix and a loop over cells; at 10,000 nodes it takes most of a minute.
"""

import numpy as np
from pyeit.eit import protocol
from pyeit.eit.fem import EITForward
from pyeit.mesh import PyEITMesh


class Peer:
    def __init__(self, problem):
        points, cells, facets, tags = problem[:4]
        self._electrodes = np.array([np.sort(facets[tags == e], axis=None)[0] for e in range(1, tags.max() + 1)])
        solid = np.column_stack([points, np.zeros(len(points))])
        mesh = PyEITMesh(node=solid, element=cells, perm=np.ones(len(cells)), el_pos=self._electrodes, ref_node=0)
        self._protocol = protocol.create(len(self._electrodes), dist_exc=1, step_meas=1, parser_meas="std")
        self._forward = EITForward(mesh, self._protocol)

    def protocol(self):
        """Nodes of the electrodes, electrode pairs of the currents (K, 2) and of the voltages (K, M, 2)."""
        return self._electrodes, np.array(self._protocol.ex_mat), np.array(self._protocol.meas_mat)

    def forward(self, sigma):
        return self._forward.solve_eit(perm=sigma)
