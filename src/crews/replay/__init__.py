"""`replay`: recorded data through the same detectors, crews and gateway on a virtual clock."""
