"""One half of the presets against every axis value."""

from tests.matrix.checks import MatrixTests, half


class TestFirstHalf(MatrixTests):
    algos = half(0)
