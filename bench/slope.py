"""Whether what was sampled over time grows: a slope that outliers do not move (Theil and Sen: the median of the slopes between
all pairs), with the interval that holds the true one (Sen 1968, after Kendall's variance)."""
import dataclasses
import statistics

Z = 1.96  # 95 %


@dataclasses.dataclass
class Slope:
    value: float
    low: float
    high: float


def slope(points):
    """Of [(x, y)], at least three with different x. The interval takes them for independent: samples that lie so close together that
    they are alike for one reason make it too narrow."""
    pairs = sorted((y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(points) for x2, y2 in points[i + 1:] if x2 != x1)
    if len(points) < 3 or not pairs:
        raise ValueError("too few points for a slope")
    n = len(points)
    spread = Z * (n * (n - 1) * (2 * n + 5) / 18) ** 0.5
    low = max(0, int((len(pairs) - spread) / 2))
    high = min(len(pairs) - 1, int((len(pairs) + spread) / 2) + 1)
    return Slope(statistics.median(pairs), pairs[low], pairs[high])


def verdict(found, tolerated):
    """`flat`: 95 % sure that it is no more than what is tolerated. `grows`: more than that, and surely more than nothing.
    `unclear`: the samples say neither."""
    if found.high <= tolerated:
        return "flat"
    return "grows" if found.low > 0 and found.value > tolerated else "unclear"
